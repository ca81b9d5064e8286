import { and, asc, between, count, desc, eq, exists, gt, inArray, isNull, like, max, ne, not, or, sql, sum } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { posts, users } from './schema.js'

describe.each(PLACES)('select on %s', (place) => {
  it('returns all columns of all rows as objects', async () => {
    const db = await openFilled(place)
    expect(await db.select().from(posts).where(eq(posts.id, 1))).toEqual([{ id: 1, authorId: 1, title: 'Notes', views: 10 }])
    expect(await db.select().from(users)).toHaveLength(3)
  })

  it('returns no rows of an empty table', async () => {
    const db = await openEmpty(place)
    expect(await db.select().from(users)).toEqual([])
  })

  it('returns chosen columns, expressions and nested selections', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ name: users.name, loud: sql<string>`upper(${users.name})`, at: { city: users.city } })
      .from(users)
      .where(eq(users.id, 2))
    expect(rows).toEqual([{ name: 'Grace', loud: 'GRACE', at: { city: 'New York' } }])
  })

  it('makes of a value what mapWith says', async () => {
    const db = await openFilled(place)
    const [row] = await db.select({ n: sql`count(*)`.mapWith(String) }).from(users)
    expect(row).toEqual({ n: '3' })
  })

  it('filters by and, or, not and comparisons', async () => {
    const db = await openFilled(place)
    const ids = async (where: ReturnType<typeof and>): Promise<number[]> =>
      (await db.select({ id: users.id }).from(users).where(where).orderBy(users.id)).map(({ id }) => id)
    expect(await ids(and(eq(users.city, 'London'), gt(users.id, 1)))).toEqual([3])
    expect(await ids(or(eq(users.id, 1), eq(users.name, 'Grace')))).toEqual([1, 2])
    expect(await ids(not(eq(users.id, 1)))).toEqual([2, 3])
    expect(await ids(ne(users.id, 2))).toEqual([1, 3])
  })

  it('filters by inArray, like, between and isNull', async () => {
    const db = await openFilled(place)
    const ids = async (where: ReturnType<typeof and>): Promise<number[]> =>
      (await db.select({ id: users.id }).from(users).where(where).orderBy(users.id)).map(({ id }) => id)
    expect(await ids(inArray(users.id, [1, 3, 5]))).toEqual([1, 3])
    expect(await ids(like(users.name, '%a%'))).toEqual([1, 2, 3])
    expect(await ids(between(users.id, 2, 9))).toEqual([2, 3])
    expect(await ids(isNull(users.email))).toEqual([3])
  })

  it('filters by a subquery', async () => {
    const db = await openFilled(place)
    const written = db
      .select({ one: sql`1` })
      .from(posts)
      .where(eq(posts.authorId, users.id))
    expect(await db.select({ name: users.name }).from(users).where(exists(written))).toEqual([{ name: 'Ada' }, { name: 'Grace' }])
  })

  it('orders, limits and skips', async () => {
    const db = await openFilled(place)
    const rows = await db.select({ id: posts.id }).from(posts).orderBy(desc(posts.views), asc(posts.id)).limit(2).offset(1)
    expect(rows).toEqual([{ id: 3 }, { id: 1 }])
  })

  it('groups with having and aggregates', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ author: posts.authorId, posts: count(), views: sum(posts.views), best: max(posts.views) })
      .from(posts)
      .groupBy(posts.authorId)
      .having(({ best }) => gt(best, 20))
    expect(rows).toEqual([{ author: 1, posts: 2, views: '40', best: 30 }])
  })

  it('returns each row once with selectDistinct', async () => {
    const db = await openFilled(place)
    expect(await db.selectDistinct({ city: users.city }).from(users).orderBy(users.city)).toEqual([
      { city: 'London' },
      { city: 'New York' },
    ])
  })

  it('returns one row, or undefined, with get', async () => {
    const db = await openFilled(place)
    expect(await db.select({ name: users.name }).from(users).orderBy(users.id).get()).toEqual({ name: 'Ada' })
    expect(await db.select().from(users).where(eq(users.id, 99)).get()).toBeUndefined()
  })

  it('returns arrays as the driver delivers them with values', async () => {
    const db = await openFilled(place)
    expect(await db.select({ id: users.id, name: users.name }).from(users).limit(1).values()).toEqual([[1, 'Ada']])
  })

  it('returns rows with all, as when it is awaited', async () => {
    const db = await openFilled(place)
    const query = db.select({ id: users.id }).from(users).orderBy(users.id)
    expect(await query.all()).toEqual(await query)
  })

  it('counts with $count, with a filter, and inside of a selection', async () => {
    const db = await openFilled(place)
    expect(await db.$count(users)).toBe(3)
    expect(await db.$count(users, eq(users.city, 'London'))).toBe(2)
    const rows = await db
      .select({ name: users.name, posts: db.$count(posts, eq(posts.authorId, users.id)) })
      .from(users)
      .orderBy(users.id)
    expect(rows).toEqual([
      { name: 'Ada', posts: 2 },
      { name: 'Grace', posts: 2 },
      { name: 'Joan', posts: 0 },
    ])
  })

  it('shows its text and values with toSQL, and runs nothing', async () => {
    const db = await openEmpty(place)
    const { sql: text, params } = db.select({ id: users.id }).from(users).where(eq(users.name, 'Ada')).toSQL()
    expect(text).toBe('select "id" from "users" where "users"."name" = ?')
    expect(params).toEqual(['Ada'])
  })

  it('changes while it is built, with $dynamic', async () => {
    const db = await openFilled(place)
    const query = db.select({ id: users.id }).from(users).$dynamic()
    expect(await query.orderBy(users.id).limit(1)).toEqual([{ id: 1 }])
  })
})

