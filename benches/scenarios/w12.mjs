import { performance } from 'node:perf_hooks'
import { withLoopDelay } from '../latency.mjs'
import { atRest } from '../memory.mjs'
import { spreadOf } from '../statistics.mjs'

/** The cities, as often as it takes. */
const SQL = `WITH RECURSIVE copies (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies)
  SELECT c.id, c.name, c.country, c.latitude, c.population FROM copies CROSS JOIN cities AS c LIMIT ?`
const FEW_ROWS = 2_000
const TURNS = 3
const MEBIBYTE = 1_048_576

/** How a peer iterates, and fetches all rows. */
async function sluice({ connect, plan }) {
  const db = await connect()
  const figures = await measure(plan.manyRows, {
    iterate: (rows) => db.iterate(SQL, [rows]),
    all: (rows) => db.all(SQL, [rows]),
  })
  await db.close()
  return figures
}

async function synchronous({ connect, plan }) {
  const db = await connect()
  const statement = db.prepare(SQL)
  return measure(plan.manyRows, { iterate: (rows) => statement.iterate(rows), all: (rows) => statement.all(rows) })
}

async function measure(rows, { iterate, all }) {
  await firstRow(() => iterate(FEW_ROWS))
  const before = await atRest()
  const growth = () => (process.resourceUsage().maxRSS * 1_024 - before.rss) / MEBIBYTE
  const firstRows = []
  for (let turn = 0; turn < TURNS; turn++) firstRows.push(await firstRow(() => iterate(rows)))
  const { result: first, loop } = await withLoopDelay(() => throughIterator(rows, iterate))
  const iterated = [first]
  const iterateGrowth = growth()
  const fetched = [await throughAll(rows, all)]
  const allGrowth = growth()
  for (let turn = 1; turn < TURNS; turn++) {
    iterated.push(await throughIterator(rows, iterate))
    fetched.push(await throughAll(rows, all))
  }
  const [iterateMs, allMs] = [spreadOf(iterated).median, spreadOf(fetched).median]
  return {
    firstRow: spreadOf(firstRows).median,
    iterateRate: rows / (iterateMs / 1_000),
    allRate: rows / (allMs / 1_000),
    iterateToAll: allMs / iterateMs,
    iterateGrowth,
    allGrowth,
    loopP99: loop.p99Ms,
    loopMax: loop.maxMs,
  }
}

async function firstRow(rows) {
  const start = performance.now()
  for await (const row of rows()) {
    if (row.id !== 1) throw new Error(`the first row is ${row.id}`)
    break
  }
  return performance.now() - start
}

async function throughIterator(expected, iterate) {
  const start = performance.now()
  const rows = iterate(expected)
  // `for await` over what is not asynchronous would wait for each row.
  const seen = Symbol.asyncIterator in rows ? await countAsync(rows) : count(rows)
  if (seen !== expected) throw new Error(`${seen} rows instead of ${expected}`)
  return performance.now() - start
}

async function countAsync(rows) {
  let seen = 0
  for await (const row of rows) if (row.id > 0) seen++
  return seen
}

function count(rows) {
  let seen = 0
  for (const row of rows) if (row.id > 0) seen++
  return seen
}

async function throughAll(expected, all) {
  const start = performance.now()
  const seen = count(await all(expected))
  if (seen !== expected) throw new Error(`${seen} rows instead of ${expected}`)
  return performance.now() - start
}

/** @type {import('../scenario.mjs').Scenario} */
export default {
  id: 'W12',
  title: 'iterate over many rows',
  about:
    '1,000,000 rows of 5 columns (quick: 200,000), each looked at; growth is that of the greatest resident memory, from after a short ' +
    'iteration.',
  durability: 'normal',
  processes: 1,
  seconds: ({ manyRows }) => 1 + manyRows / 250_000,
  roles: {
    sluice,
    'better-sqlite3': synchronous,
    'node-sqlite': synchronous,
    libsql: 'left out: has the interface of better-sqlite3',
    sqlite3: 'cannot: has callbacks for single rows, but does not wait for them',
    '@tursodatabase/database': 'cannot: has no recursive queries',
    '*': 'cannot: returns all rows at once',
  },
  figures: {
    firstRow: { title: 'time to the first row', unit: 'ms', target: '<= 5' },
    iterateRate: { title: 'iterate, rows', unit: 'per second' },
    allRate: { title: 'all, rows', unit: 'per second' },
    iterateToAll: { title: 'iterate, rows relative to all', unit: 'times', target: '>= 1' },
    iterateGrowth: { title: 'memory growth of iterate', unit: 'MiB', target: '<= 32' },
    allGrowth: { title: 'memory growth of all', unit: 'MiB' },
    loopP99: { title: 'loop delay while iterating, p99', unit: 'ms' },
    loopMax: { title: 'loop delay while iterating, longest', unit: 'ms' },
  },
}
