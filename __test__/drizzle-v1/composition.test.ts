import { count, desc, eq, getColumns, gt, sql } from 'drizzle-orm'
import { alias, except, integer, intersect, QueryBuilder, sqliteTable, sqliteView, text, union, unionAll } from 'drizzle-orm/sqlite-core'
import { describe, expect, it } from 'vitest'

import { PLACES } from '../support/drizzle.js'
import { openFilled } from './databases.js'
import { names, posts, readPosts, users } from './schema.js'

const inviters = alias(users, 'inviters')

describe.each(PLACES)('joins on %s', (place) => {
  it('keep columns of the same name apart, each under its table', async () => {
    const db = await openFilled(place)
    const rows = await db.select().from(posts).innerJoin(users, eq(users.id, posts.authorId)).where(eq(posts.id, 3))
    expect(rows).toEqual([
      {
        posts: { id: 3, authorId: 2, title: 'Compilers', views: 20 },
        users: { id: 2, name: 'Grace', email: 'grace@example.com', city: 'New York', inviterId: 1 },
      },
    ])
  })

  it('keep columns of the same name apart in a selection without aliases', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ user: users.id, post: posts.id })
      .from(users)
      .innerJoin(posts, eq(users.id, posts.authorId))
      .orderBy(posts.id)
    expect(rows).toEqual([
      { user: 1, post: 1 },
      { user: 1, post: 2 },
      { user: 2, post: 3 },
      { user: 2, post: 4 },
    ])
  })

  it('are null on the side that has no row', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ name: users.name, post: { id: posts.id } })
      .from(users)
      .leftJoin(posts, eq(users.id, posts.authorId))
      .where(eq(users.id, 3))
    expect(rows).toEqual([{ name: 'Joan', post: null }])
  })

  it('may be of a table with itself', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ name: users.name, inviter: inviters.name })
      .from(users)
      .innerJoin(inviters, eq(users.inviterId, inviters.id))
      .orderBy(users.id)
    expect(rows).toEqual([
      { name: 'Grace', inviter: 'Ada' },
      { name: 'Joan', inviter: 'Ada' },
    ])
  })

  it('may be right, full and cross', async () => {
    const db = await openFilled(place)
    const right = await db
      .select({ post: posts.id, user: users.id })
      .from(posts)
      .rightJoin(users, eq(users.id, posts.authorId))
      .orderBy(users.id, posts.id)
    expect(right.at(-1)).toEqual({ post: null, user: 3 })
    expect(await db.select({ post: posts.id }).from(posts).fullJoin(users, eq(users.id, posts.id))).toHaveLength(4)
    expect(await db.select({ n: count() }).from(posts).crossJoin(users)).toEqual([{ n: 12 }])
  })

  it('may be with a subquery', async () => {
    const db = await openFilled(place)
    const totals = db
      .select({ authorId: posts.authorId, total: sql<number>`sum(${posts.views})`.as('total') })
      .from(posts)
      .groupBy(posts.authorId)
      .as('totals')
    const rows = await db
      .select({ name: users.name, total: totals.total })
      .from(users)
      .innerJoin(totals, eq(totals.authorId, users.id))
      .orderBy(users.id)
    expect(rows).toEqual([
      { name: 'Ada', total: 40 },
      { name: 'Grace', total: 20 },
    ])
  })
})

describe.each(PLACES)('common table expressions on %s', (place) => {
  it('can be selected from', async () => {
    const db = await openFilled(place)
    const popular = db.$with('popular').as(db.select().from(posts).where(gt(posts.views, 10)))
    expect(await db.with(popular).select({ title: popular.title }).from(popular).orderBy(desc(popular.views))).toEqual([
      { title: 'Engines' },
      { title: 'Compilers' },
    ])
  })

  it('can be several, of which one uses another', async () => {
    const db = await openFilled(place)
    const londoners = db.$with('londoners').as(db.select({ id: users.id }).from(users).where(eq(users.city, 'London')))
    const written = db.$with('written').as(
      db
        .select({ n: count().as('n') })
        .from(posts)
        .innerJoin(londoners, eq(londoners.id, posts.authorId)),
    )
    expect(await db.with(londoners, written).select().from(written)).toEqual([{ n: 2 }])
  })

  it('can be used by insert, update and delete', async () => {
    const db = await openFilled(place)
    const average = db.$with('average').as(db.select({ views: sql`avg(${posts.views})`.as('views') }).from(posts))
    const above = sql`(select ${average.views} from ${average})`
    expect(
      await db.with(average).update(posts).set({ title: 'much read' }).where(gt(posts.views, above)).returning({ id: posts.id }),
    ).toEqual([{ id: 2 }, { id: 3 }])
    await db.with(average).insert(posts).values({ authorId: 1, title: 'average', views: above })
    expect(await db.with(average).delete(posts).where(gt(posts.views, above))).toMatchObject({ changes: 2 })
  })

  it('can be recursive in raw SQL', async () => {
    const db = await openFilled(place)
    const rows = await db.values(sql`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${5}) SELECT sum(i) FROM n`)
    expect(rows).toEqual([[15]])
  })
})

