import { eq, getTableName, is, sql, Table } from 'drizzle-orm'
import { Cache } from 'drizzle-orm/cache/core'
import type { MutationOption } from 'drizzle-orm/cache/core'
import { describe, expect, it, vi } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import type { Place } from '../support/drizzle.js'
import { openFilled } from './databases.js'
import type { Db } from './databases.js'
import { posts, tags, users } from './schema.js'

/** Keeps results in a map, and notes what it was asked. */
class MapCache extends Cache {
  readonly mutations: MutationOption[] = []
  hits = 0
  readonly #strategy: 'all' | 'explicit'
  readonly #entries = new Map<string, { rows: unknown[]; tables: string[] }>()

  constructor(strategy: 'all' | 'explicit') {
    super()
    this.#strategy = strategy
  }

  override strategy(): 'all' | 'explicit' {
    return this.#strategy
  }

  override async get(key: string): Promise<unknown[] | undefined> {
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.hits++
    return entry?.rows
  }

  override async put(key: string, rows: unknown[], tables: string[]): Promise<void> {
    this.#entries.set(key, { rows, tables })
  }

  override async onMutate(mutation: MutationOption): Promise<void> {
    this.mutations.push(mutation)
    const changed = new Set([mutation.tables ?? []].flat().map((table) => (is(table, Table) ? getTableName(table) : table)))
    for (const [key, { tables }] of this.#entries) if (tables.some((table) => changed.has(table))) this.#entries.delete(key)
  }
}

async function openCached(
  place: Place,
  strategy: 'all' | 'explicit',
): Promise<{ db: Db; cache: MapCache; names: () => Promise<string[]> }> {
  const cache = new MapCache(strategy)
  const db = await openFilled(place, { config: { cache } })
  cache.mutations.length = 0
  const names = async (): Promise<string[]> => (await db.select({ name: users.name }).from(users).orderBy(users.id)).map(({ name }) => name)
  return { db, cache, names }
}

/** Changes a row behind the back of drizzle, and of its cache. */
async function renameQuietly(db: Db): Promise<void> {
  await db.$client.run("UPDATE users SET name = 'changed' WHERE id = 1")
}

describe.each(PLACES)('a cache on %s', (place) => {
  it('answers the same query again when it is for all queries', async () => {
    const { db, cache, names } = await openCached(place, 'all')
    await names()
    await renameQuietly(db)
    expect(await names()).toEqual(['Ada', 'Grace', 'Joan'])
    expect(cache.hits).toBe(1)
  })

  it('answers only queries that ask for it when it is explicit', async () => {
    const { db, cache, names } = await openCached(place, 'explicit')
    const cached = (): PromiseLike<unknown[]> => db.select({ name: users.name }).from(users).where(eq(users.id, 1)).$withCache()
    await cached()
    await names()
    await renameQuietly(db)
    expect(await names()).toEqual(['changed', 'Grace', 'Joan'])
    expect(await cached()).toEqual([{ name: 'Ada' }])
    expect(cache.hits).toBe(1)
  })

  it('is passed by with $withCache(false)', async () => {
    const { db, cache } = await openCached(place, 'all')
    const fresh = (): PromiseLike<unknown[]> => db.select({ name: users.name }).from(users).where(eq(users.id, 1)).$withCache(false)
    await fresh()
    await renameQuietly(db)
    expect(await fresh()).toEqual([{ name: 'changed' }])
    expect(cache.hits).toBe(0)
  })

  it('forgets what an insert, update or delete has changed', async () => {
    const { db, names } = await openCached(place, 'all')
    await names()
    await db.insert(users).values({ id: 4, name: 'Mary' })
    expect(await names()).toEqual(['Ada', 'Grace', 'Joan', 'Mary'])
    await db.update(users).set({ name: 'M.' }).where(eq(users.id, 4))
    expect(await names()).toEqual(['Ada', 'Grace', 'Joan', 'M.'])
    await db.delete(users).where(eq(users.id, 4))
    expect(await names()).toEqual(['Ada', 'Grace', 'Joan'])
  })

  it('forgets what a batch has changed, and answers none of its queries', async () => {
    const { db, cache, names } = await openCached(place, 'all')
    await names()
    const [, rows] = await db.batch([
      db.insert(users).values({ name: 'Mary' }),
      db.select({ name: users.name }).from(users).orderBy(users.id),
    ])
    expect(rows).toHaveLength(4)
    expect(cache.mutations).toEqual([{ tables: ['users'] }])
    expect(await names()).toHaveLength(4)
  })

  it('is told nothing by a batch that failed', async () => {
    const { db, cache } = await openCached(place, 'all')
    await rejectionOf(db.batch([db.insert(users).values({ name: 'Mary' }), db.insert(users).values({ id: 1, name: 'twice' })]))
    expect(cache.mutations).toEqual([])
  })

  it('is told of everything that a batch has changed, also when it fails meanwhile', async () => {
    const { db, cache, names } = await openCached(place, 'all')
    await names()
    const failure = new Error('the cache is away')
    vi.spyOn(cache, 'onMutate').mockRejectedValueOnce(failure)
    const batch = db.batch([
      db.delete(tags).where(eq(tags.id, 3)),
      db.insert(users).values({ name: 'Mary' }),
      db.update(posts).set({ views: 0 }),
    ])
    expect(await rejectionOf(batch)).toBe(failure)
    expect(cache.mutations).toEqual([{ tables: ['users'] }, { tables: ['posts'] }])
    expect(await names()).toEqual(['Ada', 'Grace', 'Joan', 'Mary'])
  })

  it('can be told by hand', async () => {
    const { db, names } = await openCached(place, 'all')
    await names()
    await renameQuietly(db)
    await db.$cache.invalidate({ tables: users })
    expect(await names()).toEqual(['changed', 'Grace', 'Joan'])
  })

  it('answers relational queries too', async () => {
    const { db, cache } = await openCached(place, 'all')
    const find = (): PromiseLike<unknown> =>
      db.query.users.findFirst({ columns: { name: true }, where: { id: 1 }, with: { posts: { columns: { id: true } } } })
    const first = await find()
    await renameQuietly(db)
    expect(await find()).toEqual(first)
    expect(cache.hits).toBe(1)
    await db.delete(posts)
    expect(await find()).toEqual({ name: 'changed', posts: [] })
  })

  it('neither answers in a transaction nor learns what is not committed', async () => {
    const { db, cache, names } = await openCached(place, 'all')
    await names()
    const seen = await db.transaction(async (tx) => {
      await tx.update(users).set({ name: 'inside' }).where(eq(users.id, 1))
      const rows = await tx.select({ name: users.name }).from(users).orderBy(users.id)
      expect(cache.mutations).toEqual([])
      return rows[0]
    })
    expect(seen).toEqual({ name: 'inside' })
    expect(cache.hits).toBe(0)
    expect(cache.mutations).toEqual([{ tables: ['users'] }])
    expect(await names()).toEqual(['inside', 'Grace', 'Joan'])
  })

  it('does not answer in a transaction a query that asks for it', async () => {
    const { db, cache } = await openCached(place, 'explicit')
    const query = (on: Pick<Db, 'select'>): PromiseLike<unknown[]> =>
      on.select({ name: users.name }).from(users).where(eq(users.id, 1)).$withCache()
    await query(db)
    await renameQuietly(db)
    expect(await db.transaction(async (tx) => query(tx))).toEqual([{ name: 'changed' }])
    expect(cache.hits).toBe(0)
  })

  it('is told nothing by a transaction that was rolled back', async () => {
    const { db, cache, names } = await openCached(place, 'all')
    await names()
    await rejectionOf(
      db.transaction(async (tx) => {
        await tx.update(users).set({ name: 'inside' })
        await tx.select().from(users)
        tx.rollback()
      }),
    )
    expect(cache.mutations).toEqual([])
    expect(await names()).toEqual(['Ada', 'Grace', 'Joan'])
  })

  it('is told once what nested transactions have changed, when all is committed', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.transaction(async (tx) => {
      await tx.update(users).set({ city: 'a' })
      await tx.transaction(async (inner) => {
        await inner.update(users).set({ city: 'b' })
        await inner.update(posts).set({ views: 0 })
      })
      expect(cache.mutations).toEqual([])
    })
    expect(cache.mutations).toEqual([{ tables: ['users', 'posts'] }])
  })

  it('is not asked for raw SQL', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.all(sql`SELECT * FROM users`)
    await db.all(sql`SELECT * FROM users`)
    expect(cache.hits).toBe(0)
  })
})
