import { Worker } from 'node:worker_threads'

import { describe, expect, it, onTestFinished } from 'vitest'

import type { CallOptions, Database, IntegerMode, Row, SlowQuery, SqlParameter, SqlParameters, SqlValue, TracedQuery } from '../index.js'
import { PACKAGE } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { Random, anyParameter } from './support/random-values.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'
import { endsOf, record } from './support/traces.js'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 2 ** 31)

const COUNTING = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)'

/** Stands for an integer that no number carries until the text is made: `JSON.stringify` has no form for it. */
const WIDE = '\u0001wide '

/** What JSON has no form for, in the form that the driver gives it. */
function carried(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${WIDE}${value}`
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}

/** The bytes that are to come for rows. */
function expectedBytes(rows: unknown): Buffer {
  return Buffer.from(JSON.stringify(rows, carried).replace(/"\\u0001wide (-?\d+)"/g, '$1'))
}

/** Runs a text both ways, and returns the text that came and the one that was to come. */
async function bothWays(db: Database, sql: string, params?: SqlParameters, options?: CallOptions): Promise<[text: string, expected: string]> {
  const [bytes, rows] = await Promise.all([db.executeJson(sql, params, options), db.all(sql, params, options)])
  expect(bytes).toBeInstanceOf(Buffer)
  const text = bytes.toString()
  expect(bytes.equals(Buffer.from(text))).toBe(true)
  return [text, expectedBytes(rows).toString()]
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

describe('executeJson', () => {
  it('returns the bytes of JSON.stringify of what all returns', async () => {
    const db = await openWithTable()
    await db.exec("CREATE TABLE o (id INTEGER, price REAL, name TEXT, note); INSERT INTO o VALUES (1, 2.5, 'a', NULL), (2, 0.25, 'é \"quoted\"', 'n')")
    const sql = 'SELECT * FROM o ORDER BY id'
    const bytes = await db.executeJson(sql)
    expect(bytes.equals(Buffer.from(JSON.stringify(await db.all(sql))))).toBe(true)
    expect(bytes.toString()).toBe(String.raw`[{"id":1,"price":2.5,"name":"a","note":null},{"id":2,"price":0.25,"name":"é \"quoted\"","note":"n"}]`)
  })

  it('gives [] where there is no row', async () => {
    const db = await openWithTable()
    for (const sql of ['SELECT x FROM t', 'INSERT INTO t VALUES (1)', '', '-- nothing', 'DELETE FROM t WHERE x > 5 RETURNING x']) {
      expect((await db.executeJson(sql)).toString()).toBe('[]')
    }
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })

  it.each([
    ['numbers', '0, -0.0, 1.0, -1.5, 0.1, 1e20, 1e21, 123456789012345680000.0, 1.5e-7, 1e-6, 5e-324, 1.7976931348623157e308'],
    ['infinities, which JSON does not have', '1e999, -1e999'],
    ['the last integers that a number carries', '9007199254740991, -9007199254740991, 9007199254740992, -9007199254740993'],
    ['integers of 64 bits', '9223372036854775807, -9223372036854775808'],
    ['every character that is escaped', `${Array.from({ length: 0x80 }, (_, code) => `char(${code})`).join()}`],
    ['characters that are not', "char(0x7f, 0x80, 0x2028, 0x2029, 0xfeff, 0xfffd, 0x10ffff), '/', '€🦭'"],
    ['texts that are no UTF-8', "CAST(x'ff41' AS TEXT), CAST(x'eda080' AS TEXT), CAST(x'f09fa6' AS TEXT), CAST(x'22c3' AS TEXT)"],
    ['BLOBs', "x'', x'00', x'0001', x'000102', x'fffefdfc', zeroblob(100)"],
    ['NULL and what comes of nothing', "NULL, '', 0, max(NULL, 1)"],
  ])('%s', async (_, values) => {
    const db = await openScratch()
    for (const rowMode of ['object', 'array'] as const) {
      const [text, expected] = await bothWays(db, `SELECT ${values}`, [], { rowMode })
      expect(text).toBe(expected)
    }
  })

  it('writes integers with all digits, and BLOBs in base64', async () => {
    const db = await openScratch()
    const sql = "SELECT 9007199254740993 AS wide, 1 AS small, x'00ff10' AS blob"
    const text = '[{"wide":9007199254740993,"small":1,"blob":"AP8Q"}]'
    for (const integers of ['auto', 'bigint'] as const) expect((await db.executeJson(sql, [], { integers })).toString()).toBe(text)
    const error = await failureOf(db.executeJson(sql, [], { integers: 'number' }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_OUT_OF_RANGE', message: (await failureOf(db.all(sql, [], { integers: 'number' }))).message })
    expect(Buffer.from(String((JSON.parse(text) as Row[])[0]?.['blob']), 'base64')).toEqual(Buffer.from([0, 255, 16]))
  })

  it('has the keys of the object that all makes, in their order', async () => {
    const db = await openScratch()
    const names = ['b', '10', 'a', '9', 'b', '01', '0', '-1', '1.5', '4294967294', '4294967295', '', '__proto__', 'constructor', 'toJSON', '"\\\n\u2028', 'é', 'a']
    const sql = `SELECT ${names.map((name, column) => `${column} AS ${quoted(name)}`).join()}`
    const [text, expected] = await bothWays(db, sql)
    expect(text).toBe(expected)
    expect(text).toMatch(/^\[\{"0":6,"9":3,"10":1,"4294967294":9,"b":4,"a":17,"01":5,/)
    const [arrays, expectedArrays] = await bothWays(db, sql, [], { rowMode: 'array' })
    expect(arrays).toBe(expectedArrays)
  })

  it('takes values and options as all does, and those of the database', async () => {
    const db = await openForTest(':memory:', { rowMode: 'array', dates: 'iso' })
    const date = new Date(0)
    const twice = (text: string): [string, string] => [text, text]
    expect(await bothWays(db, 'SELECT ?, ?', [date, 2])).toEqual(twice('[["1970-01-01T00:00:00.000Z",2]]'))
    expect(await bothWays(db, 'SELECT $n AS n', { n: 'x' }, { rowMode: 'object' })).toEqual(twice('[{"n":"x"}]'))
    expect(await bothWays(db, 'SELECT ? AS d', [date], { dates: 'ms' })).toEqual(twice('[[0]]'))
  })

  it(`gives the same bytes for anything (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const parts = ['a', 'b', '0', '1', '12', '__proto__', '"', '\\', '\n', 'é', '🦭', ' ']
    for (const encoding of ['UTF-8', 'UTF-16le']) {
      const db = await openForTest(':memory:')
      await db.exec(`PRAGMA encoding = '${encoding}'; CREATE TABLE t (x)`)
      for (let time = 0; time < 60; time++) {
        const names = Array.from({ length: 1 + random.below(6) }, () => random.pick(parts) + random.pick(['', '', random.pick(parts)]))
        const rows = Array.from({ length: random.below(40) }, () => names.map((): SqlParameter => anyParameter(random)))
        const values = rows.map((row) => `(${row.map(() => '?').join()})`).join()
        const source = rows.length === 0 ? `SELECT ${names.map(() => 1).join()} WHERE 0` : `VALUES ${values}`
        const sql = `WITH v (${names.map((_, column) => `c${column}`).join()}) AS (${source}) SELECT ${names.map((name, column) => `c${column} AS ${quoted(name)}`).join()} FROM v`
        const [text, expected] = await bothWays(db, sql, rows.flat(), { integers: random.pick<IntegerMode>(['auto', 'bigint']), rowMode: random.pick(['object', 'array']) })
        expect(text).toBe(expected)
      }
    }
  })
})