describe.each(PLACES)('set operations on %s', (place) => {
  it('unite, once and with repetitions', async () => {
    const db = await openFilled(place)
    const cities = () => db.select({ city: users.city }).from(users)
    expect(await union(cities(), cities())).toHaveLength(2)
    expect(await unionAll(cities(), cities())).toHaveLength(6)
  })

  it('intersect and subtract', async () => {
    const db = await openFilled(place)
    const everybody = () => db.select({ id: users.id }).from(users)
    const authors = () => db.select({ id: posts.authorId }).from(posts)
    expect(await intersect(everybody(), authors())).toEqual([{ id: 1 }, { id: 2 }])
    expect(await except(everybody(), authors())).toEqual([{ id: 3 }])
  })

  it('are ordered and limited as a whole', async () => {
    const db = await openFilled(place)
    const rows = await db
      .select({ id: users.id, what: sql<string>`'user'`.as('what') })
      .from(users)
      .unionAll(db.select({ id: posts.id, what: sql<string>`'post'`.as('what') }).from(posts))
      .orderBy(sql`1 desc`, sql`2`)
      .limit(3)
    expect(rows).toEqual([
      { id: 4, what: 'post' },
      { id: 3, what: 'post' },
      { id: 3, what: 'user' },
    ])
  })
})

describe.each(PLACES)('views on %s', (place) => {
  it('that exist can be selected from and joined', async () => {
    const db = await openFilled(place)
    expect(await db.select().from(names).where(eq(names.id, 2))).toEqual([{ id: 2, name: 'Grace' }])
    const rows = await db
      .select({ title: posts.title, by: names.name })
      .from(posts)
      .innerJoin(names, eq(names.id, posts.authorId))
      .where(eq(posts.id, 1))
    expect(rows).toEqual([{ title: 'Notes', by: 'Ada' }])
  })

  it('that drizzle defines can be selected from once they are made', async () => {
    const db = await openFilled(place)
    await db.run(
      `CREATE VIEW read_posts AS ${
        new QueryBuilder()
          .select({ id: posts.id, title: posts.title })
          .from(posts)
          .where(sql`views > 0`)
          .toSQL().sql
      }`,
    )
    expect(await db.select().from(readPosts).orderBy(readPosts.id)).toHaveLength(3)
    expect(await db.$count(readPosts)).toBe(3)
  })

  it('with named columns give their names', async () => {
    const db = await openFilled(place)
    await db.run('CREATE VIEW loud AS SELECT id, upper(name) AS shout FROM users')
    const loud = sqliteView('loud', { id: integer(), said: text('shout') }).existing()
    expect(await db.select({ said: loud.said }).from(loud).limit(1)).toEqual([{ said: 'ADA' }])
  })
})

describe.each(PLACES)('tables on %s', (place) => {
  it('give all their columns but some', async () => {
    const db = await openFilled(place)
    const { email: _email, city: _city, ...columns } = getColumns(users)
    expect(await db.select(columns).from(users).where(eq(users.id, 2))).toEqual([{ id: 2, name: 'Grace', inviterId: 1 }])
  })

  it('may have other names in the program than in the database', async () => {
    const db = await openFilled(place)
    const people = sqliteTable('users', { key: integer('id').primaryKey(), called: text('name').notNull() })
    expect(await db.select().from(people).where(eq(people.key, 1))).toEqual([{ key: 1, called: 'Ada' }])
  })

  it('may have columns and tables with awkward names', async () => {
    const db = await openFilled(place)
    const odd = sqliteTable('odd "table"', { id: integer('a "column"').primaryKey(), proto: text('__proto__') })
    await db.run('CREATE TABLE "odd ""table""" ("a ""column""" INTEGER PRIMARY KEY, "__proto__" TEXT)')
    await db.insert(odd).values({ id: 1, proto: 'kept' })
    expect(await db.select().from(odd)).toEqual([{ id: 1, proto: 'kept' }])
  })
})
