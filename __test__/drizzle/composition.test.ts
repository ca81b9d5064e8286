import { aliasedTable, and, eq, exists, gt, sql } from 'drizzle-orm'
import { except, intersect, union, unionAll } from 'drizzle-orm/sqlite-core'
import { describe, expect, it } from 'vitest'

import { PLACES } from '../support/drizzle.js'
import { openFilled } from './databases.js'
import { books, shelving, readers, genres, authors, copiesByAuthor } from './schema.js'

describe.each(PLACES)('drizzle on %s: queries of several tables', (place) => {
  it('keeps columns of the same name apart in an inner join', async () => {
    const db = await openFilled(place)
    const [row] = await db.select().from(authors).innerJoin(books, eq(books.authorId, authors.id)).where(eq(books.id, 3))
    expect(row).toEqual({
      authors: { id: 2, name: 'Grace', email: 'grace@example.com', city: 'New York', mentorId: 1 },
      books: { id: 3, authorId: 2, title: 'Compilers', copies: 20 },
    })
  })

  it('keeps columns of the same name apart in a flat selection', async () => {
    const db = await openFilled(place)
    const rows = await db.select({ author: authors.id, book: books.id, genre: genres.id, a: authors.name, b: genres.name })
      .from(authors)
      .innerJoin(books, eq(books.authorId, authors.id))
      .innerJoin(shelving, eq(shelving.bookId, books.id))
      .innerJoin(genres, eq(genres.id, shelving.genreId))
      .where(eq(books.id, 3))
    expect(rows).toEqual([{ author: 2, book: 3, genre: 2, a: 'Grace', b: 'machines' }])
  })

  it('has null for the table that a left join does not find', async () => {
    const db = await openFilled(place)
    const rows = await db.select().from(authors).leftJoin(books, eq(books.authorId, authors.id)).where(eq(authors.id, 3))
    expect(rows).toEqual([{ authors: { id: 3, name: 'Joan', email: null, city: 'London', mentorId: 1 }, books: null }])
  })

  it('has null for a group of columns that a left join does not find', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ name: authors.name, book: { id: books.id, title: books.title } })
      .from(authors)
      .leftJoin(books, eq(books.authorId, authors.id))
      .where(eq(authors.id, 3))
    expect(rows).toEqual([{ name: 'Joan', book: null }])
  })

  it('joins to the right and in full', async () => {
    const db = await openFilled(place)
    const right = await db
      .select({ book: books.id, author: authors.id })
      .from(books)
      .rightJoin(authors, eq(books.authorId, authors.id))
      .where(eq(authors.id, 3))
    expect(right).toEqual([{ book: null, author: 3 }])
    const full = await db
      .select({ book: books.id, author: authors.id })
      .from(books)
      .fullJoin(authors, and(eq(books.authorId, authors.id), gt(books.copies, 25)))
    expect(full).toHaveLength(6)
  })

  it('makes every pair in a cross join', async () => {
    const db = await openFilled(place)
    expect(await db.select({ author: authors.id, genre: genres.id }).from(authors).crossJoin(genres)).toHaveLength(9)
  })

  it('joins a table with itself', async () => {
    const db = await openFilled(place)
    const mentors = aliasedTable(authors, 'mentors')
    const rows = await db
      .select({ name: authors.name, mentor: mentors.name })
      .from(authors)
      .innerJoin(mentors, eq(authors.mentorId, mentors.id))
      .orderBy(authors.id)
    expect(rows).toEqual([{ name: 'Grace', mentor: 'Ada' }, { name: 'Joan', mentor: 'Ada' }])
  })

  it('selects from a subquery, and joins one', async () => {
    const db = await openFilled(place)
    const popular = db
      .select({ authorId: books.authorId, best: sql<number>`max(${books.copies})`.as('best') })
      .from(books)
      .groupBy(books.authorId)
      .as('popular')
    expect(await db.select().from(popular).orderBy(sql`best`)).toEqual([{ authorId: 2, best: 20 }, { authorId: 1, best: 30 }])
    const joined = await db
      .select({ name: authors.name, best: popular.best })
      .from(authors)
      .innerJoin(popular, eq(popular.authorId, authors.id))
      .orderBy(authors.id)
    expect(joined).toEqual([{ name: 'Ada', best: 30 }, { name: 'Grace', best: 20 }])
  })

  it('asks whether a subquery has rows', async () => {
    const db = await openFilled(place)
    const written = db.select({ one: sql`1` }).from(books).where(eq(books.authorId, authors.id))
    expect(await db.select({ name: authors.name }).from(authors).where(exists(written))).toEqual([{ name: 'Ada' }, { name: 'Grace' }])
  })

  it('reads through a common table expression', async () => {
    const db = await openFilled(place)
    const read = db.$with('read').as(db.select().from(books).where(gt(books.copies, 15)))
    expect(
      await db
        .with(read)
        .select({ title: read.title })
        .from(read)
        .orderBy(read.id)
    ).toEqual([{ title: 'Engines' }, { title: 'Compilers' }])
  })

  it('writes through common table expressions', async () => {
    const db = await openFilled(place)
    const mean = db.$with('mean').as(db.select({ value: sql<number>`avg(${books.copies})`.as('value') }).from(books))
    const updated = await db
      .with(mean)
      .update(books)
      .set({ title: 'Popular' })
      .where(gt(books.copies, sql`(select * from ${mean})`))
      .returning({ id: books.id })
    expect(updated).toEqual([{ id: 2 }, { id: 3 }])
    const deleted = await db
      .with(mean)
      .delete(books)
      .where(and(eq(books.id, 4), sql`${books.copies} < (select * from ${mean})`))
      .returning({ id: books.id })
    expect(deleted).toEqual([{ id: 4 }])
  })

  it('makes unions, with and without duplicates', async () => {
    const db = await openFilled(place)
    // The left operand is changed: each operation needs one of its own.
    const cities = () => db.select({ name: authors.city }).from(authors)
    const names = db.select({ name: genres.name }).from(genres)
    expect(await union(cities(), names)).toHaveLength(5)
    expect(await unionAll(cities(), names)).toHaveLength(6)
    expect(await cities().union(names).orderBy(sql`name`).limit(1)).toEqual([{ name: 'London' }])
  })

  it('makes intersections and differences', async () => {
    const db = await openFilled(place)
    const all = () => db.select({ id: authors.id }).from(authors)
    const writers = db.select({ id: books.authorId }).from(books)
    expect(await intersect(all(), writers)).toEqual([{ id: 1 }, { id: 2 }])
    expect(await except(all(), writers)).toEqual([{ id: 3 }])
  })

  it('selects from views that the builder and text define', async () => {
    const db = await openFilled(place)
    expect(await db.select().from(readers).orderBy(readers.id)).toEqual([{ id: 1, name: 'Ada' }, { id: 3, name: 'Joan' }])
    expect(await db.select().from(copiesByAuthor).orderBy(copiesByAuthor.authorId)).toEqual([
      { authorId: 1, total: 40 },
      { authorId: 2, total: 20 },
    ])
  })

  it('joins a view', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ name: readers.name, title: books.title })
      .from(readers)
      .innerJoin(books, eq(books.authorId, readers.id))
      .orderBy(books.id)
    expect(rows).toEqual([{ name: 'Ada', title: 'Notes' }, { name: 'Ada', title: 'Engines' }])
  })
})
