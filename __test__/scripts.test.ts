import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchFolder, scratchPath } from './support/scratch.js'

const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')

describe('exec', () => {
  it('runs every statement, in order, and resolves to nothing', async () => {
    const db = await openScratch()
    const outcome: unknown = await db.exec(`
      -- first a table
      CREATE TABLE t (x);
      INSERT INTO t VALUES (1); INSERT INTO t SELECT x + 1 FROM t;
      /* rows are not carried over */ SELECT x FROM t;
      INSERT INTO t SELECT max(x) + 1 FROM t -- no semicolon at the end`)
    expect(outcome).toBeUndefined()
    expect(await valuesOf(db)).toEqual([1, 2, 3])
  })

  it.each(['', ' \n', ';', ';;;', '-- nothing', '/* nothing */;'])('does nothing for %j', async (script) => {
    expect(await (await openScratch()).exec(script)).toBeUndefined()
  })

  it.each([undefined, null, 1, ['SELECT 1'], { sql: 'SELECT 1' }])('refuses %j, which is no text', async (script) => {
    expect(await codeOf((await openScratch()).exec(script as never))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
  })

  it('keeps the semicolons in strings, comments and triggers', async () => {
    const db = await openWithTable()
    await db.exec(`CREATE TRIGGER twice AFTER INSERT ON t WHEN NEW.x <> ';' BEGIN INSERT INTO t VALUES (';'); SELECT 1; END; -- ; ;
      INSERT INTO t VALUES ('a;b'); /* ; */`)
    expect(await valuesOf(db)).toEqual(['a;b', ';'])
  })

  it('runs scripts one after another, each whole', async () => {
    const db = await openWithTable()
    const script = 'BEGIN; INSERT INTO t SELECT ifnull(max(x), 0) + 1 FROM t; INSERT INTO t SELECT max(x) FROM t; COMMIT'
    await Promise.all(Array.from({ length: 20 }, () => db.exec(script)))
    expect(await valuesOf(db)).toEqual(Array.from({ length: 40 }, (_, index) => 1 + Math.floor(index / 2)))
  })

  it('runs a script of 20,000 statements', async () => {
    const db = await openWithTable()
    const inserts = Array.from({ length: 20_000 }, (_, index) => `INSERT INTO t VALUES (${index});`).join('\n')
    await db.exec(`BEGIN;${inserts}COMMIT`)
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([20_000])
  })
})

describe('the first error of a script', () => {
  it('stops it, and says which statement it was', async () => {
    const db = await openWithTable()
    const error = await failureOf(db.exec('INSERT INTO t VALUES (1); INSERT INTO nowhere VALUES (2); INSERT INTO t VALUES (3)'))
    expect(error).toMatchObject({ code: 'SQLITE_ERROR', statementIndex: 1 })
    expect(error.message).toMatch(/statement 2 .*no such table: nowhere/)
    expect(await valuesOf(db)).toEqual([1])
  })

  it('takes no values beside it, and then runs nothing', async () => {
    const db = await openWithTable()
    const exec = db.exec.bind(db) as (script: string, values: unknown) => Promise<void>
    expect(await codeOf(exec('INSERT INTO t VALUES (1)', [1]))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await valuesOf(db)).toEqual([])
  })

  it('counts statements only: neither comments nor empty ones', async () => {
    const db = await openWithTable()
    const error = await failureOf(db.exec('/* a */; ; INSERT INTO t VALUES (1); -- b\n ; nonsense'))
    expect(error.statementIndex).toBe(1)
  })

  it.each([
    ['a constraint', 'INSERT INTO u VALUES (1), (1)', 'SQLITE_CONSTRAINT_UNIQUE'],
    ['a cut-off text', 'INSERT INTO', 'SQLITE_ERROR'],
    ['a RAISE in a trigger', 'DELETE FROM u', 'SQLITE_CONSTRAINT_TRIGGER'],
    ['a parameter', 'INSERT INTO t VALUES (?)', 'ERR_SLUICE_INVALID_PARAMETER'],
    ['a named parameter', 'INSERT INTO t VALUES (:x)', 'ERR_SLUICE_INVALID_PARAMETER'],
    ['a PRAGMA for one connection', 'PRAGMA foreign_keys = OFF', 'ERR_SLUICE_PRAGMA'],
    ['a journal mode', 'PRAGMA journal_mode = DELETE', 'ERR_SLUICE_PRAGMA'],
  ])('may be %s: what was before it stays, what comes after it is not run', async (_name, failing, code) => {
    const db = await openWithTable()
    await db.exec(`CREATE TABLE u (x UNIQUE); INSERT INTO u VALUES (7);
      CREATE TRIGGER keep BEFORE DELETE ON u BEGIN SELECT RAISE(ABORT, 'kept'); END`)
    const error = await failureOf(db.exec(`INSERT INTO t VALUES (1); ${failing}; INSERT INTO t VALUES (3)`))
    expect(error).toMatchObject({ code, statementIndex: 1 })
    expect(await valuesOf(db)).toEqual([1])
    expect(await db.pluck('SELECT x FROM u')).toEqual([7])
  })

  it('disturbs no call beside it', async () => {
    const db = await openWithTable()
    const calls = [db.run('INSERT INTO t VALUES (1)'), db.exec('nonsense'), db.run('INSERT INTO t VALUES (2)'), db.all('SELECT 1')]
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(await valuesOf(db)).toEqual([1, 2])
  })
})

describe('R10: a transaction in a script', () => {
  it('commits whole', async () => {
    const db = await openWithTable()
    await db.exec('BEGIN; INSERT INTO t VALUES (1); SAVEPOINT a; INSERT INTO t VALUES (2); ROLLBACK TO a; RELEASE a; INSERT INTO t VALUES (3); COMMIT')
    expect(await valuesOf(db)).toEqual([1, 3])
  })

  it('is rolled back when a statement in it fails', async () => {
    const db = await openWithTable()
    const error = await failureOf(db.exec('INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2); nonsense; COMMIT'))
    expect(error).toMatchObject({ code: 'SQLITE_ERROR', statementIndex: 3 })
    expect(await valuesOf(db)).toEqual([1])
    await db.exec('BEGIN; INSERT INTO t VALUES (4); COMMIT')
    expect(await valuesOf(db)).toEqual([1, 4])
  })

  it.each(['BEGIN', 'BEGIN IMMEDIATE', 'SAVEPOINT a'])('that %s opens and nobody ends is rolled back, and an error', async (begin) => {
    const db = await openWithTable()
    const error = await failureOf(db.exec(`${begin}; INSERT INTO t VALUES (1)`))
    expect(error.code).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    expect(error.message).toContain('rolled back')
    expect(await valuesOf(db)).toEqual([])
    expect(await db.run('INSERT INTO t VALUES (2)')).toEqual({ changes: 1, lastInsertRowid: 1 })
  })

  it.each(['COMMIT', 'ROLLBACK', 'RELEASE a', 'END'])('that was not begun cannot end with %s', async (end) => {
    const db = await openWithTable()
    expect(await failureOf(db.exec(`INSERT INTO t VALUES (1); ${end}`))).toMatchObject({ code: 'SQLITE_ERROR', statementIndex: 1 })
    expect(await valuesOf(db)).toEqual([1])
  })

  it('that ends by itself (OR ROLLBACK) leaves nothing open', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)')
    const script = 'BEGIN; INSERT INTO t VALUES (2); INSERT OR ROLLBACK INTO t VALUES (1); COMMIT'
    expect(await failureOf(db.exec(script))).toMatchObject({ code: 'SQLITE_CONSTRAINT_UNIQUE', statementIndex: 2 })
    expect(await valuesOf(db)).toEqual([1])
  })

  it('is not seen by a read before it commits, nor in part', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    const statements = Array.from({ length: 500 }, (_, index) => `INSERT INTO t VALUES (${index})`).join(';')
    const script = db.exec(`BEGIN; ${statements}; COMMIT`)
    const seen = new Set<unknown>()
    do seen.add((await within(db.pluck('SELECT count(*) FROM t'), 'a read'))[0])
    while (!seen.has(500))
    await script
    expect([...seen].filter((count) => count !== 0 && count !== 500)).toEqual([])
  })

  it('V18: may ask for its own changes and rowids', async () => {
    const db = await openWithTable()
    await db.exec(`INSERT INTO t (rowid, x) VALUES (41, 'a');
      INSERT INTO t SELECT last_insert_rowid(); UPDATE t SET x = x; INSERT INTO t SELECT changes()`)
    expect(await valuesOf(db)).toEqual(['a', 41, 2])
  })
})

