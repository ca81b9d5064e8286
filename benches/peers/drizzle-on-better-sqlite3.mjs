import { connect, packageName, prepare } from './better-sqlite3.mjs'
import { callsOf } from './drizzle.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'drizzle on better-sqlite3',
  packageName,
  // It imports better-sqlite3 by that name, which is the version for newer Nodes here.
  leastNode: 22,
  synchronous: true,

  async open(path, settings) {
    const { drizzle } = await import('drizzle-orm/better-sqlite3')
    const client = connect(path, settings)
    const calls = callsOf(drizzle(client))
    return { prepare: (name, take) => calls[name] ?? prepare(client, name, take), close: () => client.close() }
  },
}
