import { describe, expect, it } from 'vitest'

import { SqliteError } from '../index.js'
import type { Database } from '../index.js'
import { holdLock } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { collectGarbage, collectUntil } from './support/garbage.js'
import { watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openWithTable } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const counter = (db: Database, name: string): number => db.status().counters[name] ?? Number.NaN

describe('T18: limits', () => {
  it('a transaction that is idle for too long is rolled back, and writers proceed', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    await within(db.run(INSERT, [2]), 'the write that waited')
    expect(tx.open).toBe(false)
    const { code, message } = await failureOf(tx.run(INSERT, [3]))
    expect(code).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(message).toContain('transactionIdleTimeoutMs')
    expect(await outcomeOf(tx.commit())).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await valuesOf(db)).toEqual([2])
    expect(counter(db, 'sessionTimeouts')).toBe(1)
  })

  it('one with a transaction that was begun in it tells so too, in either', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    const tx = await db.begin()
    const inner = await tx.begin()
    await within(db.run(INSERT, [2]), 'the write that waited')
    for (const one of [tx, inner]) {
      expect(await codeOf(one.run(INSERT, [3]))).toBe('ERR_SLUICE_TX_TIMEOUT')
      expect(await codeOf(one.all('SELECT x FROM t'))).toBe('ERR_SLUICE_TX_TIMEOUT')
    }
    expect(await valuesOf(db)).toEqual([2])
  })

  it('a callback that never returns does not keep transaction() from telling so', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await new Promise(() => {})
    })
    expect(await within(codeOf(call), 'the transaction is ended')).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await valuesOf(db)).toEqual([])
  })

  it('time in which its statements run is not idle', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 200 })
    const tx = await db.begin()
    expect(await outcomeOf(tx.all(ENDLESS_READ, [], { timeoutMs: 600 }))).toBe('ERR_SLUICE_TIMEOUT')
    await tx.run(INSERT, [1])
    await tx.commit()
    expect(await valuesOf(db)).toEqual([1])
  })

  it.each([
    ['transactionTimeoutMs', { transactionTimeoutMs: 80 }, {}],
    ['its own timeoutMs', {}, { timeoutMs: 80 }],
  ])('one that lasts longer than %s is rolled back, in the middle of a statement too', async (_name, options, own) => {
    const db = await openWithTable(options)
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await tx.run(`INSERT INTO t ${ENDLESS_READ}`)
    }, own)
    expect(await within(codeOf(call), 'the transaction is ended')).toBe('ERR_SLUICE_TX_TIMEOUT')
    await db.run(INSERT, [2])
    expect(await valuesOf(db)).toEqual([2])
  })

  it('a limit that was not reached leaves nothing behind', async () => {
    const db = await openWithTable({ transactionTimeoutMs: 60_000 })
    await db.transaction((tx) => tx.run(INSERT, [1]), { timeoutMs: 60_000 })
    expect(await valuesOf(db)).toEqual([1])
    await untilQuiet(db)
    expect(counter(db, 'sessionTimeouts')).toBe(0)
  })
})

describe('retry', () => {
  it('runs the whole callback again when another process was in the way, and counts that', async () => {
    const db = await openWithTable({ busyTimeoutMs: 10 })
    const letGo = await holdLock(db.path, 'BEGIN IMMEDIATE')
    expect(await codeOf(db.transaction((tx) => tx.run(INSERT, [0])))).toMatch(/^SQLITE_BUSY/)
    const call = db.transaction((tx) => tx.run(INSERT, [1]), { retry: { attempts: 1_000, delayMs: 1 } })
    await until(() => counter(db, 'transactionRetries') >= 2, 'it was tried again')
    await letGo()
    await within(call, 'the transaction')
    expect(await valuesOf(db)).toEqual([1])
  })

  it('ends after so many attempts, and does not begin for other errors', async () => {
    const db = await openWithTable()
    let calls = 0
    const busy = new SqliteError('SQLITE_BUSY_SNAPSHOT', 'made up', { errno: 517 })
    const attempt = (error: Error): Promise<never> => db.transaction(() => { calls++; throw error }, { retry: { attempts: 3, delayMs: 0 } })
    await expect(attempt(busy)).rejects.toBe(busy)
    expect([calls, counter(db, 'transactionRetries')]).toEqual([3, 2])
    const other = new Error('other')
    await expect(attempt(other)).rejects.toBe(other)
    expect(calls).toBe(4)
  })

  it('is not done unless it is asked for', async () => {
    const db = await openWithTable()
    let calls = 0
    const busy = new SqliteError('SQLITE_BUSY', 'made up', { errno: 5 })
    await expect(db.transaction(() => { calls++; throw busy })).rejects.toBe(busy)
    expect(calls).toBe(1)
  })
})

describe('a transaction that nobody has any more', () => {
  it('is rolled back, and a warning says so', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 0 })
    const warnings: (string | undefined)[] = []
    const listen = (warning: Error & { code?: string }): number => warnings.push(warning.code)
    process.on('warning', listen)
    try {
      await (async () => { await (await db.begin()).run(INSERT, [1]) })()
      const write = db.run(INSERT, [2])
      const state = watch(write)
      await collectUntil(() => state.settled && warnings.length > 0, 'it is rolled back')
      await write
      expect(warnings).toEqual(['SLUICE_TX_COLLECTED'])
      expect(await valuesOf(db)).toEqual([2])
    } finally {
      process.off('warning', listen)
    }
  })

  it('is not warned of when it was ended before', async () => {
    const db = await openWithTable()
    const warnings: Error[] = []
    const listen = (warning: Error): number => warnings.push(warning)
    process.on('warning', listen)
    try {
      await (async () => {
        for (let time = 0; time < 5; time++) await (await db.begin()).commit()
        for (let time = 0; time < 5; time++) await (await db.begin()).rollback()
      })()
      await collectGarbage()
      expect(warnings).toEqual([])
    } finally {
      process.off('warning', listen)
    }
  })
})

describe('retry with timeoutMs', () => {
  it.each([
    ['attempts', { attempts: 1_000, delayMs: 50 }],
    ['a pause', { attempts: 1_000, delayMs: 1_000_000 }],
    ['the last pause', { attempts: 2, delayMs: 1_000_000 }],
  ])('ends when that time is over for all attempts and pauses together: in %s', async (_name, retry) => {
    const db = await openWithTable({ busyTimeoutMs: 1 })
    const other = await openForTest(`file:${db.path}`, { uri: true, transactionIdleTimeoutMs: 0 })
    const held = await other.begin()
    await held.run(INSERT, [1])
    const call = db.transaction((tx) => tx.run(INSERT, [2]), { timeoutMs: 500, retry })
    // An attempt that has taken the right to write already is told as a transaction that lasted too long.
    expect(await within(codeOf(call), 'the transaction')).toMatch(/^ERR_SLUICE_(?:TX_)?TIMEOUT$/)
    // None is counted that the time does not allow.
    expect(counter(db, 'transactionRetries') > 0).toBe(retry.delayMs === 50)
    await held.commit()
    expect(await valuesOf(db)).toEqual([1])
  })
})
