import { synchronousOf } from '../settings.mjs'
import { callOf, lastOfAsync } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: '@tursodatabase/database',
  packageName: '@tursodatabase/database',
  leastNode: 20,
  synchronous: false,
  load: () => import('@tursodatabase/database'),
  locksFile: true,

  async open(path, settings) {
    const { connect } = await this.load()
    const db = await connect(path)
    // It knows no mmap_size.
    if (settings.profile === 'equal') {
      await db.exec(`PRAGMA cache_size=${settings.cacheSize}; PRAGMA synchronous=${synchronousOf(settings)}`)
    }
    return {
      prepare(sql, take) {
        const statement = db.prepare(sql)
        return take === 'each' ? (params) => lastOfAsync(statement.iterate(...params)) : callOf(statement, take)
      },
      close: () => db.close(),
    }
  },
}
