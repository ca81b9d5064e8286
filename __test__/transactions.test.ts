import { describe, expect, it } from 'vitest'

import { SqliteError, Transaction } from '../index.js'
import type { Database } from '../index.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate, untilWaiting, watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')

describe('transaction', () => {
  it('commits what the callback did when it returns, and returns what it returns', async () => {
    const db = await openWithTable()
    const result = await db.transaction(async (tx) => {
      expect(tx).toBeInstanceOf(Transaction)
      expect(await tx.run(INSERT, [1])).toEqual({ changes: 1, lastInsertRowid: 1 })
      expect(await valuesOf(db)).toEqual([])
      return tx.get('SELECT x FROM t')
    })
    expect(result).toEqual({ x: 1 })
    expect(await valuesOf(db)).toEqual([1])
  })

  it('takes a callback that is not async', async () => {
    const db = await openWithTable()
    expect(await db.transaction((tx) => tx.open)).toBe(true)
    const thrown = new Error('at once')
    await expect(db.transaction(() => { throw thrown })).rejects.toBe(thrown)
    await untilQuiet(db)
  })

  it('has every way to run a statement', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      await tx.exec('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)')
      expect(await tx.sql`INSERT INTO t VALUES (${3}) RETURNING x`).toEqual([{ x: 3 }])
      expect(await tx.execute('SELECT x FROM t')).toMatchObject({ rows: [{ x: 1 }, { x: 2 }, { x: 3 }], route: 'write' })
      expect(await tx.all('SELECT x FROM t WHERE x > ?', [2])).toEqual([{ x: 3 }])
      expect(await tx.values('SELECT x, x FROM t LIMIT 1')).toEqual([[1, 1]])
      expect(await tx.pluck('SELECT x FROM t')).toEqual([1, 2, 3])
      const insert = tx.prepare<[number]>(INSERT)
      expect(await insert.run([4])).toMatchObject({ changes: 1 })
      const rows: unknown[] = []
      for await (const row of tx.iterate('SELECT x FROM t', [], { rowMode: 'array', chunkRows: 1 })) rows.push(row)
      expect(rows).toEqual([[1], [2], [3], [4]])
    })
    expect(await valuesOf(db)).toEqual([1, 2, 3, 4])
  })

  it('V18: answers changes() and last_insert_rowid() with its own', async () => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (1), (2), (3)')
    await db.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (4), (5)')
      expect(await tx.values('SELECT changes(), last_insert_rowid()')).toEqual([[2, 5]])
    })
  })

  it.each(['immediate', 'exclusive', 'deferred'] as const)('begins %s', async (behavior) => {
    const db = await openWithTable()
    await db.transaction((tx) => tx.run(INSERT, [1]), { behavior })
    expect(await valuesOf(db)).toEqual([1])
  })

  it('says what SQLite refuses, and goes on: an error of one statement is not the end', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE)')
    await db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      expect(await codeOf(tx.run(INSERT, [1]))).toBe('SQLITE_CONSTRAINT_UNIQUE')
      await tx.run(INSERT, [2])
    })
    expect(await valuesOf(db)).toEqual([1, 2])
  })

  it('a refused commit rejects it, and is rolled back', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE p (id PRIMARY KEY); CREATE TABLE t (x REFERENCES p DEFERRABLE INITIALLY DEFERRED)')
    const error = await failureOf(db.transaction((tx) => tx.run(INSERT, [1])))
    expect(error).toBeInstanceOf(SqliteError)
    expect(error.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(await valuesOf(db)).toEqual([])
    await db.run('INSERT INTO p VALUES (1)')
    await db.run(INSERT, [1])
  })

  it.each([
    ['no function', (db: Database) => db.transaction(1 as never), 'ERR_SLUICE_INVALID_ARGUMENT'],
    ['an unknown option', (db: Database) => db.transaction(() => 1, { behaviour: 'immediate' } as never), 'ERR_SLUICE_INVALID_OPTION'],
    ['an unknown behavior', (db: Database) => db.transaction(() => 1, { behavior: 'soon' as never }), 'ERR_SLUICE_INVALID_OPTION'],
    ['a wrong signal', (db: Database) => db.transaction(() => 1, { signal: {} as never }), 'ERR_SLUICE_INVALID_OPTION'],
    ['a wrong retry', (db: Database) => db.transaction(() => 1, { retry: { attempts: 0 } }), 'ERR_SLUICE_INVALID_OPTION'],
    ['begin with retry', (db: Database) => db.begin({ retry: { attempts: 2 } } as never), 'ERR_SLUICE_INVALID_OPTION'],
    ['read with behavior', (db: Database) => db.read(() => 1, { behavior: 'immediate' } as never), 'ERR_SLUICE_INVALID_OPTION'],
  ])('refuses %s, and takes nothing', async (_name, call, code) => {
    const db = await openWithTable()
    expect(await codeOf(call(db))).toBe(code)
    expect(db.status().writer).toMatchObject({ active: false, waiting: 0 })
  })

  it('cannot be made by hand', () => {
    expect(() => new (Transaction as unknown as new () => unknown)()).toThrow('db.transaction')
  })
})

