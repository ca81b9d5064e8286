// Figures as a page: tables for each Node version, ratios with their spread.
import { failureOf } from './failure.mjs'
import { scenarioLines } from './scenario-report.mjs'

/** Writes the page for one run. */
export function markdownOf({ command, date, profile, rounds, environment, runs }) {
  const { sqlite, platform, cores, processor, fileSystem, syncMs } = environment
  const settings = profile === 'equal' ? 'the same settings for all' : 'as packaged: each peer with its own settings'
  return [
    '# Benchmark',
    '',
    `\`${command}\`, ${date}; ${settings}; ${rounds} rounds in turn; ${platform}, ${cores} cores (${processor}); SQLite ${sqlite} in Sluice.`,
    '',
    `The files are on ${fileSystem}, where a write of one page and its fsync take ${syncMs.toFixed(2)} ms.`,
    '',
    'Ratios are times relative to the baseline in the same round: median (least–greatest); smaller is better. Loop delay is how late the event',
    'loop ran, p99 / greatest, while every turn started as many calls as are in flight. A baseline that runs synchronously has no calls in flight:',
    'it runs them one after another. p50 and p99 are those of single calls, for as many clients as there are calls in flight: each makes its next',
    'call when it has the result of the one before. Where a workload writes, every peer has a copy of the file, and rests between the rounds.',
    '',
    ...runs.flatMap(runLines),
  ].join('\n')
}

function runLines({ node, peers, missing, cases, scenarios, memory, baseline }) {
  return [
    `## Node ${node}`,
    '',
    `Peers: ${peers.map(({ name, version }) => (version === null ? name : `${name} ${version}`)).join(', ')}.`,
    ...missing.map(({ name, reason }) => `Not measured: ${name} (${reason}).`),
    '',
    ...cases.flatMap((one) => caseLines(one, baseline)),
    ...scenarios.flatMap((one) => scenarioLines(one, baseline)),
    ...(memory.length === 0 ? [] : memoryLines(memory)),
  ]
}

function caseLines({ id, title, target, figures, failures }, baseline) {
  const aim = target === undefined ? '' : `; target ${target}`
  return [
    `### ${id}: ${title}${aim}`,
    '',
    `| peer | per call | relative to ${baseline} | loop delay |`,
    '|---|---|---|---|',
    ...figures.map(({ name, microseconds, ratio, loopDelay }) => {
      return `| ${name} | ${timeOf(microseconds.median)} | ${ratio === null ? '' : ratioOf(ratio)} | ${delayOf(loopDelay)} |`
    }),
    ...Object.entries(failures).map(([name, reason]) => `| ${name} | ${failureOf(reason)} | | |`),
    '',
    ...latencyLines(figures, baseline),
  ]
}

function latencyLines(figures, baseline) {
  const timed = figures.filter(({ latency }) => latency !== null)
  if (timed.length === 0) return []
  return [
    `| peer | p50 | relative to ${baseline} | p99 | relative to ${baseline} |`,
    '|---|---|---|---|---|',
    ...timed.map(({ name, latency: { p50, p99 } }) => `| ${name} | ${latencyCells(p50)} | ${latencyCells(p99)} |`),
    '',
  ]
}

function latencyCells({ ms, ratio }) {
  return `${timeOf(ms.median * 1_000)} | ${ratio === null ? '' : ratioOf(ratio)}`
}

/** Shows a ratio with its spread. */
export function ratioOf({ median, least, greatest }) {
  return `${median.toFixed(2)} (${least.toFixed(2)}–${greatest.toFixed(2)})`
}

function timeOf(microseconds) {
  return microseconds < 1_000 ? `${microseconds.toFixed(2)} µs` : `${(microseconds / 1_000).toFixed(2)} ms`
}

function delayOf(delay) {
  return delay === null ? '' : `${delay.p99Ms.toFixed(1)} / ${delay.maxMs.toFixed(1)} ms`
}

function memoryLines(memory) {
  return [
    '### Memory',
    '',
    '| peer | idle database, opened | and read once | queued call, resident | in the heap of JavaScript |',
    '|---|---|---|---|---|',
    ...memory.map(({ name, idle, queued }) => {
      const open = idle.failure === undefined ? `${kibibytes(idle.openBytes)} | ${kibibytes(idle.readBytes)}` : `${idle.failure} |`
      return `| ${name} | ${open} | ${queuedCells(queued)} |`
    }),
    '',
  ]
}

function queuedCells(queued) {
  if (queued === null) return 'never waits |'
  if (queued.failure !== undefined) return `${queued.failure} |`
  return `${Math.round(queued.residentBytes)} B | ${Math.round(queued.heapBytes)} B`
}

function kibibytes(bytes) {
  return `${Math.round(bytes / 1_024)} KiB`
}
