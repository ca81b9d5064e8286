import { TransactionRollbackError, eq, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { drizzle } from 'sluice/drizzle'
import { within } from '../support/deadline.js'
import { gate } from '../support/order.js'
import { PLACES, causeOf, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import type { Db } from './databases.js'
import { authors, books, genres } from './schema.js'

async function genreNames(db: Db): Promise<string[]> {
  return (await db.select({ name: genres.name }).from(genres).orderBy(genres.id)).map(({ name }) => name)
}

describe.each(PLACES)('transactions of drizzle on %s', (place) => {
  it('keeps everything when the callback returns, and returns what it returned', async () => {
    const db = await openEmpty(place)
    const result = await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      await tx.insert(genres).values({ name: 'b' })
      return 'done'
    })
    expect(result).toBe('done')
    expect(await genreNames(db)).toEqual(['a', 'b'])
  })

  it('undoes everything when the callback throws, and throws the same', async () => {
    const db = await openEmpty(place)
    const reason = new Error('mine')
    const rejection = await rejectionOf(db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      throw reason
    }))
    expect(rejection).toBe(reason)
    expect(await genreNames(db)).toEqual([])
  })

  it('undoes everything on tx.rollback()', async () => {
    const db = await openEmpty(place)
    const rejection = await rejectionOf(db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      tx.rollback()
    }))
    expect(rejection).toBeInstanceOf(TransactionRollbackError)
    expect(await genreNames(db)).toEqual([])
  })

  it('undoes everything when a query fails, and keeps the code', async () => {
    const db = await openFilled(place)
    const call = db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      await tx.insert(authors).values({ id: 1, name: 'twice' })
    })
    expect(await causeOf(call)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY')
    expect(await db.$count(genres)).toBe(3)
  })

  it('goes on after a query that failed and was caught', async () => {
    const db = await openFilled(place)
    await db.transaction(async (tx) => {
      await tx.insert(authors).values({ id: 1, name: 'twice' }).catch(() => {})
      await tx.insert(authors).values({ name: 'Barbara' })
    })
    expect(await db.$count(authors)).toBe(4)
  })

  it('sees what it has written', async () => {
    const db = await openEmpty(place)
    const seen = await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      return { rows: await tx.select().from(genres), count: await tx.$count(genres), raw: await tx.values(sql`SELECT name FROM genres`) }
    })
    expect(seen).toEqual({ rows: [{ id: 1, name: 'a' }], count: 1, raw: [['a']] })
  })

  it.each(['deferred', 'immediate', 'exclusive'] as const)('begins as %s on request', async (behavior) => {
    const db = await openEmpty(place)
    await db.transaction((tx) => tx.insert(genres).values({ name: behavior }).run(), { behavior })
    expect(await genreNames(db)).toEqual([behavior])
  })

  it('refuses a behavior that there is not', async () => {
    const db = await openEmpty(place)
    const rejection = await rejectionOf(db.transaction(async () => {}, { behavior: 'lazy' as 'deferred' }))
    expect(rejection.code).toBe('ERR_SLUICE_INVALID_OPTION')
  })

  it('ends with its signal', async () => {
    const db = await openEmpty(place)
    const stop = new AbortController()
    const rejection = await rejectionOf(db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      stop.abort()
      await tx.insert(genres).values({ name: 'b' })
    }, { signal: stop.signal }))
    expect(rejection.name).toBe('AbortError')
    expect(await genreNames(db)).toEqual([])
  })

  it('keeps a nested transaction with the outer one', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'outer' })
      await tx.transaction(async (inner) => {
        await inner.insert(genres).values({ name: 'inner' })
      })
    })
    expect(await genreNames(db)).toEqual(['outer', 'inner'])
  })

  it('undoes a nested transaction alone', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'before' })
      const rejection = await rejectionOf(tx.transaction(async (inner) => {
        await inner.insert(genres).values({ name: 'inner' })
        inner.rollback()
      }))
      expect(rejection).toBeInstanceOf(TransactionRollbackError)
      await tx.insert(genres).values({ name: 'after' })
    })
    expect(await genreNames(db)).toEqual(['before', 'after'])
  })

  it('undoes a nested transaction that was kept with the outer one', async () => {
    const db = await openEmpty(place)
    await rejectionOf(db.transaction(async (tx) => {
      await tx.transaction(async (inner) => {
        await inner.insert(genres).values({ name: 'inner' })
      })
      tx.rollback()
    }))
    expect(await genreNames(db)).toEqual([])
  })

  it('throws the first error through every level', async () => {
    const db = await openEmpty(place)
    const reason = new Error('deepest')
    const call = db.transaction((tx) =>
      tx.transaction((second) =>
        second.transaction(async () => {
          throw reason
        }),
      ),
    )
    expect(await rejectionOf(call)).toBe(reason)
  })

  it('nests three deep, and undoes the one in the middle', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (first) => {
      await first.insert(genres).values({ name: '1' })
      await first
        .transaction(async (second) => {
          await second.insert(genres).values({ name: '2' })
          await second.transaction((third) => third.insert(genres).values({ name: '3' }).run())
          second.rollback()
        })
        .catch(() => {})
      await first.transaction((second) => second.insert(genres).values({ name: '4' }).run())
    })
    expect(await genreNames(db)).toEqual(['1', '4'])
  })

  it('runs nested transactions that begin at once one after another', async () => {
    const db = await openEmpty(place)
    await db.transaction((tx) =>
      Promise.all(['a', 'b', 'c'].map((name) =>
        tx.transaction(async (inner) => {
          await inner.insert(genres).values({ name: `${name}1` })
          await inner.insert(genres).values({ name: `${name}2` })
        }))),
    )
    expect(await genreNames(db)).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2'])
  })

  it('rejects a query of the outer transaction in the callback of the nested one', async () => {
    const db = await openEmpty(place)
    await db.transaction((tx) =>
      tx.transaction(async () => {
        expect(await causeOf(tx.insert(genres).values({ name: 'a' }))).toBe('ERR_SLUICE_REENTRANT')
      }),
    )
  })

  it('rejects a write of the database in the callback at once, with a hint', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      const rejection = await within(rejectionOf(db.insert(genres).values({ name: 'b' })), 'the write is rejected')
      expect(rejection.cause?.code).toBe('ERR_SLUICE_REENTRANT')
      expect(rejection.cause?.message).toContain('use the tx of the callback')
    })
    expect(await genreNames(db)).toEqual(['a'])
  })

  it('rejects a write of drizzle in a transaction of the client too', async () => {
    const db = await openEmpty(place)
    await db.$client.transaction(async (tx) => {
      await tx.run('INSERT INTO genres (name) VALUES (?)', ['a'])
      expect(await causeOf(db.insert(genres).values({ name: 'b' }))).toBe('ERR_SLUICE_REENTRANT')
      expect((await rejectionOf(db.transaction(async () => {}))).code).toBe('ERR_SLUICE_REENTRANT')
    })
    expect(await genreNames(db)).toEqual(['a'])
  })

  it('rejects a query after its end', async () => {
    const db = await openEmpty(place)
    const late = await db.transaction(async (tx) => () => tx.insert(genres).values({ name: 'late' }).run())
    expect(await causeOf(late())).toBe('ERR_SLUICE_TX_CLOSED')
    expect(await genreNames(db)).toEqual([])
  })

  it('loses no update among transactions at once', async () => {
    const db = await openFilled(place)
    const increment = (): Promise<void> =>
      db.transaction(async (tx) => {
        const row = await tx.select({ copies: books.copies }).from(books).where(eq(books.id, 4)).get()
        await tx.update(books).set({ copies: row!.copies + 1 }).where(eq(books.id, 4))
      })
    await Promise.all(Array.from({ length: 50 }, increment))
    expect(await db.select({ copies: books.copies }).from(books).where(eq(books.id, 4)).get()).toEqual({ copies: 50 })
  })

  it('keeps the writes of others out', async () => {
    const db = await openEmpty(place)
    const begun = gate()
    const goOn = gate()
    const transaction = db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'mine' })
      begun.open()
      await goOn.opened
      return tx.$count(genres)
    })
    await begun.opened
    const other = db.insert(genres).values({ name: 'theirs' }).execute()
    goOn.open()
    expect(await transaction).toBe(1)
    await other
    expect(await genreNames(db)).toEqual(['mine', 'theirs'])
  })

  it('says so when SQLite has rolled back by itself', async () => {
    const db = await openFilled(place)
    const codes: Array<string | undefined> = []
    const rejection = await rejectionOf(db.transaction(async (tx) => {
      codes.push(await causeOf(tx.run(sql`INSERT OR ROLLBACK INTO authors (id, name) VALUES (1, 'twice')`)))
      codes.push(await causeOf(tx.insert(genres).values({ name: 'after' })))
    }))
    expect(codes).toEqual(['SQLITE_CONSTRAINT_PRIMARYKEY', 'ERR_SLUICE_TX_ABORTED'])
    expect(rejection.code).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await db.$count(genres)).toBe(3)
  })
})

describe('transactions of drizzle on a file', () => {
  it('lets reads of the database see what is committed meanwhile', async () => {
    const db = await openEmpty('a file')
    await db.transaction(async (tx) => {
      await tx.insert(genres).values({ name: 'a' })
      expect(await db.$count(genres)).toBe(0)
    })
    expect(await db.$count(genres)).toBe(1)
  })
})

describe('transactions of drizzle as text', () => {
  it('take in all queries on a private handle, and no others', async () => {
    const shared = await openEmpty('a file')
    const db = drizzle(shared.$client.handle())
    await db.run('BEGIN')
    await db.insert(genres).values({ name: 'a' })
    expect([await db.$count(genres), await shared.$count(genres)]).toEqual([1, 0])
    expect((await rejectionOf(db.transaction(async () => {}))).code).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    await db.run('ROLLBACK')
    expect(await db.$count(genres)).toBe(0)
    await db.$client.close()
  })
})
