import { describe, expect, it } from 'vitest'

import { runScript } from './support/child-process.js'
import { bundleInternals } from './support/internals.js'
import { scratchPath } from './support/scratch.js'

const SLOW = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT count(*) AS n FROM c'

/** Nothing public asks for times by itself. */
const prelude = (internals: string): string => `
const { Handle, openConfig, TIMED } = require(${JSON.stringify(internals)})
const { config, mode, leases, tracing } = openConfig({})
const SLOW = ${JSON.stringify(SLOW)}
const settled = async (call) => { await call.settled; return call }
const shown = ({ queuedUs, ranUs, failure }) => ({ waited: queuedUs > 0, ran: ranUs > 1000, failed: failure !== null })
async function main(body) {
  const handle = Handle.first(process.argv[1], config, mode, leases, tracing)
  handle.open()
  await handle.busy
  console.log(JSON.stringify(await body(handle)))
  await handle.close(0).settled
}
`

async function run(body: string): Promise<unknown> {
  const internals = await bundleInternals('handle', 'options', 'layout')
  const { code, stdout, stderr } = await runScript(`${prelude(internals)}\nmain(async (handle) => ${body})`, { args: [scratchPath()], bare: true })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('the times of a call', () => {
  it('come with its answer when its request asks for them, and only then', async () => {
    const both = await run(`{
      const plain = await settled(handle.statement(SLOW, [], mode, 'object', 0, 'all'))
      const timed = await settled(handle.statement(SLOW, [], mode, 'object', TIMED, 'all'))
      return { plain: [plain.queuedUs, plain.ranUs], timed: shown(timed), rows: timed.takeRows() }
    }`)
    expect(both).toEqual({ plain: [0, 0], timed: { waited: true, ran: true, failed: false }, rows: [{ n: 300_000 }] })
  })

  it('come with a failure too', async () => {
    const found = await run(`{
      const failed = await settled(handle.statement('SELECT nothing', [], mode, 'object', TIMED, 'all'))
      return { waited: failed.queuedUs > 0, isFailure: failed.failure.code, rows: failed.takeRows() }
    }`)
    expect(found).toEqual({ waited: true, isFailure: 'SQLITE_ERROR', rows: [] })
  })

  it('come with many answers at once, each with its own', async () => {
    const found = await run(`{
      const calls = Array.from({ length: 2000 }, (_, n) => handle.statement('SELECT ? AS n', [n], mode, 'pluck', n % 2 === 0 ? TIMED : 0, 'all'))
      for (const call of calls) await call.settled
      return {
        timed: calls.filter(({ queuedUs, ranUs }) => queuedUs + ranUs > 0).length,
        untimed: calls.filter(({ queuedUs, ranUs }) => queuedUs === 0 && ranUs === 0).length,
        sum: calls.reduce((sum, call) => sum + call.takeFirst(), 0),
      }
    }`)
    expect(found).toEqual({ timed: 1_000, untimed: 1_000, sum: 1_999_000 })
  })
})
