// What was compared call by call, as tables.
import { failureOf } from './failure.mjs'
import { delayOf, percentOf, ratioOf, tableLines, timeOf } from './numbers.mjs'
import { SUBJECT } from './peer.mjs'

/** How long a reason may be to stand in a table of all peers. */
const SHORT_REASON = 60

/** Returns what is left beside the part of the core. */
export function shareOf({ median, least, greatest }) {
  return { median: 1 - median, least: 1 - greatest, greatest: 1 - least }
}

/** Makes the tables of all workloads and peers: ratios, and how late the event loop ran. */
export function matrixLines(cases, { peers }) {
  const isThere = (name) => cases.some(({ figures, failures }) => name in failures || find(figures, name) !== undefined)
  const names = peers.map(({ name }) => name).filter(isThere)
  const rows = cases.map((one) => [
    `${one.id}: ${one.title}`,
    timeText(one),
    ...names.map((name) => cell(one, name, ({ ratio }) => (ratio === null ? '' : ratioOf(ratio)))),
    coreText(one),
  ])
  const delay = ({ loopDelay }) => delayOf(loopDelay)
  const delays = cases.map((one) => [`${one.id}: ${one.title}`, ...names.map((name) => cell(one, name, delay))])
  return [
    'Times relative to the baseline: better-sqlite3, unless the workload says otherwise.',
    '',
    ...tableLines(['workload', `${SUBJECT}, per call`, ...names, 'in JS and crossing'], rows),
    'Loop delay, p99 / longest.',
    '',
    ...tableLines(['workload', ...names], delays),
  ]
}

function find(figures, name) {
  return figures.find((figure) => figure.name === name)
}

function timeText({ figures }) {
  const own = find(figures, SUBJECT)
  return own === undefined ? '' : timeOf(own.microseconds.median)
}

function coreText({ figures }) {
  const share = find(figures, SUBJECT)?.coreShare ?? null
  return share === null ? '' : percentOf(shareOf(share))
}

function cell({ figures, failures }, name, show) {
  const figure = find(figures, name)
  if (figure !== undefined) return show(figure)
  if (!(name in failures)) return ''
  const reason = cannot(failures[name])
  return reason.length > SHORT_REASON ? 'failed' : reason
}

/** Says why a peer has no figures. */
function cannot(message) {
  return failureOf(message).replace(/^not measured: /, 'cannot: ').replaceAll('|', '\\|')
}

/** Makes the tables of one workload. */
export function caseLines({ id, title, target, figures, failures, baseline }) {
  const aim = target === null ? '' : `; target ${target}`
  const rows = figures.map(({ name, microseconds, ratio, loopDelay }) => {
    return [name, timeOf(microseconds.median), ratio === null ? '' : ratioOf(ratio), delayOf(loopDelay)]
  })
  const failed = Object.entries(failures).map(([name, reason]) => [name, cannot(reason), '', ''])
  return [
    `### ${id}: ${title}${aim}`,
    '',
    ...tableLines(['peer', 'per call', `relative to ${baseline}`, 'loop delay'], [...rows, ...failed]),
    ...latencyLines(figures, baseline),
  ]
}

function latencyLines(figures, baseline) {
  const timed = figures.filter(({ latency }) => latency !== null)
  if (timed.length === 0) return []
  const percentiles = Object.keys(timed[0].latency)
  const head = percentiles.flatMap((percentile) => [percentile, `relative to ${baseline}`])
  const rows = timed.map(({ name, latency }) => [name].concat(percentiles.flatMap((key) => latencyCells(latency[key]))))
  return [
    'Single calls, for as many clients as there are calls in flight: each makes its next call when it has the result of the one before.',
    '',
    ...tableLines(['peer', ...head], rows),
  ]
}

function latencyCells({ ms, ratio }) {
  return [timeOf(ms.median * 1_000), ratio === null ? '' : ratioOf(ratio)]
}
