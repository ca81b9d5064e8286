import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { runScript } from './support/child-process.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'

/** {@link https://sqlite.org/limits.html} */
const MAX_PARAMETERS = 32_766
const MAX_COLUMNS = 2_000

const repeat = (item: string, count: number): string => Array.from({ length: count }, () => item).join()

async function expectUsable(db: Database): Promise<void> {
  expect(await db.values('SELECT ?', ['fine'])).toEqual([['fine']])
}

describe('a row of values that are too large together', () => {
  it.each([
    ['BLOBs', 'zeroblob(20000000)'],
    ['texts', 'CAST(zeroblob(20000000) AS TEXT)'],
  ])('is refused before it is copied: %s', async (_kind, value) => {
    const script = `main(async () => {
      const db = await open(':memory:', { maxResultBytes: 1_000_000 })
      const sql = 'SELECT ' + Array(25).fill("${value}").join()
      await db.get(sql).catch((error) => console.log(error.code))
      console.log(process.resourceUsage().maxRSS)
    })`
    const { stdout } = await runScript(script)
    const [code, maxRss] = stdout.split('\n')
    expect(code).toBe('ERR_SLUICE_TOO_LARGE')
    // SQLite holds the 500 MB of the row itself.
    expect(Number(maxRss), 'KiB').toBeLessThan(800_000)
  })
})

