import { asc, desc, eq, gt, placeholder, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { kinds, books, authors } from './schema.js'

describe.each(PLACES)('relational queries of drizzle on %s', (place) => {
  it('finds many', async () => {
    const db = await openFilled(place)
    expect(await db.query.genres.findMany()).toEqual([{ id: 1, name: 'maths' }, { id: 2, name: 'machines' }, { id: 3, name: 'unused' }])
  })

  it('finds the first, or undefined', async () => {
    const db = await openFilled(place)
    expect(await db.query.genres.findFirst({ orderBy: (genre) => desc(genre.id) })).toEqual({ id: 3, name: 'unused' })
    expect(await db.query.genres.findFirst({ where: (genre, { eq: is }) => is(genre.id, 99) })).toBeUndefined()
  })

  it('returns an empty list where nothing matches', async () => {
    const db = await openEmpty(place)
    expect(await db.query.authors.findMany({ with: { books: true } })).toEqual([])
  })

  it('picks columns, and leaves columns out', async () => {
    const db = await openFilled(place)
    expect(await db.query.authors.findFirst({ columns: { name: true } })).toEqual({ name: 'Ada' })
    expect(await db.query.authors.findFirst({ columns: { email: false, mentorId: false } })).toEqual({ id: 1, name: 'Ada', city: 'London' })
  })

  it('filters, orders, limits and skips', async () => {
    const db = await openFilled(place)
    const found = await db.query.books.findMany({
      columns: { id: true },
      where: gt(books.copies, 5),
      orderBy: [desc(books.copies)],
      limit: 1,
      offset: 1,
    })
    expect(found).toEqual([{ id: 3 }])
  })

  it('adds expressions', async () => {
    const db = await openFilled(place)
    const found = await db.query.authors.findFirst({
      columns: { id: true },
      extras: { loud: sql<string>`upper(${authors.name})`.as('loud') },
    })
    expect(found).toEqual({ id: 1, loud: 'ADA' })
  })

  it('finds the many that belong to one', async () => {
    const db = await openFilled(place)
    const found = await db.query.authors.findMany({
      columns: { name: true },
      with: { books: { columns: { title: true }, orderBy: asc(books.id) } },
      orderBy: asc(authors.id),
    })
    expect(found).toEqual([
      { name: 'Ada', books: [{ title: 'Notes' }, { title: 'Engines' }] },
      { name: 'Grace', books: [{ title: 'Compilers' }, { title: 'Bugs' }] },
      { name: 'Joan', books: [] },
    ])
  })

  it('finds the one that many belong to', async () => {
    const db = await openFilled(place)
    const found = await db.query.books.findFirst({
      columns: { title: true },
      with: { author: { columns: { name: true } } },
      where: eq(books.id, 3),
    })
    expect(found).toEqual({ title: 'Compilers', author: { name: 'Grace' } })
  })

  it('has null for the one that is not there', async () => {
    const db = await openFilled(place)
    const found = await db.query.authors.findFirst({ columns: { name: true }, with: { mentor: true }, where: eq(authors.id, 1) })
    expect(found).toEqual({ name: 'Ada', mentor: null })
  })

  it('tells two relations of the same tables apart', async () => {
    const db = await openFilled(place)
    const found = await db.query.authors.findMany({
      columns: { name: true },
      with: { mentor: { columns: { name: true } }, students: { columns: { name: true }, orderBy: asc(authors.id) } },
      orderBy: asc(authors.id),
    })
    expect(found).toEqual([
      { name: 'Ada', mentor: null, students: [{ name: 'Grace' }, { name: 'Joan' }] },
      { name: 'Grace', mentor: { name: 'Ada' }, students: [] },
      { name: 'Joan', mentor: { name: 'Ada' }, students: [] },
    ])
  })

  it('goes through a table between two', async () => {
    const db = await openFilled(place)
    const found = await db.query.books.findFirst({
      columns: { title: true },
      with: { genres: { columns: {}, with: { genre: { columns: { name: true } } } } },
      where: eq(books.id, 2),
    })
    expect(found).toEqual({ title: 'Engines', genres: [{ genre: { name: 'maths' } }, { genre: { name: 'machines' } }] })
  })

  it('filters and limits what is nested', async () => {
    const db = await openFilled(place)
    const found = await db.query.authors.findMany({
      columns: { id: true },
      with: { books: { columns: { id: true }, where: gt(books.copies, 15), limit: 1 } },
      orderBy: asc(authors.id),
    })
    expect(found).toEqual([{ id: 1, books: [{ id: 2 }] }, { id: 2, books: [{ id: 3 }] }, { id: 3, books: [] }])
  })

  it('decodes the columns of what it finds', async () => {
    const db = await openFilled(place)
    const row = { flag: true, millis: new Date(1), document: { a: [1] }, bytes: Buffer.from('x'), huge: 3n }
    await db.insert(kinds).values({ id: 1, ...row })
    expect(await db.query.kinds.findFirst()).toMatchObject(row)
  })

  it('is prepared with placeholders', async () => {
    const db = await openFilled(place)
    const byId = db.query.authors
      .findFirst({ columns: { name: true }, where: eq(authors.id, placeholder('id')), with: { books: { columns: { id: true } } } })
      .prepare()
    expect(await byId.execute({ id: 2 })).toEqual({ name: 'Grace', books: [{ id: 3 }, { id: 4 }] })
    expect(await byId.execute({ id: 99 })).toBeUndefined()
  })

  it('limits by a placeholder', async () => {
    const db = await openFilled(place)
    const some = db.query.books.findMany({ columns: { id: true }, limit: placeholder('limit') }).prepare()
    expect(await some.execute({ limit: 2 })).toEqual([{ id: 1 }, { id: 2 }])
  })

  it('sees in a transaction what that has written', async () => {
    const db = await openFilled(place)
    const found = await db.transaction(async (tx) => {
      await tx.insert(books).values({ authorId: 3, title: 'New' })
      return tx.query.authors.findFirst({
        columns: { name: true },
        with: { books: { columns: { title: true } } },
        where: eq(authors.id, 3),
      })
    })
    expect(found).toEqual({ name: 'Joan', books: [{ title: 'New' }] })
  })
})
