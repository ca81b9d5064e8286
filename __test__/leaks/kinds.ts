import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'

import type { Database, open as Open } from '../../index.js'

/** What calls are made on. */
export interface Subject {
  readonly open: typeof Open
  /** Holds `t (id INTEGER PRIMARY KEY, x, u UNIQUE)` with the rows 1 to 100. */
  readonly db: Database
  /** Where files may be made. */
  readonly folder: string
}

/** One kind of call. */
export interface Kind {
  /** How many of them are made where a million of others are: fewer where one takes longer. */
  readonly share: number
  /** Makes one call, or several that belong together, and waits for their end. */
  readonly call: (subject: Subject, number: number) => Promise<unknown>
  /** How many are under way at the same time. */
  readonly atOnce: number
}

const BY_ID = 'SELECT * FROM t WHERE id = ?'
const SET = 'UPDATE t SET x = ? WHERE id = ?'
const ENDLESS = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c'
const COUNT_UP = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000) SELECT n FROM c'
const ID = 7

/** Expects a call to fail with a code. A leak test of failures must not be one of successes. */
async function expectCode(call: Promise<unknown>, code: string): Promise<void> {
  const outcome = await call.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  )
  if (outcome !== code) throw new Error(`expected ${code}, not ${outcome}`)
}

async function breakOff(rows: AsyncIterable<unknown>): Promise<void> {
  let seen = 0
  for await (const _row of rows) if (++seen === 15) break
}

async function exhaust(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _row of rows) {
    // Only that it ends.
  }
}

function aborted(start: (signal: AbortSignal) => Promise<unknown>, abortFirst: boolean): Promise<void> {
  const controller = new AbortController()
  if (abortFirst) controller.abort()
  const call = start(controller.signal)
  controller.abort()
  return expectCode(call, 'ABORT_ERR')
}

async function abortedRunning({ db }: Subject): Promise<void> {
  const controller = new AbortController()
  const call = db.all(ENDLESS, [], { signal: controller.signal })
  while (db.status().readers.active === 0) await turn()
  controller.abort()
  await expectCode(call, 'ABORT_ERR')
}

async function beginAndEnd({ db }: Subject, number: number): Promise<void> {
  const tx = await db.begin()
  await tx.run(SET, [number, ID])
  await (number % 2 === 0 ? tx.commit() : tx.rollback())
}

async function transactionAsText({ db }: Subject, number: number): Promise<void> {
  const own = db.handle()
  await own.run('BEGIN')
  await own.run(SET, [number, ID])
  await own.run(number % 2 === 0 ? 'COMMIT' : 'ROLLBACK')
  await own.close()
}

async function openAndClose({ open, folder }: Subject, number: number): Promise<void> {
  const db = await open(join(folder, `${number % 10}.db`), { durability: 'off' })
  await db.exec('CREATE TABLE IF NOT EXISTS t (x); DELETE FROM t')
  await db.run('INSERT INTO t VALUES (1)')
  await db.all('SELECT x FROM t')
  await db.close()
}

const often = (call: Kind['call'], atOnce = 50): Kind => ({ share: 1, call, atOnce })
/** For what takes so long that a million would take several minutes. */
const seldom = (share: number, call: Kind['call'], atOnce = 1): Kind => ({ share, call, atOnce })

