import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { WriteMode } from '../index.js'
import type { Database } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate, untilWaiting, watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'
import { COUNTING_READ, ENDLESS_READ } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const counter = (db: Database, name: string): number => db.status().counters[name] ?? Number.NaN

describe('writeMode', () => {
  it('returns what its callback returns, and gives everything back', async () => {
    const db = await openWithTable()
    const result = await db.writeMode(async (w) => {
      expect(w).toBeInstanceOf(WriteMode)
      await w.run(INSERT, [1])
      return w.pluck('SELECT x FROM t')
    })
    expect(result).toEqual([1])
    await untilQuiet(db)
    expect(await valuesOf(db)).toEqual([1])
  })

  it('has every way to run a statement', async () => {
    const db = await openWithTable()
    await db.writeMode(async (w) => {
      await w.exec('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)')
      expect(await w.execute('SELECT x FROM t')).toMatchObject({ rows: [{ x: 1 }, { x: 2 }], route: 'write' })
      expect(await w.all('SELECT x FROM t')).toEqual([{ x: 1 }, { x: 2 }])
      expect(await w.get('SELECT x FROM t')).toEqual({ x: 1 })
      expect(await w.values('SELECT x FROM t')).toEqual([[1], [2]])
      expect(await w.sql`SELECT x FROM t WHERE x = ${2}`).toEqual([{ x: 2 }])
      expect(await w.prepare<[number]>(INSERT).run([3])).toMatchObject({ changes: 1 })
      const rows: unknown[] = []
      for await (const { x } of w.iterate('SELECT x FROM t', [], { chunkRows: 1 })) {
        rows.push(x)
        if (x === 1) await w.run('UPDATE t SET x = x')
      }
      expect(rows).toEqual([1, 2, 3])
    })
  })

  it('waits for reads and writes that run, and holds new ones back', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    const order: string[] = []
    const note = (name: string) => (): number => order.push(name)
    // What a text is must be known: this is about waiting, not about classifying.
    await Promise.all([db.all(COUNTING_READ, [1]), db.all('SELECT x FROM t'), db.run(INSERT, [0])])
    const [entered, leave] = [gate(), gate()]
    const before = [db.all(COUNTING_READ, [2_000_000]).then(note('read before')), db.run(INSERT, [1]).then(note('write before'))]
    const mode = db.writeMode(async () => {
      order.push('mode begins')
      entered.open()
      await leave.opened
      order.push('mode ends')
    })
    await entered.opened
    expect(db.status()).toMatchObject({ mode: 'write', readers: { open: 0, active: 0 }, writer: { active: true } })
    const after = [db.all('SELECT x FROM t').then(note('read after')), db.run(INSERT, [2]).then(note('write after'))]
    await untilWaiting(db, 2)
    leave.open()
    await within(Promise.all([...before, mode, ...after]), 'all calls')
    expect(order.slice(0, 2).sort()).toEqual(['read before', 'write before'])
    expect(order.slice(2, 4)).toEqual(['mode begins', 'mode ends'])
    expect(order.slice(4).sort()).toEqual(['read after', 'write after'])
  })

  it('leaves every later reader fresh', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    await Promise.all([db.all(COUNTING_READ, [200_000]), db.all(COUNTING_READ, [200_000])])
    const opened = counter(db, 'readerOpens')
    await db.writeMode((w) => w.exec('ALTER TABLE t ADD COLUMN y DEFAULT 5'))
    expect(db.status().readers.open).toBe(0)
    await until(() => counter(db, 'readerCloses') === opened, 'the readers are closed')
    await db.run('INSERT INTO t (x) VALUES (1)')
    expect(await db.all('SELECT * FROM t')).toEqual([{ x: 1, y: 5 }])
    expect(counter(db, 'readerOpens')).toBeGreaterThan(opened)
  })

  it('each statement commits by itself', async () => {
    const db = await openWithTable()
    await expect(db.writeMode(async (w) => {
      await w.run(INSERT, [1])
      throw new Error('mine')
    })).rejects.toThrow(/^mine$/)
    expect(await valuesOf(db)).toEqual([1])
  })

  it('takes BEGIN and COMMIT as text, and rolls back what is left open', async () => {
    const db = await openWithTable()
    await db.writeMode(async (w) => {
      await w.run('BEGIN')
      await w.run(INSERT, [1])
      await w.run('ROLLBACK')
      await w.exec('BEGIN; INSERT INTO t VALUES (2); COMMIT')
      await w.run('SAVEPOINT a')
      await w.run(INSERT, [3])
      await w.run('RELEASE a')
    })
    expect(await valuesOf(db)).toEqual([2, 3])
    await outcomeOf(db.writeMode(async (w) => {
      await w.run('BEGIN')
      await w.run(INSERT, [4])
    }))
    expect(await valuesOf(db)).toEqual([2, 3])
    await db.run(INSERT, [5])
  })

  it('has transactions of its own', async () => {
    const db = await openWithTable()
    await db.writeMode(async (w) => {
      await w.transaction((tx) => tx.run(INSERT, [1]))
      await expect(w.transaction(async (tx) => {
        await tx.run(INSERT, [2])
        throw new Error('mine')
      })).rejects.toThrow('mine')
      await w.transaction((tx) => tx.run(INSERT, [3]), { behavior: 'exclusive' })
      expect(await codeOf(w.transaction(() => 1, { retry: { attempts: 2 } } as never))).toBe('ERR_SLUICE_INVALID_OPTION')
      const seen: string[] = []
      await w.transaction((tx) => tx.afterCommit(() => seen.push('committed')))
      expect(seen).toEqual(['committed'])
    })
    expect(await valuesOf(db)).toEqual([1, 3])
  })

  it('waits for a transaction that its callback did not wait for, and for what that calls after its commit', async () => {
    const db = await openWithTable()
    const seen: unknown[] = []
    await db.writeMode((w) => {
      void w.transaction(async (tx) => {
        await tx.run(INSERT, [1])
        tx.afterCommit(async () => {
          await new Promise(setImmediate)
          seen.push(await w.pluck('SELECT x FROM t'))
        })
      })
    })
    expect(seen).toEqual([[1]])
  })

  it('waits for those that wait for each other, of which one fails', async () => {
    const db = await openWithTable()
    const outcomes: Array<Promise<string>> = []
    await db.writeMode((w) => {
      outcomes.push(outcomeOf(w.transaction((tx) => tx.run('INSERT INTO nowhere VALUES (1)'))))
      outcomes.push(outcomeOf(w.transaction((tx) => tx.run(INSERT, [2]))))
    })
    expect(await Promise.all(outcomes)).toEqual(['SQLITE_ERROR', 'done'])
    expect(await valuesOf(db)).toEqual([2])
  })

  it('calls on w in a transaction of w are rejected in its callback, and wait beside it', async () => {
    const db = await openWithTable()
    await db.writeMode(async (w) => {
      const [entered, leave] = [gate(), gate()]
      const transaction = w.transaction(async (tx) => {
        expect(await codeOf(w.run(INSERT, [1]))).toBe('ERR_SLUICE_REENTRANT')
        expect(await codeOf(w.transaction(() => 1))).toBe('ERR_SLUICE_REENTRANT')
        await tx.run(INSERT, [2])
        entered.open()
        await leave.opened
      })
      await entered.opened
      const beside = w.run(INSERT, [3])
      const several = [4, 5].map((x) => w.transaction((tx) => tx.run(INSERT, [x])))
      const state = watch(beside)
      await new Promise((resolve) => setImmediate(resolve))
      expect(state.settled).toBe(false)
      leave.open()
      await Promise.all([transaction, beside, ...several])
    })
    expect((await valuesOf(db)).sort()).toEqual([2, 3, 4, 5])
  })

  it('w may be used after the commit of a transaction of w, before that returns', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 0 })
    const seen: unknown[] = []
    const mode = db.writeMode((w) =>
      w.transaction(async (tx) => {
        await tx.run(INSERT, [1])
        tx.afterCommit(async () => seen.push(await w.pluck('SELECT x FROM t')))
        tx.afterCommit(() => w.transaction((next) => next.run(INSERT, [2])))
        tx.afterCommit(async () => seen.push(await w.pluck('SELECT x FROM t')))
        return 'returned'
      }),
    )
    expect(await within(mode, 'the write mode')).toBe('returned')
    expect(seen).toEqual([[1], [1, 2]])
    expect(await valuesOf(db)).toEqual([1, 2])
  })

  it('a transaction of w that was begun after the commit of another is waited for by calls on w', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 0 })
    const [entered, leave] = [gate(), gate()]
    const mode = db.writeMode(async (w) => {
      const next: Promise<unknown>[] = []
      await w.transaction((tx) => tx.afterCommit(() => {
        next.push(w.transaction(async (later) => {
          entered.open()
          await leave.opened
          await later.run(INSERT, [1])
        }))
      }))
      await entered.opened
      const beside = w.run(INSERT, [2])
      const state = watch(beside)
      await new Promise((resolve) => setImmediate(resolve))
      expect(state.settled).toBe(false)
      leave.open()
      await Promise.all([...next, beside])
    })
    await within(mode, 'the write mode')
    expect(await valuesOf(db)).toEqual([1, 2])
  })

  it('late calls are rejected', async () => {
    const db = await openWithTable()
    const w = await db.writeMode((mode) => mode)
    expect(await codeOf(w.run(INSERT, [1]))).toBe('ERR_SLUICE_TX_CLOSED')
    expect(await codeOf(w.transaction(() => 1))).toBe('ERR_SLUICE_TX_CLOSED')
    expect(await valuesOf(db)).toEqual([])
  })

  it('runs one after another, in order', async () => {
    const db = await openWithTable()
    const order: string[] = []
    const modes = ['a', 'b', 'c'].map((name) =>
      db.writeMode(async (w) => {
        order.push(name)
        await w.run(INSERT, [name])
        order.push(name)
      }),
    )
    await within(Promise.all(modes), 'all callbacks')
    expect(order).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
  })

  it('is limited as transactions are', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    expect(await within(codeOf(db.writeMode(() => new Promise(() => {}))), 'it is ended')).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(await within(codeOf(db.writeMode((w) => w.run(`INSERT INTO t ${ENDLESS_READ}`), { timeoutMs: 50 })), 'it is ended')).toBe('ERR_SLUICE_TX_TIMEOUT')
    await db.run(INSERT, [1])
    expect(await valuesOf(db)).toEqual([1])
  })

  it('that waits in vain says what it waits for', async () => {
    const db = await openWithTable({ acquireTimeoutMs: 50 })
    const endless = outcomeOf(db.all(ENDLESS_READ))
    await until(() => db.status().readers.active === 1, 'the read runs')
    const { code, message } = await failureOf(db.writeMode(() => 1))
    expect(code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    expect(message).toContain('1 readers active')
    await db.run(INSERT, [1])
    await db.close({ timeoutMs: 0 })
    expect(await endless).toBe('SQLITE_INTERRUPT')
  })
})