describe('T14: a callback that fails', () => {
  it.each([
    ['throws', () => { throw new Error('mine') }],
    ['rejects', () => Promise.reject(new Error('mine'))],
  ])('that %s: rolled back, and its own error kept', async (_name, fail) => {
    const db = await openWithTable()
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      return fail()
    })
    await expect(call).rejects.toThrow(/^mine$/)
    expect(await valuesOf(db)).toEqual([])
    await db.run(INSERT, [2])
  })

  it('keeps even what is no error', async () => {
    const db = await openWithTable()
    await expect(db.transaction(() => Promise.reject(7))).rejects.toBe(7)
    await expect(db.transaction(() => Promise.reject(undefined))).rejects.toBeUndefined()
  })

  it('keeps its own error when SQLite had rolled back already', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE)')
    const mine = new Error('mine')
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await outcomeOf(tx.run('INSERT OR ROLLBACK INTO t VALUES (1)'))
      throw mine
    })
    await expect(call).rejects.toBe(mine)
    expect(await valuesOf(db)).toEqual([])
  })

  it('rejects with the error of the statement, when that is what it did not catch', async () => {
    const db = await openWithTable()
    const error = await failureOf(db.transaction((tx) => tx.run('INSERT INTO nowhere VALUES (1)')))
    expect(error).toMatchObject({ code: 'SQLITE_ERROR', sql: 'INSERT INTO nowhere VALUES (1)' })
  })

  it('late calls of one that has returned are rejected, and run in nobody else\'s transaction', async () => {
    const db = await openWithTable()
    const late = gate()
    let inner: Promise<string> | undefined
    await db.transaction(async (tx) => {
      inner = late.opened.then(() => outcomeOf(tx.run(INSERT, [1])))
    })
    await db.transaction(async (tx) => {
      late.open()
      expect(await inner).toBe('ERR_SLUICE_TX_CLOSED')
      await tx.run(INSERT, [2])
    })
    expect(await valuesOf(db)).toEqual([2])
  })

  it('what was called and never awaited is part of it when the callback returns, and undone when it throws', async () => {
    const db = await openWithTable()
    await db.transaction((tx) => void tx.run(INSERT, [1]))
    expect(await valuesOf(db)).toEqual([1])
    await expect(db.transaction((tx) => {
      void tx.run(INSERT, [2])
      throw new Error('mine')
    })).rejects.toThrow('mine')
    expect(await valuesOf(db)).toEqual([1])
  })
})

