import { describe, expect, it } from 'vitest'

import { rejection, subject } from './client.js'
import type { Client } from './client.js'

/** Writes two authors: Ada with two posts, and Grace with one. */
async function writeAuthors(prisma: Client): Promise<void> {
  await prisma.user.create({
    data: {
      email: 'ada@example.com',
      name: 'Ada',
      role: 'WRITER',
      profile: { create: { bio: 'Engines' } },
      posts: {
        create: [
          { title: 'Notes', views: 10, tags: { create: [{ name: 'maths' }, { name: 'history' }] } },
          { title: 'Letters', views: 5 },
        ],
      },
    },
  })
  await prisma.user.create({
    data: {
      email: 'grace@example.com',
      name: 'Grace',
      posts: { create: { title: 'Compilers', views: 7, tags: { connect: { name: 'history' } } } },
    },
  })
}

describe.each(['a file', ':memory:'])('a client on %s', (where) => {
  const options = where === 'a file' ? {} : { path: where }

  it('creates, reads, updates and deletes', async () => {
    const { prisma } = await subject(options)
    const created = await prisma.user.create({ data: { email: 'ada@example.com' } })
    expect(created).toEqual({ id: 1, email: 'ada@example.com', name: null, role: 'READER' })
    expect(await prisma.user.findUnique({ where: { email: 'ada@example.com' } })).toEqual(created)
    expect(await prisma.user.update({ where: { id: 1 }, data: { name: 'Ada' } })).toMatchObject({ name: 'Ada' })
    expect(await prisma.user.delete({ where: { id: 1 } })).toMatchObject({ name: 'Ada' })
    expect(await prisma.user.findMany()).toEqual([])
    expect(await prisma.user.findUnique({ where: { id: 1 } })).toBeNull()
  })

  it('writes nested records and reads them back with include', async () => {
    const { prisma } = await subject(options)
    await writeAuthors(prisma)
    const include = { profile: true, posts: { include: { tags: { orderBy: { name: 'asc' } } }, orderBy: { title: 'asc' } } }
    expect(await prisma.user.findUnique({ where: { email: 'ada@example.com' }, include })).toEqual({
      id: 1,
      email: 'ada@example.com',
      name: 'Ada',
      role: 'WRITER',
      profile: { id: 1, bio: 'Engines', userId: 1 },
      posts: [
        { id: 2, title: 'Letters', views: 5, authorId: 1, tags: [] },
        { id: 1, title: 'Notes', views: 10, authorId: 1, tags: [{ id: 2, name: 'history' }, { id: 1, name: 'maths' }] },
      ],
    })
  })

  it('runs interactive transactions', async () => {
    const { prisma } = await subject(options)
    await prisma.$transaction(async (tx) => {
      const { id } = await tx.user.create({ data: { email: 'ada@example.com' } })
      await tx.post.create({ data: { title: 'Notes', authorId: id } })
      expect(await tx.post.count()).toBe(1)
    })
    expect(await prisma.post.count()).toBe(1)
  })

  it('runs raw queries', async () => {
    const { prisma } = await subject(options)
    expect(await prisma.$executeRaw`INSERT INTO "User" ("email") VALUES (${'ada@example.com'}), (${'grace@example.com'})`).toBe(2)
    expect(await prisma.$queryRaw`SELECT "email" FROM "User" WHERE "id" = ${2}`).toEqual([{ email: 'grace@example.com' }])
  })
})

