import { expect, it } from 'vitest'

import type { Database, Row } from '../index.js'
import { collect } from './support/rows.js'
import { openScratch } from './support/scratch.js'

/** So many rows fill several parts of a result. */
const ROWS = 20_000

/** Columns of texts that come again and again, often or seldom, of one column or of all. */
const COLUMNS: readonly ((row: number) => string)[] = [
  (row) => (row % 3 === 0 ? 'open' : 'closed'),
  (row) => `new ${row}`,
  (row) => ['', 'a', 'é', '日本', '🦭', 'a\0b', "'", 'thirteen char'][row % 8] as string,
  (row) => (row < 5_000 ? `changes ${row}` : 'then stays'),
  (row) => `one of ${(row * 7_919) % 200}`,
  (row) => `${'long '.repeat(row % 6)}${row % 2}`,
  () => 'open',
]

const expected = Array.from({ length: ROWS }, (_, row) => COLUMNS.map((column) => column(row)))

async function openWithTexts(): Promise<Database> {
  const db = await openScratch()
  const names = COLUMNS.map((_, column) => `c${column}`)
  await db.exec(`CREATE TABLE texts (${names.join()})`)
  const picks = names.map((_, column) => `value ->> ${column}`)
  await db.run(`INSERT INTO texts SELECT ${picks.join()} FROM json_each(?)`, [JSON.stringify(expected)])
  return db
}

it('a text that comes again is the same text, in every form of rows', async () => {
  const db = await openWithTexts()
  expect(await db.values('SELECT * FROM texts ORDER BY rowid')).toEqual(expected)
  const objects = await db.all<Row>('SELECT * FROM texts ORDER BY rowid')
  expect(objects.map((row) => Object.values(row))).toEqual(expected)
  for (const [column] of COLUMNS.entries()) {
    expect(await db.pluck(`SELECT c${column}, * FROM texts ORDER BY rowid`)).toEqual(expected.map((row) => row[column]))
  }
  const { vectors } = await db.columnar('SELECT * FROM texts ORDER BY rowid')
  expect(vectors).toEqual(COLUMNS.map((column) => expected.map((_, row) => column(row))))
})

it('a text that comes again is the same text, however the rows are fetched', async () => {
  const db = await openWithTexts()
  for (const chunkRows of [1, 7, 1_000, ROWS]) {
    const rows = await collect(db.iterate('SELECT * FROM texts ORDER BY rowid LIMIT 5000', [], { rowMode: 'array', chunkRows }))
    expect(rows).toEqual(expected.slice(0, 5_000))
  }
  const calls = Array.from({ length: 50 }, (_, call) => db.values('SELECT * FROM texts WHERE rowid > ? ORDER BY rowid LIMIT 100', [call * 300]))
  for (const [call, rows] of (await Promise.all(calls)).entries()) expect(rows).toEqual(expected.slice(call * 300, call * 300 + 100))
})

it('texts that came before count towards the limit of a result', async () => {
  const db = await openScratch({ maxResultBytes: 200_000 })
  const sql = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT 'the same text' FROM c"
  const perRow = 56 + 8 + 'the same text'.length
  const fitting = Math.floor(200_000 / perRow)
  expect(await db.pluck(sql, [fitting])).toHaveLength(fitting)
  await expect(db.pluck(sql, [fitting + 1])).rejects.toMatchObject({ code: 'ERR_SLUICE_TOO_LARGE' })
})

it('texts and rows are right in a file whose texts are UTF-16, and where statements share the names of their columns', async () => {
  const db = await openScratch()
  await db.exec("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x)")
  await db.run('INSERT INTO t SELECT value FROM json_each(?)', [JSON.stringify(['a', 'é', '', '🦭', 'a', null, 1.5])])
  expect(await db.pluck('SELECT x FROM t')).toEqual(['a', 'é', '', '🦭', 'a', null, 1.5])
  const plans = await Promise.all(['SELECT 1', 'SELECT 2', 'SELECT x FROM t'].map((sql) => db.all<Row>(`EXPLAIN ${sql}`)))
  for (const plan of plans) expect(plan[0]).toMatchObject({ addr: 0, opcode: 'Init' })
  for (let time = 0; time < 3; time++) {
    expect(await db.pluck('PRAGMA table_info(t)')).toEqual([0])
    expect(await db.all('PRAGMA table_xinfo(t)')).toMatchObject([{ cid: 0, name: 'x' }])
  }
})
