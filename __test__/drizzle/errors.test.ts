import { DrizzleQueryError, eq, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { SqliteError } from 'sluice'
import { PLACES, causeOf, rejectionOf } from '../support/drizzle.js'
import { openFilled } from './databases.js'
import type { Db } from './databases.js'
import { authors, books, genres, shelving } from './schema.js'

describe.each(PLACES)('errors of drizzle on %s', (place) => {
  it.each<[string, (db: Db) => PromiseLike<unknown>, string]>([
    ['a value that is there already', (db) => db
      .insert(authors)
      .values({ name: 'X', email: 'ada@example.com' }), 'SQLITE_CONSTRAINT_UNIQUE'],
    ['a key that is there already', (db) => db.insert(genres).values({ id: 1, name: 'X' }), 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    ['a missing value', (db) => db.insert(genres).values({ name: sql`NULL` }), 'SQLITE_CONSTRAINT_NOTNULL'],
    ['a broken condition', (db) => db.update(books).set({ copies: -1 }), 'SQLITE_CONSTRAINT_CHECK'],
    ['a reference to nothing', (db) => db.insert(shelving).values({ bookId: 1, genreId: 99 }), 'SQLITE_CONSTRAINT_FOREIGNKEY'],
    ['a row that others refer to', (db) => db.delete(genres).where(eq(genres.id, 1)), 'SQLITE_CONSTRAINT_FOREIGNKEY'],
    ['a table that is not there', (db) => db.all('SELECT * FROM nothing'), 'SQLITE_ERROR'],
    ['two statements in one', (db) => db.run('SELECT 1; SELECT 2'), 'ERR_SLUICE_MULTIPLE_STATEMENTS'],
  ])('keeps the code for %s', async (_, call, code) => {
    const db = await openFilled(place)
    expect(await causeOf(call(db))).toBe(code)
  })

  it('is of drizzle, and has the error of SQLite as its cause', async () => {
    const db = await openFilled(place)
    const rejection = await rejectionOf(db.insert(authors).values({ name: 'X', email: 'ada@example.com' }))
    expect(rejection).toBeInstanceOf(DrizzleQueryError)
    expect(rejection.query).toContain('insert into "authors"')
    expect(rejection.params).toContain('ada@example.com')
    expect(rejection.cause).toBeInstanceOf(SqliteError)
    expect(rejection.cause).toMatchObject({ errno: 2067, code: 'SQLITE_CONSTRAINT_UNIQUE' })
  })

  it.each<[string, (db: Db) => PromiseLike<unknown>]>([
    ['run', (db) => db.run('SELECT * FROM nothing')],
    ['all', (db) => db.all('SELECT * FROM nothing')],
    ['get', (db) => db.get('SELECT * FROM nothing')],
    ['values', (db) => db.values('SELECT * FROM nothing')],
    ['a relational query', (db) => db.query.genres.findMany({ where: sql`nothing` })],
    ['a count', (db) => db.$count(genres, sql`nothing`)],
    ['a prepared query', (db) => db.select().from(genres).where(sql`nothing`).prepare().get()],
  ])('is the same from %s', async (_, call) => {
    const db = await openFilled(place)
    const rejection = await rejectionOf(call(db))
    expect(rejection).toBeInstanceOf(DrizzleQueryError)
    expect(rejection.cause?.code).toBe('SQLITE_ERROR')
  })

  it('leaves the database as it was', async () => {
    const db = await openFilled(place)
    const several = db.insert(genres).values([{ id: 10, name: 'a' }, { id: 11, name: 'b' }, { id: 1, name: 'twice' }])
    expect(await causeOf(several)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY')
    expect(await db.$count(genres)).toBe(3)
  })
})
