// Watches the database and the event loop at work.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

const SAMPLE_EVERY_MS = 2
const LOOP_TICK_MS = 10
const PRUNING_DEADLINE_MS = 10_000

/** Takes samples of `db.status()` until stopped. */
export function sampleStatus(db) {
  const counts = { taken: 0, writerActive: 0, readersBesideWriter: 0, peakReaders: 0, peakReadersBesideWriter: 0 }
  const sample = () => {
    const { readers, writer } = db.status()
    counts.taken += 1
    counts.peakReaders = Math.max(counts.peakReaders, readers.active)
    if (!writer.active) return
    counts.writerActive += 1
    counts.peakReadersBesideWriter = Math.max(counts.peakReadersBesideWriter, readers.active)
    if (readers.active >= 2) counts.readersBesideWriter += 1
  }
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  return { stop: () => clearInterval(timer), summary: () => ({ ...counts }) }
}

/** Measures how late the event loop comes to a timer of 10 ms, until stopped. */
export function loopMonitor() {
  const histogram = monitorEventLoopDelay({ resolution: LOOP_TICK_MS })
  histogram.enable()
  const started = performance.now()
  // The histogram holds the time from tick to tick, in nanoseconds.
  const lateMs = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - LOOP_TICK_MS)
  return {
    stop: () => histogram.disable(),
    summary: () => ({
      ticks: histogram.count,
      everyMs: LOOP_TICK_MS,
      overMs: performance.now() - started,
      p99LateMs: lateMs(histogram.percentile(99)),
      maxLateMs: lateMs(histogram.max),
    }),
  }
}

/** Reads once more, then waits until every reader has gone unused for longer than `idleTtlMs`, and is closed. */
export async function waitForPruning(db, idleTtlMs) {
  const started = performance.now()
  await db.get('SELECT 1')
  while (db.status().readers.open > 0) {
    if (performance.now() - started > PRUNING_DEADLINE_MS) throw new Error(`readers still open after ${PRUNING_DEADLINE_MS} ms`)
    await sleep(10)
  }
  const { readers, counters } = db.status()
  return { idleTtlMs, opened: counters.readerOpens, pruned: counters.prunes, open: readers.open, ms: performance.now() - started }
}

/** Lists what would keep the process from ending after the present turn of the event loop, but for its own input and output. */
export async function workLeft() {
  await nextTurn()
  return process.getActiveResourcesInfo().filter((resource) => resource !== 'TTYWrap' && resource !== 'PipeWrap')
}
