import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { openForTest, openWithTable } from './support/scratch.js'

const TOO_LARGE = 'ERR_SLUICE_TOO_LARGE'
const OUT_OF_RANGE = 'ERR_SLUICE_OUT_OF_RANGE'

describe("results beyond 'maxResultBytes'", () => {
  const LIMIT = 100_000
  /** A row of one cell counts 64 bytes, and its text or BLOB as many as it has. */
  const READS: readonly (readonly [name: string, sql: string, expected: string])[] = [
    ['one BLOB below', `SELECT zeroblob(${LIMIT - 64})`, 'done'],
    ['one BLOB above', `SELECT zeroblob(${LIMIT + 1})`, TOO_LARGE],
    ['one text above', `SELECT hex(zeroblob(${LIMIT / 2 + 1}))`, TOO_LARGE],
    ['many small rows below', `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${Math.floor(LIMIT / 64)}) SELECT n FROM c`, 'done'],
    ['many small rows above', `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n <= ${Math.floor(LIMIT / 64)}) SELECT n FROM c`, TOO_LARGE],
    ['many small texts above', `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) SELECT hex(zeroblob(25)) FROM c`, TOO_LARGE],
    ['many BLOBs above', `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20) SELECT zeroblob(5000) FROM c`, TOO_LARGE],
    ['rows without an end', 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c', TOO_LARGE],
  ]

  it.each(READS)('%s', async (_name, sql, expected) => {
    const db = await openForTest(':memory:', { maxResultBytes: LIMIT })
    for (const call of [() => db.all(sql), () => db.values(sql), () => db.execute(sql)]) expect(await outcomeOf(call())).toBe(expected)
    expect(await db.pluck('SELECT 1')).toEqual([1])
  })

  it('name the option and the limit', async () => {
    const db = await openForTest(':memory:', { maxResultBytes: LIMIT })
    const { message } = await failureOf(db.all(`SELECT zeroblob(${LIMIT})`))
    expect(message).toContain('maxResultBytes')
    expect(message).toContain(String(LIMIT))
  })

  it('count what is asked for: the first row, or none', async () => {
    const db = await openForTest(':memory:', { maxResultBytes: LIMIT })
    const sql = 'SELECT zeroblob(60000) AS x FROM (VALUES (1), (2))'
    expect(await codeOf(db.all(sql))).toBe(TOO_LARGE)
    expect(await db.get(sql)).toStrictEqual({ x: new Uint8Array(60_000) })
    expect(await db.run(sql)).toEqual({ changes: 0, lastInsertRowid: undefined })
  })

  it('belong to one call: others in flight are delivered', async () => {
    const db = await openForTest(':memory:', { maxResultBytes: LIMIT })
    const calls = Array.from({ length: 40 }, (_, index) => (index % 4 === 0 ? codeOf(db.all('SELECT zeroblob(100001)')) : db.pluck('SELECT ?', [index])))
    expect(await Promise.all(calls)).toEqual(calls.map((_, index) => (index % 4 === 0 ? TOO_LARGE : [index])))
  })

  it('of 1 byte leave writes and empty results alone', async () => {
    const db = await openWithTable({ maxResultBytes: 1 })
    await db.run('INSERT INTO t VALUES (1)')
    expect(await db.all('SELECT x FROM t WHERE x > 1')).toEqual([])
    expect(await codeOf(db.all('SELECT x FROM t'))).toBe(TOO_LARGE)
  })
})

const UNSAFE = '9007199254740993'

async function openWithRows(): Promise<Database> {
  const db = await openWithTable({ maxResultBytes: 100_000 })
  await db.exec('CREATE TABLE log (y); INSERT INTO t VALUES (1), (2); CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.x); END')
  return db
}

/** Writes whose rows cannot be delivered. */
const WRITES: readonly (readonly [sql: string, code: string])[] = [
  [`INSERT INTO t VALUES (${UNSAFE}) RETURNING x`, OUT_OF_RANGE],
  [`INSERT INTO t VALUES (3), (4), (${UNSAFE}) RETURNING x`, OUT_OF_RANGE],
  [`INSERT INTO t SELECT 7 FROM (VALUES (1), (2)) RETURNING x, -${UNSAFE}`, OUT_OF_RANGE],
  [`UPDATE t SET x = ${UNSAFE} WHERE x = 2 RETURNING x`, OUT_OF_RANGE],
  [`DELETE FROM t RETURNING ${UNSAFE}`, OUT_OF_RANGE],
  [`REPLACE INTO t (rowid, x) VALUES (1, 9) RETURNING ${UNSAFE}`, OUT_OF_RANGE],
  ['INSERT INTO t VALUES (3) RETURNING zeroblob(100001)', TOO_LARGE],
  ['UPDATE t SET x = x + 10 RETURNING zeroblob(60000)', TOO_LARGE],
  ['DELETE FROM t RETURNING hex(zeroblob(60000))', TOO_LARGE],
]

describe('V07: a value that cannot be delivered', () => {
  it.each(WRITES)('fails %s before it commits', async (sql, code) => {
    const db = await openWithRows()
    const options = { integers: 'number' } as const
    for (const call of [() => db.execute(sql, [], options), () => db.all(sql, [], options), () => db.values(sql, [], options), () => db.prepare(sql).all([], options)]) {
      expect(await codeOf(call())).toBe(code)
      expect(await db.values('SELECT x, (SELECT count(*) FROM log) FROM t ORDER BY x')).toEqual([
        [1, 0],
        [2, 0],
      ])
    }
    expect(await db.run('INSERT INTO t VALUES (5)')).toMatchObject({ changes: 1 })
  })

  it('fails after thousands of rows that could be', async () => {
    const db = await openWithTable()
    const sql = `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 30000) INSERT INTO t SELECT iif(n = 29999, ${UNSAFE}, n) FROM c RETURNING x`
    expect(await codeOf(db.all(sql, [], { integers: 'number' }))).toBe(OUT_OF_RANGE)
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
    expect((await db.all(sql)).length).toBe(30_000)
  })

  it('does not matter when nobody asked for it', async () => {
    const db = await openWithTable({ integers: 'number' })
    expect(await db.run(`INSERT INTO t VALUES (${UNSAFE}) RETURNING x`)).toMatchObject({ changes: 1 })
    expect(await db.get(`INSERT INTO t VALUES (1), (${UNSAFE}) RETURNING x`)).toEqual({ x: 1 })
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([3])
  })

  it('leaves the writer free for those behind it', async () => {
    const db = await openWithTable({ integers: 'number' })
    const calls = Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0 ? codeOf(db.all(`INSERT INTO t VALUES (${UNSAFE}) RETURNING x`)) : db.pluck('INSERT INTO t VALUES (?) RETURNING x', [index]),
    )
    expect(await Promise.all(calls)).toEqual(calls.map((_, index) => (index % 3 === 0 ? OUT_OF_RANGE : [index])))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([40])
  })
})
