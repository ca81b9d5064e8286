// The one runner behind `npm test`: every stage, then a table of what passed and how long it took, then what failed.
//
//   npm test                          everything, as CI runs it
//   npm test -- --only rust,vitest    some stages
//   npm test -- --verbose             show all output even where it does not go to a terminal
//
// On a terminal the output of every step is shown as it comes. Elsewhere it is kept in a file beside the caches of this
// repository, and shown are the steps and their failures: a log that somebody reads later must not bury those.
import { createWriteStream, mkdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { summaryLine } from './checks.mjs'
import { stepOutcome } from './outcomes.mjs'
import { cacheFolder, root } from './paths.mjs'
import { tee } from './run.mjs'
import { stages } from './stages.mjs'

const { values: options } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean' } } })
const showsAll = options.verbose ?? process.stdout.isTTY ?? false
const logs = join(cacheFolder, 'logs')

/** Picks the stages named in `--only`, or all of them. */
function selected() {
  if (options.only === undefined) return stages
  const names = options.only.split(',')
  const unknown = names.filter((name) => !stages.some((stage) => stage.name === name))
  if (unknown.length > 0) {
    throw new Error(`no such stage: ${unknown.join(', ')}; there are ${stages.map((stage) => stage.name).join(', ')}`)
  }
  return stages.filter((stage) => names.includes(stage.name))
}

/** Runs the steps of a stage and adds up their outcomes. */
async function runStage({ name, steps }) {
  const started = performance.now()
  const total = { passed: 0, failed: 0, failures: [] }
  const log = showsAll ? undefined : join(logs, `${name}.log`)
  const kept = log && createWriteStream(log)
  for (const { command, env, outcome } of steps) {
    console.log(`\n=== ${name}: ${command.map(readable).join(' ')}`)
    const show = kept && ((chunk) => kept.write(chunk))
    const { code, output } = await tee(command, { env: { ...process.env, ...env }, show })
    const { passed, failed, failures } = stepOutcome(outcome, code, output)
    if (log) console.log(failed === 0 ? summaryLine({ passed, failed }) : `${failed} FAILED; all output is in ${relative(root, log)}`)
    total.passed += passed
    total.failed += failed
    total.failures.push(...failures.map((text) => `${name}: ${text}`))
  }
  kept?.end()
  return { name, ...total, seconds: (performance.now() - started) / 1000 }
}

/** Drops where this repository and its Node are from an argument. */
function readable(argument) {
  return argument === process.execPath ? 'node' : argument.replaceAll(`${root}/`, '')
}

function printTable(results) {
  console.log(`\n${'stage'.padEnd(12)}${'passed'.padStart(8)}${'failed'.padStart(8)}${'seconds'.padStart(10)}`)
  for (const { name, passed, failed, seconds } of results) {
    const cells = [String(passed).padStart(8), String(failed).padStart(8), seconds.toFixed(1).padStart(10)]
    console.log(name.padEnd(12) + cells.join(''))
  }
}

mkdirSync(logs, { recursive: true })
const results = []
for (const stage of selected()) results.push(await runStage(stage))
printTable(results)
for (const failure of results.flatMap((result) => result.failures)) console.log(`\nFAILED ${failure}`)

const sum = (key) => results.reduce((total, result) => total + result[key], 0)
const total = { passed: sum('passed'), failed: sum('failed') }
console.log(`\n${summaryLine(total)}`)
process.exitCode = total.failed === 0 ? 0 : 1
