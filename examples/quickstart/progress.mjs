// Shows progress on stderr, so that stdout holds the report alone.
import { createRequire } from 'node:module'

const { SingleBar } = createRequire(import.meta.url)('cli-progress')

/** Draws a bar on a terminal. */
function terminalBar(label, total) {
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% | {value} of {total}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
  })
  bar.start(total, 0)
  return { update: (done) => bar.update(done), stop: () => bar.stop() }
}

/** Writes a line per quarter where there is no terminal, as in a log. */
function lines(label, total) {
  let shown = 0
  return {
    update(done) {
      const quarters = Math.floor((4 * done) / total)
      if (quarters === shown) return
      shown = quarters
      console.error(`${label}: ${25 * quarters}% (${done} of ${total})`)
    },
    stop() {},
  }
}

/** Returns a bar to update with how much is done. */
export function progressBar(label, total) {
  return process.stderr.isTTY ? terminalBar(label, total) : lines(label, total)
}