describe('large results of executeJson', () => {
  it('are whole, whatever their length', async () => {
    const db = await openScratch()
    for (const rows of [1, 2, 100, 1_000, 60_000]) {
      const [text, expected] = await bothWays(db, `${COUNTING} SELECT n, n * 0.37 AS x, 'row "' || n || '"' AS text, NULL AS none FROM c`, [rows])
      expect(text === expected, `${rows} rows`).toBe(true)
      expect((JSON.parse(text) as unknown[]).length).toBe(rows)
    }
    for (const length of [16_370, 16_380, 16_384, 16_390, 65_535, 65_536, 65_537, 300_000]) {
      const [text, expected] = await bothWays(db, 'SELECT replace(hex(zeroblob(?1 / 4)), ?2, ?3) || hex(zeroblob(?1 / 4)) AS x', [length, '0', '\n'])
      expect(text === expected, `${length} bytes`).toBe(true)
    }
  })

  it('come beside rows, each to its call', async () => {
    const db = await openScratch({ maxReaders: 2 })
    const sql = "SELECT ? AS n, hex(zeroblob(?)) AS text, zeroblob(?2) AS blob, 9007199254740993 + ?1 AS wide"
    const calls = Array.from({ length: 300 }, async (_, n) => {
      const params: SqlValue[] = [n, [3, 50, 9_000][n % 3] as number]
      const [text, expected] = n % 2 === 0 ? await bothWays(db, sql, params) : ['', '']
      const rows = await db.all(sql, params)
      expect(rows[0]).toMatchObject({ n, wide: 9007199254740993n + BigInt(n) })
      expect([text, expected]).toEqual(n % 2 === 0 ? [expectedBytes(rows).toString(), text] : ['', ''])
    })
    await within(Promise.all(calls), 'all calls settle')
  })

  it('do not change with each other', async () => {
    const db = await openScratch()
    for (const length of [10, 100_000]) {
      const one = await db.executeJson('SELECT hex(zeroblob(?)) AS x', [length])
      const text = one.toString()
      const other = await db.executeJson('SELECT hex(zeroblob(?)) AS x', [length])
      one.fill(0)
      expect(other.toString()).toBe(text)
      expect(other.equals(structuredClone(other))).toBe(true)
    }
  })

  it('are made in worker threads too, and sent from there', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads')
       const { open } = require(${JSON.stringify(PACKAGE)})
       open(':memory:').then(async (db) => {
         parentPort.postMessage(await db.executeJson("SELECT hex(zeroblob(50000)) AS x"))
         await db.close()
       })`,
      { eval: true },
    )
    onTestFinished(() => void worker.terminate())
    const message = await within(new Promise<Uint8Array>((resolve, reject) => worker.once('message', resolve).once('error', reject)), 'the worker answers')
    expect(Buffer.from(message).toString()).toBe(`[{"x":"${'0'.repeat(100_000)}"}]`)
  })

  it("are limited by 'maxResultBytes', to the byte", async () => {
    const sql = 'SELECT hex(zeroblob(500)) AS x UNION ALL SELECT 1'
    const { length } = await (await openScratch()).executeJson(sql)
    const within = await openForTest(':memory:', { maxResultBytes: length })
    expect((await within.executeJson(sql)).length).toBe(length)
    const below = await openForTest(':memory:', { maxResultBytes: length - 1 })
    expect(await failureOf(below.executeJson(sql))).toMatchObject({ code: 'ERR_SLUICE_TOO_LARGE', message: `the result is larger than maxResultBytes (${length - 1})` })
    const endless = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c'
    for (const too of [endless, 'SELECT zeroblob(100000)', 'SELECT CAST(zeroblob(100000) AS TEXT)', "SELECT replace(hex(zeroblob(200000)), '00', char(0))"]) {
      expect(await codeOf(below.executeJson(too))).toBe('ERR_SLUICE_TOO_LARGE')
    }
    expect((await below.executeJson('SELECT 1 AS x')).toString()).toBe('[{"x":1}]')
  })
})

describe('executeJson as a call like others', () => {
  it('is a method of all that reads', async () => {
    const db = await openWithTable()
    await db.exec('INSERT INTO t VALUES (1), (2)')
    const sql = 'SELECT x FROM t ORDER BY x'
    const texts = [
      db.prepare(sql).executeJson(),
      db.prepare<[number]>('SELECT x FROM t WHERE x <= ?').executeJson([2], { rowMode: 'object' }),
      db.read((r) => r.executeJson(sql)),
      db.read((r) => r.prepare(sql).executeJson()),
      db.writeMode((w) => w.executeJson(sql)),
      db.transaction((tx) => tx.executeJson(sql)),
      db.transaction((tx) => tx.transaction((nested) => nested.prepare(sql).executeJson())),
    ]
    for (const text of texts) expect((await text).toString()).toBe('[{"x":1},{"x":2}]')
    await using(db.handle(), async (own) => {
      await own.run('BEGIN')
      await own.run('INSERT INTO t VALUES (3)')
      expect((await own.executeJson(sql)).toString()).toBe('[{"x":1},{"x":2},{"x":3}]')
      await own.run('ROLLBACK')
    })
    await using(await db.mirror(), async (mirror) => {
      expect((await mirror.executeJson(sql)).toString()).toBe('[{"x":1},{"x":2}]')
      expect((await mirror.snapshot().executeJson(sql)).toString()).toBe('[{"x":1},{"x":2}]')
    })
  })

  it('writes, and undoes what cannot be delivered', async () => {
    const db = await openWithTable()
    expect((await db.executeJson('INSERT INTO t VALUES (1), (2) RETURNING x, x * 2 AS twice')).toString()).toBe('[{"x":1,"twice":2},{"x":2,"twice":4}]')
    const returning = 'INSERT INTO t VALUES (3), (9007199254740993) RETURNING x'
    expect(await codeOf(db.executeJson(returning, [], { integers: 'number' }))).toBe('ERR_SLUICE_OUT_OF_RANGE')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2])
    expect((await db.transaction((tx) => tx.executeJson('DELETE FROM t RETURNING x'))).toString()).toBe('[{"x":1},{"x":2}]')
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it('notices another schema', async () => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (1)')
    const sql = 'SELECT * FROM t'
    for (let time = 0; time < 20; time++) expect((await db.executeJson(sql)).toString()).toBe('[{"x":1}]')
    await db.exec('ALTER TABLE t ADD COLUMN y DEFAULT 2')
    expect((await db.executeJson(sql)).toString()).toBe('[{"x":1,"y":2}]')
  })

  it('fails as other calls do', async () => {
    const db = await openScratch()
    expect(await codeOf(db.executeJson('SELECT nope'))).toBe('SQLITE_ERROR')
    expect(await codeOf(db.executeJson('SELECT 1; SELECT 2'))).toBe('ERR_SLUICE_MULTIPLE_STATEMENTS')
    expect(await codeOf(db.executeJson('SELECT ?'))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await codeOf(db.executeJson('SELECT 1', [], { chunkRows: 1 } as object))).toBe('ERR_SLUICE_INVALID_OPTION')
    expect(await codeOf(db.executeJson('BEGIN'))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    const late = `${COUNTING} SELECT n, iif(n < 50000, n, 9007199254740993) FROM c`
    expect(await codeOf(db.executeJson(late, [60_000], { integers: 'number' }))).toBe('ERR_SLUICE_OUT_OF_RANGE')
    const error = await failureOf(theCallerToBeSeen(db))
    expect(error.stack).toContain('theCallerToBeSeen')
    await db.close()
    expect(await codeOf(db.executeJson('SELECT 1'))).toBe('ERR_SLUICE_CLOSED')
  })

  it('is stopped by its signal and its timeout', async () => {
    const db = await openScratch()
    const controller = new AbortController()
    const call = db.executeJson(ENDLESS_READ, [], { signal: controller.signal })
    await until(() => db.status().readers.active === 1, 'the call runs')
    controller.abort()
    expect(await within(codeOf(call), 'the call ends')).toBe('ABORT_ERR')
    expect(await within(codeOf(db.executeJson(ENDLESS_READ, [], { timeoutMs: 5 })), 'the call ends')).toBe('ERR_SLUICE_TIMEOUT')
    expect((await db.executeJson('SELECT 1 AS x')).toString()).toBe('[{"x":1}]')
  })

  it('runs inline when it has proved short, with the same bytes', async () => {
    const db = await openWithTable({ inlineReads: 'auto' })
    await db.run('INSERT INTO t VALUES (1)')
    const sql = "SELECT x, 'text' AS text, x'01' AS blob FROM t"
    const texts = new Set<string>()
    await untilInline(db, async () => texts.add((await db.executeJson(sql)).toString()))
    expect([...texts]).toEqual(['[{"x":1,"text":"text","blob":"AQ=="}]'])
  })

  it('leaves what is too long for that to a worker', async () => {
    const db = await openScratch({ inlineReads: 'auto' })
    const sql = 'SELECT hex(zeroblob(?)) AS x'
    await untilInline(db, () => db.executeJson(sql, [1]))
    const before = inlineReads(db)
    expect((await db.executeJson(sql, [20_000])).toString()).toBe(`[{"x":"${'0'.repeat(40_000)}"}]`)
    expect(inlineReads(db)).toBe(before)
  })

  it('is traced with its name and its rows', async () => {
    const slow: SlowQuery[] = []
    const db = await openScratch({ slowQueryMs: 0, onSlowQuery: (query) => slow.push(query) })
    const told = record<TracedQuery>('sluice:query')
    const sql = `${COUNTING} SELECT n FROM c`
    for (const rows of [1, 3, 50_000]) await db.executeJson(sql, [rows])
    await db.executeJson('SELECT 1 WHERE 0')
    await codeOf(db.executeJson('SELECT nope'))
    const ends = endsOf(told)
    expect(ends.map(({ operation, rows }) => [operation, rows])).toEqual([1, 3, 50_000, 0, undefined].map((rows) => ['executeJson', rows]))
    expect(ends[2]).toMatchObject({ sql, changes: 0, route: 'read' })
    await until(() => slow.length === 5, 'all are told')
    expect(slow.map(({ operation, rows }) => [operation, rows])).toEqual(ends.map(({ operation, rows }) => [operation, rows]))
  })
})

const inlineReads = (db: Database): number => db.status().counters['inlineReads'] ?? Number.NaN

/** Makes calls one after another until one of them has run inline. */
async function untilInline(db: Database, call: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 15_000
  while (performance.now() < deadline) {
    const before = inlineReads(db)
    await call()
    if (inlineReads(db) > before) return
  }
  throw new Error('no call has run inline')
}

async function theCallerToBeSeen(db: Database): Promise<unknown> {
  return await db.executeJson('SELECT nope')
}

/** Uses what can be closed, and closes it. */
async function using<C extends { close(): Promise<void> }>(what: C, use: (what: C) => Promise<unknown>): Promise<void> {
  try {
    await use(what)
  } finally {
    await what.close()
  }
}
