import { eq, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openFilled } from './databases.js'
import { posts } from './schema.js'

describe.each(PLACES)('relational queries on %s', (place) => {
  it('find many rows, and all columns', async () => {
    const db = await openFilled(place)
    expect(await db.query.tags.findMany()).toEqual([
      { id: 1, name: 'maths' },
      { id: 2, name: 'machines' },
      { id: 3, name: 'unused' },
    ])
  })

  it('find the first row, or undefined', async () => {
    const db = await openFilled(place)
    expect(await db.query.tags.findFirst({ orderBy: { id: 'desc' } })).toEqual({ id: 3, name: 'unused' })
    expect(await db.query.tags.findFirst({ where: { id: 99 } })).toBeUndefined()
  })

  it('take some columns, or all but some', async () => {
    const db = await openFilled(place)
    expect(await db.query.users.findFirst({ columns: { name: true } })).toEqual({ name: 'Ada' })
    expect(await db.query.posts.findFirst({ columns: { views: false, title: false } })).toEqual({ id: 1, authorId: 1 })
  })

  it('filter by values, operators, AND, OR and NOT', async () => {
    const db = await openFilled(place)
    type Where = NonNullable<NonNullable<Parameters<typeof db.query.posts.findMany>[0]>['where']>
    const ids = async (where: Where): Promise<number[]> => (await db.query.posts.findMany({ where })).map(({ id }) => id)
    expect(await ids({ authorId: 1 })).toEqual([1, 2])
    expect(await ids({ views: { gt: 10, lt: 30 } })).toEqual([3])
    expect(await ids({ OR: [{ id: 1 }, { title: { like: 'Bu%' } }] })).toEqual([1, 4])
    expect(await ids({ NOT: { authorId: 1 }, AND: [{ views: { gte: 1 } }] })).toEqual([3])
    expect(await ids({ id: { in: [2, 4, 6] } })).toEqual([2, 4])
    expect(await ids({ RAW: (table) => sql`${table.views} % 20 = 0` })).toEqual([3, 4])
  })

  it('filter by what is related', async () => {
    const db = await openFilled(place)
    expect(await db.query.users.findMany({ columns: { name: true }, where: { posts: { title: 'Compilers' } } })).toEqual([
      { name: 'Grace' },
    ])
    expect(await db.query.users.findMany({ columns: { name: true }, where: { posts: true } })).toEqual([{ name: 'Ada' }, { name: 'Grace' }])
    expect(await db.query.users.findMany({ columns: { name: true }, where: { NOT: { posts: true } } })).toEqual([{ name: 'Joan' }])
  })

  it('order, limit and skip', async () => {
    const db = await openFilled(place)
    expect(await db.query.posts.findMany({ columns: { id: true }, orderBy: { views: 'desc' }, limit: 2, offset: 1 })).toEqual([
      { id: 3 },
      { id: 1 },
    ])
  })

  it('fetch the one row that is related, or null', async () => {
    const db = await openFilled(place)
    const rows = await db.query.users.findMany({ columns: { name: true }, with: { inviter: { columns: { name: true } } } })
    expect(rows).toEqual([
      { name: 'Ada', inviter: null },
      { name: 'Grace', inviter: { name: 'Ada' } },
      { name: 'Joan', inviter: { name: 'Ada' } },
    ])
  })

  it('fetch the many rows that are related, or none', async () => {
    const db = await openFilled(place)
    const rows = await db.query.users.findMany({
      columns: { id: true },
      orderBy: { id: 'asc' },
      with: { posts: { columns: { id: true } } },
    })
    expect(rows).toEqual([
      { id: 1, posts: [{ id: 1 }, { id: 2 }] },
      { id: 2, posts: [{ id: 3 }, { id: 4 }] },
      { id: 3, posts: [] },
    ])
  })

  it('fetch what is related through a table between', async () => {
    const db = await openFilled(place)
    const rows = await db.query.posts.findMany({ columns: { id: true }, with: { tags: { orderBy: { id: 'asc' } } } })
    expect(rows[1]).toEqual({
      id: 2,
      tags: [
        { id: 1, name: 'maths' },
        { id: 2, name: 'machines' },
      ],
    })
    expect(rows[3]).toEqual({ id: 4, tags: [] })
    const tag = await db.query.tags.findFirst({ where: { id: 2 }, with: { posts: { columns: { title: true }, orderBy: { id: 'asc' } } } })
    expect(tag).toEqual({ id: 2, name: 'machines', posts: [{ title: 'Engines' }, { title: 'Compilers' }] })
  })

  it('nest several levels, in both directions', async () => {
    const db = await openFilled(place)
    const user = await db.query.users.findFirst({
      columns: { name: true },
      where: { id: 1 },
      with: {
        invited: {
          columns: { name: true },
          with: { posts: { columns: { title: true }, with: { tags: true, author: { columns: { id: true } } } } },
        },
      },
    })
    expect(user?.invited).toEqual([
      {
        name: 'Grace',
        posts: [
          { title: 'Compilers', tags: [{ id: 2, name: 'machines' }], author: { id: 2 } },
          { title: 'Bugs', tags: [], author: { id: 2 } },
        ],
      },
      { name: 'Joan', posts: [] },
    ])
  })

  it('filter, order and limit what is nested', async () => {
    const db = await openFilled(place)
    const rows = await db.query.users.findMany({
      columns: { id: true },
      orderBy: { id: 'asc' },
      with: { posts: { columns: { id: true }, where: { views: { gt: 0 } }, orderBy: { views: 'desc' }, limit: 1 } },
    })
    expect(rows).toEqual([
      { id: 1, posts: [{ id: 2 }] },
      { id: 2, posts: [{ id: 3 }] },
      { id: 3, posts: [] },
    ])
  })

  it('add computed fields, at the root and nested', async () => {
    const db = await openFilled(place)
    const row = await db.query.users.findFirst({
      columns: { id: true },
      extras: { loud: (table) => sql<string>`upper(${table.name})`, posts: (table) => db.$count(posts, eq(posts.authorId, table.id)) },
      with: { invited: { columns: { id: true }, extras: { quiet: (table) => sql<string>`lower(${table.name})` } } },
    })
    expect(row).toEqual({
      id: 1,
      loud: 'ADA',
      posts: 2,
      invited: [
        { id: 2, quiet: 'grace' },
        { id: 3, quiet: 'joan' },
      ],
    })
  })

  it('order nested rows by integers as numbers, although they cross as text', async () => {
    const db = await openFilled(place)
    await db.insert(posts).values([
      { id: 100, authorId: 3, title: 'a', views: 9 },
      { id: 20, authorId: 3, title: 'b', views: 100 },
    ])
    const joan = await db.query.users.findFirst({
      where: { id: 3 },
      with: { posts: { columns: { id: true, views: true }, orderBy: { views: 'asc' } } },
    })
    expect(joan?.posts).toEqual([
      { id: 100, views: 9 },
      { id: 20, views: 100 },
    ])
  })

  it('are prepared once and run with other values', async () => {
    const db = await openFilled(place)
    const byId = db.query.users.findFirst({ columns: { name: true }, where: { id: { eq: sql.placeholder('id') } } }).prepare()
    expect(await byId.execute({ id: 1 })).toEqual({ name: 'Ada' })
    expect(await byId.execute({ id: 3 })).toEqual({ name: 'Joan' })
    expect(await byId.execute({ id: 99 })).toBeUndefined()
  })

  it('run in a transaction', async () => {
    const db = await openFilled(place)
    const found = await db.transaction(async (tx) => {
      await tx.insert(posts).values({ authorId: 3, title: 'Fresh' })
      return tx.query.users.findFirst({ columns: {}, where: { id: 3 }, with: { posts: { columns: { title: true } } } })
    })
    expect(found).toEqual({ posts: [{ title: 'Fresh' }] })
  })

  it('are refused when a relation is not known, before anything runs', async () => {
    const db = await openFilled(place)
    const call = db.query.users.findMany({ with: { nothing: true } as object })
    expect((await rejectionOf(call)).message).toMatch(/nothing/)
  })
})
