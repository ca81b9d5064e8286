import { drizzle } from '../../dist/drizzle/index.mjs'
import { callsOf } from './drizzle.mjs'
import { connect, prepare } from './sluice.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'drizzle on sluice',
  packageName: null,
  leastNode: 20,
  synchronous: false,

  async open(path, settings) {
    const client = await connect(path, settings)
    const calls = callsOf(drizzle(client))
    return { prepare: (name, take) => calls[name] ?? prepare(client, name, take), close: () => client.close() }
  },
}