describe('reading', () => {
  it('selects fields', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const select = { name: true, profile: { select: { bio: true } } }
    expect(await prisma.user.findMany({ select, orderBy: { id: 'asc' } })).toEqual([
      { name: 'Ada', profile: { bio: 'Engines' } },
      { name: 'Grace', profile: null },
    ])
  })

  it('filters by relations', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const names = async (where: object): Promise<unknown[]> =>
      (await prisma.user.findMany({ where, orderBy: { id: 'asc' } })).map(({ name }) => name)
    expect(await names({ posts: { some: { tags: { some: { name: 'history' } } } } })).toEqual(['Ada', 'Grace'])
    expect(await names({ posts: { every: { views: { gte: 7 } } } })).toEqual(['Grace'])
    expect(await names({ posts: { none: { title: 'Notes' } } })).toEqual(['Grace'])
    expect(await names({ profile: { is: { bio: { startsWith: 'Eng' } } } })).toEqual(['Ada'])
    expect(await names({ profile: null })).toEqual(['Grace'])
  })

  it('filters by text, lists, ranges and their combinations', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const titles = async (where: object): Promise<unknown[]> =>
      (await prisma.post.findMany({ where, orderBy: { title: 'asc' } })).map(({ title }) => title)
    expect(await titles({ title: { contains: 'ot' } })).toEqual(['Notes'])
    expect(await titles({ title: { in: ['Notes', 'Compilers', 'nothing'] } })).toEqual(['Compilers', 'Notes'])
    expect(await titles({ title: { notIn: ['Notes'] } })).toEqual(['Compilers', 'Letters'])
    expect(await titles({ OR: [{ views: { lt: 6 } }, { views: { gt: 9 } }] })).toEqual(['Letters', 'Notes'])
    expect(await titles({ NOT: { title: { endsWith: 's' } } })).toEqual([])
    expect(await titles({ AND: [{ views: { gte: 5 } }, { views: { lte: 7 } }] })).toEqual(['Compilers', 'Letters'])
    expect(await titles({ title: { in: [] } })).toEqual([])
  })

  it('orders, skips and takes, also from a cursor and backwards', async () => {
    const { prisma } = await subject()
    await prisma.tag.createMany({ data: [...'abcdefgh'].map((name) => ({ name })) })
    const names = async (query: object): Promise<unknown[]> => (await prisma.tag.findMany(query)).map(({ name }) => name)
    expect(await names({ orderBy: { name: 'desc' }, take: 2 })).toEqual(['h', 'g'])
    expect(await names({ orderBy: { name: 'asc' }, skip: 3, take: 2 })).toEqual(['d', 'e'])
    expect(await names({ orderBy: { id: 'asc' }, cursor: { name: 'c' }, skip: 1, take: 2 })).toEqual(['d', 'e'])
    expect(await names({ orderBy: { id: 'asc' }, cursor: { name: 'c' }, take: -2 })).toEqual(['b', 'c'])
  })

  it('finds distinct records', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const found = await prisma.post.findMany({ distinct: ['authorId'], orderBy: { id: 'asc' } })
    expect(found.map(({ title }) => title)).toEqual(['Notes', 'Compilers'])
  })

  it('counts, also related records', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    expect(await prisma.post.count({ where: { views: { gt: 5 } } })).toBe(2)
    const counted = await prisma.user.findMany({ select: { name: true, _count: { select: { posts: true } } }, orderBy: { id: 'asc' } })
    expect(counted).toEqual([
      { name: 'Ada', _count: { posts: 2 } },
      { name: 'Grace', _count: { posts: 1 } },
    ])
  })

  it('aggregates', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const views = { views: true }
    const found = await prisma.post.aggregate({ _count: true, _sum: views, _avg: views, _min: views, _max: { title: true } })
    expect(found).toEqual({ _count: 3, _sum: { views: 22 }, _avg: { views: 22 / 3 }, _min: { views: 5 }, _max: { title: 'Notes' } })
    expect(await prisma.post.aggregate({ where: { id: 99 }, _sum: { views: true }, _avg: { views: true } })).toEqual({
      _sum: { views: null },
      _avg: { views: null },
    })
  })

  it('groups', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const asked = { by: ['authorId'], _sum: { views: true }, _count: { _all: true }, orderBy: { authorId: 'asc' } }
    const groups = await prisma.post.groupBy(asked)
    expect(groups).toEqual([
      { authorId: 1, _sum: { views: 15 }, _count: { _all: 2 } },
      { authorId: 2, _sum: { views: 7 }, _count: { _all: 1 } },
    ])
    const having = { views: { _sum: { gt: 10 } } }
    expect(await prisma.post.groupBy({ by: ['authorId'], having, _sum: { views: true } })).toEqual([{ authorId: 1, _sum: { views: 15 } }])
  })

  it('looks for as many values at once as SQLite takes parameters, and for more in several queries', async () => {
    const { prisma } = await subject({ client: { log: [{ emit: 'event', level: 'query' }] } })
    const sent: string[] = []
    prisma.$on('query', ({ query }) => {
      if (query.startsWith('SELECT')) sent.push(query)
    })
    await prisma.tag.createMany({ data: Array.from({ length: 50 }, (_, index) => ({ name: `tag ${index}` })) })
    const queriesFor = async (count: number): Promise<number> => {
      const ids = Array.from({ length: count }, (_, index) => index + 1)
      const before = sent.length
      expect(await prisma.tag.findMany({ where: { id: { in: ids } } })).toHaveLength(50)
      return sent.length - before
    }
    expect([await queriesFor(32_000), await queriesFor(70_000)]).toEqual([1, 3])
  })
})

