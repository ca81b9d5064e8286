import { describe, expect, it } from 'vitest'

import { Statement } from '../index.js'
import type { Column, Database } from '../index.js'
import { runScript } from './support/child-process.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'
import { COUNTING_READ } from './support/slow-sql.js'

const namesOf = (columns: readonly Column[]): string[] => columns.map(({ name }) => name)

/** Runs enough slow reads at once that every reader has prepared `sql`. */
async function prepareOnAllReaders(db: Database, sql: string): Promise<void> {
  await Promise.all(Array.from({ length: 8 }, () => [db.all(COUNTING_READ, [50_000]), db.all(sql)]).flat())
}

describe('prepare', () => {
  it('returns a statement at once, and sends nothing', async () => {
    const db = await openScratch()
    const statement = db.prepare('SELECT * FROM made_later')
    expect(statement).toBeInstanceOf(Statement)
    expect(statement.sql).toBe('SELECT * FROM made_later')
    await db.exec('CREATE TABLE made_later (x); INSERT INTO made_later VALUES (1)')
    expect(await statement.all()).toEqual([{ x: 1 }])
  })

  it('tells of an error in the text with the first call, and with each one after it', async () => {
    const statement = (await openScratch()).prepare('SELEC 1')
    for (let time = 0; time < 2; time++) expect(await codeOf(statement.all())).toBe('SQLITE_ERROR')
    expect(await codeOf(statement.columns())).toBe('SQLITE_ERROR')
  })

  it.each([undefined, null, 7, {}, ['SELECT 1']])('V01: throws at once for %j, which is no text', async (sql) => {
    const db = await openScratch()
    expect(() => db.prepare(sql as never)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
  })

  it('gives all results in all forms, with other values each time', async () => {
    const statement = (await openScratch()).prepare<[number], { a: number; b: number }>('SELECT ?1 AS a, ?1 * 2 AS b')
    expect(await statement.all([1])).toEqual([{ a: 1, b: 2 }])
    expect(await statement.get([2])).toEqual({ a: 2, b: 4 })
    expect(await statement.values([3])).toEqual([[3, 6]])
    expect(await statement.pluck([4])).toEqual([4])
    expect(await statement.run([5])).toEqual({ changes: 0, lastInsertRowid: undefined })
    expect(await statement.execute([6], { rowMode: 'array', integers: 'bigint' })).toMatchObject({ rows: [[6n, 12n]], route: 'read' })
  })

  it('V09: binds nothing left over from the run before', async () => {
    const statement = (await openScratch()).prepare('SELECT ? AS a, ? AS b')
    expect(await statement.get([1, 2])).toEqual({ a: 1, b: 2 })
    expect(await codeOf(statement.get([3]))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await statement.get([null, undefined])).toEqual({ a: null, b: null })
  })

  it('runs on many connections at once', async () => {
    const statement = (await openScratch({ maxReaders: 4 })).prepare(COUNTING_READ)
    const counts = await within(Promise.all([1, 10, 1_000, 100_000].map((most) => statement.pluck([most]))), 'all counts')
    expect(counts).toEqual([[1], [10], [1_000], [100_000]])
  })

  it('writes as well as it reads', async () => {
    const statement = (await openWithTable()).prepare('INSERT INTO t VALUES (?)')
    const rowids = await Promise.all([7, 8, 9].map(async (value) => (await statement.run([value])).lastInsertRowid))
    expect(rowids).toEqual([1, 2, 3])
  })

  it('is of no use once its database is closed', async () => {
    const db = await openScratch()
    const statement = db.prepare('SELECT 1')
    await db.close()
    expect(await codeOf(statement.all())).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(statement.columns())).toBe('ERR_SLUICE_CLOSED')
  })

  it('is the only way to make a Statement', () => {
    expect(() => new (Statement as unknown as new (handle: object, sql: string) => Statement)({}, 'SELECT 1')).toThrow(/db\.prepare/)
  })
})

