import { describe, expect, it } from 'vitest'

import { SqliteError } from '../index.js'
import type { Database, OpenOptions, RunResult } from '../index.js'
import { converse } from './support/child-process.js'
import { within } from './support/deadline.js'
import { failureOf, outcomeOf } from './support/failure.js'
import { holdWriter, untilWaiting } from './support/order.js'
import { openForTest, openScratch, scratchPath } from './support/scratch.js'

const counter = (db: Database, name: string): number => db.status().counters[name] ?? Number.NaN
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

type Write = readonly [sql: string, ...params: number[]]
const insert = (x: number): Write => ['INSERT INTO t VALUES (?)', x]

async function openWith(schema: string, options: OpenOptions = {}): Promise<Database> {
  const db = await openScratch(options)
  await db.exec(schema)
  return db
}

/** Lets writes wait behind the writer, so that they become a group, and returns their outcomes in the order of the calls. */
async function together(db: Database, writes: readonly Write[]): Promise<{ outcomes: string[]; order: number[]; groups: number }> {
  const known = [...new Set(writes.map(([sql]) => sql))]
  // A text that is not known yet waits twice, as what it may be.
  for (const sql of known) await db.prepare(sql).columns().catch(() => {})
  const before = counter(db, 'groups')
  const release = await holdWriter(db)
  const order: number[] = []
  const calls = writes.map(([sql, ...params], index) => outcomeOf(db.run(sql, params)).finally(() => order.push(index)))
  await untilWaiting(db, writes.length)
  await release()
  const outcomes = await within(Promise.all(calls), 'the group')
  return { outcomes, order, groups: counter(db, 'groups') - before }
}

/** What the outcomes are when all succeed but some. */
function allBut(count: number, failed: { readonly [index: number]: string }): string[] {
  return range(count).map((index) => failed[index] ?? 'done')
}

describe('group commit', () => {
  it('commits what waits at the same time together, and resolves in the order of the calls', async () => {
    const db = await openWith('CREATE TABLE t (x)')
    const { outcomes, order, groups } = await together(db, range(64).map(insert))
    expect(outcomes).toEqual(allBut(64, {}))
    expect(order).toEqual(range(64))
    expect(groups).toBe(1)
    expect(counter(db, 'groupedWrites')).toBe(64)
    expect(await valuesOf(db)).toEqual(range(64))
  })

  it('can be switched off: each commits by itself', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit: false })
    const { outcomes, groups } = await together(db, range(20).map(insert))
    expect([outcomes, groups]).toEqual([allBut(20, {}), 0])
    expect(await valuesOf(db)).toEqual(range(20))
  })

  it('is bounded in statements', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit: { maxStatements: 4 } })
    const { outcomes, groups } = await together(db, range(20).map(insert))
    expect([outcomes, groups]).toEqual([allBut(20, {}), 5])
  })

  it('is bounded in bytes of results', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit: { maxBytes: 1_000 } })
    const { groups } = await together(db, range(12).map((x) => ['INSERT INTO t VALUES (hex(zeroblob(400))) RETURNING x, ?', x]))
    expect(groups).toBeGreaterThanOrEqual(1)
    const free = await openWith('CREATE TABLE t (x)')
    expect((await together(free, range(12).map((x) => ['INSERT INTO t VALUES (hex(zeroblob(400))) RETURNING x, ?', x]))).groups).toBe(1)
  })

  it.each([{ maxStatements: 0 }, { maxMs: -1 }, { maxBytes: 0.5 }, { statements: 5 }, 5])('refuses %j', async (groupCommit) => {
    expect(await outcomeOf(openScratch({ groupCommit: groupCommit as never }))).toBe('ERR_SLUICE_INVALID_OPTION')
  })
})

