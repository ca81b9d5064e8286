import { setTimeout as delay } from 'node:timers/promises'

import type { CheckpointMode, Database, OpenOptions } from '../../index.js'
import { Random } from '../support/random-values.js'
import type { Operation, Outcome, Transaction } from './checker.js'
import { Planner, now } from './plans.js'
import type { Plan, PlanKind, Step } from './plans.js'
import { Rollback, runPlan } from './running.js'
import type { Answers, Store } from './running.js'

/** What one process does. */
export interface Work {
  /** Distinguishes its values from those of other processes. */
  readonly process: number
  readonly seed: number
  /** How many transactions it runs. */
  readonly transactions: number
  /** How many of them at a time. */
  readonly clients: number
  /** Of how many transactions one is given up by its caller. */
  readonly stopsOneIn: number
  readonly options: OpenOptions
}

/** Where a process writes down what it asks for, and what it is answered. Whoever is killed leaves questions without answers. */
export interface Journal {
  asked(transactions: readonly Transaction[]): void
  answered(transactions: readonly Transaction[]): void
}

/** How to get at the database, and what is planted in it. */
export interface Access {
  readonly open: (options: OpenOptions) => Promise<Database>
  readonly plant: (db: Database) => Store
}

/** Codes of calls that say that nothing has happened. */
const FAILURES = /^(?:ABORT_ERR|SQLITE_BUSY\w*|SQLITE_CONSTRAINT_NOTNULL|ERR_SLUICE_(?:TIMEOUT|TX_TIMEOUT|TX_ABORTED|ACQUIRE_TIMEOUT))$/

const CHECKPOINTS: readonly CheckpointMode[] = ['passive', 'full', 'restart', 'truncate']

/** Runs the clients of one process until all their transactions are answered. */
export async function runClients(work: Work, access: Access, journal: Journal): Promise<void> {
  const random = new Random(work.seed)
  const planner = new Planner(random, work.process, work.stopsOneIn)
  const [one, two] = [await access.open(work.options), await access.open(work.options)]
  const handles = [one, two, one.handle()].map((db) => ({ db, store: access.plant(db), line: `${work.process}${db === two ? 'b' : 'a'}` }))
  // A transaction as texts belongs to its handle: nobody else may use that one.
  const own = one.handle()
  let asked = 0
  const run = async (plan: Plan, store: Store, line: string): Promise<void> => {
    const name = `${plan.kind} ${work.process}-${asked}`
    // Long enough for a reader to be pruned.
    if (random.below(50) === 0) await delay(random.below(40))
    await runOne(plan, store, name, isOneWrite(plan.kind) ? line : null, journal)
  }
  const client = async (): Promise<void> => {
    while (asked++ < work.transactions) {
      const { store, line } = random.pick(handles)
      await run(planner.next(), store, line)
    }
  }
  const alone = async (): Promise<void> => {
    while (asked++ < work.transactions) await run(planner.next('text'), own, '')
  }
  const stop = new AbortController()
  const checkpoints = checkpointUntil(stop.signal, one, random)
  try {
    await Promise.all([alone(), ...Array.from({ length: work.clients - 1 }, client)])
  } finally {
    stop.abort()
    await checkpoints
    for (const db of [own, ...handles.map((handle) => handle.db)]) await db.close()
  }
}

async function checkpointUntil(signal: AbortSignal, db: Database, random: Random): Promise<void> {
  while (!signal.aborted) {
    await delay(5 + random.below(20))
    await db.checkpoint(random.pick(CHECKPOINTS)).catch(expectFailure)
  }
}

/** Runs one transaction, and writes down what became of it. */
async function runOne(plan: Plan, store: Store, name: string, line: string | null, journal: Journal): Promise<void> {
  const answers: Answers = []
  const invoked = now()
  const record = (outcome: Outcome, reason: string, completed: number): Transaction[] => {
    const whole = { name, operations: operationsOf(plan.steps, answers), outcome, reason, invoked, completed, line }
    if (plan.undone.length === 0) return [whole]
    // What a savepoint took back never happened, whatever became of the rest.
    const operations = operationsOf(plan.undone, [])
    return [whole, { ...whole, name: `${name} undone`, operations, outcome: 'failed', reason: 'savepoint' }]
  }
  journal.asked(record('unknown', '', Infinity))
  const error: unknown = await runPlan(store, plan, answers).then(
    () => null,
    (reason: unknown) => reason,
  )
  const completed = now()
  if (error === null) journal.answered(record('ok', '', completed))
  else journal.answered(record(...expectFailure(error), completed))
}

/** Whether it is one statement: the writer answers those of one database in the order in which it commits them. */
function isOneWrite(kind: PlanKind): boolean {
  return kind === 'append' || kind === 'returning' || kind === 'slow'
}

/** Says what a rejection tells of the outcome. An error that nobody asked for is thrown. */
function expectFailure(error: unknown): [outcome: Outcome, reason: string] {
  if (error instanceof Rollback) return ['failed', error.message]
  if (!(error instanceof Error && 'code' in error)) throw error
  const code = String(error.code)
  if (code === 'ERR_SLUICE_OUTCOME_UNKNOWN') return ['unknown', code]
  if (!FAILURES.test(code)) throw error
  return ['failed', code]
}

/** Puts the answers to the reads among the steps. A read without one is left out. */
function operationsOf(steps: readonly Step[], answers: Answers): Operation[] {
  let read = 0
  return steps.flatMap((step): Operation[] => {
    if (step.kind === 'append') return [step]
    const values = answers[read++]
    return values === undefined ? [] : [{ kind: 'read', key: step.key, values }]
  })
}
