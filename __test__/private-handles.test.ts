import { describe, expect, it } from 'vitest'

import { Database } from '../index.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { untilWaiting, untilWriterRuns, watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'
import { ENDLESS_WRITE } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const CONTROL = ['BEGIN', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE', 'COMMIT', 'END', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a']

describe('R10: text that begins or ends a transaction', () => {
  it.each(CONTROL)('%s is an error on the handle that open returned, which names db.transaction', async (sql) => {
    const db = await openWithTable()
    for (const call of [() => db.run(sql), () => db.all(sql), () => db.prepare(sql).run(), () => db.run(`/* a */ ${sql.toLowerCase()};`)]) {
      const { code, message } = await failureOf(call())
      expect(code).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
      expect(message).toMatch(/db\.transaction|db\.handle/)
    }
    await db.run(INSERT, [1])
    await untilQuiet(db)
    expect(await valuesOf(await openForTest(db.path))).toEqual([1])
  })

  it('works whole within one exec, and what a script leaves open is rolled back', async () => {
    const db = await openWithTable()
    await db.exec('BEGIN; INSERT INTO t VALUES (1); COMMIT; SAVEPOINT a; INSERT INTO t VALUES (2); RELEASE a')
    expect(await codeOf(db.exec('BEGIN; INSERT INTO t VALUES (3)'))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    await db.run(INSERT, [4])
    expect(await valuesOf(db)).toEqual([1, 2, 4])
  })

  it('commits, rolls back and nests on a handle of one\'s own', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    expect(await valuesOf(own)).toEqual([1])
    expect(await valuesOf(db)).toEqual([])
    await own.run('SAVEPOINT a')
    await own.run(INSERT, [2])
    await own.run('ROLLBACK TO a')
    await own.run('RELEASE a')
    await own.exec('INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)')
    await own.run('COMMIT')
    expect(await valuesOf(db)).toEqual([1, 3, 4])
    await own.run('BEGIN IMMEDIATE')
    await own.run('DELETE FROM t')
    await own.run('ROLLBACK')
    await own.run('SAVEPOINT outer')
    await own.run(INSERT, [5])
    await own.run('RELEASE outer')
    expect(await valuesOf(db)).toEqual([1, 3, 4, 5])
    await own.close()
  })
})

describe('a private handle', () => {
  it('is a Database on the same connections', async () => {
    const db = await openWithTable()
    const own = db.handle()
    expect(own).toBeInstanceOf(Database)
    expect(own.path).toBe(db.path)
    expect([db.handleCount, own.handleCount, db.status().handles]).toEqual([2, 2, 2])
    await own.run(INSERT, [1])
    expect(await valuesOf(db)).toEqual([1])
    await own.close()
    expect(db.handleCount).toBe(1)
    expect(await codeOf(own.run(INSERT, [2]))).toBe('ERR_SLUICE_CLOSED')
    expect(() => own.handle()).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_CLOSED' }))
    await db.run(INSERT, [2])
  })

  it('outlives the handle it was made from: the last one closes the database', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await db.close()
    expect(db.closed).toBe(true)
    expect(own.closed).toBe(false)
    await own.run(INSERT, [1])
    expect(await valuesOf(own)).toEqual([1])
    expect(own.status().phase).toBe('open')
    await own.close()
    expect(own.status().phase).toBe('closed')
  })

  it('may be closed again and again', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await Promise.all([own.close(), own.close(), own[Symbol.asyncDispose]()])
    await own.close()
    expect(db.handleCount).toBe(1)
    expect(await valuesOf(db)).toEqual([])
  })

  it('runs plain calls as any other does, outside a transaction', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    const own = db.handle()
    expect(await own.execute('SELECT x FROM t')).toMatchObject({ rows: [] })
    await Promise.all(Array.from({ length: 50 }, (_, x) => own.run(INSERT, [x])))
    expect(await own.pluck('SELECT count(*) FROM t')).toEqual([50])
    expect(await own.batch([{ sql: INSERT, params: [50] }, 'SELECT count(*) AS n FROM t'])).toMatchObject([{ changes: 1 }, { rows: [{ n: 51 }] }])
    expect(await own.transaction((tx) => tx.pluck('SELECT count(*) FROM t'))).toEqual([51])
    expect(await own.read((r) => r.pluck('SELECT count(*) FROM t'))).toEqual([51])
    await untilQuiet(db)
    await own.close()
  })

  it('keeps the transactions of several apart: one after another', async () => {
    const db = await openWithTable()
    const handles = [db.handle(), db.handle(), db.handle()]
    const order: number[] = []
    await within(Promise.all(handles.map(async (own, n) => {
      await own.run('BEGIN')
      order.push(n)
      for (let time = 0; time < 5; time++) await own.run(INSERT, [n])
      order.push(n)
      await own.run(n === 1 ? 'ROLLBACK' : 'COMMIT')
    })), 'all transactions')
    expect(order).toEqual([0, 0, 1, 1, 2, 2])
    expect(await valuesOf(db)).toEqual([0, 0, 0, 0, 0, 2, 2, 2, 2, 2])
    await Promise.all(handles.map((own) => own.close()))
  })

  it('calls made at once after a BEGIN are in its transaction, in their order, and nobody else\'s are', async () => {
    const db = await openWithTable()
    const own = db.handle()
    const calls = [own.run('BEGIN'), own.run(INSERT, [1]), own.run(INSERT, [2]), own.pluck('SELECT x FROM t WHERE x < 9'), own.run('ROLLBACK'), own.run(INSERT, [3])]
    const other = db.run(INSERT, ['other'])
    expect(await within(calls[3] as Promise<unknown[]>, 'the read')).toEqual([1, 2])
    await Promise.all([...calls, other])
    expect((await valuesOf(db)).sort()).toEqual([3, 'other'])
    await own.close()
  })

  it('is rolled back when it is closed in a transaction, and others go on', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    const write = db.run(INSERT, [2])
    await untilWaiting(db, 1)
    await own.close()
    await within(write, 'the write that waited')
    expect(await valuesOf(db)).toEqual([2])
  })

  it('refuses a COMMIT without a BEGIN as SQLite does, and holds nothing then', async () => {
    const db = await openWithTable()
    const own = db.handle()
    for (const sql of ['COMMIT', 'ROLLBACK', 'RELEASE a']) expect(await codeOf(own.run(sql))).toBe('SQLITE_ERROR')
    await db.run(INSERT, [1])
    await own.run('BEGIN')
    expect(await codeOf(own.run('BEGIN'))).toBe('SQLITE_ERROR')
    await own.run(INSERT, [2])
    await own.run('COMMIT')
    expect(await valuesOf(db)).toEqual([1, 2])
    await own.close()
  })

  it('an error of one statement leaves its transaction open', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE)')
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    expect(await codeOf(own.run(INSERT, [1]))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    expect(await codeOf(own.run('nonsense'))).toBe('SQLITE_ERROR')
    await own.run(INSERT, [2])
    await own.run('COMMIT')
    expect(await valuesOf(db)).toEqual([1, 2])
    await own.close()
  })

  it('V18: answers changes() in its transaction', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    await own.run('INSERT INTO t VALUES (1), (2)')
    expect(await own.values('SELECT changes(), last_insert_rowid()')).toEqual([[2, 2]])
    await own.run('COMMIT')
    await own.close()
  })

  it('shows its transaction as the holder of the writer', async () => {
    const db = await openWithTable({ acquireTimeoutMs: 40 })
    const own = db.handle()
    await own.run('BEGIN')
    expect(db.status().writer.holder?.sql).toContain('transaction')
    const { code, message } = await failureOf(db.run(INSERT, [1]))
    expect(code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    expect(message).toContain('transaction')
    await own.run('ROLLBACK')
    await own.close()
  })
})

