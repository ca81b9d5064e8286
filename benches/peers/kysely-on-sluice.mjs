import { Kysely } from 'kysely'
import { SluiceDialect } from '../../dist/kysely/index.mjs'
import { callsOf } from './kysely.mjs'
import { connect, prepare } from './sluice.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'kysely on sluice',
  packageName: null,
  leastNode: 20,
  synchronous: false,

  async open(path, settings) {
    const client = await connect(path, settings)
    const calls = callsOf(new Kysely({ dialect: new SluiceDialect({ database: client }) }))
    return { prepare: (name, take) => calls[name] ?? prepare(client, name, take), close: () => client.close() }
  },
}
