import { and, asc, avg, between, count, desc, eq, gt, inArray, isNull, like, max, not, or, sql, sum } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { books, genres, authors } from './schema.js'

describe.each(PLACES)('drizzle on %s: reading', (place) => {
  it('selects all columns of a table', async () => {
    const db = await openFilled(place)
    expect(await db.select().from(authors).where(eq(authors.id, 2))).toEqual([
      { id: 2, name: 'Grace', email: 'grace@example.com', city: 'New York', mentorId: 1 },
    ])
  })

  it('selects columns and expressions under names of its own', async () => {
    const db = await openFilled(place)
    const rows = await db.select({ who: authors.name, loud: sql<string>`upper(${authors.name})` }).from(authors).where(eq(authors.id, 1))
    expect(rows).toEqual([{ who: 'Ada', loud: 'ADA' }])
  })

  it('nests what is selected as it was asked for', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ key: authors.id, person: { name: authors.name, city: authors.city } })
      .from(authors)
      .where(eq(authors.id, 3))
    expect(rows).toEqual([{ key: 3, person: { name: 'Joan', city: 'London' } }])
  })

  it('selects distinct rows', async () => {
    const db = await openFilled(place)
    expect(
      await db
        .selectDistinct({ city: authors.city })
        .from(authors)
        .orderBy(authors.city)
    ).toEqual([{ city: 'London' }, { city: 'New York' }])
  })

  it('returns an empty list where nothing matches', async () => {
    const db = await openFilled(place)
    expect(await db.select().from(authors).where(eq(authors.id, 99))).toEqual([])
  })

  it('combines conditions', async () => {
    const db = await openFilled(place)
    const found = await db
      .select({ id: books.id })
      .from(books)
      .where(or(and(gt(books.copies, 5), like(books.title, 'N%')), between(books.id, 3, 3)))
    expect(found).toEqual([{ id: 1 }, { id: 3 }])
  })

  it('takes lists, negations and NULL in conditions', async () => {
    const db = await openFilled(place)
    expect(await db.select({ id: authors.id }).from(authors).where(inArray(authors.id, [1, 3]))).toEqual([{ id: 1 }, { id: 3 }])
    expect(await db.select({ id: authors.id }).from(authors).where(not(isNull(authors.mentorId)))).toEqual([{ id: 2 }, { id: 3 }])
    expect(await db.select({ id: authors.id }).from(authors).where(inArray(authors.id, []))).toEqual([])
  })

  it('orders, limits and skips', async () => {
    const db = await openFilled(place)
    const rows = await db.select({ title: books.title }).from(books).orderBy(desc(books.copies), asc(books.id)).limit(2).offset(1)
    expect(rows).toEqual([{ title: 'Compilers' }, { title: 'Notes' }])
  })

  it('groups and aggregates', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ author: books.authorId, books: count(), most: max(books.copies), all: sum(books.copies), mean: avg(books.copies) })
      .from(books)
      .groupBy(books.authorId)
      .having(({ most }) => gt(most, 25))
    expect(rows).toEqual([{ author: 1, books: 2, most: 30, all: '40', mean: '20' }])
  })

  it('adds to a query step by step when it is dynamic', async () => {
    const db = await openFilled(place)
    let query = db.select({ id: books.id }).from(books).$dynamic()
    query = query.where(gt(books.copies, 0))
    query = query.orderBy(desc(books.id))
    expect(await query.limit(1)).toEqual([{ id: 3 }])
  })

  it('gets the first row, or undefined', async () => {
    const db = await openFilled(place)
    expect(await db.select({ name: authors.name }).from(authors).orderBy(authors.id).get()).toEqual({ name: 'Ada' })
    expect(await db.select().from(authors).where(eq(authors.id, 99)).get()).toBeUndefined()
  })

  it('gives the rows of a builder as arrays on request', async () => {
    const db = await openFilled(place)
    expect(await db.select({ id: authors.id, name: authors.name }).from(authors).limit(1).values()).toEqual([[1, 'Ada']])
  })

  it('counts rows, with and without a condition', async () => {
    const db = await openFilled(place)
    expect(await db.$count(authors)).toBe(3)
    expect(await db.$count(authors, eq(authors.city, 'London'))).toBe(2)
  })

  it('counts rows within a selection', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ name: authors.name, books: db.$count(books, eq(books.authorId, authors.id)) })
      .from(authors)
      .orderBy(authors.id)
    expect(rows).toEqual([{ name: 'Ada', books: 2 }, { name: 'Grace', books: 2 }, { name: 'Joan', books: 0 }])
  })
})

