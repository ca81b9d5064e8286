import { describe, expect, it } from 'vitest'

import { openTables } from './line.js'
import type { Line } from './line.js'
import { codeOf, failureOf } from '../../support/failure.js'

/** Values in and out, and the errors of those that cannot be carried. */
export function describeValues(line: Line): void {
  const { sql } = line.kysely

  describe('a value', () => {
    it.each<[string, unknown, unknown]>([
      ['null', null, null],
      ['an integer', 42, 42],
      ['the largest safe integer', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
      ['2^53 + 1', 9007199254740993n, 9007199254740993n],
      ['the largest integer of SQLite', 9223372036854775807n, 9223372036854775807n],
      ['the smallest integer of SQLite', -9223372036854775808n, -9223372036854775808n],
      ['a small bigint', 7n, 7],
      ['a float', 0.1, 0.1],
      ['negative zero', -0, -0],
      ['infinity', Infinity, Infinity],
      ['true', true, 1],
      ['false', false, 0],
      ['an empty text', '', ''],
      ['a text beyond ASCII', 'naïve 🦆 \u0000 end', 'naïve 🦆 \u0000 end'],
      ['bytes', new Uint8Array([0, 1, 255]), new Uint8Array([0, 1, 255])],
      ['no bytes', new Uint8Array(0), new Uint8Array(0)],
    ])('comes back as it went in: %s', async (_, value, expected) => {
      const { db } = await openTables(line)
      await db.insertInto('anything').values({ x: value }).execute()
      const { x } = await db.selectFrom('anything').select('x').executeTakeFirstOrThrow()
      expect(x).toEqual(expected)
      expect(Object.is(x, expected) || typeof x === 'object').toBe(true)
    })

    it('of a Buffer comes back as a Uint8Array of its bytes alone', async () => {
      const { db } = await openTables(line)
      await db.insertInto('anything').values({ x: Buffer.from('abcdef').subarray(2, 4) }).execute()
      const { x } = await db.selectFrom('anything').select('x').executeTakeFirstOrThrow()
      expect(x).toEqual(new Uint8Array([99, 100]))
    })

    it('is a bigint throughout where the database was opened so', async () => {
      const { db } = await openTables(line, { integers: 'bigint' })
      const result = await db.insertInto('anything').values({ x: 1 }).executeTakeFirst()
      expect(result).toMatchObject({ insertId: 1n, numInsertedOrUpdatedRows: 1n })
      expect(await db.selectFrom('anything').selectAll().execute()).toEqual([{ x: 1n }])
    })

    it('is rejected rather than rounded where numbers were asked for', async () => {
      const { db } = await openTables(line, { integers: 'number' })
      expect(await codeOf(sql`SELECT 9007199254740993 AS x`.execute(db))).toBe('ERR_SLUICE_OUT_OF_RANGE')
    })

    it.each<[string, unknown, string]>([
      ['an object', { a: 1 }, 'ERR_SLUICE_INVALID_PARAMETER'],
      ['NaN', Number.NaN, 'ERR_SLUICE_INVALID_PARAMETER'],
      ['a Date', new Date(0), 'ERR_SLUICE_INVALID_PARAMETER'],
      ['a bigint beyond 64 bits', 2n ** 64n, 'ERR_SLUICE_OUT_OF_RANGE'],
    ])('that SQLite cannot hold is refused by name: %s', async (_, value, code) => {
      const { db } = await openTables(line)
      const failure = await failureOf(db.insertInto('anything').values({ x: value }).execute())
      expect([failure.code, failure.parameter]).toEqual([code, 1])
      expect(await db.selectFrom('anything').selectAll().execute()).toEqual([])
    })

    it('may be a Date where the database was opened so', async () => {
      const { db } = await openTables(line, { dates: 'iso' })
      await db.insertInto('anything').values({ x: new Date(0) }).execute()
      expect(await db.selectFrom('anything').selectAll().execute()).toEqual([{ x: '1970-01-01T00:00:00.000Z' }])
    })

    it('is never part of the text', async () => {
      const { db } = await openTables(line)
      const name = `'); DROP TABLE users; --`
      await db.insertInto('users').values({ name }).execute()
      expect(await db.selectFrom('users').select('name').where('name', '=', name).execute()).toEqual([{ name }])
    })
  })
}