describe('D17: a text transaction that is gone', () => {
  const SCHEMA = 'CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (0)'

  it.each([
    ['ROLLBACK', 'done'],
    ['COMMIT', 'ERR_SLUICE_TX_ABORTED'],
    ['END', 'ERR_SLUICE_TX_ABORTED'],
  ])('by SQLite: each call says so until %s, and none commits by itself', async (end, outcome) => {
    const db = await openScratch()
    await db.exec(SCHEMA)
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    expect(await codeOf(own.run('INSERT OR ROLLBACK INTO t VALUES (0)'))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    // The writer is free: nobody waits for a transaction that is gone.
    await within(db.run(INSERT, [100]), 'the write of another')
    const late = [() => own.run(INSERT, [2]), () => own.all('SELECT x FROM t'), () => own.exec('INSERT INTO t VALUES (3)'), () => own.run('BEGIN'), () => own.run('SAVEPOINT a')]
    for (const call of late) expect(await codeOf(call()), call.toString()).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await outcomeOf(own.run(end))).toBe(outcome)
    await own.run(INSERT, [4])
    await own.run('BEGIN')
    await own.run(INSERT, [5])
    await own.run('COMMIT')
    expect(await valuesOf(db)).toEqual([0, 100, 4, 5])
    await own.close()
  })

  it('by SQLite, with the INSERTs submitted before that was known', async () => {
    const db = await openScratch()
    await db.exec(SCHEMA)
    const own = db.handle()
    const calls = [own.run('BEGIN'), own.run(INSERT, [1]), own.run('INSERT OR ROLLBACK INTO t VALUES (0)'), own.run(INSERT, [2]), own.run(INSERT, [3]), own.run('COMMIT')].map(outcomeOf)
    expect(await Promise.all(calls)).toEqual(['done', 'done', 'SQLITE_CONSTRAINT_UNIQUE', 'ERR_SLUICE_TX_ABORTED', 'ERR_SLUICE_TX_ABORTED', 'ERR_SLUICE_TX_ABORTED'])
    expect(await valuesOf(db)).toEqual([0])
    await own.run(INSERT, [4])
    expect(await valuesOf(db)).toEqual([0, 4])
    await own.close()
  })

  it('by its idle limit: each call says so until ROLLBACK, and writers proceed', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    await within(db.run(INSERT, [2]), 'the write of another')
    expect(await codeOf(own.run(INSERT, [3]))).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await codeOf(own.all('SELECT 1'))).toBe('ERR_SLUICE_TX_TIMEOUT')
    await own.run('ROLLBACK')
    await own.run(INSERT, [4])
    expect(await valuesOf(db)).toEqual([2, 4])
    await own.close()
  })

  it('by an interrupt of a write in it', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    const stop = new AbortController()
    const call = outcomeOf(own.run(ENDLESS_WRITE, [], { signal: stop.signal }))
    await untilWriterRuns(db, 'RECURSIVE')
    stop.abort()
    expect(await call).toBe('ABORT_ERR')
    expect(await codeOf(own.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_ABORTED')
    await own.run('ROLLBACK')
    expect(await valuesOf(db)).toEqual([])
    await own.close()
  })
})

