import { SluicePrismaAdapter } from '../../dist/prisma/index.mjs'
import { callsOf, clientOn } from './prisma.mjs'
import { connect, prepare } from './sluice.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'prisma on sluice',
  packageName: null,
  leastNode: 20,
  synchronous: false,

  async open(path, settings) {
    const client = await connect(path, settings)
    const calls = callsOf(await clientOn(new SluicePrismaAdapter({ client })))
    return { prepare: (name, take) => calls[name] ?? prepare(client, name, take), close: () => client.close() }
  },
}
