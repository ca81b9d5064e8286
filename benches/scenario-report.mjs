// The figures of a scenario as a table: one row per figure, one column per peer.
import { failureOf } from './failure.mjs'

/** Writes the table of one scenario. */
export function scenarioLines({ id, title, about, figures, failures }, baseline) {
  const names = Object.keys(figures[0].peers)
  const columns = ['figure', ...names, ...(names.includes(baseline) ? [`relative to ${baseline}`] : []), 'target']
  return [
    `### ${id}: ${title}`,
    '',
    about,
    '',
    `| ${columns.join(' | ')} |`,
    `|${'---|'.repeat(columns.length)}`,
    ...figures.map((figure) => `| ${cells(figure, names, baseline).join(' | ')} |`),
    '',
    ...Object.entries(failures).flatMap(([name, reason]) => [`${name} ${failureOf(reason)}.`, '']),
  ]
}

function cells({ title, unit, target = '', peers, ratio }, names, baseline) {
  const suffix = unit === 'times' || unit === '' ? '' : ` ${unit}`
  const shown = names.map((name) => (peers[name] === null ? '–' : spread(peers[name]) + suffix))
  const relative = ratio === null ? '' : spread(ratio)
  return [title, ...shown, ...(names.includes(baseline) ? [relative] : []), target]
}

function spread({ median, least, greatest }) {
  return `${number(median)} (${number(least)}–${number(greatest)})`
}

/** Shows three figures of a number that is not whole. */
function number(value) {
  if (Number.isInteger(value) || Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en')
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
