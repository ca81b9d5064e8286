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
    if (settings.profile === 'equal') await db.exec(`PRAGMA cache_size=${settings.cacheSize}; PRAGMA synchronous=NORMAL`)
    return {
      prepare(sql, take) {
        const statement = db.prepare(sql)
        return take === 'first' ? (params) => statement.get(...params) : (params) => statement.all(...params)
      },
      close: () => db.close(),
    }
  },
}