describe.each([true, false])('with groupCommit: %s', (groupCommit) => {
  const GUARD = "CREATE TABLE guard (x); CREATE TRIGGER refuse BEFORE INSERT ON guard BEGIN SELECT RAISE(ROLLBACK, 'refused'); END"

  it.each([
    ['INSERT OR ROLLBACK INTO t VALUES (3)', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['INSERT INTO t VALUES (3) ON CONFLICT (x) DO UPDATE SET x = 2', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['UPDATE OR ROLLBACK t SET x = 2 WHERE x = 3', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['INSERT INTO guard VALUES (1)', 'SQLITE_CONSTRAINT_TRIGGER'],
  ])('T01: %s is rejected alone, and all others are there once', async (sql, code) => {
    const db = await openWith(`CREATE TABLE t (x UNIQUE); ${GUARD}`, { groupCommit })
    const writes = range(20).map((x): Write => (x === 10 ? [sql] : insert(x)))
    const { outcomes, order } = await together(db, writes)
    expect(outcomes).toEqual(allBut(20, { 10: code }))
    expect(order).toEqual(range(20))
    expect(await valuesOf(db)).toEqual(range(20).filter((x) => x !== 10))
  })

  it('T01: several that roll back', async () => {
    const db = await openWith(`CREATE TABLE t (x UNIQUE); ${GUARD}`, { groupCommit })
    const writes = range(30).map((x): Write => (x % 7 === 3 ? ['INSERT INTO guard VALUES (1)'] : insert(x)))
    const { outcomes } = await together(db, writes)
    expect(outcomes).toEqual(range(30).map((x) => (x % 7 === 3 ? 'SQLITE_CONSTRAINT_TRIGGER' : 'done')))
    expect(await valuesOf(db)).toEqual(range(30).filter((x) => x % 7 !== 3))
  })

  it('T02: one that breaks a deferred foreign key is rejected alone, although a later one would have mended it', async () => {
    const db = await openWith('CREATE TABLE p (id PRIMARY KEY); CREATE TABLE t (x REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO p VALUES (1)', { groupCommit })
    const { outcomes } = await together(db, [insert(1), insert(2), insert(1), ['INSERT INTO p VALUES (?)', 2], insert(2)])
    expect(outcomes).toEqual(allBut(5, { 1: 'SQLITE_CONSTRAINT_FOREIGNKEY' }))
    expect(await valuesOf(db)).toEqual([1, 1, 2])
  })

  it('T03: OR FAIL keeps the rows that it keeps alone', async () => {
    const db = await openWith('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (3)', { groupCommit })
    const { outcomes } = await together(db, [insert(0), ['INSERT OR FAIL INTO t VALUES (1), (2), (3), (4)'], insert(9)])
    expect(outcomes).toEqual(allBut(3, { 1: 'SQLITE_CONSTRAINT_UNIQUE' }))
    expect(await valuesOf(db)).toEqual([3, 0, 1, 2, 9])
  })

  it('T06: one constraint of 64: 63 resolve, 1 rejects, in the order of the calls', async () => {
    const db = await openWith('CREATE TABLE t (x UNIQUE)', { groupCommit })
    const { outcomes, order } = await together(db, range(64).map((x) => insert(x === 50 ? 7 : x)))
    expect(outcomes).toEqual(allBut(64, { 50: 'SQLITE_CONSTRAINT_UNIQUE' }))
    expect(order).toEqual(range(64))
    expect(await valuesOf(db)).toEqual(range(64).filter((x) => x !== 50))
  })

  it('T06: calls of every method are answered in their order, those that fail among them', async () => {
    const db = await openWith('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (-1)', { groupCommit })
    const own = db.prepare<[number]>('INSERT INTO t VALUES (?)')
    const ways: ReadonlyArray<(x: number) => Promise<unknown>> = [
      (x) => db.run('INSERT INTO t VALUES (?)', [x]),
      (x) => db.sql`INSERT INTO t VALUES (${x})`,
      (x) => db.exec(`INSERT INTO t VALUES (${x})`),
      (x) => db.batch([{ sql: 'INSERT INTO t VALUES (?)', params: [x] }]),
      (x) => own.run([x]),
      (x) => db.all('INSERT INTO t VALUES (?) RETURNING x', [x]),
    ]
    const failing = (index: number): boolean => index % 5 === 2
    const calls = range(120)
    const release = await holdWriter(db)
    const order: string[] = []
    const done = calls.map((index) =>
      ways[index % ways.length]!(failing(index) ? -1 : index).then(
        () => order.push(`${index} done`),
        () => order.push(`${index} failed`),
      ),
    )
    await untilWaiting(db, calls.length)
    await release()
    await within(Promise.all(done), 'the answers')
    expect(order).toEqual(calls.map((index) => `${index} ${failing(index) ? 'failed' : 'done'}`))
  })

  it('T09: changes and lastInsertRowid are those of each statement', async () => {
    const db = await openWith('CREATE TABLE t (x); CREATE TABLE u (x)', { groupCommit })
    const release = await holdWriter(db)
    const calls: Promise<RunResult>[] = []
    for (let n = 1; n <= 10; n++) {
      calls.push(db.run('INSERT INTO t SELECT value FROM json_each(?)', [JSON.stringify(range(n))]), db.run('INSERT INTO u VALUES (?)', [n]), db.run('UPDATE t SET x = x + 0 WHERE x < ?', [n]), db.run('DELETE FROM u WHERE x = -1'))
    }
    await release()
    const results = await Promise.all(calls)
    for (let n = 1, rows = 0; n <= 10; n++) {
      rows += n
      expect(results.slice(4 * n - 4, 4 * n)).toEqual([
        { changes: n, lastInsertRowid: rows },
        { changes: 1, lastInsertRowid: n },
        { changes: rows, lastInsertRowid: undefined },
        { changes: 0, lastInsertRowid: undefined },
      ])
    }
  })

  it('T09: rows of RETURNING are delivered to their own call', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit })
    const release = await holdWriter(db)
    const calls = range(50).map((x) => db.all('INSERT INTO t VALUES (?), (?) RETURNING x', [x, x + 100]))
    await release()
    expect(await Promise.all(calls)).toEqual(range(50).map((x) => [{ x }, { x: x + 100 }]))
  })

  it('T10: triggers count as they count alone, and CURRENT_TIMESTAMP is of the statement', async () => {
    const db = await openWith("CREATE TABLE t (x); CREATE TABLE log (x, at DEFAULT CURRENT_TIMESTAMP, day DEFAULT (date('now'))); CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO log (x) VALUES (NEW.x); END", { groupCommit })
    const release = await holdWriter(db)
    const calls = range(20).map((x) => db.run('INSERT INTO t VALUES (?)', [x]))
    await release()
    expect(await Promise.all(calls)).toEqual(range(20).map((x) => ({ changes: 1, lastInsertRowid: x + 1 })))
    expect(await db.pluck('SELECT x FROM log ORDER BY rowid')).toEqual(range(20))
    const [oldest] = await db.pluck<number>("SELECT max(abs(unixepoch('now') - unixepoch(at))) FROM log")
    expect(oldest).toBeLessThan(60)
  })

  it('T05: what cannot be in a transaction runs alone, among others', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit, concurrency: 'wal' })
    const release = await holdWriter(db)
    const calls = [
      db.run('INSERT INTO t VALUES (1)'),
      db.run('VACUUM'),
      db.run('INSERT INTO t VALUES (2)'),
      db.pragma('foreign_keys', false),
      db.run('INSERT INTO t VALUES (3)'),
      db.checkpoint('truncate'),
      db.run('INSERT INTO t VALUES (4)'),
      db.run('PRAGMA user_version = 5'),
      db.exec('BEGIN; INSERT INTO t VALUES (5); COMMIT'),
      db.run('CREATE TABLE u (x)'),
      db.run('INSERT INTO t VALUES (6)'),
    ].map(outcomeOf)
    await release()
    expect(await within(Promise.all(calls), 'all calls')).toEqual(allBut(11, {}))
    expect((await valuesOf(db)).sort()).toEqual([1, 2, 3, 4, 5, 6])
    expect(await db.pragma('foreign_keys')).toEqual([{ foreign_keys: 0 }])
    expect(await db.pluck('PRAGMA user_version')).toEqual([5])
  })

  it('T12: a read after the acknowledgement of a member sees it', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit, durability: 'off', maxReaders: 3 })
    await Promise.all(range(500).map(async (x) => {
      const { lastInsertRowid } = await db.run('INSERT INTO t VALUES (?)', [x])
      expect(await db.pluck('SELECT x FROM t WHERE rowid = ?', [lastInsertRowid ?? null])).toEqual([x])
    }))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([500])
  })

  it('D06: one that meets the row of another member fails as it does alone', async () => {
    const db = await openWith('CREATE TABLE t (x UNIQUE)', { groupCommit })
    const { outcomes } = await together(db, [insert(1), insert(1), insert(2), insert(2), insert(1)])
    expect(outcomes).toEqual(allBut(5, { 1: 'SQLITE_CONSTRAINT_UNIQUE', 3: 'SQLITE_CONSTRAINT_UNIQUE', 4: 'SQLITE_CONSTRAINT_UNIQUE' }))
    expect(await valuesOf(db)).toEqual([1, 2])
  })

  it('a value that cannot be delivered fails its own statement, before the commit', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit })
    const release = await holdWriter(db)
    const calls = range(10).map((x) => outcomeOf(db.all('INSERT INTO t VALUES (?) RETURNING x', [x === 4 ? 2n ** 60n : x], { integers: 'number' })))
    await release()
    expect(await Promise.all(calls)).toEqual(allBut(10, { 4: 'ERR_SLUICE_OUT_OF_RANGE' }))
    expect(await valuesOf(db)).toEqual(range(10).filter((x) => x !== 4))
  })

  it('a full file rejects those for which there is no room, and keeps those for which there is', async () => {
    const db = await openWith('CREATE TABLE t (x)', { groupCommit })
    const [pages] = await db.pluck<number>('PRAGMA page_count')
    await db.pragma('max_page_count', (pages ?? 0) + 20)
    const release = await holdWriter(db)
    const calls = range(30).map((x) => outcomeOf(db.run('INSERT INTO t VALUES (zeroblob(?))', [x % 3 === 2 ? 1_000_000 : 10])))
    await release()
    expect(await Promise.all(calls)).toEqual(range(30).map((x) => (x % 3 === 2 ? 'SQLITE_FULL' : 'done')))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([20])
  })
})