describe.each(PLACES)('insert on %s', (place) => {
  it('tells how many rows it changed, and the last rowid', async () => {
    const db = await openEmpty(place)
    expect(await db.insert(users).values([{ name: 'a' }, { name: 'b' }])).toEqual({ changes: 2, lastInsertRowid: 2 })
    expect(await db.insert(users).values({ name: 'c' }).run()).toEqual({ changes: 1, lastInsertRowid: 3 })
  })

  it('returns whole rows, and chosen columns', async () => {
    const db = await openEmpty(place)
    expect(await db.insert(users).values({ name: 'a' }).returning()).toEqual([
      { id: 1, name: 'a', email: null, city: null, inviterId: null },
    ])
    expect(await db.insert(users).values({ name: 'b' }).returning({ key: users.id })).toEqual([{ key: 2 }])
  })

  it('returns one row with returning and get', async () => {
    const db = await openEmpty(place)
    expect(
      await db
        .insert(users)
        .values([{ name: 'a' }, { name: 'b' }])
        .returning({ id: users.id })
        .get(),
    ).toEqual({ id: 1 })
    expect(await db.$count(users)).toBe(2)
  })

  it('fills in the defaults of the table', async () => {
    const db = await openFilled(place)
    const [post] = await db.insert(posts).values({ authorId: 1, title: 'New' }).returning()
    expect(post).toEqual({ id: 5, authorId: 1, title: 'New', views: 0 })
  })

  it('inserts what a query selects', async () => {
    const db = await openFilled(place)
    await db.insert(users).select(
      db
        .select({
          id: sql`${users.id} + 10`.as('id'),
          name: users.name,
          email: sql`NULL`.as('email'),
          city: users.city,
          inviterId: users.inviterId,
        })
        .from(users),
    )
    expect(await db.$count(users, gt(users.id, 10))).toBe(3)
  })

  it('skips rows that are there with onConflictDoNothing', async () => {
    const db = await openFilled(place)
    const result = await db
      .insert(users)
      .values([
        { id: 1, name: 'again' },
        { id: 4, name: 'new' },
      ])
      .onConflictDoNothing()
    expect(result.changes).toBe(1)
    expect(await db.select({ name: users.name }).from(users).where(eq(users.id, 1))).toEqual([{ name: 'Ada' }])
  })

  it('updates rows that are there with onConflictDoUpdate', async () => {
    const db = await openFilled(place)
    const [row] = await db
      .insert(users)
      .values({ id: 9, name: 'Ada L.', email: 'ada@example.com' })
      .onConflictDoUpdate({ target: users.email, set: { name: sql`excluded.name` } })
      .returning()
    expect(row).toMatchObject({ id: 1, name: 'Ada L.' })
  })

  it('updates only where setWhere holds', async () => {
    const db = await openFilled(place)
    const upsert = (id: number): PromiseLike<unknown[]> =>
      db
        .insert(users)
        .values({ id, name: 'changed' })
        .onConflictDoUpdate({ target: users.id, set: { name: 'changed' }, setWhere: eq(users.city, 'London') })
        .returning()
    expect(await upsert(1)).toHaveLength(1)
    expect(await upsert(2)).toEqual([])
  })

  it('carries a thousand rows in one statement', async () => {
    const db = await openEmpty(place)
    const rows = Array.from({ length: 1000 }, (_, index) => ({ id: index + 1, name: `user ${index}` }))
    expect((await db.insert(users).values(rows)).changes).toBe(1000)
    expect(await db.select({ id: users.id }).from(users).orderBy(desc(users.id)).limit(1)).toEqual([{ id: 1000 }])
  })

  it('refuses an empty list of rows before anything runs', async () => {
    const db = await openEmpty(place)
    expect(() => db.insert(users).values([])).toThrow(/at least one value/)
  })
})