describe('a commit that the callback does not wait for', () => {
  it.each([['returns', undefined], ['throws', new Error('mine')]])('has taken effect before the transaction is settled, when the callback %s', async (_name, thrown) => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 0 })
    const order: string[] = []
    const transaction = db.transaction(async (tx) => {
      tx.afterCommit(() => new Promise((resolve) => setImmediate(resolve)))
      tx.afterCommit(() => order.push('after the commit'))
      await tx.run(INSERT, [1])
      void tx.commit().then(() => order.push('committed'))
      if (thrown !== undefined) throw thrown
    })
    const settled = transaction.catch((error: unknown) => error).finally(() => order.push('settled'))
    expect(await within(settled, 'the transaction')).toBe(thrown)
    expect(order).toEqual(['after the commit', 'committed', 'settled'])
    expect(await valuesOf(db)).toEqual([1])
    await within(db.run(INSERT, [2]), 'the next write')
  })

  it.each([
    ['returns', undefined, { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' }],
    ['throws', new Error('mine'), { message: 'mine' }],
  ])('and that is refused leaves nothing behind, when the callback %s', async (_name, thrown, reason) => {
    const db = await openScratch({ transactionIdleTimeoutMs: 0 })
    await db.exec('CREATE TABLE p (id PRIMARY KEY); CREATE TABLE t (x REFERENCES p DEFERRABLE INITIALLY DEFERRED)')
    let commit: Promise<string> | undefined
    const transaction = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      commit = outcomeOf(tx.commit())
      if (thrown !== undefined) throw thrown
    })
    expect(await within(transaction.catch((error: unknown) => error), 'the transaction')).toMatchObject(reason)
    expect(await commit).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(await valuesOf(db)).toEqual([])
    await within(db.run('INSERT INTO p VALUES (1)'), 'the next write')
  })
})

describe('T17: calls made at once in one transaction', () => {
  it('run in the order of the calls', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      const calls = Array.from({ length: 100 }, (_, x) => (x % 2 === 0 ? tx.run(INSERT, [x]) : tx.exec(`INSERT INTO t VALUES (${x})`)))
      const counted = tx.pluck('SELECT count(*) FROM t')
      calls.push(tx.run(INSERT, [100]))
      expect(await counted).toEqual([100])
      await Promise.all(calls)
    })
    expect(await valuesOf(db)).toEqual(Array.from({ length: 101 }, (_, x) => x))
  })
})

describe('private transactions', () => {
  it('nobody else\'s statement lands inside', async () => {
    const db = await openWithTable()
    const [entered, leave] = [gate(), gate()]
    const transaction = db.transaction(async (tx) => {
      await tx.run(INSERT, ['mine'])
      entered.open()
      await leave.opened
      expect(await tx.pluck('SELECT x FROM t')).toEqual(['mine'])
      throw new Error('undo')
    })
    const undone = transaction.catch((error: unknown) => error)
    await entered.opened
    const other = db.run(INSERT, ['other'])
    await untilWaiting(db, 1)
    leave.open()
    expect(await undone).toEqual(new Error('undo'))
    await other
    expect(await valuesOf(db)).toEqual(['other'])
  })

  it('one after another, in the order of the calls', async () => {
    const db = await openWithTable()
    const order: string[] = []
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        db.transaction(async (tx) => {
          order.push(`${name} begins`)
          await tx.run(INSERT, [name])
          await tx.run(INSERT, [name])
          order.push(`${name} ends`)
        }),
      ),
    )
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
    expect(await valuesOf(db)).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
  })
})

