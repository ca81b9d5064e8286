// What was measured on one Node as a page: the targets, all workloads and peers, and each workload by itself.
import { caseLines, matrixLines, shareOf } from './case-report.mjs'
import { LEAST_ROUNDS } from './command-line.mjs'
import { delayOf, percentOf, tableLines } from './numbers.mjs'
import { growthLines, scenarioLines } from './scenario-report.mjs'
import { aheadOf, verdictsOf } from './targets.mjs'
import { THROUGHPUT_SETS } from './workload.mjs'

/**
 * Writes the page for one run.
 *
 * @param {object} result - the command, the settings, and what was measured
 * @param {{ name: string, title: string, path: string }[]} plots
 * @param {Record<string, string>} causes - why a target cannot be met, by id and title
 */
export function markdownOf(result, plots = [], causes = {}) {
  const { node, cases, scenarios, memory, baseline } = result
  const verdicts = verdictsOf(result)
  const compared = cases.filter(({ id }) => !THROUGHPUT_SETS.includes(id))
  const sets = cases.filter(({ id }) => THROUGHPUT_SETS.includes(id))
  return [
    `# Benchmark on Node ${node}`,
    '',
    ...headLines(result),
    ...(verdicts.length === 0 ? [] : [...targetLines(verdicts, result), ...unmetLines(verdicts, causes)]),
    ...(plots.length === 0 ? [] : ['## Plots', '', ...plots.flatMap(({ title, path }) => [`![${title}](${path})`, ''])]),
    ...(compared.length === 0 ? [] : ['## All workloads and peers', '', ...matrixLines(compared, result)]),
    ...compared.flatMap((one) => caseLines(one)),
    ...(sets.length === 0 ? [] : setLines(sets, result)),
    ...scenarios.flatMap((one) => (one.growth === undefined ? scenarioLines(one, baseline) : growthLines(one))),
    ...(memory.length === 0 ? [] : memoryLines(memory)),
  ].join('\n')
}

function headLines({ command, date, profile, plan, environment, peers, missing }) {
  const { sqlite, platform, cores, processor, fileSystem, syncMs, commit } = environment
  const settings = profile === 'equal' ? 'the same settings for all' : 'as packaged: each peer with its own settings'
  const trial = `**A trial of ${plan.rounds} rounds: it shows that the benchmark works, not how fast anything is.**`
  return [
    ...(plan.rounds < LEAST_ROUNDS ? [trial, ''] : []),
    `\`${command}\`, ${date}, commit ${commit}; ${settings}; ${plan.rounds} rounds in turn; ${platform}, ${cores} cores (${processor}); ` +
      `SQLite ${sqlite} in Sluice. The files are on ${fileSystem}, where a write of one page and its fsync take ${syncMs.toFixed(2)} ms.`,
    '',
    `Peers: ${peers.map(({ name, version }) => (version === null ? name : `${name} ${version}`)).join(', ')}.`,
    ...missing.map(({ name, reason }) => `Not measured: ${name} (${reason}).`),
    '',
    'Ratios are times relative to the baseline in the same round: median (least–greatest); smaller is better. Loop delay is how late the',
    'event loop ran, p99 / longest, while every turn started as many calls as are in flight. A baseline that runs synchronously has no',
    'calls in flight: it runs them one after another. The part in JS and crossing is what is left of the time beside that of the same',
    'calls on the Rust core alone; below zero where the core alone was slower.',
    '',
  ]
}

function targetLines(verdicts, result) {
  const { cases, ahead } = aheadOf(result)
  const judged = verdicts.filter(({ met }) => met !== null)
  const rows = verdicts.map(({ id, title, measured, target, met, coreShare, loopDelay }) => {
    const outside = coreShare === null ? '' : percentOf(shareOf(coreShare))
    return [`${id}: ${title}`, measured ?? 'not measured', target, metText(met), outside, delayOf(loopDelay)]
  })
  const others = cases === 0 ? '' : ` In ${ahead} of ${cases} cases of others' benchmarks it is ahead.`
  return [
    '## Targets',
    '',
    `${judged.filter(({ met }) => met).length} of ${judged.length} are met.${others}`,
    '',
    ...tableLines(['workload', 'measured', 'target', 'met', 'in JS and crossing', 'loop delay'], rows),
  ]
}

function metText(met) {
  if (met === null) return ''
  return met ? 'yes' : '**no**'
}

function unmetLines(verdicts, causes) {
  const unmet = verdicts.filter(({ met }) => met === false)
  if (unmet.length === 0) return []
  return [
    '### Targets that are not met',
    '',
    ...unmet.flatMap(({ id, title, measured, target, floors, coreShare }) => {
      const limits = floors.map(({ name, text }) => `${name} ${text}`)
      const part = coreShare === null ? [] : [`in JS and crossing ${percentOf(shareOf(coreShare))}`]
      const cause = causes[`${id}: ${title}`]
      const line = [`- ${id}: ${title}: ${measured} instead of ${target}`, ...limits, ...part].join('; ')
      return [`${line}.${cause === undefined ? '' : ` ${cause}`}`]
    }),
    '',
  ]
}

function setLines(sets, result) {
  const { cases, ahead } = aheadOf(result)
  const lead = `Ahead in ${ahead} of ${cases} cases. What they are is in the list of workloads.`
  return ["## Others' benchmarks", '', lead, '', ...matrixLines(sets, result)]
}

function memoryLines(memory) {
  const rows = memory.map(({ name, idle, queued }) => {
    const open = idle.failure === undefined ? [kibibytes(idle.openBytes), kibibytes(idle.readBytes)] : [idle.failure, '']
    return [name, ...open, ...queuedCells(queued)]
  })
  return [
    '## Memory',
    '',
    ...tableLines(['peer', 'idle database, opened', 'and read once', 'queued call, resident', 'in the heap of JavaScript'], rows),
  ]
}

function queuedCells(queued) {
  if (queued === null) return ['never waits', '']
  if (queued.failure !== undefined) return [queued.failure, '']
  return [`${Math.round(queued.residentBytes)} B`, `${Math.round(queued.heapBytes)} B`]
}

function kibibytes(bytes) {
  return `${Math.round(bytes / 1_024)} KiB`
}
