import { parseArgs, styleText } from 'node:util'
import { examine } from './examine.js'
import type { Examination } from './examine.js'
import { counted } from './findings.js'
import type { Finding, Level } from './findings.js'
import { Misuse, oneFile } from './misuse.js'
import { version } from './version.js'

export const DOCTOR_USAGE = `usage: sluice doctor <file> [--quick] [--json]

Checks a database file and explains what it finds. Never changes it.

  --quick  do not compare indexes with their tables, which takes longest
  --json   print what was found as JSON
  --help   print this

Ends with 0 if there is no problem, 1 if there is one, and 2 if it could not begin.`

const COLOURS = { ok: 'green', note: 'cyan', warning: 'yellow', problem: 'red' } as const
const ORDER: readonly Level[] = ['problem', 'warning', 'note', 'ok']
const LEVEL_WIDTH = 9

/** Runs `sluice doctor`, and returns the exit code. */
export async function doctor(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help === true) {
    console.log(DOCTOR_USAGE)
    return 0
  }
  const file = oneFile(positionals)
  silenceKnownWarnings()
  const examination = await examine(file, values.quick === true).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new Misuse(`there is no file ${file}`)
    throw error
  })
  const counts = countLevels(examination.findings)
  if (values.json === true) console.log(JSON.stringify({ sluice: version, ...examination, counts }, undefined, 2))
  else print(examination)
  return counts.problem > 0 ? 1 : 0
}

/** What the driver warns of here is among the findings, with a reason and advice. */
function silenceKnownWarnings(): void {
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if ((warning as { code?: unknown }).code === 'SLUICE_HARD_LINK') return
    for (const tell of others) tell(warning)
  })
}

function countLevels(findings: readonly Finding[]): Record<Level, number> {
  const counts = { ok: 0, note: 0, warning: 0, problem: 0 }
  for (const { level } of findings) counts[level] += 1
  return counts
}

function print({ path, sqlite, findings }: Examination): void {
  console.log(`Sluice ${version}${sqlite === undefined ? '' : `, SQLite ${sqlite}`}\n${path}\n`)
  for (const level of ORDER) {
    for (const finding of findings.filter((one) => one.level === level)) printOne(finding)
  }
  const { ok, note, warning, problem } = countLevels(findings)
  const found = `${counted(problem, 'problem')}, ${counted(warning, 'warning')}, ${counted(note, 'note')}`
  console.log(`\n${found}; ${ok} checks found nothing to say.`)
}

function printOne({ check, level, what, why, advice }: Finding): void {
  console.log(`${coloured(level)}${check}: ${what}`)
  const indent = ' '.repeat(LEVEL_WIDTH)
  if (why !== undefined) console.log(`${indent}${why}`)
  if (advice !== undefined) console.log(`${indent}→ ${advice}`)
}

/** Colours the name of a level, unless the output is no terminal or colours are not wanted. */
function coloured(level: Level): string {
  const padded = level.padEnd(LEVEL_WIDTH)
  return process.stdout.isTTY && process.env['NO_COLOR'] === undefined ? styleText(COLOURS[level], padded) : padded
}
