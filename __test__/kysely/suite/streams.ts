import { describe, expect, it } from 'vitest'

import { addUsers, namesOf, openTables } from './line.js'
import type { Line } from './line.js'
import { codeOf } from '../../support/failure.js'
import { untilQuiet } from '../../support/quiet.js'

const MEBIBYTE = 2 ** 20

/** Rows one after another. */
export function describeStreams(line: Line): void {
  const { sql } = line.kysely

  describe('a stream', () => {
    it.each([1, 3, 7, 100])('delivers every row in order, in parts of %i', async (chunkSize) => {
      const { db, database } = await openTables(line)
      await addUsers(database, 21)
      const ids: number[] = []
      for await (const { id } of db.selectFrom('users').select('id').orderBy('id').stream(chunkSize)) ids.push(id)
      expect(ids).toEqual(Array.from({ length: 21 }, (_, n) => n + 1))
    })

    it('delivers nothing from an empty table', async () => {
      const { db } = await openTables(line)
      const rows: unknown[] = []
      for await (const row of db.selectFrom('users').selectAll().stream()) rows.push(row)
      expect(rows).toEqual([])
    })

    it('sees one state of the database, whatever is written meanwhile', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 500)
      let rows = 0
      for await (const { id } of db.selectFrom('users').select('id').stream(10)) {
        if (id === 1) await db.deleteFrom('users').execute()
        rows++
      }
      expect([rows, await namesOf(db)]).toEqual([500, []])
    })

    it('gives its reader back when the loop is left', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 5_000)
      await untilQuiet(database)
      for await (const { id } of db.selectFrom('users').select('id').stream(10)) {
        expect(database.status().readers.active).toBe(1)
        if (id === 25) break
      }
      await untilQuiet(database)
      expect(database.status().readers.active).toBe(0)
    })

    it('gives its reader back when the loop throws', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 5_000)
      const loop = async (): Promise<void> => {
        for await (const { id } of db.selectFrom('users').select('id').stream(10)) if (id === 25) throw new Error('enough')
      }
      await expect(loop()).rejects.toThrow('enough')
      await untilQuiet(database)
      expect(database.status().readers.active).toBe(0)
    })

    it('holds few rows at a time', async () => {
      const { db } = await openTables(line)
      const large = sql<{ n: number; text: string }>`
        WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT n, printf('%.1000c', 'x') AS text FROM c`
      let rows = 0
      let peak = 0
      const before = process.memoryUsage().rss
      const executor = db.getExecutor()
      for await (const part of executor.stream(large.compile(db), 100)) {
        rows += part.rows.length
        peak = Math.max(peak, process.memoryUsage().rss - before)
      }
      expect(rows).toBe(300_000)
      // The rows together are 300 MB of text.
      expect(peak).toBeLessThan(150 * MEBIBYTE)
    })

    it('fails with the code of the driver', async () => {
      const { db, database } = await openTables(line)
      const loop = async (): Promise<void> => {
        for await (const _ of db.selectFrom('nothing' as never).selectAll().stream()) expect.unreachable()
      }
      expect(await codeOf(loop())).toBe('SQLITE_ERROR')
      await untilQuiet(database)
    })

    it('refuses parts of no rows', async () => {
      const { db } = await openTables(line)
      const loop = async (): Promise<void> => {
        for await (const _ of db.selectFrom('users').selectAll().stream(0)) expect.unreachable()
      }
      expect(await codeOf(loop())).toBe('ERR_SLUICE_INVALID_OPTION')
    })

    it('delivers the rows of a write, which is done once', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 30)
      const ids: number[] = []
      for await (const { id } of db.deleteFrom('users').where('id', '<=', 20).returning('id').stream(7)) ids.push(id)
      expect([ids.length, (await namesOf(db)).length]).toEqual([20, 10])
    })

    it('in a transaction sees what that has written', async () => {
      const { db } = await openTables(line)
      const names = await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values([{ name: 'a' }, { name: 'b' }]).execute()
        const seen: string[] = []
        for await (const { name } of trx.selectFrom('users').select('name').stream(1)) seen.push(name)
        return seen
      })
      expect(names).toEqual(['a', 'b'])
    })

    it('runs beside more streams than there are readers', async () => {
      const { db, database } = await openTables(line, { maxReaders: 2 })
      await addUsers(database, 300)
      const count = async (): Promise<number> => {
        let rows = 0
        for await (const { id } of db.selectFrom('users').select('id').stream(10)) {
          rows++
          if (id % 100 === 0) await namesOf(db)
        }
        return rows
      }
      expect(await Promise.all([count(), count(), count(), count()])).toEqual([300, 300, 300, 300])
    })
  })
}
