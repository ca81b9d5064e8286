import { describe, expect, it } from 'vitest'

import type { ColumnVector, Database, IntegerMode, SqlValue } from '../index.js'
import { codeOf } from './support/failure.js'
import { Random, anyParameter } from './support/random-values.js'
import { openScratch, openWithTable } from './support/scratch.js'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 2 ** 31)

const COUNTING = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)'

/** Runs a text column by column, and row by row, and returns the vectors. They must hold the same values. */
async function expectVectors(db: Database, sql: string, params: SqlValue[] = [], integers: IntegerMode = 'auto'): Promise<ColumnVector[]> {
  const [{ vectors, rowCount, columns }, rows] = await Promise.all([
    db.columnar(sql, params, { integers }),
    db.values(sql, params, { integers }),
  ])
  expect(rowCount).toBe(rows.length)
  expect(vectors).toHaveLength(columns.length)
  for (const [column, vector] of vectors.entries()) {
    expect(Array.from<SqlValue>(vector)).toStrictEqual(rows.map((row) => row[column]))
  }
  return vectors
}

const kindOf = (vector: ColumnVector | undefined): string => vector?.constructor.name ?? 'none'

describe('columnar', () => {
  it('gives numbers as Float64Array, and all else as arrays', async () => {
    const db = await openWithTable()
    await db.exec("CREATE TABLE o (id INTEGER, price REAL, name TEXT, note, body BLOB); INSERT INTO o VALUES (1, 2.5, 'a', NULL, x'01'), (2, 0.25, 'é', 'n', x'')")
    const { columns, rowCount, vectors, byName } = await db.columnar('SELECT * FROM o')
    expect(columns.map(({ name }) => name)).toEqual(['id', 'price', 'name', 'note', 'body'])
    expect(rowCount).toBe(2)
    expect(byName).toStrictEqual({
      id: new Float64Array([1, 2]),
      price: new Float64Array([2.5, 0.25]),
      name: ['a', 'é'],
      note: [null, 'n'],
      body: [new Uint8Array([1]), new Uint8Array()],
    })
    expect(vectors).toEqual(Object.values(byName))
  })

  it.each<[string, string, IntegerMode, string]>([
    ['safe integers', '1, 2, 3', 'auto', 'Float64Array'],
    ['safe integers as bigints', '1, 2, 3', 'bigint', 'BigInt64Array'],
    ['integers that are not safe', '9007199254740993, -9223372036854775808', 'auto', 'BigInt64Array'],
    ['both', '1, 9007199254740993', 'auto', 'Array'],
    ['both, the other way round', '9007199254740993, 1', 'auto', 'Array'],
    ['integers and reals as numbers', '1, 2.5', 'number', 'Float64Array'],
    ['integers and reals with bigints', '1, 2.5', 'bigint', 'Array'],
    ['reals with infinities', '1e999, -1e999, 5e-324, -0.0', 'auto', 'Float64Array'],
    ['numbers and NULL', '1, NULL', 'auto', 'Array'],
    ['NULL and numbers', 'NULL, 1', 'auto', 'Array'],
    ['bigints and NULL', '1, NULL', 'bigint', 'Array'],
    ['nothing but NULL', 'NULL, NULL', 'auto', 'Array'],
    ['numbers and text', "1, '1'", 'auto', 'Array'],
    ['BLOBs', "x'00ff', x''", 'auto', 'Array'],
  ])('%s: %s with integers: %s is a %s', async (_, values, integers, kind) => {
    const db = await openScratch()
    const sql = `VALUES ${values.split(', ').map((value) => `(${value}, 'text', 0.5, ${value})`).join()}`
    expect((await expectVectors(db, sql, [], integers)).map(kindOf)).toEqual([kind, 'Array', 'Float64Array', kind])
  })

  it('gives empty arrays, and all columns, when there is no row', async () => {
    const db = await openWithTable()
    const { columns, rowCount, vectors, byName } = await db.columnar('SELECT x, 1 AS one FROM t')
    expect({ names: columns.map(({ name }) => name), rowCount, vectors, byName }).toEqual({ names: ['x', 'one'], rowCount: 0, vectors: [[], []], byName: { x: [], one: [] } })
    expect(await db.columnar('INSERT INTO t VALUES (1)')).toEqual({ columns: [], rowCount: 0, vectors: [], byName: {} })
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })

  it('keeps a million rows, and what changes late among them', async () => {
    const db = await openScratch()
    const sql = `${COUNTING} SELECT n, n * 0.5, iif(n = 999999, NULL, n), n + 9007199254740993, 'row ' || (n % 7), iif(n < 500000, n, 'late') FROM c`
    const { rowCount, vectors } = await db.columnar(sql, [1_000_000])
    expect(rowCount).toBe(1_000_000)
    expect(vectors.map(kindOf)).toEqual(['Float64Array', 'Float64Array', 'Array', 'BigInt64Array', 'Array', 'Array'])
    const [n, half, gap, wide, text, late] = vectors as [Float64Array, Float64Array, SqlValue[], BigInt64Array, string[], SqlValue[]]
    const lengths = vectors.map(({ length }) => length)
    expect(lengths).toEqual(lengths.map(() => 1_000_000))
    expect(n.byteLength).toBe(n.buffer.byteLength)
    let wrong = 0
    for (let row = 0; row < 1_000_000; row++) {
      const number = row + 1
      const isRight =
        n[row] === number &&
        half[row] === number / 2 &&
        gap[row] === (number === 999_999 ? null : number) &&
        wide[row] === BigInt(number) + 9007199254740993n &&
        text[row] === `row ${number % 7}` &&
        late[row] === (number < 500_000 ? number : 'late')
      if (!isRight) wrong++
    }
    expect(wrong).toBe(0)
  })

  it(`holds the same values as rows do, whatever they are, with seed ${SEED}`, async () => {
    const db = await openScratch()
    const random = new Random(SEED)
    for (let time = 0; time < 40; time++) {
      const columns = 1 + random.below(6)
      const rows = Array.from({ length: 1 + random.below(60) }, () => Array.from({ length: columns }, () => anyParameter(random)))
      const sql = `VALUES ${rows.map((row) => `(${row.map(() => '?').join()})`).join()}`
      const vectors = await expectVectors(db, sql, rows.flat() as SqlValue[], random.pick<IntegerMode>(['auto', 'bigint']))
      expect(vectors).toHaveLength(columns)
    }
  })

  it('keeps columns apart that share a name, or are called like something of every object', async () => {
    const db = await openScratch()
    const { vectors, byName } = await db.columnar("SELECT 1 AS a, 'x' AS a, 2 AS __proto__, 3 AS constructor")
    expect(vectors).toEqual([new Float64Array([1]), ['x'], new Float64Array([2]), new Float64Array([3])])
    expect(Object.keys(byName)).toEqual(['a', '__proto__', 'constructor'])
    expect(Object.getPrototypeOf(byName)).toBe(Object.prototype)
    expect(Object.entries(byName)).toEqual([
      ['a', ['x']],
      ['__proto__', new Float64Array([2])],
      ['constructor', new Float64Array([3])],
    ])
  })

  it('is a method of all that reads', async () => {
    const db = await openWithTable()
    await db.exec('INSERT INTO t VALUES (1), (2)')
    const expected = { x: new Float64Array([1, 2]) }
    const sql = 'SELECT x FROM t ORDER BY x'
    expect((await db.prepare(sql).columnar()).byName).toEqual(expected)
    expect((await db.read((r) => r.columnar(sql))).byName).toEqual(expected)
    expect((await db.read((r) => r.prepare(sql).columnar())).byName).toEqual(expected)
    expect((await db.transaction((tx) => tx.columnar(sql))).byName).toEqual(expected)
    expect((await db.writeMode((w) => w.columnar(sql))).byName).toEqual(expected)
    const mirror = await db.mirror()
    try {
      expect((await mirror.columnar(sql)).byName).toEqual(expected)
    } finally {
      await mirror.close()
    }
    expect((await db.columnar('INSERT INTO t VALUES (3) RETURNING x')).vectors).toEqual([new Float64Array([3])])
  })

  it('fails as other calls do', async () => {
    const db = await openScratch()
    expect(await codeOf(db.columnar('SELECT nope'))).toBe('SQLITE_ERROR')
    expect(await codeOf(db.columnar('SELECT 9007199254740993', [], { integers: 'number' }))).toBe('ERR_SLUICE_OUT_OF_RANGE')
    expect(await codeOf(db.columnar('SELECT 1', [], { rowMode: 'array' } as object))).toBe('ERR_SLUICE_INVALID_OPTION')
    const late = `${COUNTING} SELECT n, iif(n < 50000, n, 9007199254740993) FROM c`
    expect(await codeOf(db.columnar(late, [60_000], { integers: 'number' }))).toBe('ERR_SLUICE_OUT_OF_RANGE')
    expect(await db.pluck('SELECT 1')).toEqual([1])
  })
})