describe('many queries at once', () => {
  it('read beside each other, and beside a transaction that holds the writer', async () => {
    const { prisma, db } = await subject({ open: { maxReaders: 2 } })
    await writeAuthors(prisma)
    await using holder = await db.begin()
    // Long enough that they meet.
    const count = 'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000000) SELECT count(*) AS n FROM c'
    const found = await Promise.all([prisma.$queryRawUnsafe(count), prisma.$queryRawUnsafe(count), prisma.user.count()])
    expect(found).toEqual([[{ n: 3_000_000n }], [{ n: 3_000_000n }], 2])
    expect(db.status().counters['peakReaders']).toBe(2)
    await holder.rollback()
  })

  it('see what was written before them', async () => {
    const { prisma } = await subject()
    const seen = Array.from({ length: 50 }, async (_, index) => {
      const { id } = await prisma.tag.create({ data: { name: `${index}` } })
      return (await prisma.tag.findUnique({ where: { id: id as number } }))?.['name']
    })
    expect(await Promise.all(seen)).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`))
  })

  it('are batched by Prisma where they ask for one record each', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const found = await Promise.all([2, 1, 3, 99].map((id) => prisma.post.findUnique({ where: { id }, select: { title: true } })))
    expect(found).toEqual([{ title: 'Letters' }, { title: 'Notes' }, { title: 'Compilers' }, null])
  })
})

describe('writing', () => {
  it('creates many, in as many statements as their values need', async () => {
    const { prisma } = await subject()
    const seats = Array.from({ length: 20_000 }, (_, number) => ({ row: 'A', number, holder: `guest ${number}` }))
    expect(await prisma.seat.createMany({ data: seats })).toEqual({ count: 20_000 })
    expect(await prisma.seat.count()).toBe(20_000)
    expect(await prisma.seat.findUnique({ where: { row_number: { row: 'A', number: 19_999 } } })).toMatchObject({ holder: 'guest 19999' })
  })

  it('creates many and returns them', async () => {
    const { prisma } = await subject()
    const created = await prisma.tag.createManyAndReturn({ data: [{ name: 'a' }, { name: 'b' }] })
    expect(created).toEqual([
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
    ])
  })

  it('updates and deletes many', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    expect(await prisma.post.updateMany({ where: { views: { lt: 10 } }, data: { views: { increment: 1 } } })).toEqual({ count: 2 })
    expect(await prisma.post.updateManyAndReturn({ where: { authorId: 2 }, data: { title: 'New' } })).toEqual([
      { id: 3, title: 'New', views: 8, authorId: 2 },
    ])
    expect(await prisma.post.deleteMany({ where: { authorId: 1 } })).toEqual({ count: 2 })
    expect(await prisma.post.count()).toBe(1)
  })

  it('calculates in the database', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const views = async (change: object): Promise<unknown> => {
      const post = await prisma.post.update({ where: { id: 1 }, data: { views: change } })
      return post['views']
    }
    expect(await views({ increment: 5 })).toBe(15)
    expect(await views({ decrement: 1 })).toBe(14)
    expect(await views({ multiply: 3 })).toBe(42)
    expect(await views({ divide: 2 })).toBe(21)
  })

  it('loses no increment of many at once', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const change = { where: { id: 1 }, data: { views: { increment: 1 } } }
    await Promise.all(Array.from({ length: 100 }, () => prisma.post.update(change)))
    expect(await prisma.post.findUnique({ where: { id: 1 } })).toMatchObject({ views: 110 })
  })

  it('upserts', async () => {
    const { prisma } = await subject()
    const upsert = { where: { name: 'a' }, create: { name: 'a' }, update: { name: 'b' } }
    expect(await prisma.tag.upsert(upsert)).toEqual({ id: 1, name: 'a' })
    expect(await prisma.tag.upsert(upsert)).toEqual({ id: 1, name: 'b' })
    expect(await prisma.tag.count()).toBe(1)
  })

  it('upserts the same record many times at once', async () => {
    const { prisma } = await subject()
    const upsert = { where: { name: 'a' }, create: { name: 'a' }, update: { name: 'a' } }
    const upserted = await Promise.all(Array.from({ length: 50 }, () => prisma.tag.upsert(upsert)))
    expect(new Set(upserted.map(({ id }) => id))).toEqual(new Set([1]))
  })

  it('connects, disconnects and sets related records', async () => {
    const { prisma } = await subject()
    await writeAuthors(prisma)
    const tagsAfter = async (tags: object): Promise<unknown> => {
      const { tags: found } = await prisma.post.update({ where: { id: 2 }, data: { tags }, include: { tags: { orderBy: { id: 'asc' } } } })
      return (found as { name: string }[]).map(({ name }) => name)
    }
    expect(await tagsAfter({ connect: [{ name: 'maths' }, { name: 'history' }] })).toEqual(['maths', 'history'])
    expect(await tagsAfter({ disconnect: { name: 'maths' } })).toEqual(['history'])
    expect(await tagsAfter({ set: [{ name: 'maths' }] })).toEqual(['maths'])
    expect(await tagsAfter({ connectOrCreate: { where: { name: 'new' }, create: { name: 'new' } } })).toEqual(['maths', 'new'])
  })

  it('undoes a nested write of which a part fails', async () => {
    const { prisma } = await subject()
    await prisma.tag.create({ data: { name: 'taken' } })
    const posts = { create: { title: 'Notes', tags: { create: { name: 'taken' } } } }
    expect(await rejection(prisma.user.create({ data: { email: 'ada@example.com', posts } }))).toMatchObject({ code: 'P2002' })
    expect([await prisma.user.count(), await prisma.post.count()]).toEqual([0, 0])
  })

  it('deletes what depends on a record where the schema says so', async () => {
    const { prisma } = await subject()
    await prisma.user.create({ data: { email: 'ada@example.com', profile: { create: { bio: 'Engines' } } } })
    await prisma.user.delete({ where: { id: 1 } })
    expect(await prisma.profile.count()).toBe(0)
  })

  it('finds records by a key of several fields', async () => {
    const { prisma } = await subject()
    await prisma.seat.createMany({ data: [{ row: 'A', number: 1, holder: 'Ada' }, { row: 'A', number: 2 }] })
    expect(await prisma.seat.findUnique({ where: { row_holder: { row: 'A', holder: 'Ada' } } })).toMatchObject({ number: 1 })
    expect(await prisma.seat.delete({ where: { row_number: { row: 'A', number: 2 } } })).toMatchObject({ holder: null })
  })
})
