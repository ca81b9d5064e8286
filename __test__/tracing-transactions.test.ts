import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { describe, expect, it, onTestFinished } from 'vitest'

import type { TracedQuery, TracedTransaction, Transaction } from '../index.js'
import { holdLock } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'
import { ENDLESS_READ, ENDLESS_WRITE } from './support/slow-sql.js'
import { FAILURE, SUCCESS, endsOf, eventsOf, record } from './support/traces.js'

const TRANSACTION = 'sluice:transaction'
const INSERT = 'INSERT INTO t VALUES (?)'

describe('sluice:transaction', () => {
  it('tells of a transaction that commits, from its call to its commit', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const work = db.transaction((tx) => tx.run(INSERT, [1]))
    expect(eventsOf(told)).toEqual(['start', 'end'])
    expect(told[0]?.copy).toEqual({ database: db.path, operation: 'transaction', depth: 0 })
    await work
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(new Set(told.map(({ context }) => context)).size).toBe(1)
    const [end] = endsOf(told)
    expect(end).toEqual({ database: db.path, operation: 'transaction', depth: 0, outcome: 'commit', queueMs: expect.any(Number), duration: expect.any(Number) })
    expect(end?.duration).toBeGreaterThan(end?.queueMs ?? Infinity)
  })

  it('tells of one that is rolled back because its callback throws, with that error and no value', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const error = new RangeError('not the database')
    await expect(db.transaction(() => Promise.reject(error))).rejects.toBe(error)
    expect(eventsOf(told)).toEqual(FAILURE)
    expect(endsOf(told)).toEqual([expect.objectContaining({ outcome: 'rollback', error })])
  })

  it('never tells what a callback returns', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    await db.transaction(() => 'a value that nobody may see')
    await db.read(() => 'a value that nobody may see')
    expect(JSON.stringify(told)).not.toContain('a value')
  })

  it('tells how it ended when its callback has ended it', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    await db.transaction((tx) => tx.rollback())
    await expect(db.transaction(async (tx) => {
      await tx.commit()
      throw new RangeError('after the commit')
    })).rejects.toThrow('after the commit')
    expect(endsOf(told).map(({ outcome, error }) => [outcome, String(error)])).toEqual([
      ['rollback', 'undefined'],
      ['commit', 'RangeError: after the commit'],
    ])
  })

  it('tells of a commit that is refused', async () => {
    const db = await openWithTable()
    await db.exec('CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)')
    const told = record<TracedTransaction>(TRANSACTION)
    const error = await failureOf(db.transaction((tx) => tx.run('INSERT INTO child VALUES (1)')))
    expect(error.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(endsOf(told)).toEqual([expect.objectContaining({ outcome: 'rollback', error })])
  })

  it('tells of one that never began, without an outcome', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const error = await failureOf(db.transaction(() => {}, { signal: AbortSignal.abort() }))
    expect(eventsOf(told)).toEqual(FAILURE)
    expect(endsOf(told)).toEqual([{ database: db.path, operation: 'transaction', depth: 0, duration: expect.any(Number), error }])
  })

  it('tells of one whose time is up, or that is aborted, in its callback', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 30 })
    const told = record<TracedTransaction>(TRANSACTION)
    const stop = new AbortController()
    expect(await codeOf(db.transaction(() => new Promise(() => {})))).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await codeOf(db.transaction((tx) => {
      stop.abort()
      return tx.run(ENDLESS_WRITE)
    }, { signal: stop.signal }))).toBe('ABORT_ERR')
    expect(endsOf(told).map(({ outcome, error }) => [outcome, (error as { code?: string }).code])).toEqual([
      ['rollback', 'ERR_SLUICE_TX_TIMEOUT'],
      ['rollback', 'ABORT_ERR'],
    ])
  })

  it('tells how long one waited until it began', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const first = await db.begin()
    const second = db.transaction(() => {})
    await until(() => db.status().writer.waiting === 1, 'the second waits')
    const before = performance.now()
    await until(() => performance.now() - before > 30, 'time passes')
    await first.commit()
    await second
    const [, waited] = endsOf(told)
    expect(waited?.operation).toBe('transaction')
    expect(waited?.queueMs).toBeGreaterThan(30)
  })

  it('tells of each attempt', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { busyTimeoutMs: 20 })
    await db.exec('CREATE TABLE t (x)')
    const told = record<TracedTransaction>(TRANSACTION)
    const letGo = await holdLock(path, 'BEGIN IMMEDIATE')
    const work = db.transaction((tx) => tx.run(INSERT, [1]), { retry: { attempts: 1_000, delayMs: 1 } })
    await until(() => endsOf(told).length > 0, 'the first attempt fails')
    await letGo()
    await within(work, 'the last attempt')
    const ends = endsOf(told)
    expect(ends.at(-1)).toMatchObject({ outcome: 'commit' })
    expect(ends.slice(0, -1).map(({ error }) => (error as { code?: string }).code)).toEqual(ends.slice(1).map(() => 'SQLITE_BUSY'))
  })

  it('tells of savepoints with their depth, inside out', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    await db.transaction(async (tx) => {
      await tx.transaction((inner) => inner.transaction(() => {}))
      await expect(tx.transaction(() => Promise.reject(new RangeError('undone')))).rejects.toThrow('undone')
    })
    expect(endsOf(told).map(({ depth, outcome }) => [depth, outcome])).toEqual([
      [2, 'commit'],
      [1, 'commit'],
      [1, 'rollback'],
      [0, 'commit'],
    ])
  })

  it('tells of read sessions and exclusive write mode, and of transactions in that', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    await db.read(() => {})
    await db.writeMode((w) => w.transaction((tx) => tx.run(INSERT, [1])))
    expect(await codeOf(db.read((r) => r.get('SELECT nothing')))).toBe('SQLITE_ERROR')
    expect(endsOf(told).map(({ operation, outcome, error }) => [operation, outcome, error !== undefined])).toEqual([
      ['read', undefined, false],
      ['transaction', 'commit', false],
      ['writeMode', undefined, false],
      ['read', undefined, true],
    ])
    expect(endsOf(told).every(({ queueMs }) => queueMs !== undefined)).toBe(true)
  })

  it('is silent when nobody has subscribed', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    const told = record<TracedTransaction>(TRANSACTION)
    await tx.commit()
    expect(told).toEqual([])
  })
})

