import { eq, getTableName, sql } from 'drizzle-orm'
import { Cache, NoopCache } from 'drizzle-orm/cache/core'
import type { MutationOption } from 'drizzle-orm/cache/core'
import { describe, expect, it } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import type { Place } from '../support/drizzle.js'
import type { Db } from './databases.js'
import { authors, genres, kinds } from './schema.js'

/** Keeps answers in memory, and remembers what it was told. */
class MemoryCache extends Cache {
  readonly kept = new Map<string, { rows: unknown[]; tables: string[] }>()
  readonly hits: string[] = []
  readonly mutations: string[][] = []
  readonly #strategy: 'all' | 'explicit'
  failure: Error | undefined

  constructor(strategy: 'all' | 'explicit') {
    super()
    this.#strategy = strategy
  }

  strategy(): 'all' | 'explicit' {
    return this.#strategy
  }

  async get(key: string): Promise<unknown[] | undefined> {
    const found = this.kept.get(key)
    if (found !== undefined) this.hits.push(key)
    return found?.rows
  }

  async put(key: string, rows: unknown[], tables: string[]): Promise<void> {
    this.kept.set(key, { rows, tables })
  }

  async onMutate({ tables = [], tags = [] }: MutationOption): Promise<void> {
    const names = [tables].flat().map((table) => (typeof table === 'string' ? table : getTableName(table)))
    this.mutations.push(names)
    if (this.failure !== undefined) throw this.failure
    for (const tag of [tags].flat()) this.kept.delete(tag)
    for (const [key, entry] of this.kept) if (entry.tables.some((table) => names.includes(table))) this.kept.delete(key)
  }
}

async function openCached(place: Place, strategy: 'all' | 'explicit'): Promise<{ db: Db; cache: MemoryCache }> {
  const cache = new MemoryCache(strategy)
  const db = await openFilled(place, { config: { cache } })
  cache.mutations.length = 0
  return { db, cache }
}

/** Changes a row behind the back of drizzle: who sees the old name was answered by the cache. */
async function renameUnseen(db: Db): Promise<void> {
  await db.$client.run(`UPDATE genres SET name = 'changed' WHERE id = 1`)
}

const first = (db: Db) => db.select({ name: genres.name }).from(genres).where(eq(genres.id, 1))

/** Opens a database with two documents, of which the second is none: who reads it fails. */
async function openBroken(place: Place, cache: Cache): Promise<Db> {
  const db = await openEmpty(place, { config: { cache } })
  await db.insert(kinds).values([{ label: '[1]' }, { label: 'no JSON' }])
  return db
}

const documents = (db: Pick<Db, 'select'>) => db.select({ document: sql<string>`json(${kinds.label})` }).from(kinds)

