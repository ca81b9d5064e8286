// The figures of a scenario as a table: one row per figure, one column per peer; of what grows, one row per point.
import { numberText, spreadText, tableLines, unitText } from './numbers.mjs'
import { SUBJECT } from './peer.mjs'
import { isMet, targetText } from './targets.mjs'

/** Writes the table of one scenario. */
export function scenarioLines({ id, title, about, figures, failures }, baseline) {
  const names = Object.keys(figures[0].peers)
  const relative = names.includes(baseline) ? [`relative to ${baseline}`] : []
  const rows = figures.map((figure) => [
    figure.title,
    ...names.map((name) => shown(figure, name)),
    ...(relative.length === 0 ? [] : [figure.ratio === null ? '' : spreadText(figure.ratio)]),
    targetCell(figure),
  ])
  return [`### ${id}: ${title}`, '', about, '', ...tableLines(['figure', ...names, ...relative, 'target'], rows), ...failureLines(failures)]
}

function shown({ peers, unit }, name) {
  const numbers = peers[name] ?? null
  return numbers === null ? '–' : spreadText(numbers) + unitText(unit)
}

function targetCell(figure) {
  const text = targetText(figure)
  const own = figure.peers[SUBJECT] ?? null
  if (text === '' || own === null) return text
  return `${text}: ${isMet(figure, own.median) ? 'met' : '**not met**'}`
}

function failureLines(failures) {
  const reasons = [...new Set(Object.values(failures))]
  return reasons.flatMap((reason) => {
    const names = Object.keys(failures).filter((name) => failures[name] === reason)
    return [`${names.join(', ')}: ${reason.replace(/^not measured: /, 'cannot: ')}.`, '']
  })
}

/** Writes the tables of what grows: for each figure, a row per point, and by how much the points differ. */
export function growthLines({ id, title, about, growth, points, failures }) {
  const tables = points[0].figures.flatMap(({ key, title: what, unit }) => {
    const names = Object.keys(points[0].figures[0].peers)
    const medians = (name) => points.map(({ figures }) => figures.find((one) => one.key === key).peers[name]?.median ?? null)
    const rows = points.map(({ point, figures }) => {
      const figure = figures.find((one) => one.key === key)
      return [point.toLocaleString('en'), ...names.map((name) => shown(figure, name))]
    })
    const spread = ['greatest relative to least', ...names.map((name) => spreadOfPoints(medians(name)))]
    return [`${what}${unitText(unit) === '' ? '' : `, in ${unit}`}:`, '', ...tableLines([growth, ...names], [...rows, spread])]
  })
  return [`### ${id}: ${title}`, '', about, '', ...tables, ...failureLines(failures)]
}

function spreadOfPoints(medians) {
  const there = medians.filter((number) => number !== null && number > 0)
  return there.length < 2 ? '' : numberText(Math.max(...there) / Math.min(...there))
}
