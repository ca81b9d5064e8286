import { eq, inArray, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { kinds, books, genres, authors } from './schema.js'

describe.each(PLACES)('prepared queries of drizzle on %s', (place) => {
  it('runs again and again with other values', async () => {
    const db = await openFilled(place)
    const byId = db.select({ name: authors.name }).from(authors).where(eq(authors.id, sql.placeholder('id'))).prepare()
    expect(await byId.all({ id: 1 })).toEqual([{ name: 'Ada' }])
    expect(await byId.all({ id: 2 })).toEqual([{ name: 'Grace' }])
    expect(await byId.execute({ id: 3 })).toEqual([{ name: 'Joan' }])
  })

  it('has each way of asking', async () => {
    const db = await openFilled(place)
    const byId = db.select({ id: authors.id, name: authors.name }).from(authors).where(eq(authors.id, sql.placeholder('id'))).prepare()
    expect(await byId.get({ id: 1 })).toEqual({ id: 1, name: 'Ada' })
    expect(await byId.get({ id: 99 })).toBeUndefined()
    expect(await byId.values({ id: 1 })).toEqual([[1, 'Ada']])
    expect(await byId.run({ id: 1 })).toEqual({ changes: 0, lastInsertRowid: undefined })
  })

  it('stops after the first row for get', async () => {
    const db = await openEmpty(place)
    await db.insert(kinds).values([{ label: '[1]' }, { label: 'no JSON' }])
    const parsed = db.select({ document: sql<string>`json(${kinds.label})` }).from(kinds).prepare()
    expect(await parsed.get()).toEqual({ document: '[1]' })
    expect((await rejectionOf(parsed.all())).cause?.message).toContain('malformed JSON')
  })

  it('runs many times at once', async () => {
    const db = await openFilled(place)
    const byId = db.select({ id: authors.id }).from(authors).where(eq(authors.id, sql.placeholder('id'))).prepare()
    const found = await Promise.all(Array.from({ length: 60 }, (_, index) => byId.get({ id: (index % 3) + 1 })))
    expect(found.map((row) => row?.id)).toEqual(Array.from({ length: 60 }, (_, index) => (index % 3) + 1))
  })

  it('encodes the value of a placeholder as its column does', async () => {
    const db = await openEmpty(place)
    const add = db
      .insert(kinds)
      .values({ flag: sql.placeholder('flag'), millis: sql.placeholder('at'), document: sql.placeholder('document') })
      .prepare()
    await add.run({ flag: true, at: new Date(5), document: { a: [1] } })
    expect(await db.select({ flag: kinds.flag, millis: kinds.millis, document: kinds.document }).from(kinds)).toEqual([
      { flag: true, millis: new Date(5), document: { a: [1] } },
    ])
  })

  it('inserts and returns', async () => {
    const db = await openEmpty(place)
    const add = db.insert(genres).values({ name: sql.placeholder('name') }).returning().prepare()
    expect(await add.all({ name: 'a' })).toEqual([{ id: 1, name: 'a' }])
    expect(await add.get({ name: 'b' })).toEqual({ id: 2, name: 'b' })
  })

  it('updates and deletes', async () => {
    const db = await openFilled(place)
    const rename = db.update(books).set({ title: sql`${sql.placeholder('title')}` }).where(eq(books.id, sql.placeholder('id'))).prepare()
    expect((await rename.run({ id: 1, title: 'X' })).changes).toBe(1)
    const drop = db.delete(books).where(eq(books.id, sql.placeholder('id'))).prepare()
    expect((await drop.run({ id: 4 })).changes).toBe(1)
    expect(await db.$count(books)).toBe(3)
  })

  it('takes placeholders in limit and offset', async () => {
    const db = await openFilled(place)
    const page = db
      .select({ id: books.id })
      .from(books)
      .orderBy(books.id)
      .limit(sql.placeholder('n'))
      .offset(sql.placeholder('from'))
      .prepare()
    expect(await page.all({ n: 2, from: 1 })).toEqual([{ id: 2 }, { id: 3 }])
  })

  it('takes placeholders in a list', async () => {
    const db = await openFilled(place)
    const some = db
      .select({ id: authors.id })
      .from(authors)
      .where(inArray(authors.id, [sql.placeholder('a'), sql.placeholder('b')]))
      .prepare()
    expect(await some.all({ a: 1, b: 3 })).toEqual([{ id: 1 }, { id: 3 }])
  })

  it('fails when a placeholder has no value', async () => {
    const db = await openFilled(place)
    const byId = db.select().from(authors).where(eq(authors.id, sql.placeholder('id'))).prepare()
    expect((await rejectionOf(byId.all({}))).message).toContain('"id"')
  })

  it('belongs to the transaction that prepared it', async () => {
    const db = await openFilled(place)
    const names = await db.transaction(async (tx) => {
      const add = tx.insert(genres).values({ name: sql.placeholder('name') }).prepare()
      for (const name of ['x', 'y']) await add.run({ name })
      return tx.select({ name: genres.name }).from(genres).where(inArray(genres.name, ['x', 'y']))
    })
    expect(names).toEqual([{ name: 'x' }, { name: 'y' }])
  })
})

describe.each(PLACES)('text of SQL through drizzle on %s', (place) => {
  it('gives all rows as objects', async () => {
    const db = await openFilled(place)
    const rows = await db.all(sql`SELECT id, name FROM ${genres} WHERE id < ${3}`)
    expect(rows).toEqual([{ id: 1, name: 'maths' }, { id: 2, name: 'machines' }])
  })

  it('gives one row as an object, or undefined', async () => {
    const db = await openFilled(place)
    expect(await db.get(sql`SELECT name FROM genres WHERE id = ${2}`)).toEqual({ name: 'machines' })
    expect(await db.get(sql`SELECT name FROM genres WHERE id = ${99}`)).toBeUndefined()
  })

  it('gives rows as arrays, with columns of the same name', async () => {
    const db = await openFilled(place)
    expect(await db.values(sql`SELECT 1 AS a, 2 AS a`)).toEqual([[1, 2]])
  })

  it('gives objects for text and arrays for builders, whatever rows the client is set to', async () => {
    const db = await openFilled(place, { options: { rowMode: 'array' } })
    expect(await db.all('SELECT 1 AS a')).toEqual([{ a: 1 }])
    expect(await db.get('SELECT 1 AS a')).toEqual({ a: 1 })
    expect(await db.select({ id: genres.id }).from(genres).limit(1)).toEqual([{ id: 1 }])
  })

  it('tells what text changed', async () => {
    const db = await openFilled(place)
    expect(await db.run(sql`INSERT INTO genres (name) VALUES (${'a'}), (${'b'})`)).toEqual({ changes: 2, lastInsertRowid: 5 })
    expect(await db.run('CREATE TABLE other (x)')).toEqual({ changes: 0, lastInsertRowid: undefined })
  })

  it('takes plain strings', async () => {
    const db = await openFilled(place)
    expect(await db.all('SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(await db.values('SELECT 1, 2')).toEqual([[1, 2]])
  })

  it('never takes a value for SQL', async () => {
    const db = await openFilled(place)
    const name = `'; DROP TABLE genres; --`
    expect(await db.get(sql`SELECT ${name} AS name`)).toEqual({ name })
    expect(await db.$count(genres)).toBe(3)
  })

  it('refuses transactions as text, which everybody would share', async () => {
    const db = await openEmpty(place)
    expect((await rejectionOf(db.run('BEGIN'))).cause?.code).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
  })
})
