import { describe, expect, it } from 'vitest'

import type { BatchItem, Database } from '../index.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { holdWriter, untilWaiting } from './support/order.js'
import { openScratch, openWithTable } from './support/scratch.js'
import { ENDLESS_WRITE } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const insert = (x: unknown): BatchItem => ({ sql: INSERT, params: [x as number] })
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const WITH_A_HOLE: unknown[] = []
WITH_A_HOLE[1] = 'SELECT 1'

describe('batch', () => {
  it('runs every item in one transaction, and returns the result of each', async () => {
    const db = await openWithTable()
    const results = await db.batch([insert(1), 'INSERT INTO t VALUES (2), (3)', 'SELECT x FROM t', { sql: 'UPDATE t SET x = x + :by', params: { by: 10 } }, 'DELETE FROM t WHERE x = 12 RETURNING x'])
    expect(results).toMatchObject([
      { rows: [], changes: 1, lastInsertRowid: 1, route: 'write' },
      { rows: [], changes: 2, lastInsertRowid: 3 },
      { rows: [{ x: 1 }, { x: 2 }, { x: 3 }], columns: [{ name: 'x', table: 't' }], changes: 0, lastInsertRowid: undefined },
      { changes: 3, lastInsertRowid: undefined },
      { rows: [{ x: 12 }], changes: 1 },
    ])
    expect(await valuesOf(db)).toEqual([11, 13])
  })

  it('takes nothing, and then does nothing', async () => {
    expect(await (await openWithTable()).batch([])).toEqual([])
  })

  it('takes texts without a statement', async () => {
    const db = await openWithTable()
    expect(await db.batch(['', '-- nothing', insert(1)])).toMatchObject([{ rows: [], changes: 0 }, { rows: [], changes: 0 }, { changes: 1 }])
  })

  it('takes thousands', async () => {
    const db = await openWithTable()
    const results = await db.batch(Array.from({ length: 10_000 }, (_, x) => insert(x)))
    expect(results.map(({ lastInsertRowid }) => lastInsertRowid)).toEqual(Array.from({ length: 10_000 }, (_, x) => x + 1))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([10_000])
  })

  it('delivers values as it is told', async () => {
    const db = await openWithTable()
    const [, wide] = await db.batch([insert(7), 'SELECT x FROM t'], { integers: 'bigint', rowMode: 'array' })
    expect(wide?.rows).toEqual([[7n]])
  })

  it('V18: changes() and last_insert_rowid() answer for it', async () => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (1), (2), (3)')
    const [, seen] = await db.batch([insert(4), 'SELECT changes() AS c, last_insert_rowid() AS l'])
    expect(seen?.rows).toEqual([{ c: 1, l: 4 }])
  })

  it('takes the values of the moment of the call', async () => {
    const db = await openWithTable()
    const [bytes, params] = [new Uint8Array([1]), [1]]
    const call = db.batch([{ sql: INSERT, params: [bytes] }, { sql: INSERT, params }])
    bytes[0] = 2
    params[0] = 2
    await call
    expect(await valuesOf(db)).toEqual([new Uint8Array([1]), 1])
  })

  it('runs in the order of the calls, among other writes', async () => {
    const db = await openWithTable()
    const calls: Promise<unknown>[] = []
    for (let x = 0; x < 60; x += 3) calls.push(db.run(INSERT, [x]), db.batch([insert(x + 1), insert(x + 2)]))
    await Promise.all(calls)
    expect(await valuesOf(db)).toEqual(Array.from({ length: 60 }, (_, x) => x))
  })
})