describe.each(PLACES)('the cache of drizzle on %s', (place) => {
  it('answers a query that asks for it', async () => {
    const { db, cache } = await openCached(place, 'explicit')
    await first(db).$withCache()
    await renameUnseen(db)
    expect(await first(db).$withCache()).toEqual([{ name: 'maths' }])
    expect(cache.hits).toHaveLength(1)
  })

  it('does not answer a query that does not ask for it', async () => {
    const { db } = await openCached(place, 'explicit')
    await first(db)
    await renameUnseen(db)
    expect(await first(db)).toEqual([{ name: 'changed' }])
  })

  it('answers every query when that is its strategy, but for those that decline', async () => {
    const { db } = await openCached(place, 'all')
    await first(db)
    await renameUnseen(db)
    expect(await first(db)).toEqual([{ name: 'maths' }])
    expect(await first(db).$withCache(false)).toEqual([{ name: 'changed' }])
  })

  it('tells queries apart by their values', async () => {
    const { db } = await openCached(place, 'all')
    const byId = (id: number): PromiseLike<unknown> => db.select({ id: genres.id }).from(genres).where(eq(genres.id, id))
    expect([await byId(1), await byId(2), await byId(1)]).toEqual([[{ id: 1 }], [{ id: 2 }], [{ id: 1 }]])
  })

  it('gives get and all what each asks for', async () => {
    const { db } = await openCached(place, 'all')
    const query = db.select({ id: genres.id }).from(genres).orderBy(genres.id)
    expect(await query.get()).toEqual({ id: 1 })
    expect(await query.all()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
    expect(await query.values()).toEqual([[1], [2], [3]])
  })

  it('is given all rows of a query by get, which may be asked for by all', async () => {
    const db = await openBroken(place, new MemoryCache('explicit'))
    expect((await rejectionOf(documents(db).$withCache().get())).cause?.message).toContain('malformed JSON')
  })

  it('lets get stop after the first row of a query that it has no part in', async () => {
    const explicit = await openBroken(place, new MemoryCache('explicit'))
    expect(await documents(explicit).get()).toEqual({ document: '[1]' })
    const declined = await openBroken(place, new MemoryCache('all'))
    expect(await documents(declined).$withCache(false).get()).toEqual({ document: '[1]' })
    const idle = await openBroken(place, new NoopCache())
    expect(await documents(idle).get()).toEqual({ document: '[1]' })
  })

  it.each(['all', 'explicit'] as const)('lets get stop after the first row in a transaction, with the strategy %s', async (strategy) => {
    const db = await openBroken(place, new MemoryCache(strategy))
    await db.transaction(async (tx) => {
      expect(await documents(tx).get()).toEqual({ document: '[1]' })
      expect(await documents(tx).$withCache().get()).toEqual({ document: '[1]' })
    })
  })

  it.each([
    ['an insertion', (db: Db) => db.insert(genres).values({ name: 'new' })],
    ['an update', (db: Db) => db.update(genres).set({ name: 'new' }).where(eq(genres.id, 1))],
    ['a deletion', (db: Db) => db.delete(genres).where(eq(genres.id, 3))],
    ['an insertion that returns', (db: Db) => db.insert(genres).values({ name: 'new' }).returning()],
  ])('is told of %s', async (_, write) => {
    const { db, cache } = await openCached(place, 'all')
    await first(db)
    await write(db)
    expect(cache.mutations).toEqual([['genres']])
    expect(cache.kept.size).toBe(0)
  })

  it('keeps what is about other tables', async () => {
    const { db, cache } = await openCached(place, 'all')
    await first(db)
    await db.insert(authors).values({ name: 'Barbara' })
    expect(cache.kept.size).toBe(1)
  })

  it('is invalidated by hand, by table and by name', async () => {
    const { db } = await openCached(place, 'explicit')
    const named = (): PromiseLike<unknown> => first(db).$withCache({ tag: 'first', autoInvalidate: false })
    await named()
    await renameUnseen(db)
    await db.$cache.invalidate({ tables: genres })
    expect(await named()).toEqual([{ name: 'maths' }])
    await db.$cache.invalidate({ tags: 'first' })
    expect(await named()).toEqual([{ name: 'changed' }])
  })

  it('is the one that was configured', async () => {
    const { db, cache } = await openCached(place, 'all')
    expect(db.$cache).toBe(cache)
  })

  it('can be invalidated where there is none', async () => {
    const db = await openFilled(place)
    expect(await db.$cache.invalidate({ tables: genres })).toBeUndefined()
  })

  it('neither answers nor learns in a transaction', async () => {
    const { db, cache } = await openCached(place, 'all')
    await first(db)
    const seen = await db.transaction(async (tx) => {
      await tx.update(genres).set({ name: 'inside' }).where(eq(genres.id, 1))
      return tx.select({ name: genres.name }).from(genres).where(eq(genres.id, 1)).$withCache()
    })
    expect(seen).toEqual([{ name: 'inside' }])
    expect(cache.kept.size).toBe(0)
    expect(await first(db)).toEqual([{ name: 'inside' }])
  })

  it('is told of what a transaction changed after its commit, not before', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      await tx.transaction((inner) => inner.insert(authors).values({ name: 'Barbara' }).run())
      expect(cache.mutations).toEqual([])
    })
    expect(cache.mutations).toEqual([['genres', 'authors']])
  })

  it('is told once of a table that a transaction changed many times', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.transaction(async (tx) => {
      for (let n = 0; n < 50; n++) await tx.insert(genres).values({ name: `genre ${n}` })
    })
    expect(cache.mutations).toEqual([['genres']])
  })

  it('is not called after a transaction that changed nothing', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.transaction((tx) => tx.select().from(genres))
    expect(cache.mutations).toEqual([])
  })

  it('is told of all that a transaction changed although it fails', async () => {
    const { db, cache } = await openCached(place, 'all')
    cache.failure = new Error('the cache is away')
    const transaction = db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      await tx.insert(authors).values({ name: 'Barbara' })
    })
    expect(await rejectionOf(transaction)).toBe(cache.failure)
    expect(cache.mutations.flat()).toEqual(['genres', 'authors'])
  })

  it('is not told of what was undone', async () => {
    const { db, cache } = await openCached(place, 'all')
    await rejectionOf(db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      tx.rollback()
    }))
    expect(cache.mutations).toEqual([])
  })

  it('is told of what a batch changed', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.batch([db.insert(genres).values({ name: 'a' }), db.select().from(authors), db.delete(authors).where(eq(authors.id, 3))])
    expect(cache.mutations).toEqual([['genres', 'authors']])
  })

  it('has no part in text of SQL and in relational queries', async () => {
    const { db, cache } = await openCached(place, 'all')
    await db.all(sql`SELECT * FROM genres`)
    await db.query.genres.findMany()
    await db.run(sql`UPDATE genres SET name = 'x'`)
    expect(cache.kept.size).toBe(0)
    expect(cache.mutations).toEqual([])
  })

  it('fails the call when it fails itself, with the transaction committed', async () => {
    const { db, cache } = await openCached(place, 'all')
    cache.failure = new Error('the cache is away')
    expect(await rejectionOf(db.transaction((tx) => tx.insert(genres).values({ name: 'a' }).run()))).toBe(cache.failure)
    expect(await db.$client.pluck('SELECT count(*) FROM genres')).toEqual([4])
  })
})