describe('columns', () => {
  it('are told with name, declared type, table and origin', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(20), free); CREATE VIEW v AS SELECT name AS called FROM people')
    expect(await db.prepare('SELECT id, name AS n, free, 1 + 1 FROM people').columns()).toEqual([
      { name: 'id', declaredType: 'INTEGER', table: 'people', origin: 'id' },
      { name: 'n', declaredType: 'VARCHAR(20)', table: 'people', origin: 'name' },
      { name: 'free', declaredType: null, table: 'people', origin: 'free' },
      { name: '1 + 1', declaredType: null, table: null, origin: null },
    ])
    expect(await db.prepare('SELECT called FROM v').columns()).toEqual([
      { name: 'called', declaredType: 'VARCHAR(20)', table: 'people', origin: 'name' },
    ])
  })

  it('are told without running the statement, and without its values', async () => {
    const db = await openWithTable()
    expect(namesOf(await db.prepare('INSERT INTO t VALUES (?) RETURNING x AS made').columns())).toEqual(['made'])
    expect(namesOf(await db.prepare('SELECT :a AS a, x FROM t WHERE x = :b').columns())).toEqual(['a', 'x'])
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it.each(['user_version = 9', 'journal_mode = DELETE', 'foreign_keys = OFF', 'query_only = ON', 'cache_size = 7'])(
    'of PRAGMA %s can be asked for without setting it',
    async (setting) => {
      const db = await openWithTable()
      const [name = ''] = setting.split(' ')
      const before = await db.pragma(name)
      await db.prepare(`PRAGMA ${setting}`).columns().catch(() => {})
      expect(await db.pragma(name)).toEqual(before)
      expect(await db.run('INSERT INTO t VALUES (1)')).toMatchObject({ changes: 1 })
    },
  )

  it.each(['BEGIN', 'COMMIT', 'SAVEPOINT a'])('R10: of %s are not told: it is refused, and begins nothing', async (sql) => {
    const db = await openWithTable()
    expect(await codeOf(db.prepare(sql).columns())).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    await db.exec('BEGIN; INSERT INTO t VALUES (1); COMMIT')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })

  it.each(['INSERT INTO t VALUES (1)', 'CREATE TABLE u (x)', '', '-- nothing', ';'])('of %j are none', async (sql) => {
    const db = await openWithTable()
    expect(await db.prepare(sql).columns()).toEqual([])
    expect(await db.pluck('SELECT name FROM sqlite_schema')).toEqual(['t'])
  })

  it('are frozen, as all results share them', async () => {
    const statement = (await openWithTable()).prepare('SELECT x FROM t')
    const [first, second] = [await statement.execute(), await statement.execute()]
    expect(second.columns).toBe(first.columns)
    expect(Object.isFrozen(first.columns) && first.columns.every((column) => Object.isFrozen(column))).toBe(true)
  })

  it('D10: are those of now, also when the schema has changed since the statement last ran', async () => {
    const db = await openWithTable()
    const statements = [db.prepare('SELECT * FROM t'), db.prepare('INSERT INTO t (x) VALUES (1) RETURNING *')]
    for (const statement of statements) await statement.all()
    await db.exec('ALTER TABLE t ADD COLUMN y TEXT')
    for (const statement of statements) expect(namesOf(await statement.columns())).toEqual(['x', 'y'])
    await db.exec('DROP TABLE t')
    for (const statement of statements) expect(await codeOf(statement.columns())).toBe('SQLITE_ERROR')
  })

  it('D10: are those of now after another process changed the schema', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    const statement = db.prepare('SELECT * FROM t')
    expect(namesOf(await statement.columns())).toEqual(['x'])
    const script = `main(async () => {
      const db = await open(process.argv[1])
      await db.exec('ALTER TABLE t ADD COLUMN y')
      await db.close()
    })`
    expect(await runScript(script, { args: [path] })).toMatchObject({ code: 0 })
    expect(namesOf(await statement.columns())).toEqual(['x', 'y'])
    expect(namesOf((await statement.execute()).columns)).toEqual(['x', 'y'])
  })
})