describe('T07: a commit that fails', () => {
  /** Reads, and goes on reading, until it is told to stop. */
  const READER = `main(async () => {
    const db = await open(process.argv[1], { concurrency: 'exclusive' })
    const rows = db.exec('BEGIN; SELECT count(*) FROM t; WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c')
    rows.catch(() => {})
    while (!db.status().writer.holder?.sql.includes('RECURSIVE')) await new Promise(setImmediate)
    setTimeout(() => console.log('reading'), 50)
    await new Promise((resolve) => process.stdin.once('data', resolve))
    await db.close({ timeoutMs: 0 })
    process.exit()
  })`

  const openLocked = async (busyTimeoutMs: number): Promise<{ db: Database; letGo: () => Promise<void> }> => {
    const path = scratchPath()
    // With this option the file keeps its journal mode, in which a reader can be in the way of a commit.
    const first = await openForTest(path, { concurrency: 'exclusive' })
    await first.exec('CREATE TABLE t (x UNIQUE)')
    await first.close()
    const reader = converse(READER, { args: [path] })
    expect(await reader.line()).toBe('reading')
    const db = await openForTest(path, { concurrency: 'exclusive', busyTimeoutMs })
    const letGo = async (): Promise<void> => {
      reader.say('stop')
      await within(reader.ended, 'the reader ends')
    }
    return { db, letGo }
  }

  it('for a reader of another process is tried again until that is gone', async () => {
    const { db, letGo } = await openLocked(20_000)
    const calls = range(8).map((x) => db.run('INSERT INTO t VALUES (?)', [x]))
    // The lock of the other process is let go only while they try.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await letGo()
    await within(Promise.all(calls), 'the group')
    expect(await valuesOf(db)).toEqual(range(8))
  })

  it('for too long rejects every member with that, and the writer is healthy afterwards', async () => {
    const { db, letGo } = await openLocked(50)
    const calls = [1, 2, 1, 3].map((x) => failureOf(db.run('INSERT INTO t VALUES (?)', [x])))
    for (const error of await within(Promise.all(calls), 'the group')) {
      expect(error).toBeInstanceOf(SqliteError)
      // D06: what had failed inside for a row of another member carries the code of the commit too.
      expect(error.code).toMatch(/^SQLITE_BUSY/)
    }
    await letGo()
    await db.run('INSERT INTO t VALUES (9)')
    expect(await valuesOf(db)).toEqual([9])
  })
})