describe.each(PLACES)('update and delete on %s', (place) => {
  it('updates what matches, and tells how many', async () => {
    const db = await openFilled(place)
    expect(await db.update(users).set({ city: 'Paris' }).where(eq(users.city, 'London'))).toMatchObject({ changes: 2 })
    expect(await db.$count(users, eq(users.city, 'Paris'))).toBe(2)
  })

  it('updates with expressions, and to null', async () => {
    const db = await openFilled(place)
    await db
      .update(posts)
      .set({ views: sql`${posts.views} + 1` })
      .where(eq(posts.id, 1))
    expect(await db.select({ views: posts.views }).from(posts).where(eq(posts.id, 1)).get()).toEqual({ views: 11 })
    await db.update(users).set({ city: null })
    expect(await db.$count(users, isNull(users.city))).toBe(3)
  })

  it('returns what it updated', async () => {
    const db = await openFilled(place)
    expect(await db.update(users).set({ name: 'X' }).where(eq(users.id, 3)).returning({ id: users.id, name: users.name })).toEqual([
      { id: 3, name: 'X' },
    ])
  })

  it('updates from another table', async () => {
    const db = await openFilled(place)
    await db
      .update(posts)
      .set({ title: sql`${users.name} || ': ' || ${posts.title}` })
      .from(users)
      .where(and(eq(users.id, posts.authorId), eq(posts.id, 3)))
    expect(await db.select({ title: posts.title }).from(posts).where(eq(posts.id, 3)).get()).toEqual({ title: 'Grace: Compilers' })
  })

  it('deletes what matches, and tells how many', async () => {
    const db = await openFilled(place)
    expect(await db.delete(users).where(gt(users.id, 1))).toMatchObject({ changes: 2 })
    expect(await db.$count(users)).toBe(1)
  })

  it('returns what it deleted', async () => {
    const db = await openFilled(place)
    expect(await db.delete(posts).where(eq(posts.id, 4)).returning()).toEqual([{ id: 4, authorId: 2, title: 'Bugs', views: 0 }])
  })

  it('deletes everything without a where', async () => {
    const db = await openFilled(place)
    await db.delete(posts)
    expect(await db.$count(posts)).toBe(0)
  })
})

describe.each(PLACES)('raw SQL on %s', (place) => {
  it('runs a text or a template with run, and tells what changed', async () => {
    const db = await openEmpty(place)
    expect(await db.run(sql`INSERT INTO users (name) VALUES (${'Ada'})`)).toEqual({ changes: 1, lastInsertRowid: 1 })
    expect(await db.run(`INSERT INTO users (name) VALUES ('Grace')`)).toEqual({ changes: 1, lastInsertRowid: 2 })
  })

  it('returns objects with all and get, with the names of SQLite', async () => {
    const db = await openFilled(place)
    expect(await db.all(sql`SELECT inviter_id, name FROM users WHERE id > ${1} ORDER BY id`)).toEqual([
      { inviter_id: 1, name: 'Grace' },
      { inviter_id: 1, name: 'Joan' },
    ])
    expect(await db.get(sql`SELECT name FROM users WHERE id = ${2}`)).toEqual({ name: 'Grace' })
    expect(await db.get(sql`SELECT name FROM users WHERE id = ${99}`)).toBeUndefined()
  })

  it('returns arrays with values, which keep columns of the same name apart', async () => {
    const db = await openFilled(place)
    expect(await db.values(sql`SELECT 1 AS x, 2 AS x`)).toEqual([[1, 2]])
  })

  it('returns objects and arrays whatever rowMode the database was opened with', async () => {
    const db = await openFilled(place, { options: { rowMode: 'array' } })
    expect(await db.all(sql`SELECT 1 AS x`)).toEqual([{ x: 1 }])
    expect(await db.select({ id: users.id }).from(users).orderBy(users.id).limit(1)).toEqual([{ id: 1 }])
  })

  it('takes names and values from sql.identifier, sql.join and sql.raw', async () => {
    const db = await openFilled(place)
    const ids = sql.join([sql`${1}`, sql`${2}`], sql.raw(', '))
    expect(await db.values(sql`SELECT ${sql.identifier('name')} FROM users WHERE id IN (${ids}) ORDER BY 1`)).toEqual([['Ada'], ['Grace']])
  })

  it('refuses two statements in one', async () => {
    const db = await openEmpty(place)
    const error = await rejectionOf(db.run('DELETE FROM posts; DELETE FROM users'))
    expect(error.cause?.code).toBe('ERR_SLUICE_MULTIPLE_STATEMENTS')
  })
})
