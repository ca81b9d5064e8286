import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import type { Database, open as Open } from '../../index.js'
import { HALVES } from '../crash/ledger.js'
import { ENDING_NAMES, IN_STATE, STATES, WORK, planOf } from './plan.js'
import type { Ending, Fault, Note, State } from './plan.js'

/** One way to end, in one state. */
export interface Cell {
  readonly ending: Ending
  readonly state: State
}

/** Where the programs are. */
export interface Setting {
  /** The Node that runs the children. */
  readonly node: string
  /** The bundled child. */
  readonly program: string
  /** The package's main file. */
  readonly packagePath: string
  /** What the children do wrong, so that the test can be seen to find it. */
  readonly planted?: Fault
}

/** How long a child may take to come into its state, in milliseconds. */
const START_PATIENCE_MS = 30_000
/** How long it may take to end then: longer is a hang. */
const END_PATIENCE_MS = 5_000

export const CELLS: readonly Cell[] = ENDING_NAMES.flatMap((ending) => STATES.map((state): Cell => ({ ending, state })))

/** Names a cell as `--only` does. */
export function nameOf({ ending, state }: Cell): string {
  return `${ending}:${state}`
}

/** Finds the cells that `only` names: `exit:reading`, `exit` or `:reading`, several of them with commas between. */
export function cellsNamed(only: string): Cell[] {
  const cells = only.split(',').flatMap((name) => {
    const [ending, state] = name.split(':')
    const found = CELLS.filter((cell) => (ending === '' || cell.ending === ending) && (state === undefined || cell.state === state))
    if (found.length === 0) throw new Error(`no such cell: ${name}; endings are ${ENDING_NAMES.join(', ')}; states are ${STATES.join(', ')}`)
    return found
  })
  return [...new Set(cells)]
}

/** How a child ended. */
interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
}

/** Waits for something, but not for ever; what comes too late is a failure that says so. */
async function within<T>(promise: Promise<T>, patienceMs: number, what: string): Promise<T> {
  const stop = new AbortController()
  const late = delay(patienceMs, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`${what}: not within ${patienceMs} ms`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
    late.catch(() => {})
  }
}

function endOf(child: ChildProcess): Promise<Ended> {
  let stderr = ''
  child.stderr?.on('data', (text) => (stderr += String(text)))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stderr }))
  })
}

/** Runs a child to its end, and says what was wrong with how it ended. */
async function runChild({ node, program, packagePath, planted }: Setting, { ending, state }: Cell, path: string, notes: string): Promise<string[]> {
  const child = spawn(node, [program, packagePath, path, notes, ending, state, planted ?? 'none'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', VITEST: undefined },
  })
  const ended = endOf(child)
  const said = new Promise<string>((resolve) => child.stdout.once('data', (text) => resolve(String(text).trim())))
  try {
    const first = await within(Promise.race([said, ended]), START_PATIENCE_MS, 'the state is reached')
    if (first !== IN_STATE) return [`it did not reach its state: ${JSON.stringify(first)}`]
    if (ending === 'sigterm') child.kill('SIGTERM')
    return judge(ending, await within(ended, END_PATIENCE_MS, 'the process ends'))
  } catch (error) {
    return [(error as Error).message]
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** Compares how a child ended with how it should have. */
function judge(ending: Ending, { code, signal, stderr }: Ended): string[] {
  const plan = planOf(ending)
  const faults = []
  if (code !== plan.code || signal !== plan.signal) faults.push(`it ended with ${signal ?? code}, not with ${plan.signal ?? plan.code}: ${stderr}`)
  if (!plan.stderr.test(stderr)) faults.push(`it said: ${stderr}`)
  if (/panicked|BUG:|FATAL ERROR/.test(stderr)) faults.push(`a fault was reported: ${stderr}`)
  return faults
}

function notesIn(path: string): Note[] {
  const lines = readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n')
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Note)
}

/** Looks into the database that a child left: it must be whole, and hold everything that was acknowledged. */
async function inspect(db: Database, notes: readonly Note[]): Promise<string[]> {
  const faults = []
  const integrity = await db.pluck<string>('PRAGMA integrity_check')
  if (integrity.join() !== 'ok') faults.push(`the file is damaged: ${integrity.join('; ')}`)
  const halves = await db.pluck<number>(HALVES, [0])
  if (halves.length > 0) faults.push(`half transactions: ${halves.join(', ')}`)
  const there = new Set(await db.pluck<number>('SELECT DISTINCT number FROM ledger'))
  const acknowledged = notes.flatMap((note) => ('acknowledged' in note ? [note.acknowledged] : []))
  const lost = acknowledged.filter((number) => !there.has(number))
  if (lost.length > 0 || acknowledged.length === 0) faults.push(`lost of ${acknowledged.length}: ${lost.join(', ')}`)
  return faults
}

/** What became of the work that was under way, as the matrix says it. */
async function fateOf(db: Database, { state }: Cell, notes: readonly Note[]): Promise<string> {
  const settled = new Set(notes.flatMap((note) => ('work' in note ? [note.work] : [])))
  const [kept] = await db.pluck<number>('SELECT count(*) FROM ledger WHERE number >= ?', [WORK])
  const words = [...settled].map((outcome) => (outcome === 'finishes' ? outcome : `rejected with \`${outcome}\``))
  if (state === 'idle') return 'closed'
  if (words.length > 0) return words.join(', ')
  if (state === 'group' || state === 'busy' || state === 'mirroring') return kept === 0 ? 'lost' : 'what was acknowledged is kept'
  return state === 'reading' || state === 'inline' || state === 'iterating' ? 'stopped' : kept === 0 ? 'rolled back' : 'kept'
}

/** What was found of one cell. */
export interface Finding {
  readonly faults: readonly string[]
  /** What became of the work that was under way. */
  readonly fate: string
}

/** Runs a cell once, on a file of its own. */
export async function runCell(setting: Setting, cell: Cell): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  const [path, notesPath] = [join(folder, 'test.db'), join(folder, 'notes')]
  try {
    const ended = await runChild(setting, cell, path, notesPath)
    const { open } = createRequire(setting.packagePath)(setting.packagePath) as { open: typeof Open }
    const db = await open(path)
    try {
      const notes = notesIn(notesPath)
      return { faults: [...ended, ...(await inspect(db, notes))], fate: await fateOf(db, cell, notes) }
    } finally {
      await db.close()
    }
  } catch (error) {
    return { faults: [(error as Error).message], fate: 'unknown' }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs cells, some at the same time, in order of their list. */
export async function runCells(cells: readonly Cell[], atOnce: number, run: (cell: Cell) => Promise<void>): Promise<void> {
  // All runners take from the same iterator.
  const left = cells.values()
  const runner = async (): Promise<void> => {
    for (const cell of left) await run(cell)
  }
  await Promise.all(Array.from({ length: atOnce }, runner))
}