describe.each(PLACES)('drizzle on %s: writing', (place) => {
  it('tells what an insertion changed, and its rowid', async () => {
    const db = await openEmpty(place)
    expect(await db.insert(genres).values([{ name: 'a' }, { name: 'b' }])).toEqual({ changes: 2, lastInsertRowid: 2 })
  })

  it('fills in defaults', async () => {
    const db = await openEmpty(place)
    await db.insert(authors).values({ name: 'Ada' })
    expect(await db.select().from(authors)).toEqual([{ id: 1, name: 'Ada', email: null, city: 'London', mentorId: null }])
  })

  it('returns what it inserted, all or in part', async () => {
    const db = await openEmpty(place)
    expect(await db.insert(genres).values({ name: 'a' }).returning()).toEqual([{ id: 1, name: 'a' }])
    expect(await db.insert(genres).values([{ name: 'b' }, { name: 'c' }]).returning({ key: genres.id })).toEqual([{ key: 2 }, { key: 3 }])
  })

  it('gets the first row that it inserted', async () => {
    const db = await openEmpty(place)
    expect(await db.insert(genres).values([{ name: 'a' }, { name: 'b' }]).returning().get()).toEqual({ id: 1, name: 'a' })
    expect(await db.$count(genres)).toBe(2)
  })

  it('inserts the result of an expression', async () => {
    const db = await openEmpty(place)
    await db.insert(genres).values({ name: sql`upper(${'abc'})` })
    expect(await db.select({ name: genres.name }).from(genres)).toEqual([{ name: 'ABC' }])
  })

  it('inserts the rows of a query', async () => {
    const db = await openFilled(place)
    await db.insert(genres).select(db.select({ id: sql<number>`${authors.id} + 100`.as('id'), name: authors.name }).from(authors))
    expect(await db.select().from(genres).where(gt(genres.id, 100)).orderBy(genres.id)).toEqual([
      { id: 101, name: 'Ada' },
      { id: 102, name: 'Grace' },
      { id: 103, name: 'Joan' },
    ])
  })

  it('inserts a thousand rows at once', async () => {
    const db = await openEmpty(place)
    const result = await db.insert(genres).values(Array.from({ length: 1_000 }, (_, index) => ({ name: `genre ${index}` })))
    expect(result.changes).toBe(1_000)
    expect(await db.$count(genres)).toBe(1_000)
  })

  it('does nothing on a conflict', async () => {
    const db = await openFilled(place)
    expect((await db.insert(authors).values({ id: 1, name: 'Other' }).onConflictDoNothing()).changes).toBe(0)
    const twice = db
      .insert(authors)
      .values({ name: 'X', email: 'ada@example.com' })
      .onConflictDoNothing({ target: authors.email })
      .returning()
    expect(await twice).toEqual([])
  })

  it('updates on a conflict', async () => {
    const db = await openFilled(place)
    const rows = await db
      .insert(authors)
      .values({ name: 'Ada L.', email: 'ada@example.com' })
      .onConflictDoUpdate({ target: authors.email, set: { name: sql`excluded.name` } })
      .returning({ id: authors.id, name: authors.name })
    expect(rows).toEqual([{ id: 1, name: 'Ada L.' }])
  })

  it('updates on a conflict of several columns, under a condition', async () => {
    const db = await openFilled(place)
    const upsert = (city: string): PromiseLike<{ changes: number }> =>
      db
        .insert(authors)
        .values({ name: 'Joan', city: 'London' })
        .onConflictDoUpdate({ target: [authors.name, authors.city], set: { email: 'joan@example.com' }, setWhere: eq(authors.city, city) })
    expect((await upsert('Paris')).changes).toBe(0)
    expect((await upsert('London')).changes).toBe(1)
  })

  it('updates rows and tells how many', async () => {
    const db = await openFilled(place)
    expect((await db.update(books).set({ copies: sql`${books.copies} + 1` }).where(eq(books.authorId, 1))).changes).toBe(2)
    expect(await db.select({ copies: books.copies }).from(books).where(eq(books.authorId, 1))).toEqual([{ copies: 11 }, { copies: 31 }])
  })

  it('returns what it updated', async () => {
    const db = await openFilled(place)
    expect(
      await db
        .update(authors)
        .set({ city: null })
        .where(eq(authors.id, 3))
        .returning({ id: authors.id, city: authors.city })
    ).toEqual([
      { id: 3, city: null },
    ])
  })

  it('updates from another table', async () => {
    const db = await openFilled(place)
    await db
      .update(books)
      .set({ title: sql`${authors.name} || ': ' || ${books.title}` })
      .from(authors)
      .where(and(eq(authors.id, books.authorId), eq(books.id, 3)))
    expect(await db.select({ title: books.title }).from(books).where(eq(books.id, 3)).get()).toEqual({ title: 'Grace: Compilers' })
  })

  it('deletes rows, and those that refer to them', async () => {
    const db = await openFilled(place)
    await db.run(sql`DELETE FROM shelving`)
    expect((await db.delete(authors).where(eq(authors.id, 1))).changes).toBe(1)
    expect(await db.$count(books)).toBe(2)
  })

  it('returns what it deleted', async () => {
    const db = await openFilled(place)
    expect(await db.delete(genres).where(eq(genres.id, 3)).returning()).toEqual([{ id: 3, name: 'unused' }])
    expect(await db.delete(genres).where(eq(genres.id, 3)).returning()).toEqual([])
  })

  it('deletes everything without a condition', async () => {
    const db = await openFilled(place)
    await db.run(sql`DELETE FROM shelving`)
    expect((await db.delete(genres)).changes).toBe(3)
    expect(await db.$count(genres)).toBe(0)
  })

  it('sends a query only when it is awaited or told to', async () => {
    const db = await openEmpty(place)
    const query = db.insert(genres).values({ name: 'a' })
    expect(await db.$count(genres)).toBe(0)
    await query.execute()
    expect(await db.$count(genres)).toBe(1)
  })
})
