import { open } from '../../index.js'
import type { Database, SqlParameters, Statement } from '../../index.js'
import { until, within } from './deadline.js'
import { outcomeOf } from './failure.js'
import { untilQuiet } from './quiet.js'
import { COUNTING_READ, COUNTING_WRITE } from './slow-sql.js'

/** What a database may be doing when a method is called. */
export const STATES = ['idle', 'reading', 'writing', 'writer waiting', 'draining', 'closed'] as const
export type State = (typeof STATES)[number]

interface Subject {
  readonly db: Database
  readonly read: Statement
  readonly write: Statement
}

type Operation = (subject: Subject) => unknown

const READ = 'SELECT x FROM t WHERE x < 0'
const WRITE = 'INSERT INTO t VALUES (1)'
const BOTH = { reads: READ, writes: WRITE }

/** The methods that take a statement, each once with a read and once with a write. */
function statementCalls(): [string, Operation][] {
  const methods = ['execute', 'all', 'get', 'values', 'pluck', 'columnar', 'executeJson', 'run'] as const
  const ofDatabase = methods.flatMap((method) =>
    Object.entries(BOTH).map(([kind, sql]): [string, Operation] => [`\`db.${method}\` ${kind}`, ({ db }) => db[method](sql)]),
  )
  const ofStatement = [...methods, 'columns' as const].flatMap((method) =>
    (['read', 'write'] as const).map((kind): [string, Operation] => [`\`statement.${method}\` of a ${kind}`, (subject) => subject[kind][method]()]),
  )
  return [...ofDatabase, ...ofStatement]
}

async function exhaust(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _row of rows) {
    // Only that it ends.
  }
}

/** Every public method and property, by the name it has in the table. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ...statementCalls(),
  ['`db.ready`', ({ db }) => db.ready()],
  ['`db.sql` reads', ({ db }) => db.sql`SELECT x FROM t WHERE x < 0`],
  ['`db.sql` writes', ({ db }) => db.sql`INSERT INTO t VALUES (1)`],
  ['`db.exec`', ({ db }) => db.exec(WRITE)],
  ['`db.batch`', ({ db }) => db.batch([WRITE, READ])],
  ['`db.transaction`', ({ db }) => db.transaction((tx) => tx.run(WRITE))],
  ['`db.begin`', async ({ db }) => (await db.begin()).rollback()],
  ['`db.read`', ({ db }) => db.read((r) => r.all(READ))],
  ['`db.writeMode`', ({ db }) => db.writeMode((w) => w.run(WRITE))],
  ['`db.iterate`', async ({ db }) => exhaust(db.iterate(READ))],
  ['`statement.iterate`', async ({ read }) => exhaust(read.iterate())],
  ['`db.checkpoint` passive', ({ db }) => db.checkpoint()],
  ['`db.checkpoint` truncate', ({ db }) => db.checkpoint('truncate')],
  ['`db.prepare`', ({ db }) => db.prepare(READ)],
  ['`db.pragma` reads', ({ db }) => db.pragma('user_version')],
  ['`db.pragma` sets the file', ({ db }) => db.pragma('user_version', 1)],
  ['`db.pragma` sets connections', ({ db }) => db.pragma('cache_size', 100)],
  ['`db.status`', ({ db }) => db.status()],
  ['`db.metrics`', ({ db }) => db.metrics()],
  ['`db.metric`', ({ db }) => db.metric('sluice_queue_depth')],
  ['`db.mirror`', async ({ db }) => (await db.mirror()).close()],
  ['`db.path`', ({ db }) => db.path],
  ['`db.closed`', ({ db }) => db.closed],
  ['`db.handleCount`', ({ db }) => db.handleCount],
  ['`db.handle`', async ({ db }) => db.handle().close()],
  ['`db.close`', ({ db }) => db.close()],
  ['`db[Symbol.asyncDispose]`', ({ db }) => db[Symbol.asyncDispose]()],
])

const ENDS_THE_DATABASE = /close`|asyncDispose/

/** What keeps a database in its state: calls that are under way. */
interface Held {
  readonly calls: readonly Promise<unknown>[]
  ended: boolean
}

async function openSubject(path: string): Promise<Subject> {
  const db = await open(path, { maxReaders: 2, durability: 'off' })
  await db.exec('CREATE TABLE IF NOT EXISTS t (x)')
  const [read, write] = [db.prepare(READ), db.prepare(WRITE)]
  const subject = { db, read, write }
  // What a text is must be known: this table is about states, not about classifying.
  await Promise.all([db.all(COUNTING_READ, [1]), db.run(COUNTING_WRITE, [1])])
  for (const [name, operation] of OPERATIONS) if (!ENDS_THE_DATABASE.test(name)) await operation(subject)
  await untilQuiet(db)
  return subject
}

const waiting = (db: Database): number => db.status().readers.waiting + db.status().writer.waiting

/** Brings a database into a state, in which it stays for as long as counting to `work` takes. */
async function enter(state: State, { db }: Subject, work: number): Promise<Held> {
  const params: SqlParameters = [work]
  const calls = {
    idle: () => [],
    reading: () => [db.all(COUNTING_READ, params)],
    writing: () => [db.run(COUNTING_WRITE, params)],
    'writer waiting': () => [db.run(COUNTING_WRITE, params), db.run(COUNTING_WRITE, [1])],
    draining: () => [db.all(COUNTING_READ, params)],
    closed: () => [],
  }[state]()
  const held: Held = { calls: calls.map(outcomeOf), ended: calls.length === 0 }
  held.calls[0]?.then(() => (held.ended = true)).catch(() => {})
  if (state === 'draining') db.close().catch(() => {})
  if (state === 'closed') await db.close()
  return held
}

/** Calls a method in a state, and says what became of it. `undefined`: the state ended before that was clear. */
async function attempt(state: State, operation: Operation, path: string, work: number): Promise<string | undefined> {
  const subject = await openSubject(path)
  const { db } = subject
  const held = await enter(state, subject, work)
  try {
    return await observe(db, held, () => operation(subject))
  } finally {
    await within(Promise.all([db.close({ timeoutMs: 0 }), ...held.calls]), 'the database closes')
  }
}

async function observe(db: Database, held: Held, call: () => unknown): Promise<string | undefined> {
  const mayWait = !held.ended
  const before = waiting(db)
  const returned = call()
  if (!(returned instanceof Promise)) return 'returns'
  let settled: { outcome: string; inTime: boolean } | undefined
  const settling = outcomeOf(returned).then((outcome) => (settled = { outcome, inTime: !held.ended }))
  const isSeenWaiting = (): boolean => waiting(db) > before || (db.status().phase === 'draining' && !held.ended)
  let waited = false
  await until(() => {
    waited ||= settled === undefined && isSeenWaiting()
    return settled !== undefined || waited || (mayWait && held.ended)
  }, 'the call settles or waits')
  await within(settling, 'the call settles')
  const { outcome, inTime } = settled ?? { outcome: 'BUG', inTime: false }
  const verb = outcome === 'done' ? 'resolves' : `rejects \`${outcome}\``
  if (!mayWait || inTime) return verb
  if (!waited) return undefined
  return outcome === 'done' ? 'waits' : `waits, then ${verb}`
}

/** Finds out what a method does in a state, holding the state for longer when that was too short to tell. */
export async function cell(state: State, operation: Operation, path: string): Promise<string> {
  for (const work of [300_000, 2_000_000, 10_000_000]) {
    const seen = await attempt(state, operation, path, work)
    if (seen !== undefined) return seen
  }
  throw new Error(`state '${state}' never lasted long enough`)
}
