import { performance } from 'node:perf_hooks'
import { CITIES } from '../files.mjs'
import { during, percentile, withLoopDelay } from '../latency.mjs'
import { integers } from '../random.mjs'
import W5 from '../workloads/w5.mjs'
import W6 from '../workloads/w6.mjs'

const SEED = 15
const WRITERS = 1_000
const READERS = 64
const QUIET_PHASES = 20

/**
 * Has so many writers each write again as soon as they were answered, and measures how long each waited from then on: the first turn of
 * each is left out, in which the queue grows.
 *
 * @param {(id: number) => Promise<unknown>} write
 */
async function queuedWriters(write, { spanMs }) {
  await write(1)
  const waits = []
  const turns = new Uint32Array(WRITERS)
  let submitted = 0
  let latest = -1
  let overtaken = 0
  const unfinished = during(spanMs)
  async function writer(_, number) {
    while (unfinished() || turns[number] < 2) {
      const place = submitted++
      const start = performance.now()
      await write(1 + number)
      if (turns[number]++ > 0) waits.push(performance.now() - start)
      if (place < latest) overtaken++
      latest = Math.max(latest, place)
    }
  }
  const { ms, loop } = await withLoopDelay(() => Promise.all(Array.from({ length: WRITERS }, writer)))
  const [shortest, longest] = [percentile(waits, 0), percentile(waits, 100)]
  const [least, most] = [Math.min(...turns), Math.max(...turns)]
  return {
    rate: (submitted * 1_000) / ms,
    shortest,
    longest,
    spread: longest / shortest,
    leastTurns: least,
    mostTurns: most,
    overtaken,
    loopP99: loop.p99Ms,
    loopMax: loop.maxMs,
  }
}

/** Plays the queued writers; `writeOn` makes of a database what writes one row. */
function queued(writeOn) {
  return async ({ connect, plan }) => {
    const db = await connect()
    const figures = await queuedWriters(writeOn(db), plan)
    await db.close()
    return figures
  }
}

/** Has 64 readers read again and again, and one writer write again and again. */
function readersAgainstWriter(concurrency) {
  return async ({ connect, plan }) => {
    const db = await connect({ concurrency })
    const draw = integers(SEED)
    const reading = db.prepare(W5.sql)
    const writing = db.prepare(W6.sql)
    const read = () => reading.get(W5.params(draw))
    const write = () => writing.run([1 + draw(CITIES)])
    const phase = await longestPhase(read)
    const unfinished = during(plan.spanMs)
    const loops = () => [looped(write, unfinished), ...Array.from({ length: READERS }, () => looped(read, unfinished))]
    const { result, ms, loop } = await withLoopDelay(() => Promise.all(loops()))
    const seconds = ms / 1_000
    await db.close()
    const [writes, ...reads] = result
    const allReads = reads.flat()
    return {
      phase,
      writeP50: percentile(writes, 50),
      writeLongest: percentile(writes, 100),
      writeToPhase: percentile(writes, 100) / phase,
      readP99: percentile(allReads, 99),
      readLongest: percentile(allReads, 100),
      readRate: allReads.length / seconds,
      writeRate: writes.length / seconds,
      loopP99: loop.p99Ms,
      loopMax: loop.maxMs,
    }
  }
}

/** Returns how long it takes, at most, until 64 reads that start together are done. */
async function longestPhase(read) {
  let longest = 0
  for (let phase = 0; phase < QUIET_PHASES; phase++) {
    const start = performance.now()
    await Promise.all(Array.from({ length: READERS }, read))
    longest = Math.max(longest, performance.now() - start)
  }
  return longest
}

async function looped(call, unfinished) {
  const waits = []
  while (unfinished()) {
    const start = performance.now()
    await call()
    waits.push(performance.now() - start)
  }
  return waits
}

const LOOP_FIGURES = {
  loopP99: { title: 'loop delay, p99', unit: 'ms' },
  loopMax: { title: 'loop delay, longest', unit: 'ms' },
}
const QUEUED_FIGURES = {
  rate: { title: 'writes', unit: 'per second' },
  shortest: { title: 'shortest wait', unit: 'ms' },
  longest: { title: 'longest wait', unit: 'ms' },
  spread: { title: 'longest relative to shortest', unit: 'times' },
  leastTurns: { title: 'turns of the writer with the fewest', unit: '' },
  mostTurns: { title: 'turns of the writer with the most', unit: '' },
  overtaken: { title: 'writes answered after a later one', unit: '', target: '0' },
  ...LOOP_FIGURES,
}

function queuedScenario(title, writeOn) {
  return {
    id: 'W15',
    title: `1,000 queued writers, ${title}`,
    about: 'Each writes one row, and again as soon as it is answered, so that 1,000 wait all the time: each waits for the 999 before it.',
    durability: 'normal',
    processes: 1,
    seconds: ({ spanMs }) => 0.7 + spanMs / 1_000,
    roles: { sluice: queued(writeOn) },
    figures: QUEUED_FIGURES,
  }
}

function readersScenario(concurrency, about, target) {
  return {
    id: 'W15',
    title: `64 looping readers against one writer, ${concurrency} concurrency`,
    about: `Reads of about 1 ms of work. ${about} A read phase is 64 reads at once without a writer, the longest of ${QUIET_PHASES}.`,
    durability: 'normal',
    processes: 1,
    seconds: ({ spanMs }) => 0.7 + spanMs / 1_000,
    roles: { sluice: readersAgainstWriter(concurrency) },
    figures: {
      phase: { title: 'read phase, quiet', unit: 'ms' },
      writeP50: { title: 'write, p50', unit: 'ms' },
      writeLongest: { title: 'write, longest', unit: 'ms' },
      writeToPhase: { title: 'longest write relative to a read phase', unit: 'times', target },
      readP99: { title: 'read, p99', unit: 'ms' },
      readLongest: { title: 'read, longest', unit: 'ms' },
      readRate: { title: 'reads', unit: 'per second' },
      writeRate: { title: 'writes', unit: 'per second' },
      ...LOOP_FIGURES,
    },
  }
}

/** @type {import('../scenario.mjs').Scenario[]} */
export default [
  queuedScenario('updates', (db) => {
    const statement = db.prepare(W6.sql)
    return (id) => statement.run([id])
  }),
  queuedScenario('transactions', (db) => (id) => db.transaction((tx) => tx.run(W6.sql, [id]))),
  readersScenario('exclusive', 'A write waits for one read phase at most.', '<= 1'),
  readersScenario('wal', 'A write waits for no read.', '<= 1'),
]
