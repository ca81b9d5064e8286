// Which charts a run gives, as options of ECharts.
import { BASELINE, SUBJECT } from './peer.mjs'

/** The color of each peer, distinct for most kinds of color vision. */
const COLORS = {
  sluice: '#0072b2',
  'better-sqlite3': '#d55e00',
  'better-sqlite3-threads': '#e69f00',
  'node-sqlite': '#009e73',
  sqlite3: '#cc79a7',
  libsql: '#56b4e9',
  '@libsql/client': '#8c8c8c',
  '@photostructure/sqlite': '#7b3fa0',
  '@tursodatabase/database': '#b8a200',
}
const OTHER_COLOR = '#444444'
const SUBJECT_WIDTH = 3
const OTHER_WIDTH = 1.5
const LINE_SIZE = { width: 760, height: 440 }
const MICROSECONDS = 1e6
/** The least that a logarithmic axis shows of a delay, in milliseconds. */
const LEAST_DELAY_MS = 0.1
/** What the ratios and the delays are shown for: these have too many cases. */
const LEFT_OUT = new Set(['W19'])

/**
 * A point of a curve, with its spread.
 *
 * @typedef {{ x: number | string, median: number, least: number, greatest: number }} Point
 */

/**
 * A chart: its file, what it shows, its size, and what ECharts makes of it.
 *
 * @typedef {{ name: string, title: string, size: { width: number, height: number }, option: object }} Chart
 */

/**
 * Lists the charts for what was measured on one Node; what was not measured has none.
 *
 * @returns {Chart[]}
 */
export function chartsOf(result) {
  const { cases, scenarios } = result
  const charts = [...ratioCharts(cases), ...latencyCharts(cases), ...delayCharts(cases), ...growthCharts(scenarios)]
  for (const { option } of charts) option.title.subtext = sourceOf(result, option.legend.data)
  return charts
}

/** Says where the figures come from: the command, and the versions of who is shown. */
function sourceOf({ command, node, date, peers }, shown) {
  const versions = peers.filter(({ name, version }) => version !== null && shown.includes(name))
  return `${command}, ${date}\nNode ${node}, ${versions.map(({ name, version }) => `${name} ${version}`).join(', ')}`
}

function baseOption(title, legend) {
  return {
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, left: 'center', textStyle: { fontSize: 15 }, subtextStyle: { fontSize: 11 } },
    legend: { data: legend, bottom: 0, type: 'plain' },
    grid: { left: 12, right: 40, top: 104, bottom: 64, containLabel: true },
  }
}

/** A horizontal axis has its name below, a vertical one above. */
function axis({ name, type, logBase = 10 }, isVertical = false) {
  const place = isVertical ? { nameLocation: 'end', nameTextStyle: { align: 'left' } } : { nameLocation: 'middle', nameGap: 30 }
  return { name, type, logBase, ...place }
}

/** Makes a chart of curves: one per peer, with a bar from the least to the greatest at each point. */
function lineChart({ name, title, x, y, curves }) {
  const series = curves.flatMap(({ peer, points }) => {
    const color = COLORS[peer] ?? OTHER_COLOR
    const width = peer === SUBJECT ? SUBJECT_WIDTH : OTHER_WIDTH
    const lineStyle = { color, width }
    const data = points.map((point) => [point.x, point.median])
    const line = { name: peer, type: 'line', data, lineStyle, itemStyle: { color }, symbolSize: 6 }
    return [line, spreadSeries(peer, points, color)]
  })
  const legend = curves.map(({ peer }) => peer)
  const option = { ...baseOption(title, legend), xAxis: axis(x), yAxis: axis(y, true), series }
  return { name, title, size: LINE_SIZE, option }
}

/** Draws the spread of each point, from the least to the greatest. */
function spreadSeries(peer, points, color) {
  const coordinates = (api, value) => api.coord([api.value(0), api.value(value)])
  return {
    name: peer,
    type: 'custom',
    silent: true,
    data: points.map(({ x, least, greatest }) => [x, least, greatest]),
    encode: { x: 0, y: [1, 2] },
    renderItem(_, api) {
      const [[x1, y1], [x2, y2]] = [coordinates(api, 1), coordinates(api, 2)]
      return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1, opacity: 0.6 } }
    },
  }
}

/** Makes a chart of horizontal bars: for each label, one bar per series. */
function barChart({ name, title, labels, value, series, least }) {
  const height = 180 + labels.length * (10 + 9 * series.length)
  const option = {
    ...baseOption(title, series.map((one) => one.name)),
    xAxis: { ...axis({ name: value, type: 'log' }), min: least, startValue: least },
    yAxis: { type: 'category', data: labels, inverse: true, axisLabel: { fontSize: 10, width: 400, overflow: 'truncate' } },
    series: series.map(({ name, color, data, symbol }) => {
      return symbol === undefined
        ? { name, type: 'bar', data, itemStyle: { color }, barCategoryGap: '25%' }
        : { name, type: 'scatter', data, itemStyle: { color }, symbol, symbolSize: [3, 14] }
    }),
  }
  return { name, title, size: { width: 900, height }, option }
}

