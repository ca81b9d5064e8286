import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { openWithTable } from './support/scratch.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')

describe('tx.begin', () => {
  it('is kept or undone by itself, as part of the outer transaction', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    const kept = await tx.begin()
    await kept.run(INSERT, [2])
    await kept.commit()
    const undone = await tx.begin()
    await undone.run(INSERT, [3])
    await undone.rollback()
    await tx.run(INSERT, [4])
    expect(await valuesOf(db)).toEqual([])
    await tx.commit()
    expect(await valuesOf(db)).toEqual([1, 2, 4])
  })

  it('goes as deep as it is begun, in a callback too', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      const first = await tx.begin()
      await first.run(INSERT, [1])
      const second = await first.begin()
      await second.run(INSERT, [2])
      await second.transaction((third) => third.run(INSERT, [3]))
      await second.rollback()
      await first.run(INSERT, [4])
      await first.commit()
    })
    expect(await valuesOf(db)).toEqual([1, 4])
  })

  it('rejects calls on the outer transaction at once while it is open, whoever makes them', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    const inner = await tx.begin()
    const calls = [() => tx.run(INSERT, [1]), () => tx.get('SELECT 1'), () => tx.exec('SELECT 1'), () => tx.commit(), () => tx.begin(), () => tx.transaction(async () => {})]
    for (const call of calls) {
      expect(await within(failureOf(call()), 'a call on the outer transaction')).toMatchObject({
        code: 'ERR_SLUICE_REENTRANT',
        message: expect.stringContaining('end it first'),
      })
    }
    expect(() => tx.iterate('SELECT 1')).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_REENTRANT' }))
    await inner.run(INSERT, [2])
    await inner.commit()
    await tx.commit()
    expect(await valuesOf(db)).toEqual([2])
  })

  it('is undone with the outer transaction, by rollback and by its disposal', async () => {
    const db = await openWithTable()
    for (const end of ['rollback', Symbol.asyncDispose] as const) {
      const tx = await db.begin()
      const inner = await tx.begin()
      const innermost = await inner.begin()
      await innermost.run(INSERT, [1])
      await tx[end]()
      expect([tx.open, inner.open, innermost.open]).toEqual([false, false, false])
      expect(await codeOf(innermost.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_CLOSED')
      expect(await codeOf(inner.commit())).toBe('ERR_SLUICE_TX_CLOSED')
    }
    expect(await valuesOf(db)).toEqual([])
    await db.run(INSERT, [3])
  })

  it('rolls the whole back when a callback returns without having ended it', async () => {
    const db = await openWithTable()
    const failure = await failureOf(db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await tx.begin()
    }))
    expect(failure.code).toBe('ERR_SLUICE_REENTRANT')
    expect(await valuesOf(db)).toEqual([])
  })

  it('keeps the error of a callback that throws while it is open', async () => {
    const db = await openWithTable()
    const call = db.transaction(async (tx) => {
      await (await tx.begin()).run(INSERT, [1])
      throw new Error('the first')
    })
    await expect(call).rejects.toThrow('the first')
    expect(await valuesOf(db)).toEqual([])
  })

  it('calls what is to be done after the commit once the outermost has committed, and not if it is undone', async () => {
    const db = await openWithTable()
    const called: string[] = []
    const tx = await db.begin()
    const kept = await tx.begin()
    kept.afterCommit(() => called.push('kept'))
    await kept.commit()
    const undone = await tx.begin()
    undone.afterCommit(() => called.push('undone'))
    await undone.rollback()
    expect(called).toEqual([])
    await tx.commit()
    expect(called).toEqual(['kept'])
  })

  it('rolls back at the end of an await using block, and leaves the outer one usable', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    const inner = await tx.begin()
    await inner.run(INSERT, [1])
    await inner[Symbol.asyncDispose]()
    expect(inner.open).toBe(false)
    await tx.run(INSERT, [2])
    await tx.commit()
    expect(await valuesOf(db)).toEqual([2])
  })

  it('says what became of the whole when that was idle for too long', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    const tx = await db.begin()
    const inner = await tx.begin()
    await until(() => !inner.open, 'the transaction is ended')
    const calls = [() => tx.run(INSERT, [1]), () => tx.get('SELECT 1'), () => tx.exec('SELECT 1'), () => tx.begin(), () => tx.transaction(async () => {}), () => inner.run(INSERT, [1])]
    for (const call of calls) expect(await codeOf(call()), call.toString()).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await codeOf(tx.commit())).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await valuesOf(db)).toEqual([])
  })

  it('says what became of the whole when SQLite has rolled it back', async () => {
    const db = await openWithTable()
    await db.exec('CREATE UNIQUE INDEX one ON t (x)')
    await db.run(INSERT, [1])
    const tx = await db.begin()
    const inner = await tx.begin()
    expect(await codeOf(inner.run('INSERT OR ROLLBACK INTO t VALUES (1)'))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    expect(await codeOf(inner.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_ABORTED')
    await inner.rollback().catch(() => {})
    expect(await codeOf(tx.commit())).toMatch(/^ERR_SLUICE_(?:TX_ABORTED|REENTRANT)$/)
    await tx[Symbol.asyncDispose]()
    expect(await valuesOf(db)).toEqual([1])
  })
})
