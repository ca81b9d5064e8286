/** What has to do with turns of the event loop. None of it is a fake that a test framework puts in place later: it would wait for the test. */

import { performance } from 'node:perf_hooks'

/** Has a function run in the next turn of the event loop. */
export const nextTurn: typeof setImmediate = setImmediate

const SETTLED: Promise<void> = Promise.resolve()
const nextTick: typeof process.nextTick = process.nextTick.bind(process)

/** Has a function run in the present turn, as soon as no microtask is left: whoever awaits what is settled by now has gone on by then. */
export function afterMicrotasks(run: () => void): void {
  // From here it would run before them.
  void SETTLED.then(() => nextTick(run))
}

/** Tells the time in milliseconds, from some beginning. */
export const clock: () => number = performance.now.bind(performance)
