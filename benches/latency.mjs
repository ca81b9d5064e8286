// How long single calls take.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

/** How often the event loop's delay is sampled, in milliseconds. */
const SAMPLE_MS = 1
/** Which percentiles of single calls are kept. */
export const PERCENTILES = [50, 90, 99, 99.9]
/** How late the timers of Node are when nothing holds the loop, in milliseconds. */
const TIMER_MS = 2
const EDGE_MS = 5
const BEAT_MS = 2
const READS_PER_BEAT = 4

/** Returns the value below which so many percent of the numbers are; `NaN` where there are none. */
export function percentile(numbers, percent) {
  const sorted = Float64Array.from(numbers).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN
}

/** Returns how late the event loop ran, in milliseconds, of a histogram that samples it each `SAMPLE_MS`. */
function spreadOfDelay(histogram) {
  const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - SAMPLE_MS)
  return { p99Ms: late(histogram.percentile(99)), maxMs: late(histogram.max) }
}

/** Returns how late the event loop ran while `work` was under way, beside how many milliseconds it took, and what came of it. */
export async function withLoopDelay(work) {
  const histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS })
  histogram.enable()
  // A sample is the time since the one before: there must be one before the work, and one after it.
  await setTimeout(EDGE_MS)
  const start = performance.now()
  const result = await work()
  const ms = performance.now() - start
  await setTimeout(EDGE_MS)
  histogram.disable()
  return { result, ms, loop: spreadOfDelay(histogram) }
}

/**
 * One read: when it was due, and when its answer was there, in milliseconds of `performance.now()`.
 *
 * @typedef {{ due: number, answered: number }} Read
 */

/** Returns how long the reads took, in milliseconds. */
export function timesOf(reads) {
  return reads.map(({ due, answered }) => answered - due)
}

/**
 * Makes reads at a steady pace until `wanted` says no, whether or not those before were answered.
 *
 * A read that starts late because something held the event loop counts from when it was due: that is how long its client waits.
 *
 * @param {() => unknown} read
 * @param {() => boolean} wanted
 * @returns {Promise<Read[]>}
 */
export async function pacedReads(read, wanted) {
  const reads = []
  const pending = []
  async function timed(due) {
    await read()
    reads.push({ due, answered: performance.now() })
  }
  let beat = performance.now() + BEAT_MS
  while (wanted()) {
    await setTimeout(Math.max(0, beat - performance.now()))
    // All that came due while something held the loop.
    for (const now = performance.now(); beat <= now; beat += BEAT_MS) {
      const due = Math.min(now, beat + TIMER_MS)
      for (let count = 0; count < READS_PER_BEAT; count++) pending.push(timed(due))
    }
  }
  await Promise.all(pending)
  return reads
}

/** Makes a condition that holds for so many milliseconds from now. */
export function during(ms) {
  const end = performance.now() + ms
  return () => performance.now() < end
}
