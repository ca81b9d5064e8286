import { eq, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { causeOf, PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { kinds, posts, users } from './schema.js'

describe.each(PLACES)('a batch on %s', (place) => {
  it('returns what each query returns by itself, of the builders', async () => {
    const db = await openFilled(place)
    const results = await db.batch([
      db.insert(users).values({ name: 'Mary' }),
      db.insert(users).values({ name: 'Edith' }).returning({ id: users.id }),
      db.update(users).set({ city: 'Paris' }).where(eq(users.id, 1)),
      db.delete(posts).where(eq(posts.id, 4)).returning(),
      db
        .select({ name: users.name, at: { city: users.city } })
        .from(users)
        .where(eq(users.id, 1)),
    ])
    expect(results).toEqual([
      { changes: 1, lastInsertRowid: 4 },
      [{ id: 5 }],
      { changes: 1, lastInsertRowid: undefined },
      [{ id: 4, authorId: 2, title: 'Bugs', views: 0 }],
      [{ name: 'Ada', at: { city: 'Paris' } }],
    ])
  })

  it('returns what each query returns by itself, of raw SQL', async () => {
    const db = await openFilled(place)
    const results = await db.batch([
      db.run(sql`UPDATE users SET city = ${'Rome'} WHERE id = ${1}`),
      db.all<{ id: number; city: string }>(sql`SELECT id, city FROM users WHERE id < ${3} ORDER BY id`),
      db.get(sql`SELECT name FROM users WHERE id = ${3}`),
      db.get(sql`SELECT name FROM users WHERE id = ${99}`),
      db.values(sql`SELECT 1 AS x, 2 AS x`),
    ])
    expect(results).toEqual([
      { changes: 1, lastInsertRowid: undefined },
      [
        { id: 1, city: 'Rome' },
        { id: 2, city: 'New York' },
      ],
      { name: 'Joan' },
      undefined,
      [[1, 2]],
    ])
  })

  it('returns what each query returns by itself, of relational queries', async () => {
    const db = await openFilled(place)
    const results = await db.batch([
      db.query.users.findMany({ columns: { id: true }, orderBy: { id: 'asc' }, with: { posts: { columns: { id: true } } } }),
      db.query.users.findFirst({ columns: { name: true }, where: { id: 2 } }),
      db.query.users.findFirst({ where: { id: 99 } }),
    ])
    expect(results).toEqual([
      [
        { id: 1, posts: [{ id: 1 }, { id: 2 }] },
        { id: 2, posts: [{ id: 3 }, { id: 4 }] },
        { id: 3, posts: [] },
      ],
      { name: 'Grace' },
      undefined,
    ])
  })

  it('reads every kind of column as a query by itself does', async () => {
    const db = await openEmpty(place)
    const values = { flag: true, seconds: new Date(5000), doc: { list: [1] }, bytes: Buffer.from('b'), blobBig: 5n, whole: 1 }
    const [, [row]] = await db.batch([db.insert(kinds).values(values), db.select().from(kinds)])
    expect(row).toMatchObject(values)
  })

  it('sees in each query what those before it have written', async () => {
    const db = await openEmpty(place)
    const [, rows] = await db.batch([db.insert(users).values({ name: 'Ada' }), db.select({ name: users.name }).from(users)])
    expect(rows).toEqual([{ name: 'Ada' }])
  })

  it('changes nothing when one query fails, and names that query', async () => {
    const db = await openFilled(place)
    const call = db.batch([db.insert(users).values({ name: 'Mary' }), db.insert(users).values({ id: 1, name: 'twice' }), db.delete(users)])
    const error = await rejectionOf(call)
    expect(error).toMatchObject({ name: 'DrizzleQueryError', cause: { code: 'SQLITE_CONSTRAINT_PRIMARYKEY', statementIndex: 1 } })
    expect(error.message).toContain('insert into "users" ("id"')
    expect(await db.$count(users)).toBe(3)
  })

  it('names all queries when none of them is at fault', async () => {
    const db = await openFilled(place)
    await db.run('CREATE TABLE later (user_id INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)')
    const error = await rejectionOf(db.batch([db.run(sql`INSERT INTO later VALUES (99)`), db.delete(posts)]))
    expect(error.cause?.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(error.message).toContain('INSERT INTO later VALUES (99); delete from "posts"')
    await db.$client.close()
    const none = [] as unknown as Parameters<typeof db.batch>[0]
    expect(await causeOf(db.batch(none))).toBe('ERR_SLUICE_CLOSED')
  })

  it('does not run a query until it is part of a batch that runs', async () => {
    const db = await openFilled(place)
    const remove = db.delete(posts)
    expect(await db.$count(posts)).toBe(4)
    await db.batch([remove])
    expect(await db.$count(posts)).toBe(0)
  })

  it('may be empty', async () => {
    const db = await openEmpty(place)
    const none = [] as unknown as Parameters<typeof db.batch>[0]
    expect(await db.batch(none)).toEqual([])
  })

  it('has no values for placeholders, and says so before anything runs', async () => {
    const db = await openFilled(place)
    const call = db.batch([
      db.delete(posts),
      db
        .select()
        .from(users)
        .where(eq(users.id, sql.placeholder('id'))),
    ])
    expect((await rejectionOf(call)).message).toBe('No value for placeholder "id" was provided')
    expect(await db.$count(posts)).toBe(4)
  })

  it('is rejected in a transaction, which it would wait for and which has none', async () => {
    const db = await openEmpty(place)
    expect(await db.transaction(async (tx) => 'batch' in tx)).toBe(false)
    const inside = await db.transaction(async () => rejectionOf(db.batch([db.insert(users).values({ name: 'Ada' })])))
    expect(inside.cause?.code).toBe('ERR_SLUICE_REENTRANT')
  })

  it('is alone among fifty that run at once', async () => {
    const db = await openEmpty(place)
    const batches = Array.from({ length: 50 }, () =>
      db.batch([db.insert(users).values({ name: 'x' }), db.insert(users).values({ name: 'y' }), db.select().from(users)]),
    )
    const seen = (await Promise.all(batches)).map(([, , rows]) => rows.length)
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => 2 * (index + 1)))
  })
})