describe('V01, V02, V03, V20: texts', () => {
  const EMPTY = { columns: [], rows: [], changes: 0, lastInsertRowid: undefined }

  it.each(['', ' \n\t', ';', ' ; ;; ', '-- only a comment', '/* one */ -- another', '/* never closed'])('without a statement, as %j, return nothing', async (sql) => {
    const db = await openScratch()
    expect(await db.execute(sql)).toMatchObject(EMPTY)
    expect(await db.all(sql)).toEqual([])
    expect(await db.get(sql)).toBeUndefined()
    expect(await db.run(sql)).toEqual({ changes: 0, lastInsertRowid: undefined })
    expect(await codeOf(db.run(sql, [1]))).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })

  it.each([undefined, null, 7, true, {}, ['SELECT 1'], new Date(0), Buffer.from('SELECT 1')])('that are none, as %j, are refused', async (sql) => {
    const db = await openScratch()
    const { code, message } = await failureOf(db.execute(sql as never))
    expect(code).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(message).toMatch(/SQL must be a string/)
    expect(await db.pluck('SELECT 1')).toEqual([1])
  })

  it.each(['SELECT 1; DROP TABLE t', 'SELECT 1;;SELECT 2', 'INSERT INTO t VALUES (1); SELECT 2', '; SELECT 1', 'SELECT 1; nonsense', 'DROP TABLE t; -- x\n SELECT 1'])(
    'V02: of more than one statement, as %j, are refused or run whole, never in part',
    async (sql) => {
      const db = await openWithTable()
      const outcome = await db.all(sql).catch((error: { code: string }) => error.code)
      expect(outcome).toEqual(sql.startsWith(';') ? [{ 1: 1 }] : 'ERR_SLUICE_MULTIPLE_STATEMENTS')
      expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
    },
  )

  it.each(['SELECT 1;', 'SELECT 1 ; -- and then nothing', 'SELECT 1;\n/* nothing */ ; ;', '-- first\nSELECT 1'])('V02: of one statement, as %j, run', async (sql) => {
    expect(await (await openScratch()).pluck(sql)).toEqual([1])
  })

  it.each(['SELECT 1\0', 'SELECT 1\0; DROP TABLE t', '\0', "SELECT 'a\0b'"])('V03: with a NUL, as %j, are refused', async (sql) => {
    const db = await openWithTable()
    expect(await codeOf(db.all(sql))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(await codeOf(db.exec(sql))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(() => db.prepare(sql)).toThrow(/NUL/)
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it.each(['EXPLAIN INSERT INTO t VALUES (1)', 'EXPLAIN QUERY PLAN DELETE FROM t', 'EXPLAIN UPDATE t SET x = 2'])('V20: %s explains and changes nothing', async (sql) => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (1)')
    const { columns, changes, lastInsertRowid } = await db.execute(sql)
    expect(columns.length).toBeGreaterThan(0)
    expect({ changes, lastInsertRowid }).toEqual({ changes: 0, lastInsertRowid: undefined })
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })
})

describe('D10: a schema that changes', () => {
  const SQL = 'SELECT * FROM t ORDER BY rowid'

  it('between two runs of one statement gives the right shape on every reader', async () => {
    const db = await openWithTable({ maxReaders: 3 })
    await db.run("INSERT INTO t VALUES ('one')")
    await prepareOnAllReaders(db, SQL)
    await db.exec("ALTER TABLE t ADD COLUMN y DEFAULT 'two'")
    const results = await Promise.all(Array.from({ length: 12 }, () => [db.all(COUNTING_READ, [20_000]), db.execute(SQL)]).flat())
    for (const result of results) {
      if (Array.isArray(result)) continue
      expect(result.rows).toEqual([{ x: 'one', y: 'two' }])
      expect(namesOf(result.columns)).toEqual(['x', 'y'])
    }
  })

  it('again and again is followed each time, past every number of shapes that is kept', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    await db.run('INSERT INTO t VALUES (0)')
    for (let column = 1; column <= 40; column++) {
      const [reads] = await Promise.all([Promise.all([db.all(SQL), db.values(SQL), db.execute(SQL)]), db.exec(`ALTER TABLE t ADD COLUMN c${column} DEFAULT ${column}`)])
      expect([column, column + 1]).toContain(Object.keys(reads[0][0] ?? {}).length)
      const now = await db.execute(SQL)
      expect(Object.values(now.rows[0] ?? {})).toEqual(Array.from({ length: column + 1 }, (_, index) => index))
      expect(now.columns.length).toBe(column + 1)
    }
  })

  it('back to what it was makes a known shape valid again', async () => {
    const db = await openWithTable()
    for (let time = 0; time < 5; time++) {
      expect(namesOf((await db.execute(SQL)).columns)).toEqual(['x'])
      await db.exec('ALTER TABLE t ADD COLUMN y')
      expect(namesOf((await db.execute(SQL)).columns)).toEqual(['x', 'y'])
      await db.exec('ALTER TABLE t DROP COLUMN y')
    }
  })

  it('takes a table away and brings another under its name', async () => {
    const db = await openWithTable()
    const [read, write] = [db.prepare(SQL), db.prepare('INSERT INTO t VALUES (?) RETURNING *')]
    expect(await write.get([1])).toEqual({ x: 1 })
    await db.exec('DROP TABLE t')
    expect(await failureOf(read.all())).toMatchObject({ code: 'SQLITE_ERROR', message: expect.stringMatching(/no such table/) as string })
    expect(await codeOf(write.run([1]))).toBe('SQLITE_ERROR')
    await db.exec('CREATE TABLE t (other)')
    expect(await write.get([2])).toEqual({ other: 2 })
    expect(await read.all()).toEqual([{ other: 2 }])
  })

  it('turns a table into a view, and what was a write into an error', async () => {
    const db = await openWithTable()
    const write = db.prepare('INSERT INTO t VALUES (1)')
    await write.run()
    await db.exec('ALTER TABLE t RENAME TO base; CREATE VIEW t AS SELECT x, 7 AS y FROM base')
    expect(await db.all('SELECT * FROM t')).toEqual([{ x: 1, y: 7 }])
    expect(await failureOf(write.run())).toMatchObject({ code: 'SQLITE_ERROR', message: expect.stringMatching(/view/) as string })
  })
})
