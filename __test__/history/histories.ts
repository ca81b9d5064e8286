import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { open } from '../../index.js'
import type { Database, OpenOptions } from '../../index.js'
import { bundle } from '../support/bundle.js'
import { PACKAGE } from '../support/child-process.js'
import { check } from './checker.js'
import type { Anomaly, Entry, Outcome, Transaction } from './checker.js'
import { runClients } from './clients.js'
import type { Access, Work } from './clients.js'

/** How many transactions ended how, and what went wrong. */
export interface Findings {
  readonly ok: number
  readonly failed: number
  readonly unknown: number
  readonly anomalies: readonly Anomaly[]
}

/** Runs the clients of this process. */
export async function runHere(work: Work, access: Access): Promise<Transaction[]> {
  const history: Transaction[] = []
  await runClients(work, access, { asked: () => {}, answered: (transactions) => history.push(...transactions) })
  return history
}

/** Gets at the database in a file, with nothing planted in it. */
export function accessTo(path: string): Access {
  return { open: (options: OpenOptions) => open(path, options), plant: (db: Database) => db }
}

/** Starts processes that run clients, all from one program. */
export class Processes {
  readonly #folder: string
  readonly #program: string

  private constructor(folder: string, program: string) {
    this.#folder = folder
    this.#program = program
  }

  /** Makes the program, in a folder that goes with the test. */
  static async prepare(folder: string): Promise<Processes> {
    const program = join(folder, 'process.mjs')
    await bundle('history/process.ts', program)
    return new Processes(folder, program)
  }

  /** Runs a process to its end, or until it has been answered `killAfter` times: then it is killed. */
  async run(path: string, work: Work, killAfter: number = Infinity): Promise<Transaction[]> {
    const journal = join(this.#folder, `journal-${work.process}`)
    const child = spawn(process.execPath, [this.#program, PACKAGE, path, journal, JSON.stringify(work)], { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (text) => (stderr += String(text)))
    const ended = new Promise<string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(String(code ?? signal)))
    })
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
    })
    const watch = setInterval(() => {
      if (killAfter < Infinity && answeredIn(journal) >= killAfter) child.kill('SIGKILL')
    }, 20)
    const end = await ended
    clearInterval(watch)
    if (end !== (killAfter < Infinity ? 'SIGKILL' : '0')) throw new Error(`the process ended with ${end}: ${stderr}`)
    return journalOf(journal)
  }
}

/** Reads what a process wrote down: of each transaction, the last. A line that was cut short says nothing. */
function journalOf(path: string): Transaction[] {
  const byName = new Map<string, Transaction>()
  for (const line of readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1)) {
    for (const transaction of JSON.parse(line) as Transaction[]) {
      byName.set(transaction.name, { ...transaction, completed: transaction.completed ?? Infinity })
    }
  }
  return [...byName.values()]
}

function answeredIn(journal: string): number {
  return journalOf(journal).filter(({ completed }) => completed !== Infinity).length
}

/** Reads what is there in the end, in the order in which it was committed. */
export async function committedIn(db: Database): Promise<Entry[]> {
  return db.all<{ key: number; value: number }>('SELECT key, value FROM log ORDER BY position')
}

/** Checks a history, and counts its outcomes. */
export function examine(history: readonly Transaction[], committed: readonly Entry[]): Findings {
  const count = (outcome: Outcome): number => history.filter((transaction) => transaction.outcome === outcome).length
  return { ok: count('ok'), failed: count('failed'), unknown: count('unknown'), anomalies: check(history, committed) }
}