describe('a batch that fails', () => {
  it.each([
    ['a constraint', 'INSERT INTO u VALUES (1), (1)', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['a syntax error', 'INSERT INTO', 'SQLITE_ERROR'],
    ['several statements', 'INSERT INTO t VALUES (8); INSERT INTO t VALUES (9)', 'ERR_SLUICE_MULTIPLE_STATEMENTS'],
    ['OR ROLLBACK', 'INSERT OR ROLLBACK INTO u VALUES (1), (1)', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['OR FAIL', 'INSERT OR FAIL INTO u VALUES (1), (1)', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['too few values', INSERT, 'ERR_SLUICE_INVALID_PARAMETER'],
    ['BEGIN', 'BEGIN', 'ERR_SLUICE_MANUAL_TRANSACTION'],
    ['COMMIT', 'COMMIT', 'ERR_SLUICE_MANUAL_TRANSACTION'],
    ['a journal mode', 'PRAGMA journal_mode = DELETE', 'ERR_SLUICE_PRAGMA'],
    ['VACUUM', 'VACUUM', 'SQLITE_ERROR'],
  ])('by %s changes nothing, and says which item it was', async (_name, sql, code) => {
    const db = await openWithTable()
    await db.exec('CREATE TABLE u (x UNIQUE)')
    const error = await failureOf(db.batch([insert(1), insert(2), sql, insert(3)]))
    expect(error).toMatchObject({ code, statementIndex: 2 })
    expect(await valuesOf(db)).toEqual([])
    expect(await db.pluck('SELECT x FROM u')).toEqual([])
    await db.batch([insert(4)])
    expect(await valuesOf(db)).toEqual([4])
  })

  it('T02: by a deferred foreign key changes nothing', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE p (id PRIMARY KEY); CREATE TABLE t (x REFERENCES p DEFERRABLE INITIALLY DEFERRED)')
    expect(await codeOf(db.batch([insert(1), 'INSERT INTO p VALUES (2)']))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(await valuesOf(db)).toEqual([])
    await db.batch([insert(1), 'INSERT INTO p VALUES (1)'])
    expect(await valuesOf(db)).toEqual([1])
  })

  it('V07: by a value that cannot be delivered changes nothing', async () => {
    const db = await openWithTable()
    const error = await failureOf(db.batch([insert(2n ** 60n), 'SELECT x FROM t'], { integers: 'number' }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_OUT_OF_RANGE', statementIndex: 1 })
    expect(await valuesOf(db)).toEqual([])
  })

  it.each([
    ['no array', 'SELECT 1', 'ERR_SLUICE_INVALID_ARGUMENT', undefined],
    ['an item that is none', [insert(1), 5], 'ERR_SLUICE_INVALID_ARGUMENT', 1],
    ['an item that is null', [null], 'ERR_SLUICE_INVALID_ARGUMENT', 0],
    ['a hole', WITH_A_HOLE, 'ERR_SLUICE_INVALID_ARGUMENT', 0],
    ['an item without a text', [insert(1), insert(2), { params: [1] }], 'ERR_SLUICE_INVALID_ARGUMENT', 2],
    ['a value that cannot be bound', [insert(1), insert(Symbol('x'))], 'ERR_SLUICE_INVALID_PARAMETER', 1],
    ['an integer too wide', [insert(1), insert(2n ** 64n)], 'ERR_SLUICE_OUT_OF_RANGE', 1],
  ])('by %s is refused before anything runs', async (_name, items, code, statementIndex) => {
    const db = await openWithTable()
    const error = await failureOf(db.batch(items as never))
    expect(error).toMatchObject(statementIndex === undefined ? { code } : { code, statementIndex })
    expect(await valuesOf(db)).toEqual([])
    // What was staged of it must not be part of the next one.
    expect(await db.batch([insert(9)])).toHaveLength(1)
    expect(await valuesOf(db)).toEqual([9])
  })

  it('disturbs no write beside it', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE)')
    const release = await holdWriter(db)
    const calls = [db.run(INSERT, [1]), db.batch([insert(2), insert(1)]), db.run(INSERT, [3]), db.batch([insert(4), insert(5)]), db.run(INSERT, [6])].map(outcomeOf)
    await untilWaiting(db, calls.length)
    await release()
    expect(await Promise.all(calls)).toEqual(['done', 'SQLITE_CONSTRAINT_UNIQUE', 'done', 'done', 'done'])
    expect(await valuesOf(db)).toEqual([1, 3, 4, 5, 6])
  })
})

describe('a batch whose values make another call when they are read', () => {
  it('is whole, and the other is refused', async () => {
    const db = await openWithTable()
    const inner: Array<Promise<string>> = []
    const params = {
      get x(): number {
        inner.push(codeOf(db.batch([])), codeOf(db.run(INSERT, [7])))
        return 2
      },
    }
    expect(await db.batch([insert(1), { sql: 'INSERT INTO t VALUES (:x)', params }, insert(3)])).toHaveLength(3)
    expect(await Promise.all(inner)).toEqual(['ERR_SLUICE_INVALID_PARAMETER', 'ERR_SLUICE_INVALID_PARAMETER'])
    expect(await valuesOf(db)).toEqual([1, 2, 3])
  })
})

describe('a batch that is given up', () => {
  it('by its signal or timeout changes nothing, queued or running', async () => {
    const db = await openWithTable()
    const release = await holdWriter(db)
    const queued = new AbortController()
    const call = outcomeOf(db.batch([insert(1)], { signal: queued.signal }))
    await untilWaiting(db, 1)
    queued.abort()
    expect(await within(call, 'the queued batch')).toBe('ABORT_ERR')
    expect(db.status().queued).toBe(0)
    await release()
    expect(await within(outcomeOf(db.batch([insert(2), ENDLESS_WRITE], { timeoutMs: 30 })), 'the running batch')).toBe('ERR_SLUICE_TIMEOUT')
    const error = await failureOf(db.batch([insert(3)], { signal: AbortSignal.abort() }))
    expect(error.code).toBe('ABORT_ERR')
    expect(error).not.toHaveProperty('statementIndex')
    await db.batch([insert(4)])
    expect(await valuesOf(db)).toEqual([4])
  })
})
