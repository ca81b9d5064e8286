import { synchronousOf } from '../settings.mjs'
import { callOf } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: '@tursodatabase/database',
  packageName: '@tursodatabase/database',
  leastNode: 20,
  synchronous: false,
  locksFile: true,

  async open(path, settings) {
    const { connect } = await import('@tursodatabase/database')
    const db = await connect(path)
    // It knows no mmap_size.
    if (settings.profile === 'equal') {
      await db.exec(`PRAGMA cache_size=${settings.cacheSize}; PRAGMA synchronous=${synchronousOf(settings)}`)
    }
    return {
      prepare: (sql, take) => callOf(db.prepare(sql), take),
      close: () => db.close(),
    }
  },
}