describe('a change of the journal mode', () => {
  it('in writeMode changes the concurrency, there and back', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    await db.run(INSERT, [1])
    expect(db.status().concurrency).toBe('wal')
    await db.writeMode(async (w) => expect(await w.pluck('PRAGMA journal_mode = DELETE')).toEqual(['delete']))
    expect(db.status().concurrency).toBe('exclusive')
    expect(existsSync(`${db.path}-wal`)).toBe(false)
    await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? db.run(INSERT, [n]) : db.all('SELECT x FROM t'))))
    expect(counter(db, 'peakReadersBesideWriter')).toBe(0)
    await db.writeMode(async (w) => expect(await w.pluck('PRAGMA journal_mode = WAL')).toEqual(['wal']))
    expect(db.status().concurrency).toBe('wal')
    expect(await valuesOf(db)).toHaveLength(11)
  })

  it('by pragma takes the mode by itself', async () => {
    const db = await openWithTable()
    const calls = [db.all('SELECT x FROM t'), db.run(INSERT, [1]), db.pragma('journal_mode', 'truncate'), db.all('SELECT x FROM t'), db.run(INSERT, [2])]
    await within(Promise.all(calls), 'all calls')
    expect(db.status().concurrency).toBe('exclusive')
    expect(await valuesOf(db)).toEqual([1, 2])
  })
})