describe('V12: parameters', () => {
  const sql = (count: number): string => `VALUES (${Array.from({ length: count }, () => '?').join('),(')})`

  it.each([
    ['integers', (index: number) => index],
    ['wide integers', (index: number) => 2n ** 60n + BigInt(index)],
    ['texts', (index: number) => `text ${index}`],
    ['BLOBs', (index: number) => new Uint8Array([index, index >> 8])],
  ])('32,766 of them are taken: %s', async (_kind, make) => {
    const db = await openForTest(':memory:')
    const values = Array.from({ length: MAX_PARAMETERS }, (_, index) => make(index))
    const taken = await db.pluck(sql(MAX_PARAMETERS), values)
    expect(taken.length).toBe(MAX_PARAMETERS)
    for (const at of [0, 1, 8_191, 8_192, 16_384, MAX_PARAMETERS - 1]) expect(taken[at], `value ${at}`).toStrictEqual(values[at])
  })

  it('32,767 of them are an error of SQLite', async () => {
    const db = await openForTest(':memory:')
    const error = await failureOf(db.pluck(sql(MAX_PARAMETERS + 1), Array.from({ length: MAX_PARAMETERS + 1 }, () => 1)))
    expect(error).toMatchObject({ code: 'SQLITE_ERROR', message: 'too many SQL variables' })
    await expectUsable(db)
  })

  it.each([
    ['?32766', MAX_PARAMETERS, MAX_PARAMETERS - 1],
    ['?32767', MAX_PARAMETERS + 1, 'SQLITE_ERROR'],
    ['?0', 0, 'SQLITE_ERROR'],
    ['?99999999999999999999', 1, 'SQLITE_ERROR'],
  ])('the number of %s is checked', async (parameter, count, expected) => {
    const db = await openForTest(':memory:')
    const values = Array.from({ length: count }, (_, index) => index)
    const outcome = await db.pluck(`SELECT ${parameter}`, values).then(([last]) => last, ({ code }) => code as string)
    expect(outcome).toBe(expected)
    await expectUsable(db)
  })

  it.each([MAX_PARAMETERS + 1, 65_537, 1_000_000])('%i values for one parameter are refused', async (count) => {
    const db = await openForTest(':memory:')
    const values = Array.from({ length: count }, () => 'x')
    expect(await codeOf(db.pluck('SELECT ?', values))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await codeOf(db.pluck('SELECT :a', Object.fromEntries(values.map((value, index) => [`p${index}`, value]))))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    await expectUsable(db)
  })

  it('an array that claims 2^32 - 1 values is refused without being read', async () => {
    const db = await openForTest(':memory:')
    const sparse: number[] = []
    sparse.length = 2 ** 32 - 1
    expect(await codeOf(db.pluck('SELECT ?', sparse))).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })
})

describe('V12: columns', () => {
  it('2,000 of them are delivered, in both forms', async () => {
    const db = await openForTest(':memory:')
    const sql = `SELECT ${Array.from({ length: MAX_COLUMNS }, (_, index) => `${index} AS c${index}`).join()}`
    const expected = Array.from({ length: MAX_COLUMNS }, (_, index) => index)
    for (let run = 0; run < 6; run++) {
      expect(await db.values(sql)).toEqual([expected])
      const row = (await db.get(sql)) ?? {}
      expect(Object.values(row)).toEqual(expected)
      expect(Object.keys(row)[MAX_COLUMNS - 1]).toBe('c1999')
    }
  })

  it('a table of 2,000 columns is written and read', async () => {
    const db = await openScratch()
    await db.exec(`CREATE TABLE wide (${Array.from({ length: MAX_COLUMNS }, (_, index) => `c${index}`).join()})`)
    const values = Array.from({ length: MAX_COLUMNS }, (_, index) => `value ${index}`)
    for (let run = 0; run < 10; run++) await db.run(`INSERT INTO wide VALUES (${repeat('?', MAX_COLUMNS)})`, values)
    for (const row of await db.values('SELECT * FROM wide')) expect(row).toEqual(values)
  })

  it('2,001 of them are an error of SQLite', async () => {
    const db = await openForTest(':memory:')
    expect(await failureOf(db.values(`SELECT ${repeat('1', MAX_COLUMNS + 1)}`))).toMatchObject({ code: 'SQLITE_ERROR', message: 'too many columns in result set' })
    expect(await codeOf(db.exec(`CREATE TABLE t (${Array.from({ length: MAX_COLUMNS + 1 }, (_, index) => `c${index}`).join()})`))).toBe('SQLITE_ERROR')
    await expectUsable(db)
  })
})

describe('V13: names of columns', () => {
  it('that repeat: arrays keep all of them, and in objects the last one wins', async () => {
    const db = await openForTest(':memory:')
    const sql = 'SELECT 1 AS a, 2 AS b, 3 AS a'
    for (let run = 0; run < 6; run++) {
      expect(await db.get(sql)).toStrictEqual({ a: 3, b: 2 })
      expect(await db.values(sql)).toEqual([[1, 2, 3]])
      expect((await db.execute(sql)).columns.map(({ name }) => name)).toEqual(['a', 'b', 'a'])
    }
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '', ' ', '0', '-1', "it's", '"', '\\', '${x}', '`', '\n', '\u2028', 'é🦭', '*/'])('%j is an own key like any other', async (name) => {
    const db = await openForTest(':memory:')
    const sql = `SELECT ?1 AS before, ?2 AS "${name.replaceAll('"', '""')}", ?3 AS behind`
    for (let run = 0; run < 6; run++) {
      for (const value of ['text', new Uint8Array([1]), null, 5]) {
        const [row, more] = await db.all(`${sql} UNION ALL SELECT ?1, ?2, ?3`, ['a', value, 'z'])
        expect(Object.entries(row ?? {}).sort()).toEqual([['before', 'a'], ['behind', 'z'], [name, value]].sort())
        expect(Object.getOwnPropertyDescriptor(row, name)).toEqual({ value, configurable: true, enumerable: true, writable: true })
        expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
        expect(more).toEqual(row)
      }
    }
    expect(({} as { before?: unknown }).before).toBe(undefined)
  })

  it('of 100,000 characters is delivered', async () => {
    const db = await openForTest(':memory:')
    const name = 'x'.repeat(100_000)
    expect(await db.get(`SELECT 1 AS ${name}`)).toStrictEqual({ [name]: 1 })
  })
})

describe('V23: statements that go deep', () => {
  const nested = (open: string, inner: string, close: string, depth: number): string => open.repeat(depth) + inner + close.repeat(depth)

  it.each([
    ['a sum of 10,000', `SELECT ${'1 + '.repeat(10_000)}1`],
    ['10,000 parentheses', `SELECT ${nested('(', '1', ')', 10_000)}`],
    ['10,000 negations', `SELECT ${'NOT '.repeat(10_000)}1`],
    ['10,000 signs', `SELECT ${'- '.repeat(10_000)}1`],
    ['10,000 conjunctions', `SELECT 1 ${'AND 1 '.repeat(10_000)}`],
    ['10,000 concatenations', `SELECT 'a' ${"|| 'a' ".repeat(10_000)}`],
    ['10,000 nested functions', `SELECT ${nested('abs(', '1', ')', 10_000)}`],
    ['10,000 nested cases', `SELECT ${nested('CASE WHEN 1 THEN ', '1', ' END', 10_000)}`],
    ['10,000 nested subqueries', `SELECT * FROM ${nested('(SELECT * FROM ', '(SELECT 1)', ')', 10_000)}`],
    ['10,000 nested scalar subqueries', `SELECT ${nested('(SELECT ', '1', ')', 10_000)}`],
    ['10,000 nested EXISTS', `SELECT ${nested('EXISTS (SELECT ', '1', ')', 10_000)}`],
    ['a compound of 501 terms', `SELECT 1${' UNION ALL SELECT 1'.repeat(500)}`],
    ['10,000 nested common tables', `${nested('WITH a AS (', 'SELECT 1', ') SELECT * FROM a', 10_000)}`],
    ['a join of 65 tables', `SELECT 1 FROM ${Array.from({ length: 65 }, (_, index) => `(SELECT 1) AS t${index}`).join()}`],
    ['a pattern of 50,001 bytes', `SELECT 'a' LIKE '${'%'.repeat(50_001)}'`],
    ['1,001 arguments', `SELECT max(${repeat('1', 1_001)})`],
  ])('%s: an error of SQLite, and no overflow of the stack', async (_name, sql) => {
    const db = await openWithTable()
    for (const call of [() => db.all(sql), () => db.exec(sql), () => db.run(`INSERT INTO t SELECT * FROM (${sql})`)]) {
      expect((await failureOf(call())).code).toBe('SQLITE_ERROR')
      await expectUsable(db)
    }
  })

  it.each([
    ['a sum of 999', `SELECT ${'1 + '.repeat(998)}1`, 999],
    ['a compound of 500 terms', `SELECT count(*) FROM (SELECT 1${' UNION ALL SELECT 1'.repeat(499)})`, 500],
    ['500 sorted terms', `SELECT count(*) FROM (SELECT 1${' UNION SELECT 1'.repeat(499)})`, 1],
    ['50 nested subqueries', `SELECT * FROM ${nested('(SELECT * FROM ', '(SELECT 7)', ')', 50)}`, 7],
    ['a list of 10,000', `SELECT 5 IN (${repeat('5', 10_000)})`, 1],
    ['10,000 rows of VALUES', `SELECT count(*) FROM (VALUES ${repeat('(1)', 10_000)})`, 10_000],
    ['a pattern of 50,000 bytes', `SELECT 'a' LIKE '${'%'.repeat(50_000)}'`, 1],
    ['JSON nested 1,000 deep', `SELECT json_valid('${nested('[', '', ']', 1_000)}')`, 1],
    ['JSON nested 100,000 deep', `SELECT json_valid('${nested('[', '', ']', 100_000)}')`, 0],
  ])('%s works', async (_name, sql, expected) => {
    const db = await openForTest(':memory:')
    expect(await db.pluck(sql)).toEqual([expected])
  })

  it('triggers that fire each other without end: an error, and nothing is kept', async () => {
    const db = await openWithTable({ pragmas: { recursive_triggers: true } })
    await db.exec('CREATE TRIGGER again AFTER INSERT ON t BEGIN INSERT INTO t VALUES (new.x + 1); END')
    expect(await failureOf(db.run('INSERT INTO t VALUES (1)'))).toMatchObject({ code: 'SQLITE_ERROR', message: expect.stringContaining('trigger') })
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })
})

describe('V12, V15: what is larger than anything can hold', () => {
  it('SQL of 10 MB works', async () => {
    const db = await openForTest(':memory:')
    expect(await db.pluck(`SELECT length('${'x'.repeat(10_000_000)}')`)).toEqual([10_000_000])
  })

  /** These need gigabytes: a process of their own gives them back. */
  it.each([
    ['SQL of more than 1 GB', `db.all('SELECT 1 --' + '€'.repeat(340_000_000))`, 'SQLITE_TOOBIG'],
    ['a script of more than 1 GB', `db.exec('SELECT 1 --' + '€'.repeat(340_000_000))`, 'SQLITE_TOOBIG'],
    ['a text parameter of more than 1 GB', `db.run('INSERT INTO t VALUES (?)', ['€'.repeat(340_000_000)])`, 'SQLITE_TOOBIG'],
    ['a BLOB parameter of 1 GB + 1', `db.run('INSERT INTO t VALUES (?)', [new Uint8Array(1_000_000_001)])`, 'SQLITE_TOOBIG'],
    ['a BLOB parameter of 2^31', `db.run('INSERT INTO t VALUES (?)', [new Uint8Array(2 ** 31)])`, 'SQLITE_TOOBIG'],
    ['a text that SQLite cannot build', `db.all("SELECT printf('%.*c', 1000000001, 'x')")`, 'SQLITE_TOOBIG'],
    ['a text longer than any string', `db.all("INSERT INTO t VALUES (1) RETURNING printf('%.*c', 536870889, 'x')")`, 'ERR_SLUICE_TOO_LARGE'],
  ])('%s is an error, not the end of the process', { timeout: 120_000 }, async (_name, call, expected) => {
    const script = `main(async () => {
      const db = await open(':memory:')
      await db.exec('CREATE TABLE t (x)')
      const code = await ${call}.then(() => 'done', (error) => error.code)
      console.log(code, (await db.pluck('SELECT count(*) FROM t'))[0])
      await db.close()
    })`
    const { code, stdout, stderr } = await runScript(script, { patienceMs: 110_000 })
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${expected} 0\n`, stderr: '' })
  })

  it("a result within 'maxResultBytes' does not take several times as much of the heap", { timeout: 60_000 }, async () => {
    const script = `main(async () => {
      const db = await open(':memory:', { maxResultBytes: 200_000_000 })
      const endless = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c'
      console.log(await db.all(endless).then(() => 'done', (error) => error.code))
      await db.close()
    })`
    const { code, signal, stdout } = await runScript(script, { flags: ['--max-old-space-size=800'], patienceMs: 50_000 })
    expect({ code, signal, stdout }).toEqual({ code: 0, signal: null, stdout: 'ERR_SLUICE_TOO_LARGE\n' })
  })
})