describe('T21: begin', () => {
  it('commits, and is closed then', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    expect(tx.open).toBe(true)
    await tx.run(INSERT, [1])
    await tx.commit()
    expect(tx.open).toBe(false)
    expect(await valuesOf(db)).toEqual([1])
    for (const late of [() => tx.commit(), () => tx.rollback(), () => tx.run(INSERT, [2]), () => tx.all('SELECT 1'), () => tx.exec('SELECT 1'), () => tx.transaction(() => 1)]) {
      expect(await codeOf(late())).toBe('ERR_SLUICE_TX_CLOSED')
    }
    expect(() => tx.afterCommit(() => {})).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_TX_CLOSED' }))
    await tx[Symbol.asyncDispose]()
    expect(await valuesOf(db)).toEqual([1])
  })

  it('rolls back, and is closed then', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    await tx.rollback()
    expect(tx.open).toBe(false)
    expect(await codeOf(tx.rollback())).toBe('ERR_SLUICE_TX_CLOSED')
    expect(await codeOf(tx.commit())).toBe('ERR_SLUICE_TX_CLOSED')
    expect(await valuesOf(db)).toEqual([])
  })

  it('is rolled back at the end of an `await using` block, unless it was committed', async () => {
    const db = await openWithTable()
    const kept = await db.begin()
    await kept.run(INSERT, [1])
    await kept.commit()
    await kept[Symbol.asyncDispose]()
    const tx = await db.begin()
    await tx.run(INSERT, [2])
    await tx[Symbol.asyncDispose]()
    await tx[Symbol.asyncDispose]()
    expect(tx.open).toBe(false)
    expect(await valuesOf(db)).toEqual([1])
  })

  it('of two commits at once one is told that it comes too late', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    const outcomes = await Promise.all([outcomeOf(tx.commit()), outcomeOf(tx.commit()), outcomeOf(tx.rollback())])
    expect(outcomes).toEqual(['done', 'ERR_SLUICE_TX_CLOSED', 'ERR_SLUICE_TX_CLOSED'])
    expect(await valuesOf(db)).toEqual([1])
  })

  it('stays open after a commit that is refused, and can be mended', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE p (id PRIMARY KEY); CREATE TABLE t (x REFERENCES p DEFERRABLE INITIALLY DEFERRED)')
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    expect(await codeOf(tx.commit())).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(tx.open).toBe(true)
    await tx.run('INSERT INTO p VALUES (1)')
    await tx.commit()
    expect(await valuesOf(db)).toEqual([1])
  })

  it('is closed with the database, which rolls it back', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    await within(db.close({ timeoutMs: 0 }), 'the database closes')
    expect(tx.open).toBe(false)
    expect(await outcomeOf(tx.run(INSERT, [2]))).not.toBe('done')
    expect(await outcomeOf(tx.commit())).not.toBe('done')
    expect(await valuesOf(await openForTest(db.path))).toEqual([])
  })

  it('is waited for by close, which then resolves for it', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    const closing = db.close()
    const state = watch(closing)
    await tx.run(INSERT, [2])
    expect(state.settled).toBe(false)
    await tx.commit()
    await within(closing, 'the database closes')
    expect(await valuesOf(await openForTest(db.path))).toEqual([1, 2])
  })
})

describe('T22: a transaction that SQLite rolled back by itself', () => {
  const SCHEMA = `CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (0);
    CREATE TABLE guard (x); CREATE TRIGGER refuse BEFORE INSERT ON guard BEGIN SELECT RAISE(ROLLBACK, 'refused'); END`

  it.each([
    ['OR ROLLBACK', 'INSERT OR ROLLBACK INTO t VALUES (0)', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['RAISE(ROLLBACK)', 'INSERT INTO guard VALUES (1)', 'SQLITE_CONSTRAINT_TRIGGER'],
  ])('by %s: each later call says so, commit too, and rollback succeeds', async (_name, sql, code) => {
    const db = await openScratch()
    await db.exec(SCHEMA)
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    expect(await codeOf(tx.run(sql))).toBe(code)
    for (const call of [() => tx.run(INSERT, [2]), () => tx.all('SELECT x FROM t'), () => tx.exec('INSERT INTO t VALUES (3)'), () => tx.transaction(() => 1)]) {
      expect(await codeOf(call())).toBe('ERR_SLUICE_TX_ABORTED')
    }
    await tx.rollback()
    expect(await valuesOf(db)).toEqual([0])
  })

  it('commit does not pretend', async () => {
    const db = await openScratch()
    await db.exec(SCHEMA)
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    await outcomeOf(tx.run('INSERT OR ROLLBACK INTO t VALUES (0)'))
    const error = await failureOf(tx.commit())
    expect(error.code).toBe('ERR_SLUICE_TX_ABORTED')
    expect(error.message).toContain('UNIQUE')
    expect(tx.open).toBe(false)
    expect(await valuesOf(db)).toEqual([0])
    await db.run(INSERT, [9])
  })

  it('makes transaction() reject, although its callback returned', async () => {
    const db = await openScratch()
    await db.exec(SCHEMA)
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await outcomeOf(tx.run('INSERT OR ROLLBACK INTO t VALUES (0)'))
      return 'fine'
    })
    expect(await codeOf(call)).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await valuesOf(db)).toEqual([0])
  })

  it('by an interrupt of a write of its own', async () => {
    const db = await openScratch()
    await db.exec(SCHEMA)
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    expect(await codeOf(tx.run(`INSERT INTO t ${ENDLESS_READ}`, [], { timeoutMs: 20 }))).toBe('ERR_SLUICE_TIMEOUT')
    expect(await codeOf(tx.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await codeOf(tx.commit())).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await valuesOf(db)).toEqual([0])
  })

  it('while a read that is interrupted leaves it as it was', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.run(INSERT, [1])
    expect(await codeOf(tx.all(ENDLESS_READ, [], { timeoutMs: 20 }))).toBe('ERR_SLUICE_TIMEOUT')
    await tx.run(INSERT, [2])
    await tx.commit()
    expect(await valuesOf(db)).toEqual([1, 2])
  })
})

