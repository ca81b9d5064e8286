import { applySettings } from '../settings.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'node-sqlite',
  packageName: null,
  leastNode: 22,
  synchronous: true,

  async open(path, settings) {
    const { DatabaseSync } = await import('node:sqlite')
    const db = new DatabaseSync(path)
    applySettings(settings, (pragma) => db.exec(`PRAGMA ${pragma}`))
    return {
      prepare(sql, take) {
        const statement = db.prepare(sql)
        return take === 'first' ? (params) => statement.get(...params) : (params) => statement.all(...params)
      },
      close: () => db.close(),
    }
  },
}
