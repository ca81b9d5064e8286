import { applySettings } from '../settings.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'libsql',
  packageName: 'libsql',
  leastNode: 20,
  synchronous: true,

  async open(path, settings) {
    const { default: Database } = await import('libsql')
    const db = new Database(path)
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
