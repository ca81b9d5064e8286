// How time and memory per unit grow with how much there is of something.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { CITIES, WIDE_ROWS } from '../files.mjs'
import { withLoopDelay } from '../latency.mjs'
import { integers } from '../random.mjs'
import W1 from '../workloads/w1.mjs'
import W5 from '../workloads/w5.mjs'

const SEED = 18
/** A first run of more than this is timed itself: the compiler has had time enough. */
const LONG_RUN_MS = 500
const REST_MS = 20
/** Below so many the memory of the process tells nothing of one of them. */
const LEAST_FOR_MEMORY = 10_000
const MANY_IN_FLIGHT = 1_000
const AGGREGATES = 16
const ROWS_SQL = `WITH RECURSIVE copies (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies)
  SELECT c.id, c.name FROM copies CROSS JOIN cities AS c LIMIT ?`

/** Returns how many bytes of memory are resident, without garbage. */
async function residentBytes() {
  globalThis.gc()
  await setTimeout(REST_MS)
  return process.memoryUsage().rss
}

/** Runs something once, and returns how long it takes and by how much the greatest resident memory grows. */
async function firstRun(run) {
  const before = await residentBytes()
  const start = performance.now()
  await run()
  const ms = performance.now() - start
  return { ms, bytes: Math.max(0, process.resourceUsage().maxRSS * 1_024 - before) }
}

/** Returns how many milliseconds a run takes once it is warm. */
async function warmRun(run, { warmMs, timedMs }) {
  await repeated(run, warmMs)
  return repeated(run, timedMs)
}

async function repeated(run, leastMs) {
  const start = performance.now()
  for (let runs = 1; ; runs++) {
    await run()
    const ms = performance.now() - start
    if (ms >= leastMs) return ms / runs
  }
}

/** Measures time and memory per unit of what takes `units` at once. */
async function perUnit(run, units, plan) {
  const first = await firstRun(run)
  const ms = first.ms > LONG_RUN_MS ? first.ms : await warmRun(run, plan)
  return { time: (ms * 1_000) / units, memory: units < LEAST_FOR_MEMORY ? null : first.bytes / units }
}

async function rows({ open, point, plan }) {
  const driver = await open()
  const read = driver.prepare(ROWS_SQL, 'all')
  await read([1])
  return perUnit(async () => expectLength(await read([point]), point), point, plan)
}

function expectLength({ length }, expected) {
  if (length !== expected) throw new Error(`${length} rows instead of ${expected}`)
}

async function columns({ open, point, plan }) {
  const driver = await open()
  const list = Array.from({ length: point }, (_, column) => `c${column}`).join(', ')
  const read = driver.prepare(`SELECT ${list} FROM wide WHERE id > ?`, 'all')
  return perUnit(async () => expectLength(await read([0]), WIDE_ROWS), WIDE_ROWS * point, plan)
}

function pointReads(driver) {
  const read = driver.prepare(W1.sql, W1.take)
  const draw = integers(SEED)
  const params = Array.from({ length: 4_096 }, () => [1 + draw(CITIES)])
  return (calls) => Promise.all(Array.from({ length: calls }, (_, call) => read(params[call % params.length])))
}

async function inFlight({ open, point, plan }) {
  const reads = pointReads(await open())
  await reads(1)
  const { result, loop } = await withLoopDelay(() => perUnit(() => reads(point), point, plan))
  return { ...result, loopP99: loop.p99Ms }
}

async function databases({ open, path, folder, point }) {
  const copies = Array.from({ length: point }, (_, number) => join(folder, `${number}.db`))
  for (const copy of copies) copyFileSync(path, copy)
  const read = (driver) => driver.prepare('SELECT id FROM items WHERE id = ?', 'first')([1])
  // The first one brings what the process needs only once.
  const first = await open()
  await read(first)
  const before = await residentBytes()
  const drivers = []
  const start = performance.now()
  for (const copy of copies) {
    const driver = await open({ path: copy })
    await read(driver)
    drivers.push(driver)
  }
  const opened = performance.now()
  const after = await residentBytes()
  const closing = performance.now()
  for (const driver of [first, ...drivers]) await driver.close()
  const closeUs = ((performance.now() - closing) * 1_000) / (point + 1)
  return { time: ((opened - start) * 1_000) / point, memory: (after - before) / point, closeTime: closeUs }
}