describe('close of a private handle', () => {
  it('while its BEGIN waits: the BEGIN is rejected, and nothing is held', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    const own = db.handle()
    const begin = outcomeOf(own.run('BEGIN'))
    const state = watch(begin)
    await untilWaiting(db, 1)
    await own.close()
    await tx.commit()
    expect(await within(begin, 'the BEGIN')).not.toBe('BUG')
    expect(state.settled).toBe(true)
    await within(db.run(INSERT, [1]), 'a write after it')
    await untilQuiet(db)
  })
})

describe('what is more than one statement, on a private handle', () => {
  it('iterates in the transaction that is open on it', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    const seen = []
    for await (const row of own.iterate('SELECT x FROM t')) seen.push(row)
    expect(seen).toEqual([{ x: 1 }])
    await own.run('ROLLBACK')
    for await (const row of own.iterate('SELECT x FROM t')) expect.unreachable(JSON.stringify(row))
    await own.close()
  })

  it('refuses a batch, which is a transaction of its own, while one is open, and runs it otherwise', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    expect(await codeOf(own.batch(['INSERT INTO t VALUES (1)']))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    await own.run(INSERT, [2])
    await own.run('COMMIT')
    await own.batch(['INSERT INTO t VALUES (3)'])
    expect(await valuesOf(db)).toEqual([2, 3])
    await own.close()
  })

  it('lets both wait until it is decided whether a transaction is open', async () => {
    const db = await openWithTable()
    const own = db.handle()
    const tx = await db.begin()
    const begun = own.run('BEGIN')
    const refused = codeOf(own.batch(['INSERT INTO t VALUES (1)']))
    const written = own.run(INSERT, [2])
    const rows = own.iterate('SELECT x FROM t')
    const left = own.iterate('SELECT x FROM t')
    await left.return()
    await tx.commit()
    await Promise.all([begun, written])
    expect(await refused).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    expect(await rows.next()).toEqual({ done: false, value: { x: 2 } })
    expect(await rows.next()).toMatchObject({ done: true })
    await own.run('COMMIT')
    expect(await valuesOf(db)).toEqual([2])
    await untilQuiet(db)
    await own.close()
  })

  it.each([true, false])('refuses at once what would wait for the transaction that is open on it: beside readers: %s', async (wal) => {
    const db = wal ? await openWithTable() : await openForTest(':memory:')
    await db.exec('CREATE TABLE IF NOT EXISTS t (x)')
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    const waiting = [
      () => own.transaction((tx) => tx.run(INSERT, [2])),
      () => own.begin(),
      () => own.writeMode((w) => w.run(INSERT, [2])),
      () => own.checkpoint('truncate'),
      () => own.pragma('cache_size', 100),
    ]
    for (const call of waiting) expect(await within(codeOf(call()), 'it is refused')).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    const read = within(outcomeOf(own.read((r) => r.get('SELECT 1'))), 'a read session')
    expect(await read).toBe(wal ? 'done' : 'ERR_SLUICE_MANUAL_TRANSACTION')
    const detached = own.transaction((tx) => tx.run(INSERT, [3]), { detached: true })
    await untilWaiting(db, 1)
    await own.run('COMMIT')
    await within(detached, 'what waits all the same')
    await own.transaction((tx) => tx.run(INSERT, [4]))
    expect(await valuesOf(db)).toEqual([1, 3, 4])
    await own.close()
  })

  it('refuses nothing behind a text that ends it, awaited or not', async () => {
    const db = await openWithTable()
    const own = db.handle()
    await own.run('BEGIN')
    await own.run(INSERT, [1])
    const committed = own.run('COMMIT')
    await within(own.transaction((tx) => tx.run(INSERT, [2])), 'the transaction behind it')
    await committed
    expect(await valuesOf(db)).toEqual([1, 2])
    await own.close()
  })

  it('refuses a copy of it where reads and writes take turns', async () => {
    const db = await openForTest(':memory:')
    const own = db.handle()
    await own.exec('CREATE TABLE t (x)')
    const mirror = await own.mirror()
    await own.run('BEGIN')
    expect(await within(codeOf(own.mirror()), 'a mirror')).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    expect(await within(codeOf(mirror.reload()), 'a reload')).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    await own.run('COMMIT')
    await mirror.reload()
    await own.close()
  })
})