function pointAt(x, { median, least, greatest }) {
  return { x, median, least, greatest }
}

function labelOf({ id, title }) {
  return `${id}: ${title}`
}

function figureOf({ figures }, name) {
  return figures.find((figure) => figure.name === name)
}

function ratioCharts(cases) {
  const shown = cases.filter((one) => !LEFT_OUT.has(one.id) && (figureOf(one, SUBJECT)?.ratio ?? null) !== null)
  if (shown.length === 0) return []
  const chart = barChart({
    name: 'ratios',
    title: 'Time relative to the baseline, and its target',
    labels: shown.map(labelOf),
    value: 'ratio (smaller is better)',
    least: undefined,
    series: [
      { name: SUBJECT, color: COLORS[SUBJECT], data: shown.map((one) => figureOf(one, SUBJECT).ratio.median) },
      { name: 'target', color: '#000000', symbol: 'rect', data: shown.map(({ target }) => target ?? '-') },
    ],
  })
  return [chart]
}

function delayCharts(cases) {
  const names = [SUBJECT, BASELINE, 'better-sqlite3-threads']
  const shown = cases.filter((one) => !LEFT_OUT.has(one.id) && (figureOf(one, SUBJECT)?.loopDelay ?? null) !== null)
  if (shown.length === 0) return []
  const delay = (one, name) => Math.max(LEAST_DELAY_MS, figureOf(one, name)?.loopDelay?.p99Ms ?? LEAST_DELAY_MS)
  const chart = barChart({
    name: 'loop-delay',
    title: 'Loop delay, p99',
    labels: shown.map(labelOf),
    value: `ms (from ${LEAST_DELAY_MS} on)`,
    least: LEAST_DELAY_MS,
    series: names.map((name) => ({ name, color: COLORS[name], data: shown.map((one) => delay(one, name)) })),
  })
  return [chart]
}

function latencyCharts(cases) {
  return cases
    .filter(({ figures }) => figures.some(({ latency }) => latency !== null))
    .map(({ id, title, figures }) => {
      const timed = figures.filter(({ latency }) => latency !== null)
      return lineChart({
        name: `latency-${id.toLowerCase()}`,
        title: `${id}: latency of single calls: ${title}`,
        x: { name: 'percentile', type: 'category' },
        y: { name: 'ms', type: 'log' },
        curves: timed.map(({ name, latency }) => ({ peer: name, points: Object.entries(latency).map(([x, { ms }]) => pointAt(x, ms)) })),
      })
    })
}

/** What is drawn of what grows, by the title of the scenario. */
const GROWTHS = {
  'rows of one result': [{ name: 'rows', key: 'time', y: 'µs per row', of: same }],
  'columns of one result': [{ name: 'columns', key: 'time', y: 'µs per value', of: same }],
  'calls in flight': [
    { name: 'in-flight', key: 'time', y: 'calls per second', of: perSecond },
    { name: 'in-flight-loop-delay', key: 'loopP99', y: 'loop delay, p99, in ms', of: same },
  ],
  'open databases': [
    { name: 'databases', key: 'time', y: 'µs per database, open and first query', of: same },
    { name: 'databases-memory', key: 'memory', y: 'bytes per open database', of: same },
  ],
  readers: [
    { name: 'readers-points', key: 'time', y: 'point reads per second', of: perSecond, logBase: 2 },
    { name: 'readers-aggregates', key: 'aggregate', y: 'aggregates per second', of: perSecond, logBase: 2 },
  ],
}

function same(spread) {
  return spread
}

function perSecond({ median, least, greatest }) {
  return { median: MICROSECONDS / median, least: MICROSECONDS / greatest, greatest: MICROSECONDS / least }
}

function growthCharts(scenarios) {
  return scenarios
    .filter(({ growth }) => growth !== undefined)
    .flatMap((scenario) => {
      const measured = new Set(scenario.points[0].figures.map(({ key }) => key))
      const drawn = (GROWTHS[scenario.title] ?? []).filter(({ key }) => measured.has(key))
      return drawn.map((one) => growthChart(scenario, one))
    })
}

function growthChart({ id, title, growth, points }, { name, key, y, of, logBase }) {
  const peersAt = ({ figures }) => figures.find((figure) => figure.key === key).peers
  const names = Object.keys(peersAt(points[0]))
  const curves = names.map((peer) => {
    const there = points.filter((point) => (peersAt(point)[peer] ?? null) !== null)
    return { peer, points: there.map((point) => pointAt(point.point, of(peersAt(point)[peer]))).filter(({ least }) => least > 0) }
  })
  return lineChart({ name, title: `${id}: ${title}`, x: { name: growth, type: 'log', logBase }, y: { name: y, type: 'log' }, curves })
}