async function readers({ open, point, plan }) {
  const driver = await open({ readers: point })
  const reads = pointReads(driver)
  const draw = integers(SEED)
  const ranges = Array.from({ length: AGGREGATES }, () => W5.params(draw))
  const aggregate = driver.prepare(W5.sql, W5.take)
  const pointMs = await warmRun(() => reads(MANY_IN_FLIGHT), plan)
  const aggregateMs = await warmRun(() => Promise.all(ranges.map((range) => aggregate(range))), plan)
  return { time: (pointMs * 1_000) / MANY_IN_FLIGHT, aggregate: (aggregateMs * 1_000) / AGGREGATES }
}

/** Makes a scenario of one thing that grows. */
function growthOf({ title, about, file, growth, seconds, play, peers, figures }) {
  return {
    id: 'W18',
    title,
    about: `${about} Each point is measured in processes of its own.`,
    durability: 'normal',
    processes: 1,
    file,
    growth,
    seconds,
    roles: Object.fromEntries(peers.map((name) => [name, play])),
    figures,
  }
}

const IN_PROCESS = ['sluice', 'better-sqlite3', 'node-sqlite']
const CONCURRENT = ['sluice', 'better-sqlite3-threads', '@photostructure/sqlite']
const powers = (from, to) => Array.from({ length: to - from + 1 }, (_, power) => 10 ** (from + power))
/** A quick run is content with every second point. */
const thinned = (points, { quick }) => (quick ? points.filter((_, index) => index % 2 === 0) : points)
const MEMORY = { title: 'memory', unit: 'B' }

/** @type {import('../scenario.mjs').Scenario[]} */
export default [
  growthOf({
    title: 'rows of one result',
    about: 'Two columns, all rows as one array. Memory is the growth of the greatest resident memory by the first such call, per row.',
    growth: { title: 'rows', values: (plan) => thinned(powers(2, Math.log10(plan.mostRows)), plan) },
    seconds: ({ mostRows }) => 0.3 + mostRows / 10_000_000,
    play: rows,
    peers: IN_PROCESS,
    figures: { time: { title: 'per row', unit: 'µs' }, memory: { ...MEMORY, title: 'memory per row' } },
  }),
  growthOf({
    title: 'columns of one result',
    about: `${WIDE_ROWS.toLocaleString('en')} rows of integers, reals and short texts in turn.`,
    file: 'wide',
    growth: { title: 'columns', values: (plan) => thinned([1, 5, 20, 50, 100, 200], plan) },
    seconds: 0.3,
    play: columns,
    peers: IN_PROCESS,
    figures: { time: { title: 'per value', unit: 'µs' }, memory: { ...MEMORY, title: 'memory per value' } },
  }),
  growthOf({
    title: 'calls in flight',
    about:
      'Point reads, that many started at once; better-sqlite3 answers each before the next. Memory is the growth per call by the first ' +
      'such lot.',
    growth: { title: 'in flight', values: (plan) => thinned(powers(0, 5), plan) },
    seconds: ({ timedMs }) => 0.2 + timedMs / 300,
    play: inFlight,
    peers: ['better-sqlite3', 'sqlite3', ...CONCURRENT],
    figures: {
      time: { title: 'per call', unit: 'µs' },
      memory: { ...MEMORY, title: 'memory per call' },
      loopP99: { title: 'loop delay, p99', unit: 'ms' },
    },
  }),
  growthOf({
    title: 'open databases',
    about: 'Files of one small table. Each is opened and read once, one after another.',
    file: 'small',
    growth: { title: 'databases', values: (plan) => thinned(powers(0, 3), plan) },
    seconds: ({ quick }) => (quick ? 0.4 : 1.2),
    play: databases,
    peers: IN_PROCESS,
    figures: {
      time: { title: 'open and first query', unit: 'µs' },
      memory: { ...MEMORY, title: 'memory per database' },
      closeTime: { title: 'close', unit: 'µs' },
    },
  }),
  growthOf({
    title: 'readers',
    about: `${MANY_IN_FLIGHT.toLocaleString('en')} point reads at once, and ${AGGREGATES} aggregates of about 1 ms at once.`,
    growth: { title: 'readers', values: (plan) => thinned([1, 2, 4, 8], plan) },
    seconds: ({ timedMs }) => 0.2 + timedMs / 200,
    play: readers,
    peers: CONCURRENT,
    figures: { time: { title: 'point read', unit: 'µs' }, aggregate: { title: 'aggregate', unit: 'µs' } },
  }),
]
