import { eq, gt, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { authors, books, genres, kinds } from './schema.js'

describe.each(PLACES)('batches of drizzle on %s', (place) => {
  it('returns the result of each query, of every kind of builder', async () => {
    const db = await openFilled(place)
    const results = await db.batch([
      db.insert(genres).values({ name: 'new' }),
      db.insert(genres).values({ name: 'newer' }).returning({ id: genres.id }),
      db.update(genres).set({ name: 'newest' }).where(eq(genres.name, 'newer')),
      db.delete(genres).where(eq(genres.id, 3)).returning(),
      db.select({ name: genres.name }).from(genres).where(gt(genres.id, 3)),
      db.select().from(genres).where(eq(genres.id, 99)),
    ])
    expect(results).toEqual([
      { changes: 1, lastInsertRowid: 4 },
      [{ id: 5 }],
      { changes: 1, lastInsertRowid: undefined },
      [{ id: 3, name: 'unused' }],
      [{ name: 'new' }, { name: 'newest' }],
      [],
    ])
  })

  it('returns what relational queries find', async () => {
    const db = await openFilled(place)
    const [many, first, none] = await db.batch([
      db.query.authors.findMany({ columns: { name: true }, with: { books: { columns: { id: true } } }, where: eq(authors.id, 2) }),
      db.query.authors.findFirst({ columns: { name: true }, orderBy: authors.id }),
      db.query.authors.findFirst({ where: eq(authors.id, 99) }),
    ])
    expect(many).toEqual([{ name: 'Grace', books: [{ id: 3 }, { id: 4 }] }])
    expect(first).toEqual({ name: 'Ada' })
    expect(none).toBeUndefined()
  })

  it('returns what text returns, as alone', async () => {
    const db = await openFilled(place)
    const results = await db.batch([
      db.run(sql`UPDATE genres SET name = ${'x'} WHERE id = ${1}`),
      db.all(sql`SELECT id, name FROM genres ORDER BY id LIMIT 2`),
      db.get(sql`SELECT name FROM genres WHERE id = 1`),
      db.get(sql`SELECT name FROM genres WHERE id = 99`),
      db.values(sql`SELECT 1 AS a, 2 AS a`),
      db.all('SELECT 1 AS a, 2 AS a'),
    ])
    expect(results).toEqual([
      { changes: 1, lastInsertRowid: undefined },
      [{ id: 1, name: 'x' }, { id: 2, name: 'machines' }],
      { name: 'x' },
      undefined,
      [[1, 2]],
      [{ a: 2 }],
    ])
  })

  it('decodes columns, and keeps those of joins apart', async () => {
    const db = await openFilled(place)
    const [, rows, joined] = await db.batch([
      db.insert(kinds).values({ flag: true, millis: new Date(5), document: { a: [1] } }),
      db.select({ flag: kinds.flag, millis: kinds.millis, document: kinds.document }).from(kinds),
      db.select().from(authors).leftJoin(books, eq(books.authorId, authors.id)).where(eq(authors.id, 3)),
    ])
    expect(rows).toEqual([{ flag: true, millis: new Date(5), document: { a: [1] } }])
    expect(joined).toEqual([{ authors: { id: 3, name: 'Joan', email: null, city: 'London', mentorId: 1 }, books: null }])
  })

  it('sees in a query what the queries before it wrote', async () => {
    const db = await openEmpty(place)
    const [, before, , after] = await db.batch([
      db.insert(genres).values({ name: 'a' }),
      db.select({ n: sql<number>`count(*)` }).from(genres),
      db.insert(genres).values({ name: 'b' }),
      db.select({ n: sql<number>`count(*)` }).from(genres),
    ])
    expect([before, after]).toEqual([[{ n: 1 }], [{ n: 2 }]])
  })

  it('undoes everything when a query fails, and names that', async () => {
    const db = await openFilled(place)
    const rejection = await rejectionOf(db.batch([
      db.insert(genres).values({ name: 'lost' }),
      db.insert(authors).values({ name: 'Other', email: 'ada@example.com' }),
      db.insert(genres).values({ name: 'never' }),
    ]))
    expect(rejection.cause?.code).toBe('SQLITE_CONSTRAINT_UNIQUE')
    expect(rejection.query).toContain('insert into "authors"')
    expect(rejection.params).toContain('ada@example.com')
    expect(await db.$count(genres)).toBe(3)
  })

  it('is one transaction, into which nobody writes', async () => {
    const db = await openEmpty(place)
    const batch = (name: string): Promise<unknown> =>
      db.batch([db.insert(genres).values({ name }), db.insert(genres).values({ name }), db.insert(genres).values({ name })])
    await Promise.all(['a', 'b', 'c', 'd'].map(batch))
    const names = (await db.select({ name: genres.name }).from(genres).orderBy(genres.id)).map(({ name }) => name)
    expect(names.join('')).toBe('aaabbbcccddd')
  })

  it('is logged, query by query', async () => {
    const logged: Array<[string, unknown[]]> = []
    const db = await openFilled(place, { config: { logger: { logQuery: (query, params) => void logged.push([query, params]) } } })
    logged.length = 0
    await db.batch([db.delete(genres).where(eq(genres.id, 3)), db.all(sql`SELECT ${1} AS one`)])
    expect(logged).toEqual([['delete from "genres" where "genres"."id" = ?', [3]], ['SELECT ? AS one', [1]]])
  })

  it('is rejected as it is when no query is at fault', async () => {
    const db = await openEmpty(place)
    await db.$client.close()
    expect((await rejectionOf(db.batch([db.select().from(genres)]))).code).toBe('ERR_SLUICE_CLOSED')
  })
})
