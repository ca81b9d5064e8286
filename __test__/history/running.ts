import type { BatchItem, Database, SqlParameters, Transaction as SluiceTransaction, ValueOptions } from '../../index.js'
import type { Plan, Step, Stop } from './plans.js'

/** The part of a database that the clients use: what a fault is planted in. */
export type Store = Pick<Database, 'run' | 'execute' | 'pluck' | 'iterate' | 'read' | 'transaction' | 'begin' | 'batch' | 'exec' | 'writeMode'>

export const SCHEMA = `
  CREATE TABLE log (position INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL, value INTEGER NOT NULL UNIQUE);
  CREATE INDEX by_key ON log (key, position, value)`
const APPEND = 'INSERT INTO log (key, value) VALUES (?, ?)'
/** Takes about a millisecond, in which it may be stopped. */
const SLOW_APPEND = `
  INSERT INTO log (key, value)
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000) SELECT ?, ? FROM c WHERE n = 10000`
const REFUSED_APPEND = 'INSERT INTO log (key, value) VALUES (?1, ?2), (?1, NULL)'
const ROLLED_BACK_APPEND = 'INSERT OR ROLLBACK INTO log (key, value) VALUES (?1, ?2), (?1, NULL)'
const READ = 'SELECT value FROM log WHERE key = ? ORDER BY position'

/** What a transaction is rolled back with on purpose. */
export class Rollback extends Error {}

/** What the reads of a transaction returned, in order. */
export type Answers = number[][]

type Limits = Pick<ValueOptions, 'signal' | 'timeoutMs'>

/** What runs the steps of a transaction. */
interface Runner {
  run(sql: string, params: SqlParameters): Promise<unknown>
  pluck(sql: string, params: SqlParameters): Promise<unknown[]>
}

/** Runs a transaction and adds what it reads to `answers`. Rejects when it was not committed, or nobody knows. */
export async function runPlan(store: Store, plan: Plan, answers: Answers): Promise<void> {
  const limits = limitsOf(plan.stop)
  switch (plan.kind) {
    case 'append':
      await store.run(APPEND, valuesOf(first(plan)), limits)
      return
    case 'returning':
      await store.execute(`${APPEND} RETURNING position`, valuesOf(first(plan)), limits)
      return
    case 'slow':
      await store.run(SLOW_APPEND, valuesOf(first(plan)), limits)
      return
    case 'refused':
      await store.run(REFUSED_APPEND, valuesOf(first(plan)), limits)
      return
    case 'rolledBack':
      await store.run(ROLLED_BACK_APPEND, valuesOf(first(plan)), limits)
      return
    case 'read':
      answers.push(await store.pluck<number>(READ, valuesOf(first(plan)), limits))
      return
    case 'iterate':
      await runIteration(store, plan, answers, limits)
      return
    case 'session':
      await store.read(async (session) => {
        for (const step of plan.steps) answers.push(await session.pluck<number>(READ, valuesOf(step)))
      }, limits)
      return
    case 'immediate':
    case 'exclusive':
    case 'deferred':
      await store.transaction((tx) => runBody(tx, plan, answers), { ...limits, behavior: plan.kind })
      return
    case 'begin':
      await runBegin(store, plan, answers, limits)
      return
    case 'batch':
      await runBatch(store, plan, answers, limits)
      return
    case 'script':
      await store.exec(['BEGIN', ...plan.steps.map((step) => literal(step)), 'COMMIT'].join('; '), limits)
      return
    case 'writeMode':
      await runWriteMode(store, plan, answers, limits)
      return
    case 'text':
      await runText(store, plan, answers)
  }
}

async function runIteration(store: Store, plan: Plan, answers: Answers, limits: Limits): Promise<void> {
  const values: number[] = []
  const rows = store.iterate<[number]>(READ, valuesOf(first(plan)), { ...limits, rowMode: 'array', chunkRows: 3 })
  for await (const [value] of rows) values.push(value)
  answers.push(values)
}

async function runBody(tx: SluiceTransaction, plan: Plan, answers: Answers): Promise<void> {
  if (plan.undone.length > 0) {
    const nested = tx.transaction(async (inner) => {
      await runSteps(inner, plan.undone, [])
      throw new Rollback('the nested transaction is rolled back')
    })
    await nested.catch((error: unknown) => {
      if (!(error instanceof Rollback)) throw error
    })
  }
  await runSteps(tx, plan.steps, answers)
  if (plan.fails) throw new Rollback('the transaction is rolled back')
}

async function runSteps(runner: Runner, steps: readonly Step[], answers: Answers): Promise<void> {
  for (const step of steps) {
    if (step.kind === 'append') await runner.run(APPEND, valuesOf(step))
    else answers.push((await runner.pluck(READ, valuesOf(step))) as number[])
  }
}

async function runBegin(store: Store, plan: Plan, answers: Answers, limits: Limits): Promise<void> {
  const tx = await store.begin(limits)
  try {
    await runBody(tx, plan, answers)
    await tx.commit()
  } finally {
    if (tx.open) await tx.rollback()
  }
}

/** Runs a transaction in exclusive write mode, which may be given up after the transaction was committed. */
async function runWriteMode(store: Store, plan: Plan, answers: Answers, limits: Limits): Promise<void> {
  let transaction: Promise<void> | null = null
  const whole = store.writeMode((session) => {
    transaction = session.transaction((tx) => runBody(tx, plan, answers))
    return transaction
  }, limits)
  await whole.catch((error: unknown) => {
    if (transaction === null) throw error
    return transaction
  })
}

async function runBatch(store: Store, plan: Plan, answers: Answers, limits: Limits): Promise<void> {
  const items = plan.steps.map((step): BatchItem => ({ sql: step.kind === 'append' ? APPEND : READ, params: valuesOf(step) }))
  const results = await store.batch(items, { ...limits, rowMode: 'object' })
  for (const [index, step] of plan.steps.entries()) {
    if (step.kind === 'read') answers.push(results[index]?.rows.map((row) => Number(row['value'])) ?? [])
  }
}

/** Runs a transaction as texts, on a handle that nobody else uses. */
async function runText(store: Store, plan: Plan, answers: Answers): Promise<void> {
  await store.run('BEGIN IMMEDIATE')
  try {
    await runSteps(store, plan.steps, answers)
    if (plan.fails) throw new Rollback('the transaction is rolled back')
    await store.run('COMMIT')
  } catch (error) {
    await store.run('ROLLBACK')
    throw error
  }
}

function limitsOf(stop: Stop | null): Limits {
  if (stop === null) return {}
  if (stop.by === 'timeout') return { timeoutMs: stop.afterMs }
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  if (stop.afterMs === 0) setImmediate(abort)
  else setTimeout(abort, stop.afterMs)
  return { signal: controller.signal }
}

function first({ steps: [step] }: Plan): Step {
  if (step === undefined) throw new Error('a plan without steps')
  return step
}

function valuesOf(step: Step): number[] {
  return step.kind === 'append' ? [step.key, step.value] : [step.key]
}

function literal(step: Step): string {
  return step.kind === 'append' ? `INSERT INTO log (key, value) VALUES (${step.key}, ${step.value})` : `SELECT ${step.key}`
}
