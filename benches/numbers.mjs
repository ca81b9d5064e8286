// Numbers as a page shows them.

/** Below this a ratio has three decimals. */
const SMALL_RATIO = 0.1

/** Shows a ratio with its spread. */
export function ratioOf({ median, least, greatest }) {
  const shown = (ratio) => ratio.toFixed(median < SMALL_RATIO ? 3 : 2)
  return `${shown(median)} (${shown(least)}–${shown(greatest)})`
}

/** Shows a part of a whole in percent, with its spread. */
export function percentOf({ median, least, greatest }) {
  const percent = (part) => Math.round(part * 100)
  return `${percent(median)} % (${percent(least)}–${percent(greatest)})`
}

/** Shows a time. */
export function timeOf(microseconds) {
  return microseconds < 1_000 ? `${microseconds.toFixed(2)} µs` : `${(microseconds / 1_000).toFixed(2)} ms`
}

/** Shows how late the event loop ran, or nothing. */
export function delayOf(delay) {
  return delay === null || delay === undefined ? '' : `${delay.p99Ms.toFixed(1)} / ${delay.maxMs.toFixed(1)} ms`
}

/** Shows a number with its spread. */
export function spreadText({ median, least, greatest }) {
  return `${numberText(median)} (${numberText(least)}–${numberText(greatest)})`
}

/** Shows three figures of a number that is not whole. */
export function numberText(value) {
  if (Number.isInteger(value) || Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en')
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** What stands behind a number of a unit. */
export function unitText(unit) {
  return unit === 'times' || unit === '' ? '' : ` ${unit}`
}

/** Makes the lines of a table, with an empty one after it. */
export function tableLines(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), '']
}