/** Every kind of call, by name. */
export const KINDS: { readonly [name: string]: Kind } = {
  get: often(({ db }) => db.get(BY_ID, [ID])),
  all: often(({ db }) => db.all('SELECT * FROM t LIMIT 10')),
  'values and pluck': often(({ db }, n) => (n % 2 === 0 ? db.values(BY_ID, [ID]) : db.pluck(BY_ID, [ID]))),
  columnar: often(({ db }) => db.columnar('SELECT id, x FROM t LIMIT 10')),
  executeJson: often(({ db }, n) => db.executeJson('SELECT id, x, hex(zeroblob(?)) AS text FROM t LIMIT 10', [n % 10 === 0 ? 2_000 : 10])),
  execute: often(({ db }, n) => db.execute('SELECT :id AS id, $text AS text', { id: n, text: 'a text' })),
  template: often(({ db }, n) => db.sql`SELECT ${n} AS n`),
  run: often(({ db }, n) => db.run(SET, [n, ID])),
  returning: often(({ db }, n) => db.all(`${SET} RETURNING *`, [n, ID])),
  exec: often(({ db }) => db.exec('UPDATE t SET x = 1 WHERE id = 7; SELECT 1')),
  batch: often(({ db }, n) => db.batch([{ sql: SET, params: [n, ID] }, 'SELECT 1'])),
  transaction: often(({ db }, n) => db.transaction((tx) => tx.run(SET, [n, ID]))),
  'nested transaction': often(({ db }, n) => db.transaction((tx) => tx.transaction((nested) => nested.run(SET, [n, ID])))),
  'transaction that throws': often(({ db }, n) =>
    expectCode(
      db.transaction(async (tx) => {
        await tx.run(SET, [n, ID])
        throw new Error('no')
      }),
      'Error: no',
    ),
  ),
  'begin and end': often(beginAndEnd),
  'read session': often(({ db }) => db.read((r) => r.get(BY_ID, [ID]))),
  iterate: often(({ db }) => exhaust(db.iterate('SELECT * FROM t', [], { chunkRows: 30 })), 5),
  'iterate and break': often(({ db }) => breakOff(db.iterate('SELECT * FROM t', [], { chunkRows: 10 })), 5),
  prepared: often(({ db }) => {
    const statement = db.prepare(BY_ID)
    return statement.get([ID])
  }),
  'a new text each time': often(({ db }, n) => db.get(`SELECT ${n} AS n`)),
  handle: often(async ({ db }) => {
    const own = db.handle()
    await own.get(BY_ID, [ID])
    await own.close()
  }),
  'transaction as text': seldom(0.5, transactionAsText, 5),
  'the same file again': seldom(0.2, async ({ open, db }) => (await open(db.path)).close()),
  status: often(async ({ db }) => db.status()),
  pragma: often(({ db }) => db.pragma('user_version'), 1),
  constraint: often(({ db }) => expectCode(db.run('INSERT INTO t (u) VALUES (1)'), 'SQLITE_CONSTRAINT_UNIQUE')),
  syntax: often(({ db }) => expectCode(db.all('SELEC 1'), 'SQLITE_ERROR')),
  'a new wrong text each time': often(({ db }, n) => expectCode(db.all(`SELECT missing${n}`), 'SQLITE_ERROR')),
  'wrong values': often(({ db }) => expectCode(db.all(BY_ID, []), 'ERR_SLUICE_INVALID_PARAMETER')),
  'aborted before': often(({ db }) => aborted((signal) => db.all(ENDLESS, [], { signal }), true)),
  'aborted while it waits': often(({ db }) => aborted((signal) => db.all(ENDLESS, [], { signal }), false)),
  'aborted while it runs': seldom(0.05, abortedRunning),
  'timed out': seldom(0.05, ({ db }) => expectCode(db.all(ENDLESS, [], { timeoutMs: 1 }), 'ERR_SLUICE_TIMEOUT'), 20),
  'a signal that is not aborted': often(({ db }) => db.get(BY_ID, [ID], { signal: new AbortController().signal, timeoutMs: 60_000 })),
  blob: often(({ db }) => db.get('SELECT ? AS blob', [new Uint8Array(20_000)]), 10),
  text: often(({ db }) => db.get('SELECT ? AS text', ['x'.repeat(20_000)]), 10),
  'many rows': seldom(0.02, ({ db }) => db.all(COUNT_UP), 3),
  checkpoint: seldom(0.02, async ({ db }, n) => {
    await db.run(SET, [n, ID])
    await db.checkpoint('truncate')
  }),
  writeMode: seldom(0.02, ({ db }, n) => db.writeMode((w) => w.run(SET, [n, ID]))),
  mirror: seldom(0.01, async ({ db }) => {
    const copy = await db.mirror()
    await copy.get(BY_ID, [ID])
    await copy.reload()
    await copy.get(BY_ID, [ID])
    await copy.close()
  }),
  'open and close': seldom(0.01, openAndClose),
}

const kept: unknown[] = []
/** The newest of a chain of objects. */
let newest: object | null = null
let inMemory: Promise<Database> | undefined

/** Keeps 32 bytes of V8's heap each 16th time. */
async function keepAnObject({ db }: Subject, number: number): Promise<void> {
  if (number % 16 === 0) newest = { before: newest }
  await db.get(BY_ID, [ID])
}

/** Lets SQLite keep 16 bytes, of its own memory and not of V8's, each 8th time: a row of a table in memory, there and in its page cache. */
async function keepARow({ open, db }: Subject, number: number): Promise<void> {
  if (number % 8 !== 0) return void (await db.get(BY_ID, [ID]))
  inMemory ??= open(':memory:').then(async (opened) => {
    await opened.exec('CREATE TABLE kept (x)')
    return opened
  })
  await (await inMemory).run('INSERT INTO kept VALUES (NULL)')
}

/** A kind that leaves something. */
interface Fault extends Kind {
  /** What the faults that are found must name. */
  readonly shows: readonly string[]
}

const planted = (shows: string[], share: number, call: Kind['call'], atOnce = 1): Fault => ({ shows, share, call, atOnce })

/** What the test must be able to find. */
export const FAULTS: { readonly [name: string]: Fault } = {
  'not closed': planted(['threads', 'descriptors', 'SQLite'], 0.0001, async ({ open, folder }, n) => kept.push(await open(join(folder, `${n}.db`)))),
  kept: planted(['rss', 'external', 'allocated'], 0.002, async ({ db }) => kept.push(await db.get('SELECT ? AS blob', [new Uint8Array(10_000)]))),
  'two bytes of a heap': planted(['rss', 'heapUsed'], 1, keepAnObject, 50),
  'two bytes of SQLite': planted(['rss', 'allocated'], 1, keepARow, 50),
}

/** Makes calls of one kind. */
export async function makeCalls(subject: Subject, { call, atOnce }: Kind, calls: number): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < calls) await call(subject, next++)
  }
  await Promise.all(Array.from({ length: atOnce }, caller))
}