describe('T23: text that begins or ends a transaction', () => {
  it.each(['BEGIN', 'COMMIT', 'END', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a'])('%s is refused inside one, which goes on', async (sql) => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      expect(await codeOf(tx.run(sql))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
      expect(await codeOf(tx.exec(`INSERT INTO t VALUES (2); ${sql}; INSERT INTO t VALUES (3)`))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
      await tx.run(INSERT, [4])
    })
    expect(await valuesOf(db)).toEqual([1, 2, 4])
  })
})

describe('afterCommit', () => {
  it('runs in order, after the commit and before transaction() returns', async () => {
    const db = await openWithTable()
    const seen: unknown[] = []
    await db.transaction(async (tx) => {
      tx.afterCommit(() => seen.push('first', db.status().writer.active))
      tx.afterCommit(() => seen.push('second'))
      await tx.run(INSERT, [1])
      seen.push('callback')
    })
    expect(seen.filter((item) => typeof item === 'string')).toEqual(['callback', 'first', 'second'])
    const tx = await db.begin()
    tx.afterCommit(() => seen.push('begun'))
    await tx.commit()
    expect(seen.at(-1)).toBe('begun')
  })

  it('may use the database: the transaction is over', async () => {
    const db = await openWithTable()
    const written = gate()
    await db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      tx.afterCommit(() => db.run(INSERT, [2]).then(written.open))
    })
    await within(written.opened, 'the write after the commit')
    expect(await valuesOf(db)).toEqual([1, 2])
  })

  it.each(['commit', 'rollback'] as const)('may do so in a callback that has ended the transaction itself, by %s, as the rest of that', async (how) => {
    const db = await openWithTable()
    let late: Promise<unknown> = Promise.resolve()
    const ended = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      tx.afterCommit(() => (late = db.run(INSERT, [2])))
      await tx[how]()
      await late
      await db.run(INSERT, [3])
      await db.transaction((another) => another.run(INSERT, [4]))
      await db.writeMode((w) => w.run(INSERT, [5]))
      expect(await outcomeOf(tx.run(INSERT, [6]))).toBe('ERR_SLUICE_TX_CLOSED')
    })
    await within(ended, 'the callback')
    expect(await valuesOf(db)).toEqual(how === 'commit' ? [1, 2, 3, 4, 5] : [3, 4, 5])
  })

  it('is not called after a rollback, of whichever kind', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (0)')
    const seen: string[] = []
    await outcomeOf(db.transaction(async (tx) => {
      tx.afterCommit(() => seen.push('failed'))
      await tx.run(INSERT, [0])
    }))
    await outcomeOf(db.transaction(async (tx) => {
      tx.afterCommit(() => seen.push('rolled back by SQLite'))
      await outcomeOf(tx.run('INSERT OR ROLLBACK INTO t VALUES (0)'))
    }))
    const tx = await db.begin()
    tx.afterCommit(() => seen.push('rolled back'))
    await tx.rollback()
    expect(seen).toEqual([])
  })
})