describe('a transaction that its holder ends', () => {
  const endings: ReadonlyArray<[string, (tx: Transaction) => Promise<void>, string]> = [
    ['commit', (tx) => tx.commit(), 'commit'],
    ['rollback', (tx) => tx.rollback(), 'rollback'],
    ['the end of its block', (tx) => tx[Symbol.asyncDispose](), 'rollback'],
  ]
  it.each(endings)('is told of until %s', async (_, finish, outcome) => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    expect(eventsOf(told)).toEqual(['start', 'end'])
    await finish(tx)
    await untilQuiet(db)
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(endsOf(told)).toEqual([expect.objectContaining({ operation: 'begin', depth: 0, outcome })])
  })

  it('goes on when its commit is refused, and is told of once', async () => {
    const db = await openWithTable()
    await db.exec('CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)')
    const told = record<TracedTransaction>(TRANSACTION)
    const tx = await db.begin()
    await tx.run('INSERT INTO child VALUES (1)')
    expect(await codeOf(tx.commit())).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(eventsOf(told)).toEqual(['start', 'end'])
    await tx.run('INSERT INTO parent VALUES (1)')
    await tx.commit()
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(endsOf(told)[0]?.outcome).toBe('commit')
  })

  it('is told of as rolled back when its time is up', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 30 })
    const told = record<TracedTransaction>(TRANSACTION)
    const tx = await db.begin()
    const inner = await tx.begin()
    await until(() => endsOf(told).length === 2, 'both ends are told')
    expect(inner.open).toBe(false)
    expect(endsOf(told).map(({ outcome, error }) => [outcome, (error as { code?: string }).code])).toEqual([
      ['rollback', 'ERR_SLUICE_TX_TIMEOUT'],
      ['rollback', 'ERR_SLUICE_TX_TIMEOUT'],
    ])
  })

  it('is told of as rolled back when its signal is aborted', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const stop = new AbortController()
    await db.begin({ signal: stop.signal })
    const reason = new RangeError('enough')
    stop.abort(reason)
    await until(() => endsOf(told).length === 1, 'the end is told')
    expect(endsOf(told)[0]).toMatchObject({ outcome: 'rollback', error: { code: 'ABORT_ERR', cause: reason } })
  })

  it('is told of as rolled back when nobody has it any more', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const warned = new Promise((resolve) => process.once('warning', resolve))
    await (async () => {
      await db.begin()
    })()
    await collectUntil(() => told.length === 4, 'the end is told')
    await within(warned, 'the warning')
    expect(endsOf(told)[0]?.outcome).toBe('rollback')
  })

  it('is told of when it could not begin', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    const told = record<TracedTransaction>(TRANSACTION)
    const error = await failureOf(db.begin({ timeoutMs: 20 }))
    expect(eventsOf(told)).toEqual(FAILURE)
    expect(endsOf(told)[0]).toMatchObject({ operation: 'begin', error })
    await tx.rollback()
  })

  it('takes what was begun in it along, and each is told of once', async () => {
    const db = await openWithTable()
    const told = record<TracedTransaction>(TRANSACTION)
    const outer = await db.begin()
    const inner = await outer.begin()
    const kept = await inner.begin()
    await kept.commit()
    await outer.rollback()
    await untilQuiet(db)
    expect(endsOf(told).map(({ depth, outcome }) => [depth, outcome])).toEqual([
      [2, 'commit'],
      [1, 'rollback'],
      [0, 'rollback'],
    ])
    expect(inner.open).toBe(false)
  })
})

