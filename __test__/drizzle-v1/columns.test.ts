import { eq, getColumns, sql } from 'drizzle-orm'
import { customType, integer, sqliteTable } from 'drizzle-orm/sqlite-core'
import { describe, expect, it } from 'vitest'

import { drizzle, sluiceCodecs } from 'sluice/drizzle-v1'
import type { IntegerMode } from 'sluice'
import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty } from './databases.js'
import type { Db } from './databases.js'
import { kinds, relations, users } from './schema.js'

type Kinds = typeof kinds.$inferInsert

/** Writes a row, and returns it as a select reads it, as a relational query reads it at its root, and as it reads it inside. */
async function threeWays(db: Db, values: Partial<Kinds>): Promise<unknown[]> {
  const columns = Object.fromEntries(Object.keys(values).map((name) => [name, kinds[name as keyof Kinds]]))
  const wanted = Object.fromEntries(Object.keys(values).map((name) => [name, true])) as Partial<Record<keyof Kinds, true>>
  await db.insert(users).values({ id: 1, name: 'owner' }).onConflictDoNothing()
  await db.insert(kinds).values({ ...values, ownerId: 1 })
  const [selected] = await db.select(columns).from(kinds)
  const root = await db.query.kinds.findFirst({ columns: wanted })
  const inside = await db.query.users.findFirst({ columns: {}, with: { kinds: { columns: wanted } } })
  return [selected, root, inside?.kinds[0]]
}

/** A row with one column, in all three ways. */
function everywhere<T>(value: T): T[] {
  return [value, value, value]
}

const CASES: readonly (readonly [string, Partial<Kinds>])[] = [
  ['true', { flag: true }],
  ['false', { flag: false }],
  ['a time in seconds', { seconds: new Date('2026-01-31T12:00:00Z') }],
  ['a time in seconds before 1970', { seconds: new Date('1901-02-03T04:05:06Z') }],
  ['a time in milliseconds', { milliseconds: new Date('2026-01-31T12:00:00.123Z') }],
  ['a whole number', { whole: -42 }],
  ['the largest safe integer', { whole: Number.MAX_SAFE_INTEGER }],
  ['a floating-point number', { floating: 0.1 + 0.2 }],
  ['the largest double', { floating: Number.MAX_VALUE }],
  ['the smallest double', { floating: Number.MIN_VALUE }],
  ['a text', { plain: 'ä € 😀 "\'\\ \n\t' }],
  ['the empty text', { plain: '' }],
  ['a text of an enum', { colour: 'green' }],
  ['JSON as text', { doc: { list: [1, 2.5, 3], nested: { text: '"quoted" ü' } } }],
  ['JSON as a blob', { blobDoc: { n: 7 } }],
  ['a bigint as a blob', { blobBig: 123_456_789_012_345_678_901_234_567_890n }],
  ['bytes', { bytes: Buffer.from([0, 1, 127, 128, 255]) }],
  ['no bytes', { bytes: Buffer.alloc(0) }],
  ['a numeric as text', { exact: '12.5' }],
  ['a numeric as a number', { exactNumber: 12.25 }],
  ['a numeric as a bigint', { exactBig: 9_223_372_036_854_775_807n }],
]

