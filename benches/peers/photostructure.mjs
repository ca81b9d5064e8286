import { NotOffered } from '../peer.mjs'
import { pragmaTexts } from '../settings.mjs'
import { METHODS, refuseEach } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: '@photostructure/sqlite',
  packageName: '@photostructure/sqlite',
  leastNode: 22,
  synchronous: false,
  load: () => import('@photostructure/sqlite/experimental'),

  async open(path, settings) {
    const { DatabasePool } = await this.load()
    const connectionSetup = pragmaTexts(settings).map((sql) => ({ sql }))
    const pool = await DatabasePool.open(path, { connections: settings.readers, connectionSetup })
    return {
      prepare(sql, take) {
        refuseEach(take, 'its pool has no iterators')
        const method = METHODS[take]
        return (params) => pool[method](sql, params)
      },
      transaction(steps, manner) {
        if (manner !== 'batch') throw new NotOffered('has no transactions but batches')
        const operations = (params) => steps.map(({ sql, take }, step) => ({ kind: METHODS[take], sql, params: params[step] }))
        return (params) => pool.batch(operations(params), { transaction: 'immediate' })
      },
      close: () => pool.close(),
    }
  },
}