describe('a store that is bound to the start of transactions and queries', () => {
  /** Binds each context to what happens in it, as tracers do, and returns the operations around each query and transaction. */
  function nest(): string[] {
    const storage = new AsyncLocalStorage<readonly string[]>()
    const paths: string[] = []
    for (const name of [TRANSACTION, 'sluice:query']) {
      const { start } = tracingChannel<readonly string[], TracedQuery | TracedTransaction>(name)
      start.bindStore(storage, ({ operation }) => {
        const path = [...(storage.getStore() ?? []), operation]
        paths.push(path.join(' > '))
        return path
      })
      onTestFinished(() => {
        start.unbindStore(storage)
      })
    }
    return paths
  }

  it('is that of the callback around a call, of both channels', async () => {
    const db = await openWithTable()
    const paths = nest()
    await db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await tx.transaction((inner) => inner.get('SELECT 1'))
      await Promise.all([tx.all('SELECT 1'), db.pluck('SELECT 1')])
    })
    await db.read((r) => r.values('SELECT 1'))
    await db.writeMode((w) => w.transaction((tx) => tx.exec('SELECT 1')))
    const tx = await db.begin()
    await tx.run(INSERT, [2])
    await tx.commit()
    await db.batch(['SELECT 1'])
    expect(paths).toEqual([
      'transaction',
      'transaction > run',
      'transaction > transaction',
      'transaction > transaction > get',
      'transaction > all',
      'transaction > pluck',
      'read',
      'read > values',
      'writeMode',
      'writeMode > transaction',
      'writeMode > transaction > exec',
      'begin',
      'run',
      'batch',
    ])
  })

  it('does not leak into what comes after a failure', async () => {
    const db = await openWithTable()
    const paths = nest()
    await expect(db.transaction(() => Promise.reject(new RangeError('undone')))).rejects.toThrow('undone')
    expect(await codeOf(db.get(ENDLESS_READ, [], { timeoutMs: 10 }))).toBe('ERR_SLUICE_TIMEOUT')
    await db.get('SELECT 1')
    expect(paths).toEqual(['transaction', 'get', 'get'])
  })
})
