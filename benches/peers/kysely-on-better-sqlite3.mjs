import { Kysely, SqliteDialect } from 'kysely'
import { connect, packageName, prepare } from './better-sqlite3.mjs'
import { callsOf } from './kysely.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'kysely on better-sqlite3',
  packageName,
  leastNode: 20,
  // Its calls return promises, of work that is done on the calling thread.
  synchronous: false,

  async open(path, settings) {
    const client = connect(path, settings)
    const calls = callsOf(new Kysely({ dialect: new SqliteDialect({ database: client }) }))
    return { prepare: (name, take) => calls[name] ?? prepare(client, name, take), close: () => client.close() }
  },
}
