import { pathToFileURL } from 'node:url'
import { NotOffered } from '../peer.mjs'
import { pragmaTexts } from '../settings.mjs'
import { refuseEach } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: '@libsql/client',
  packageName: '@libsql/client',
  leastNode: 20,
  synchronous: false,
  load: () => import('@libsql/client'),

  async open(path, settings) {
    const { createClient } = await this.load()
    const client = createClient({ url: pathToFileURL(path).href })
    for (const pragma of pragmaTexts(settings)) await client.execute(pragma)
    return {
      prepare(sql, take) {
        refuseEach(take, 'returns all rows at once')
        const run = async (args) => (await client.execute({ sql, args })).rows
        return take === 'first' ? async (args) => (await run(args))[0] : run
      },
      transaction(steps, manner) {
        if (manner !== 'batch') throw new NotOffered('the benchmark makes only batches on it')
        return (params) => client.batch(steps.map(({ sql }, step) => ({ sql, args: params[step] })), 'write')
      },
      close: () => client.close(),
    }
  },
}
