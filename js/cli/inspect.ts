import { open } from 'sluice'
import type { Database } from 'sluice'
import { startInspector } from 'sluice/inspector'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { counted } from './findings.js'
import { Misuse, oneFile } from './misuse.js'
import { endsStatement } from './statements.js'

export const INSPECT_USAGE = `usage: sluice inspect <file> [--port <number>] [--slow <ms>] [--write]

Opens a database file, serves a page that shows what it does, and runs the statements that come on the standard input,
each ended by a semicolon. Ends with Ctrl+C. It sees what runs in this process; to see what an application does, call
startInspector of sluice/inspector in it.

  --port <number>  the port to listen on (default: a free one)
  --slow <ms>      from how long on a statement is slow (default: 50)
  --write          let statements change the file
  --help           print this`

/** Runs `sluice inspect` until it is told to end, and returns the exit code. */
export async function inspect(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { port: { type: 'string' }, slow: { type: 'string' }, write: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help === true) {
    console.log(INSPECT_USAGE)
    return 0
  }
  const [port, slowMs] = [numberOf('--port', values.port), numberOf('--slow', values.slow)]
  const db = await open(oneFile(positionals), { readonly: values.write !== true, create: false })
  try {
    const inspector = await startInspector(db, { port, slowMs, keepAlive: true })
    const end = endSignal()
    console.log(`inspector: ${inspector.url}`)
    await runInput(db, end)
    await until(end)
    await inspector.close()
  } finally {
    await db.close()
  }
  return 0
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (text.trim() === '' || Number.isNaN(number)) throw new Misuse(`${option} must be a number, not '${text}'`)
  return number
}

/** Makes a signal that is aborted with Ctrl+C, or when another program says so. A second Ctrl+C ends the process at once. */
function endSignal(): AbortSignal {
  const end = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort())
  return end.signal
}

async function until(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

/** Runs the statements of the standard input, one after another. What fails is told, and the next one runs. */
async function runInput(db: Database, end: AbortSignal): Promise<void> {
  let statement = ''
  for await (const line of createInterface({ input: process.stdin, signal: end })) {
    statement += `${line}\n`
    if (statement.trim() === '') statement = ''
    // A part of a statement can be a statement, too, and do what nobody has asked for.
    if (!line.includes(';') || !endsStatement(statement)) continue
    await runOne(db, statement, end)
    statement = ''
  }
  if (statement.trim() !== '' && !end.aborted) await runOne(db, statement, end)
}

async function runOne(db: Database, sql: string, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  try {
    const { rows, changes, columns } = await db.execute(sql, [], { signal })
    const what = columns.length > 0 ? counted(rows.length, 'row') : counted(changes, 'change')
    console.log(`${what} in ${(performance.now() - began).toFixed(1)} ms`)
  } catch (error) {
    console.error(`sluice: ${(error as Error).message}`)
  }
}
