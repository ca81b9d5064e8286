import { describe, expect, it } from 'vitest'

import type { Database, Row } from '../index.js'
import { until, within } from './support/deadline.js'
import { openScratch } from './support/scratch.js'

/** Gives its rows only after it has counted to its parameter. */
const AFTER_COUNTING =
  'SELECT * FROM t WHERE (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT count(*) FROM c) > 0'

async function openWithColumn(maxReaders: number): Promise<Database> {
  const db = await openScratch({ maxReaders, durability: 'off' })
  await db.exec('CREATE TABLE t (first); INSERT INTO t VALUES (1)')
  return db
}

describe('D10: a read that is overtaken by changes of the schema', () => {
  it('gives the columns of its own snapshot, however many others its text has had since', async () => {
    const db = await openWithColumn(2)
    const statement = db.prepare<[number]>(AFTER_COUNTING)
    // Its columns are told with this result, and never again unless they are asked for.
    expect(await statement.all([1])).toEqual([{ first: 1 }])
    let isDone = false
    const slow = statement.all([20_000_000]).finally(() => (isDone = true))
    slow.catch(() => {})
    await until(() => db.status().wal.oldestReaderMs !== null, 'the slow read runs')
    for (let column = 0; column < 40; column++) {
      await db.run(`ALTER TABLE t ADD COLUMN c${column} DEFAULT ${column}`)
      expect(Object.keys((await statement.get([1])) ?? {})).toHaveLength(column + 2)
    }
    expect(isDone, 'the read has been overtaken').toBe(false)
    expect(await within(slow, 'the slow read ends', 25_000)).toEqual([{ first: 1 }])
  })

  it('never mixes two shapes in one result, while columns come and go', async () => {
    const db = await openWithColumn(3)
    const changes = { areDone: false }
    const readers = Array.from({ length: 6 }, async () => {
      const names = new Set<string>()
      while (!changes.areDone) {
        const { columns, rows } = await db.execute<Row>('SELECT * FROM t')
        expect(rows.map((row) => Object.keys(row))).toEqual([columns.map(({ name }) => name)])
        const { first, ...added } = rows[0] ?? {}
        expect(first).toBe(1)
        expect(Object.values(added).map((value) => `c${value}`)).toEqual(Object.keys(added))
        names.add(columns.map(({ name }) => name).join(' '))
      }
      return names.size
    })
    const changing = (async () => {
      for (let column = 1; column <= 60; column++) {
        await db.run(`ALTER TABLE t ADD COLUMN c${column} DEFAULT ${column}`)
        if (column % 3 === 0) await db.run(`ALTER TABLE t DROP COLUMN c${column - 1}`)
      }
    })()
    await within(changing, 'the schema is changed', 25_000).finally(() => (changes.areDone = true))
    const shapes = await within(Promise.all(readers), 'the readers end')
    expect(Math.max(...shapes), 'they saw the schema change').toBeGreaterThan(1)
  })
})
