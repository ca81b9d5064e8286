import { eq, gt, sql } from 'drizzle-orm'
import { customType, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { describe, expect, it } from 'vitest'

import { PLACES, causeOf, rejectionOf } from '../support/drizzle.js'
import { openEmpty } from './databases.js'
import type { Place } from '../support/drizzle.js'
import type { Db } from './databases.js'
import { kinds } from './schema.js'

type Kinds = typeof kinds.$inferInsert

/** Writes one row, and returns what is read and what SQLite has stored. */
async function roundTrip(db: Db, row: Kinds): Promise<{ read: Record<string, unknown>; stored: unknown[] }> {
  await db.insert(kinds).values({ id: 1, ...row })
  const read = await db.select().from(kinds).where(eq(kinds.id, 1)).get()
  const { id: _, ...written } = { id: 1, ...row }
  const [name = ''] = Object.keys(written)
  const column = (kinds as unknown as Record<string, { name: string }>)[name]!.name
  const [stored = []] = await db.values(sql.raw(`SELECT typeof(${column}), ${column} FROM kinds`))
  return { read: { [name]: (read as Record<string, unknown>)[name] }, stored }
}

describe.each(PLACES)('columns of drizzle on %s', (place: Place) => {
  it('carries whole numbers', async () => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { whole: -9_007_199_254_740_991 })).toEqual({
      read: { whole: -9_007_199_254_740_991 },
      stored: ['integer', -9_007_199_254_740_991],
    })
  })

  it('gives whole numbers beyond 2^53 exactly, as bigint', async () => {
    const db = await openEmpty(place)
    await db.run(sql`INSERT INTO kinds (id, whole) VALUES (1, ${9_223_372_036_854_775_807n})`)
    expect((await db.select({ whole: kinds.whole }).from(kinds).get())?.whole).toBe(9_223_372_036_854_775_807n)
  })

  it('refuses whole numbers beyond 2^53 when the client says so', async () => {
    const db = await openEmpty(place, { options: { integers: 'number' } })
    await db.run(sql`INSERT INTO kinds (id, whole) VALUES (1, ${9_223_372_036_854_775_807n})`)
    expect(await causeOf(db.select({ whole: kinds.whole }).from(kinds))).toBe('ERR_SLUICE_OUT_OF_RANGE')
  })

  it('cannot read timestamps of a client that delivers every integer as bigint', async () => {
    const db = await openEmpty(place, { options: { integers: 'bigint' } })
    await db.insert(kinds).values({ id: 1, millis: new Date(5) })
    expect(await db.select({ id: kinds.id }).from(kinds)).toEqual([{ id: 1n }])
    expect(await rejectionOf(db.select({ millis: kinds.millis }).from(kinds))).toBeInstanceOf(TypeError)
  })

  it.each([true, false])('carries the boolean %s as 1 or 0', async (flag) => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { flag })).toEqual({ read: { flag }, stored: ['integer', flag ? 1 : 0] })
  })

  it('carries timestamps in seconds', async () => {
    const db = await openEmpty(place)
    const { read, stored } = await roundTrip(db, { seconds: new Date('2026-01-31T12:00:00.999Z') })
    expect(read).toEqual({ seconds: new Date('2026-01-31T12:00:00.000Z') })
    expect(stored).toEqual(['integer', 1_769_860_800])
  })

  it('carries timestamps in milliseconds, also from before 1970', async () => {
    const db = await openEmpty(place)
    const millis = new Date('1969-07-20T20:17:40.123Z')
    expect(await roundTrip(db, { millis })).toEqual({ read: { millis }, stored: ['integer', millis.getTime()] })
  })

  it('compares timestamps', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values([{ id: 1, millis: new Date(1_000) }, { id: 2, millis: new Date(2_000) }])
    expect(await db.select({ id: kinds.id }).from(kinds).where(gt(kinds.millis, new Date(1_500)))).toEqual([{ id: 2 }])
  })

  it('carries floating point numbers exactly', async () => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { ratio: 0.1 + 0.2 })).toEqual({ read: { ratio: 0.1 + 0.2 }, stored: ['real', 0.1 + 0.2] })
  })

  it('carries text of any script, and with NUL in it', async () => {
    const db = await openEmpty(place)
    const label = 'ä 漢字 🦊 \0 end'
    expect((await roundTrip(db, { label })).read).toEqual({ label })
  })

  it('carries the words of an enumeration', async () => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { colour: 'red' })).toEqual({ read: { colour: 'red' }, stored: ['text', 'red'] })
  })

  it('carries JSON as text', async () => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { document: { a: [1, 2] } })).toEqual({ read: { document: { a: [1, 2] } }, stored: ['text', '{"a":[1,2]}'] })
  })

  it('lets SQLite look into JSON', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values({ document: { a: [1, 2, 3] } })
    expect(await db.select({ length: sql<number>`json_array_length(${kinds.document}, '$.a')` }).from(kinds)).toEqual([{ length: 3 }])
  })

  it('carries bytes as a Buffer', async () => {
    const db = await openEmpty(place)
    const bytes = Buffer.from([0, 255, 128, 0])
    const { read, stored } = await roundTrip(db, { bytes })
    expect(Buffer.isBuffer(read['bytes'])).toBe(true)
    expect(read).toEqual({ bytes })
    expect(stored).toEqual(['blob', new Uint8Array(bytes)])
  })

  it('carries no bytes at all, which is not NULL', async () => {
    const db = await openEmpty(place)
    const { read, stored } = await roundTrip(db, { bytes: Buffer.alloc(0) })
    expect(read).toEqual({ bytes: Buffer.alloc(0) })
    expect(stored[0]).toBe('blob')
  })

  it('carries JSON as bytes', async () => {
    const db = await openEmpty(place)
    const { read, stored } = await roundTrip(db, { blobDocument: { b: 'ü' } })
    expect(read).toEqual({ blobDocument: { b: 'ü' } })
    expect(stored[0]).toBe('blob')
  })

  it('carries integers of any size as bytes', async () => {
    const db = await openEmpty(place)
    const { read, stored } = await roundTrip(db, { huge: 2n ** 100n })
    expect(read).toEqual({ huge: 2n ** 100n })
    expect(stored[0]).toBe('blob')
  })

  it('carries numerics as strings', async () => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { amount: '12.5' })).toEqual({ read: { amount: '12.5' }, stored: ['real', 12.5] })
  })

  it('carries numerics as numbers', async () => {
    const db = await openEmpty(place)
    expect(await roundTrip(db, { amountNumber: 42 })).toEqual({ read: { amountNumber: 42 }, stored: ['integer', 42] })
  })

  it('carries numerics as bigint, exactly', async () => {
    const db = await openEmpty(place)
    const amountBigint = 9_223_372_036_854_775_807n
    expect(await roundTrip(db, { amountBigint })).toEqual({ read: { amountBigint }, stored: ['integer', amountBigint] })
  })

  it('has null for what was left out, whatever the kind of column', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values({ id: 7 })
    const { id, ...others } = (await db.select().from(kinds).get())!
    expect(id).toBe(7)
    expect(new Set(Object.values(others))).toEqual(new Set([null]))
  })

  it('carries every kind through RETURNING', async () => {
    const db = await openEmpty(place)
    const row = { id: 1, flag: true, millis: new Date(5), document: { a: [] }, bytes: Buffer.from('x'), huge: 5n, amountBigint: 6n }
    const [returned] = await db.insert(kinds).values(row).returning()
    expect(returned).toMatchObject(row)
  })

  it('carries types of the application', async () => {
    const db = await openEmpty(place)
    const point = customType<{ data: { x: number; y: number }; driverData: string }>({
      dataType: () => 'text',
      toDriver: ({ x, y }) => `${x};${y}`,
      fromDriver: (value) => ({ x: Number(value.split(';')[0]), y: Number(value.split(';')[1]) }),
    })
    const places = sqliteTable('places', { at: point('at') })
    await db.run('CREATE TABLE places (at TEXT)')
    await db.insert(places).values({ at: { x: 1, y: 2 } })
    expect(await db.select().from(places)).toEqual([{ at: { x: 1, y: 2 } }])
    expect(await db.values('SELECT at FROM places')).toEqual([['1;2']])
  })

  it('fills in and renews what the application computes', async () => {
    const db = await openEmpty(place)
    let n = 0
    const logs = sqliteTable('logs', {
      id: integer().primaryKey(),
      label: text(),
      first: integer().$defaultFn(() => ++n),
      last: integer().$onUpdateFn(() => ++n),
    })
    await db.run('CREATE TABLE logs (id INTEGER PRIMARY KEY, label TEXT, first INTEGER, last INTEGER)')
    await db.insert(logs).values({ label: 'a' })
    await db.update(logs).set({ label: 'b' })
    expect(await db.select().from(logs)).toEqual([{ id: 1, label: 'b', first: 1, last: 3 }])
  })

  it('refuses a value that no column can hold', async () => {
    const db = await openEmpty(place)
    expect(await causeOf(db.insert(kinds).values({ ratio: Number.NaN }))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await causeOf(db.run(sql`SELECT ${{ a: 1 }}`))).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })

  it('takes a Date in text as the client says', async () => {
    const db = await openEmpty(place, { options: { dates: 'iso' } })
    expect(await db.get(sql`SELECT ${new Date(0)} AS at`)).toEqual({ at: '1970-01-01T00:00:00.000Z' })
    const strict = await openEmpty(place)
    expect(await causeOf(strict.get(sql`SELECT ${new Date(0)} AS at`))).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })
})
