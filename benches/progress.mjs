// What is shown while the benchmarks run.
import { clearLine, cursorTo } from 'node:readline'

/** Shows a line that stays. */
export function progress(text) {
  clear()
  process.stderr.write(`${text}\n`)
}

/** Shows how far something is: on a line of its own that the next one replaces, where there is a terminal. */
export function step(what, done, of) {
  if (!process.stderr.isTTY) return
  clear()
  process.stderr.write(`${what}: ${done + 1} of ${of}`.slice(0, (process.stderr.columns || 80) - 1))
}

/** Says how long something takes. */
export function minutes(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
}

function clear() {
  if (!process.stderr.isTTY) return
  clearLine(process.stderr, 0)
  cursorTo(process.stderr, 0)
}
