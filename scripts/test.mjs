// The one runner behind `npm test`: every stage, each with its own output, then a table of what passed and how long it took.
//
//   npm test                          everything, as CI runs it
//   npm test -- --only rust,vitest    some stages
import { parseArgs } from 'node:util'
import { summaryLine } from './checks.mjs'
import { tee } from './run.mjs'
import { stages } from './stages.mjs'

/** Picks the stages named in `--only`, or all of them. */
function selected() {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  if (values.only === undefined) return stages
  const names = values.only.split(',')
  const unknown = names.filter((name) => !stages.some((stage) => stage.name === name))
  if (unknown.length > 0) {
    throw new Error(`no such stage: ${unknown.join(', ')}; there are ${stages.map((stage) => stage.name).join(', ')}`)
  }
  return stages.filter((stage) => names.includes(stage.name))
}

/** Runs the steps of a stage and adds up their counts. A step that fails without having counted a failure counts as one. */
async function runStage({ name, steps }) {
  const started = performance.now()
  const total = { passed: 0, failed: 0 }
  for (const { command, env, count } of steps) {
    console.log(`\n=== ${name}: ${command.join(' ')}`)
    const { code, output } = await tee(command, { env: { ...process.env, ...env } })
    const counts = count(code, output)
    total.passed += counts.passed
    total.failed += code !== 0 && counts.failed === 0 ? 1 : counts.failed
  }
  return { name, ...total, seconds: (performance.now() - started) / 1000 }
}

function printTable(results) {
  console.log(`\n${'stage'.padEnd(12)}${'passed'.padStart(8)}${'failed'.padStart(8)}${'seconds'.padStart(10)}`)
  for (const { name, passed, failed, seconds } of results) {
    const cells = [String(passed).padStart(8), String(failed).padStart(8), seconds.toFixed(1).padStart(10)]
    console.log(name.padEnd(12) + cells.join(''))
  }
}

const results = []
for (const stage of selected()) results.push(await runStage(stage))
printTable(results)

const sum = (key) => results.reduce((total, result) => total + result[key], 0)
const total = { passed: sum('passed'), failed: sum('failed') }
console.log(`\n${summaryLine(total)}`)
process.exitCode = total.failed === 0 ? 0 : 1