describe.each(PLACES)('columns on %s', (place) => {
  it.each(CASES)('carry %s in and out, in selects and in relational queries', async (_, values) => {
    const db = await openEmpty(place)
    expect(await threeWays(db, values)).toEqual(everywhere(values))
  })

  it('carry null in every mode', async () => {
    const db = await openEmpty(place)
    const { id: _id, ownerId: _owner, ...columns } = getColumns(kinds)
    const values = Object.fromEntries(Object.keys(columns).map((name) => [name, null]))
    expect(await threeWays(db, values)).toEqual(everywhere(values))
  })

  it('deliver bytes as a Buffer of exactly those bytes', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values([{ bytes: Buffer.from('one') }, { bytes: Buffer.from('two') }])
    const rows = await db.select({ bytes: kinds.bytes }).from(kinds).orderBy(kinds.id)
    expect(rows.map(({ bytes }) => Buffer.isBuffer(bytes) && bytes.toString())).toEqual(['one', 'two'])
  })

  it('take exactly the bytes that a view shows', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values({ bytes: Buffer.from('abcdef').subarray(2, 4) })
    expect((await db.select().from(kinds).get())?.bytes?.toString()).toBe('cd')
  })

  it.each(['9007199254740993', '-9223372036854775808', '9223372036854775807'])('deliver the integer %s exactly', async (digits) => {
    const db = await openEmpty(place)
    const whole = BigInt(digits)
    expect(await threeWays(db, { whole: whole as unknown as number })).toEqual(everywhere({ whole }))
  })

  it('deliver what an INTEGER column holds that is no integer', async () => {
    const db = await openEmpty(place)
    for (const whole of [1.5, -2.5e-7, 1e20, 1e300, Number.MAX_VALUE, 'text'] as number[]) {
      expect(await threeWays(db, { whole })).toEqual(everywhere({ whole }))
      await db.delete(kinds)
    }
  })

  it.each(['', ' ', '0x10', '0b11', '1_000', 'Infinity', 'NaN'])('deliver the text %j of an INTEGER column as it is', async (text) => {
    const db = await openEmpty(place)
    const whole = text as unknown as number
    expect(await threeWays(db, { whole })).toEqual(everywhere({ whole }))
  })

  it('round in JSON what only an expression computes, which has no codec', async () => {
    const db = await openEmpty(place)
    await db.insert(users).values([
      { id: 1, name: 'root' },
      { id: 2, name: 'child', inviterId: 1 },
    ])
    const big = (): ReturnType<typeof sql<number>> => sql<number>`9007199254740993`
    const root = await db.query.users.findFirst({
      columns: {},
      where: { id: 1 },
      extras: { big },
      with: { invited: { columns: {}, extras: { big } } },
    })
    expect(root).toEqual({ big: 9007199254740993n, invited: [{ big: 9007199254740992 }] })
  })

  it('deliver the integers of raw SQL exactly', async () => {
    const db = await openEmpty(place)
    expect(await db.get(sql`SELECT 9007199254740993 AS big, 42 AS small`)).toEqual({ big: 9007199254740993n, small: 42 })
    expect(await db.run(sql`INSERT INTO users (id, name) VALUES (${9007199254740993n}, 'far')`)).toMatchObject({
      lastInsertRowid: 9007199254740993n,
    })
  })

  it.each(['bigint', 'number', 'auto'] as IntegerMode[])('read booleans, times and counts with integers %s', async (integers) => {
    const db = await openEmpty(place, { options: { integers } })
    const values = { flag: true, seconds: new Date(86_400_000), milliseconds: new Date(1234) }
    expect(await threeWays(db, values)).toEqual(everywhere(values))
    expect(await db.$count(kinds)).toBe(1)
  })

  it('deliver integers outside of JSON as the database was opened to', async () => {
    const db = await openEmpty(place, { options: { integers: 'bigint' } })
    await db.insert(kinds).values({ whole: 7 })
    expect(await db.select({ whole: kinds.whole }).from(kinds)).toEqual([{ whole: 7n }])
  })

  it('filter by their values as they are written', async () => {
    const db = await openEmpty(place)
    const at = new Date('2026-01-31T12:00:00Z')
    await db.insert(kinds).values([{ flag: true, seconds: at }, { flag: false }])
    expect(await db.$count(kinds, eq(kinds.flag, true))).toBe(1)
    expect(await db.$count(kinds, eq(kinds.seconds, at))).toBe(1)
  })

  it('may be of a custom type', async () => {
    const comma = customType<{ data: string[]; driverData: string }>({
      dataType: () => 'text',
      toDriver: (list) => list.join(','),
      fromDriver: (text) => text.split(','),
    })
    const lists = sqliteTable('lists', { id: integer().primaryKey(), list: comma() })
    const db = await openEmpty(place)
    await db.run('CREATE TABLE lists (id INTEGER PRIMARY KEY, list TEXT)')
    await db.insert(lists).values({ list: ['a', 'b'] })
    expect(await db.select().from(lists)).toEqual([{ id: 1, list: ['a', 'b'] }])
  })

  it('fill in defaults that JavaScript makes', async () => {
    const made = sqliteTable('users', {
      id: integer().primaryKey(),
      name: customType<{ data: string }>({ dataType: () => 'text' })()
        .notNull()
        .$defaultFn(() => 'made')
        .$onUpdateFn(() => 'updated'),
    })
    const db = await openEmpty(place)
    expect(await db.insert(made).values({}).returning()).toEqual([{ id: 1, name: 'made' }])
    expect(await db.update(made).set({ id: 2 }).returning()).toEqual([{ id: 2, name: 'updated' }])
  })

  it('refuse what SQLite cannot hold, with the code of the driver', async () => {
    const db = await openEmpty(place)
    const tooBig = await rejectionOf(db.insert(kinds).values({ whole: (2n ** 64n) as unknown as number }))
    expect(tooBig.cause?.code).toBe('ERR_SLUICE_OUT_OF_RANGE')
    const object = await rejectionOf(db.run(sql`INSERT INTO users (name) VALUES (${{ no: 'text' }})`))
    expect(object.cause?.code).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })

  it('are read by the codecs that are configured', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values({ flag: true, bytes: Buffer.from('abc') })
    const other = drizzle(db.$client, { relations, codecs: { ...sluiceCodecs, 'integer:boolean': { normalize: () => 'from a codec' } } })
    expect(await other.select({ flag: kinds.flag, bytes: kinds.bytes }).from(kinds)).toEqual([
      { flag: 'from a codec', bytes: Buffer.from('abc') },
    ])
  })

  it('are read alike by compiled mappers', async () => {
    const db = await openEmpty(place, { config: { jit: true } })
    const values: Partial<Kinds> = Object.assign({}, ...CASES.map(([, one]) => one))
    expect(await threeWays(db, values)).toEqual(everywhere(values))
  })
})
