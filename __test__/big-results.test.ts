import { describe, expect, it } from 'vitest'

import { runScript } from './support/child-process.js'
import { scratchPath } from './support/scratch.js'

/** For how long one turn of the event loop may be held up, in milliseconds. */
const MAX_TURN_MS = 50
/**
 * How often a run may be repeated. What the driver or the garbage collector does to a turn shows in every run; what other
 * processes do to it, by keeping this one's threads from the processor, does not. So the best run counts.
 */
const ATTEMPTS = 6

/** In a process of its own, with Node's default flags: the garbage of another test is not to be collected here. */
const WATCH = `
const { readFileSync } = require('node:fs')
const { monitorEventLoopDelay } = require('node:perf_hooks')
const turn = () => new Promise((resolve) => setImmediate(resolve))
const [, path, attempts, most] = process.argv

/** How long this thread has been ready to run, but has not been given a processor, in milliseconds. Only Linux tells. */
const waitedMs = () => {
  try { return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[1]) / 1e6 } catch { return 0 }
}

/** Runs \`body\` and returns by how much the latest timer of 1 ms was late, but for the time without a processor. */
async function longestTurn(body) {
  let watching = true
  let longest = 0
  let then = performance.now()
  let waitedThen = waitedMs()
  const tick = () => {
    const waited = waitedMs()
    longest = Math.max(longest, performance.now() - then - 1 - (waited - waitedThen))
    waitedThen = waited
    then = performance.now()
    if (watching) setTimeout(tick, 1)
  }
  setTimeout(tick, 1)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await body()
  await new Promise((resolve) => setTimeout(resolve, 5))
  delay.disable()
  watching = false
  return { longest, raw: delay.max / 1e6 }
}

/** Runs \`body\` until no turn was too long, and prints what the best run was like. */
async function watch(body) {
  const runs = []
  do runs.push(await longestTurn(body))
  while (runs.at(-1).longest > Number(most) && runs.length < Number(attempts))
  const least = (name) => Math.min(...runs.map((run) => run[name]))
  console.log(JSON.stringify({ longest: least('longest'), raw: least('raw'), runs: runs.length }))
}
`

interface Watched {
  /** The longest turn of the best run, in milliseconds. */
  readonly longest: number
  /** The longest turn of the best run as `monitorEventLoopDelay` saw it. */
  readonly raw: number
  readonly runs: number
}

/** Has a process watch what `script` says. Returns its longest turn, in milliseconds. */
async function longestTurnOf(what: string, script: string): Promise<number> {
  const watched = await watch(script)
  console.info(`${what}: longest turn ${watched.longest.toFixed(1)} ms (${JSON.stringify(watched)})`)
  return watched.longest
}

async function watch(script: string): Promise<Watched> {
  const args = [scratchPath(), String(ATTEMPTS), String(MAX_TURN_MS)]
  const { code, stdout, stderr } = await runScript(WATCH + script, { args, patienceMs: 160_000 })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Watched
}

const MILLION = `
const make = async () => {
  const db = await open(path, { durability: 'off' })
  await db.exec(\`CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
    INSERT INTO t SELECT i, i * 3, i / 7.0, 'name ' || i, iif(i % 2, 'x' || i, NULL) FROM n\`)
  return db
}
const fail = (what) => { throw new Error(what) }
`

describe('V14: a result of 1,000,000 rows', () => {
  const FORMS: [string, string][] = [
    ['objects of 5 columns', "db.all('SELECT * FROM t')"],
    ['objects of 2 integers', "db.all('SELECT id, a FROM t')"],
    ['arrays of 5 columns', "db.values('SELECT * FROM t')"],
    ['plucked texts', "db.pluck('SELECT c FROM t')"],
    ['bigints', "db.all('SELECT id, a FROM t', [], { integers: 'bigint' })"],
  ]

  it.each(FORMS)(`as %s never holds up a turn of the event loop for more than ${MAX_TURN_MS} ms`, { timeout: 180_000 }, async (form, call) => {
    const longest = await longestTurnOf(`1,000,000 rows as ${form}`, `${MILLION}
      main(async () => {
        const db = await make()
        await watch(async () => {
          const rows = await ${call}
          if (rows.length !== 1_000_000) fail('rows are missing')
        })
        await db.close()
      })`)
    expect(longest).toBeLessThanOrEqual(MAX_TURN_MS)
  })

  it('is whole and in order, in every form', { timeout: 180_000 }, async () => {
    const { code, stderr } = await runScript(
      `const [, path] = process.argv
      ${MILLION}
      main(async () => {
        const db = await make()
        const sum = 500000500000
        const [objects, arrays, texts] = [await db.all('SELECT * FROM t'), await db.values('SELECT id, d FROM t'), await db.pluck('SELECT c FROM t')]
        const isRight = (row, at) => row.id === at + 1 && row.a === 3 * row.id && row.b === row.id / 7 && row.c === 'name ' + row.id && row.d === (row.id % 2 ? 'x' + row.id : null)
        if (!objects.every(isRight)) fail('an object is wrong')
        if (arrays.reduce((total, [id]) => total + id, 0) !== sum) fail('an array is wrong')
        if (!arrays.every(([id, d]) => d === (id % 2 ? 'x' + id : null))) fail('an array is wrong')
        if (!texts.every((text, at) => text === 'name ' + (at + 1))) fail('a text is wrong')
        await db.close()
      })`,
      { args: [scratchPath()], patienceMs: 160_000 },
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('100,000 calls in flight at once', () => {
  it(`all complete, and hold up no turn for more than ${MAX_TURN_MS} ms`, { timeout: 180_000 }, async () => {
    const longest = await longestTurnOf('100,000 calls', `
      const SLOW = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT count(*) AS n FROM c'
      main(async () => {
        const db = await open(path, { durability: 'off', maxReaders: 2, acquireTimeoutMs: 120_000 })
        await db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t SELECT value, value * 2 FROM json_each(json_array(1, 2, 3, 4, 5, 6, 7))')
        await Promise.all([db.all(SLOW, [1]), db.get('SELECT * FROM t WHERE id = ?', [1])])
        let work = 10_000_000
        await watch(async () => {
          // While these have the readers, every other read waits.
          const slow = [db.all(SLOW, [work]), db.all(SLOW, [work])]
          const calls = []
          while (calls.length < 100_000) {
            for (let more = 0; more < 1_000; more++) calls.push(db.get('SELECT * FROM t WHERE id = ?', [1 + calls.length % 7]))
            await turn()
          }
          const allAtOnce = db.status().readers.waiting >= 100_000
          const rows = await Promise.all(calls)
          if (!rows.every(({ id, x }, at) => id === 1 + at % 7 && x === 2 * id)) throw new Error('an answer is wrong')
          await Promise.all(slow)
          if (!allAtOnce) work *= 2
          if (work > 200_000_000) throw new Error('the calls were never in flight at once')
          const { queued, readers } = db.status()
          if (queued !== 0 || readers.waiting !== 0) throw new Error('a call is left over')
        })
        await db.close()
      })`)
    expect(longest).toBeLessThanOrEqual(MAX_TURN_MS)
  })
})