describe('VACUUM', () => {
  it('takes the right to write alone, in WAL: reads go on', async () => {
    const db = await openWithTable({ maxReaders: 1 })
    await db.run(INSERT, [1])
    await db.read(async (r) => {
      await db.run('VACUUM', [], { detached: true })
      expect(await r.pluck('SELECT x FROM t')).toEqual([1])
    })
    expect(counter(db, 'modeSwitches')).toBe(0)
  })

  it('works in writeMode, and leaves a small file', async () => {
    const db = await openScratch({ durability: 'off' })
    await db.exec('CREATE TABLE t (x)')
    await db.run('INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) SELECT zeroblob(1000) FROM c')
    await db.run('DELETE FROM t')
    await db.writeMode((w) => w.run('VACUUM'))
    expect((await db.pluck<number>('PRAGMA page_count'))[0]).toBeLessThan(10)
  })
})

describe('L09: close and writeMode', () => {
  it('close waits for the callback', async () => {
    const db = await openWithTable()
    const [entered, leave] = [gate(), gate()]
    const mode = db.writeMode(async (w) => {
      entered.open()
      await leave.opened
      await w.run(INSERT, [1])
    })
    await entered.opened
    const closing = db.close()
    expect(await codeOf(db.run(INSERT, [2]))).toBe('ERR_SLUICE_CLOSED')
    leave.open()
    await within(Promise.all([mode, closing]), 'the database closes')
    expect(await valuesOf(await openForTest(db.path))).toEqual([1])
  })
})
