import { performance } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { CITIES } from '../files.mjs'
import { during, pacedReads, percentile, timesOf, withLoopDelay } from '../latency.mjs'
import { integers } from '../random.mjs'
import W1 from '../workloads/w1.mjs'

const SEED = 14
const WARM_UP_MS = 200
const REST_MS = 10
/** About 10 ms of work. */
const ROWS = 50_000
const UPDATE = `UPDATE cities SET population = population + 1 WHERE id > ? AND id <= ? + ${ROWS}`
const FILL_TABLE = 'CREATE TABLE pages (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)'
/** About 16 MiB of log. */
const FILL = `WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 4096)
  REPLACE INTO pages (id, bytes) SELECT id, randomblob(4000) FROM ids`

/**
 * Two connections or one manager: what reads, and what writes.
 *
 * @typedef {object} Parts
 * @property {(id: number) => unknown} read
 * @property {(wanted: () => boolean, begun: () => void) => Promise<void>} transaction - runs updates in one while they are wanted
 * @property {() => unknown} fill - writes a lot in one transaction
 * @property {(mode: string) => unknown} checkpoint
 * @property {() => unknown} close
 */

/** @returns {Promise<Parts>} */
async function sluice({ connect }) {
  const db = await connect()
  await db.exec(FILL_TABLE)
  const read = db.prepare(W1.sql)
  return {
    read: (id) => read.get([id]),
    transaction: (wanted, begun) =>
      db.transaction(async (tx) => {
        begun()
        for (let start = 0; wanted(); start = nextStart(start)) await tx.run(UPDATE, [start, start])
      }),
    fill: () => db.run(FILL),
    checkpoint: (mode) => db.checkpoint(mode),
    close: () => db.close(),
  }
}

/**
 * As its users do it: one connection reads, one writes, and the loop gets a turn after each statement.
 *
 * @returns {Promise<Parts>}
 */
async function betterSqlite3({ connect }) {
  const [reader, writer] = [connect(), connect()]
  writer.exec(FILL_TABLE)
  // Else COMMIT would checkpoint.
  writer.pragma('wal_autocheckpoint = 0')
  const read = reader.prepare(W1.sql)
  const update = writer.prepare(UPDATE)
  const fill = writer.prepare(FILL)
  return {
    read: (id) => read.get(id),
    async transaction(wanted, begun) {
      writer.exec('BEGIN IMMEDIATE')
      begun()
      for (let start = 0; wanted(); start = nextStart(start)) {
        update.run(start, start)
        await setImmediate()
      }
      writer.exec('COMMIT')
    },
    fill: () => fill.run(),
    checkpoint: (mode) => writer.pragma(`wal_checkpoint(${mode})`),
    close() {
      reader.close()
      writer.close()
    },
  }
}

function nextStart(start) {
  return (start + ROWS) % (CITIES - ROWS)
}

/** Runs `measure` with the parts of a peer, and closes them. */
function playedBy(open, measure) {
  return async (stage) => {
    const parts = await open(stage)
    const draw = integers(SEED)
    const reads = (wanted) => pacedReads(() => parts.read(1 + draw(CITIES)), wanted)
    await reads(during(WARM_UP_MS))
    const quiet = timesOf(await reads(during(stage.plan.spanMs)))
    const figures = await measure(parts, reads, stage.plan)
    await parts.close()
    return relativeTo(quiet, figures)
  }
}

/** Makes the figures that all have; those of reads are missing where none met what was measured. */
function relativeTo(quiet, { beside, loop, ...figures }) {
  const [quietP99, besideP99] = [percentile(quiet, 99), percentile(beside, 99)]
  return {
    quietP99,
    besideP99,
    relative: besideP99 / quietP99,
    quietMax: percentile(quiet, 100),
    besideMax: percentile(beside, 100),
    loopP99: loop.p99Ms,
    loopMax: loop.maxMs,
    ...figures,
  }
}

async function besideTransaction({ transaction }, reads, { longMs }) {
  const { result, loop } = await withLoopDelay(async () => {
    let wanted = true
    let writing
    await new Promise((begun, failed) => {
      writing = transaction(() => wanted, begun)
      writing.catch(failed)
    })
    const read = await reads(during(longMs))
    wanted = false
    await writing
    return read
  })
  return { beside: timesOf(result), loop }
}

/** Reads all along, and keeps those that were due during a checkpoint: from the end of the write that fills the log. */
function besideCheckpoints(mode) {
  return async ({ fill, checkpoint }, reads, { spanMs }) => {
    const spans = []
    let wanted = true
    const { result, loop } = await withLoopDelay(async () => {
      const reading = reads(() => wanted)
      for (const unfinished = during(spanMs); unfinished(); ) {
        await fill()
        const start = performance.now()
        await checkpoint(mode)
        spans.push([start, performance.now()])
        // Whoever waited for this checkpoint does not wait for the next write too.
        await setTimeout(REST_MS)
      }
      wanted = false
      return reading
    })
    const met = result.filter(({ due }) => spans.some(([start, end]) => due >= start && due < end))
    const checkpointMs = spans.reduce((sum, [start, end]) => sum + end - start, 0) / spans.length
    return { beside: timesOf(met), loop, checkpointMs, met: met.length }
  }
}

const FIGURES = {
  quietP99: { title: 'read, p99, quiet', unit: 'ms' },
  besideP99: { title: 'read, p99, beside it', unit: 'ms' },
  relative: { title: 'p99 beside it relative to quiet', unit: 'times', target: '<= 1.5' },
  quietMax: { title: 'read, longest, quiet', unit: 'ms' },
  besideMax: { title: 'read, longest, beside it', unit: 'ms' },
  loopP99: { title: 'loop delay, p99, beside it', unit: 'ms' },
  loopMax: { title: 'loop delay, longest, beside it', unit: 'ms' },
}
const PACE = '2,000 point reads per second; each counts from when it was due.'

function rolesOf(measure) {
  return {
    sluice: playedBy(sluice, measure),
    'better-sqlite3': playedBy(betterSqlite3, measure),
    'node-sqlite': 'left out: synchronous, as better-sqlite3',
    libsql: 'left out: synchronous, as better-sqlite3',
    '*': 'cannot: has no transaction that goes on over several calls while others read',
  }
}

function checkpointScenario(mode, about) {
  return {
    id: 'W14',
    title: `readers beside a checkpoint (${mode})`,
    about: `${PACE} ${about}`,
    durability: 'normal',
    processes: 1,
    seconds: ({ spanMs }) => 0.5 + (2.2 * spanMs) / 1_000,
    roles: rolesOf(besideCheckpoints(mode)),
    figures: {
      ...FIGURES,
      checkpointMs: { title: 'one checkpoint', unit: 'ms' },
      met: { title: 'reads that met one', unit: '' },
    },
  }
}

/** @type {import('../scenario.mjs').Scenario[]} */
export default [
  {
    id: 'W14',
    title: 'readers beside a write transaction',
    about:
      `${PACE} The transaction lasts 5 s (quick: 0.3 s), in statements of about 10 ms. better-sqlite3 reads and writes on two ` +
      'connections.',
    durability: 'normal',
    processes: 1,
    seconds: ({ spanMs, longMs }) => 0.5 + (spanMs + longMs) / 1_000,
    roles: rolesOf(besideTransaction),
    figures: FIGURES,
  },
  checkpointScenario('passive', 'Each checkpoint follows a write of 16 MiB.'),
  checkpointScenario('truncate', 'Each checkpoint follows a write of 16 MiB, and must have the log to itself at its end.'),
]