describe('what runs alone, inside a script', () => {
  it('is done where it can be: VACUUM, REINDEX, ANALYZE, user_version', async () => {
    const db = await openWithTable()
    await db.exec('INSERT INTO t VALUES (1); VACUUM; REINDEX; ANALYZE; PRAGMA user_version = 7; PRAGMA user_version; PRAGMA optimize')
    expect(await db.pragma('user_version')).toEqual([{ user_version: 7 }])
    expect(await valuesOf(db)).toEqual([1])
  })

  it('is an error of SQLite inside a transaction: VACUUM', async () => {
    const db = await openWithTable()
    expect(await failureOf(db.exec('BEGIN; VACUUM; COMMIT'))).toMatchObject({ code: 'SQLITE_ERROR', statementIndex: 1 })
    expect(await db.run('INSERT INTO t VALUES (1)')).toMatchObject({ changes: 1 })
  })

  it('attaches another file, which later calls see until it is detached', async () => {
    const folder = scratchFolder()
    const db = await openForTest(join(folder, 'a.db'))
    const other = join(folder, 'b.db')
    await db.exec(`ATTACH '${other}' AS b; CREATE TABLE b.far (x); INSERT INTO b.far VALUES (1)`)
    expect(existsSync(other)).toBe(true)
    expect(await Promise.all([1, 2, 3].map(() => db.pluck('SELECT x FROM b.far')))).toEqual([[1], [1], [1]])
    await db.exec('DETACH b')
    expect(await codeOf(db.pluck('SELECT x FROM b.far'))).toBe('SQLITE_ERROR')
  })

  it('makes a temporary table, which later calls see, and which hides one of its name until it is dropped', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    await db.exec("INSERT INTO t VALUES ('real'); CREATE TEMP TABLE t (x); INSERT INTO temp.t VALUES ('temporary')")
    expect(await Promise.all([1, 2, 3].map(() => db.pluck('SELECT x FROM t')))).toEqual([['temporary'], ['temporary'], ['temporary']])
    await db.exec('DROP TABLE temp.t')
    expect(await Promise.all([1, 2, 3].map(() => db.pluck('SELECT x FROM t')))).toEqual([['real'], ['real'], ['real']])
  })

  it('is refused to a handle that only reads', async () => {
    const path = scratchPath()
    await (await openForTest(path)).exec('CREATE TABLE t (x)')
    const reader = await openForTest(path, { readonly: true })
    expect(await codeOf(reader.exec('SELECT x FROM t; INSERT INTO t VALUES (1)'))).toMatch(/READONLY/)
    expect(await valuesOf(reader)).toEqual([])
  })
})
