import { pragmaTexts } from '../settings.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: '@photostructure/sqlite',
  packageName: '@photostructure/sqlite',
  leastNode: 22,
  synchronous: false,

  async open(path, settings) {
    const { DatabasePool } = await import('@photostructure/sqlite/experimental')
    const connectionSetup = pragmaTexts(settings).map((sql) => ({ sql }))
    const pool = await DatabasePool.open(path, { connections: settings.readers, connectionSetup })
    return {
      prepare(sql, take) {
        return take === 'first' ? (params) => pool.get(sql, params) : (params) => pool.all(sql, params)
      },
      close: () => pool.close(),
    }
  },
}
