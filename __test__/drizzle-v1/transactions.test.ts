import { pathToFileURL } from 'node:url'

import { eq, sql, TransactionRollbackError } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { open, SqliteError } from 'sluice'
import { drizzle, SluiceTransaction } from 'sluice/drizzle-v1'
import { within } from '../support/deadline.js'
import { scratchPath } from '../support/scratch.js'
import { causeOf, PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import type { Db } from './databases.js'
import { posts, users } from './schema.js'

async function namesOf(db: Pick<Db, 'select'>): Promise<string[]> {
  return (await db.select({ name: users.name }).from(users).orderBy(users.id)).map(({ name }) => name)
}

describe.each(PLACES)('transactions on %s', (place) => {
  it('commit what was done, and return what the callback returns', async () => {
    const db = await openEmpty(place)
    const id = await db.transaction(async (tx) => {
      const [row] = await tx.insert(users).values({ name: 'Ada' }).returning()
      return row!.id
    })
    expect(id).toBe(1)
    expect(await namesOf(db)).toEqual(['Ada'])
  })

  it('give the callback a transaction of drizzle', async () => {
    const db = await openEmpty(place)
    expect(await db.transaction(async (tx) => tx instanceof SluiceTransaction)).toBe(true)
  })

  it('see what they have written', async () => {
    const db = await openEmpty(place)
    const seen = await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Ada' })
      return [await namesOf(tx), await tx.$count(users), await tx.query.users.findMany({ columns: { name: true } })]
    })
    expect(seen).toEqual([['Ada'], 1, [{ name: 'Ada' }]])
  })

  it('roll back when the callback throws, and reject with what it threw', async () => {
    const db = await openEmpty(place)
    const thrown = new Error('not this time')
    const call = db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Ada' })
      throw thrown
    })
    expect(await rejectionOf(call)).toBe(thrown)
    expect(await namesOf(db)).toEqual([])
  })

  it('roll back when a query fails that nobody catches', async () => {
    const db = await openFilled(place)
    const call = db.transaction(async (tx) => {
      await tx.update(users).set({ city: 'lost' })
      await tx.insert(users).values({ id: 1, name: 'twice' })
    })
    expect(await causeOf(call)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY')
    expect(await db.$count(users, eq(users.city, 'lost'))).toBe(0)
  })

  it('go on after a query that failed and was caught', async () => {
    const db = await openFilled(place)
    await db.transaction(async (tx) => {
      await tx
        .insert(users)
        .values({ id: 1, name: 'twice' })
        .catch(() => {})
      await tx.insert(users).values({ name: 'Mary' })
    })
    expect(await namesOf(db)).toEqual(['Ada', 'Grace', 'Joan', 'Mary'])
  })

  it('roll back with tx.rollback, and reject with the error of drizzle', async () => {
    const db = await openEmpty(place)
    const call = db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Ada' })
      tx.rollback()
    })
    expect(await rejectionOf(call)).toBeInstanceOf(TransactionRollbackError)
    expect(await namesOf(db)).toEqual([])
  })

  it('run raw SQL, and say what it changed', async () => {
    const db = await openFilled(place)
    const result = await db.transaction(async (tx) => tx.run(sql`UPDATE users SET city = 'X' WHERE id > ${1}`))
    expect(result).toMatchObject({ changes: 2 })
  })

  it('reject a query that is made when they are over', async () => {
    const db = await openEmpty(place)
    let kept: Pick<Db, 'select'> | undefined
    await db.transaction(async (tx) => {
      kept = tx
    })
    expect(await causeOf(namesOf(kept!))).toBe('ERR_SLUICE_TX_CLOSED')
  })

  it.each(['deferred', 'immediate', 'exclusive'] as const)('begin %s', async (behavior) => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => tx.insert(users).values({ name: 'Ada' }), { behavior })
    expect(await namesOf(db)).toEqual(['Ada'])
  })

  it('refuse a behavior that SQLite does not have', async () => {
    const db = await openEmpty(place)
    const call = db.transaction(async () => 'ran', { behavior: 'concurrent' as 'deferred' })
    expect((await rejectionOf(call)).code).toBe('ERR_SLUICE_INVALID_OPTION')
  })

  it('end when their signal is aborted', async () => {
    const db = await openEmpty(place)
    const stop = new AbortController()
    const call = db.transaction(
      async (tx) => {
        await tx.insert(users).values({ name: 'Ada' })
        stop.abort()
        await new Promise(() => {})
      },
      { signal: stop.signal },
    )
    expect((await within(rejectionOf(call), 'the transaction ends')).code).toBe('ABORT_ERR')
    expect(await namesOf(db)).toEqual([])
  })

  it('do without foreign keys when they are asked to', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => tx.insert(posts).values({ authorId: 99, title: 'nobody wrote it' }), { foreignKeys: false })
    expect(await db.$count(posts)).toBe(1)
    expect(await causeOf(db.insert(posts).values({ authorId: 99, title: 'again' }))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('end when their time is over', async () => {
    const db = await openEmpty(place)
    const call = db.transaction(async () => new Promise(() => {}), { timeoutMs: 50 })
    expect((await within(rejectionOf(call), 'the transaction ends')).code).toBe('ERR_SLUICE_TX_TIMEOUT')
  })

  it('lose no update when a hundred read and write the same row at once', async () => {
    const db = await openFilled(place)
    const increment = (): Promise<void> =>
      db.transaction(async (tx) => {
        const row = await tx.select({ views: posts.views }).from(posts).where(eq(posts.id, 4)).get()
        await tx
          .update(posts)
          .set({ views: row!.views + 1 })
          .where(eq(posts.id, 4))
      })
    await Promise.all(Array.from({ length: 100 }, increment))
    expect(await db.select({ views: posts.views }).from(posts).where(eq(posts.id, 4)).get()).toEqual({ views: 100 })
  })

  it('keep what others write at the same time out of themselves', async () => {
    const db = await openEmpty(place)
    const calls = Array.from({ length: 50 }, (_, index) => [
      db
        .transaction(async (tx) => {
          await tx.insert(users).values({ name: `in ${index}` })
          throw new Error('undone')
        })
        .catch(() => {}),
      db.insert(users).values({ name: `out ${index}` }),
    ])
    await Promise.all(calls.flat())
    expect((await namesOf(db)).every((name) => name.startsWith('out'))).toBe(true)
    expect(await db.$count(users)).toBe(50)
  })

  it('reject a write through the database at once, because it would wait for them', async () => {
    const db = await openEmpty(place)
    const inside = await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Ada' })
      return rejectionOf(db.insert(users).values({ name: 'Grace' }))
    })
    expect(inside.cause).toMatchObject({ code: 'ERR_SLUICE_REENTRANT' })
    expect(inside.cause?.message).toMatch(/use the tx of the callback/)
    const outer = await db.$client.transaction(async () => rejectionOf(db.insert(users).values({ name: 'Grace' })))
    expect(outer.cause?.code).toBe('ERR_SLUICE_REENTRANT')
    expect((await db.transaction(async () => rejectionOf(db.transaction(async () => {})))).code).toBe('ERR_SLUICE_REENTRANT')
    expect(await namesOf(db)).toEqual(['Ada'])
  })
})

describe.each(PLACES)('nested transactions on %s', (place) => {
  it('are kept with the outer one', async () => {
    const db = await openEmpty(place)
    const result = await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'outer' })
      return tx.transaction(async (inner) => {
        await inner.insert(users).values({ name: 'inner' })
        return namesOf(inner)
      })
    })
    expect(result).toEqual(['outer', 'inner'])
    expect(await namesOf(db)).toEqual(['outer', 'inner'])
  })

  it('are undone alone when they throw and the outer one goes on', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'before' })
      const failed = tx.transaction(async (inner) => {
        await inner.insert(users).values({ name: 'undone' })
        throw new Error('only this')
      })
      expect((await rejectionOf(failed)).message).toBe('only this')
      await tx.insert(users).values({ name: 'after' })
    })
    expect(await namesOf(db)).toEqual(['before', 'after'])
  })

  it('are undone alone with rollback', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'kept' })
      const undone = tx.transaction(async (inner) => {
        await inner.insert(users).values({ name: 'undone' })
        inner.rollback()
      })
      expect(await rejectionOf(undone)).toBeInstanceOf(TransactionRollbackError)
    })
    expect(await namesOf(db)).toEqual(['kept'])
  })

  it('are undone with the outer one', async () => {
    const db = await openEmpty(place)
    const call = db.transaction(async (tx) => {
      await tx.transaction(async (inner) => inner.insert(users).values({ name: 'inner' }))
      throw new Error('all of it')
    })
    expect((await rejectionOf(call)).message).toBe('all of it')
    expect(await namesOf(db)).toEqual([])
  })

  it('go to any depth, each undone by itself', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (one) => {
      await one.insert(users).values({ name: '1' })
      await one.transaction(async (two) => {
        await two.insert(users).values({ name: '2' })
        await rejectionOf(
          two.transaction(async (three) => {
            await three.insert(users).values({ name: '3' })
            await three.transaction(async (four) => four.insert(users).values({ name: '4' }))
            three.rollback()
          }),
        )
        await two.transaction(async (five) => five.insert(users).values({ name: '5' }))
      })
    })
    expect(await namesOf(db)).toEqual(['1', '2', '5'])
  })

  it('run one after another when they are started at once', async () => {
    const db = await openEmpty(place)
    await db.transaction(async (tx) => {
      const add = (name: string): Promise<unknown> =>
        tx.transaction(async (inner) => {
          await inner.insert(users).values({ name })
          if (name === 'b') inner.rollback()
        })
      await Promise.allSettled([add('a'), add('b'), add('c')])
    })
    expect(await namesOf(db)).toEqual(['a', 'c'])
  })

  it('reject a query through the outer one, because it would wait for them', async () => {
    const db = await openEmpty(place)
    const inside = await db.transaction(async (tx) => tx.transaction(async () => rejectionOf(namesOf(tx))))
    expect(inside.cause?.code).toBe('ERR_SLUICE_REENTRANT')
  })
})

describe('the places in which a transaction runs', () => {
  it('let a read through the database see what is committed while a transaction is open', async () => {
    const db = await openFilled('a file')
    const seen = await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'new' })
      return db.$count(users)
    })
    expect(seen).toBe(3)
  })

  it('reject a read through the database where reads and writes take turns', async () => {
    const db = await openFilled(':memory:')
    const inside = await db.transaction(async () => rejectionOf(db.select().from(users)))
    expect(inside.cause?.code).toBe('ERR_SLUICE_REENTRANT')
  })

  it.each(PLACES)("let a read on %s see a write that was submitted before it, with ordering 'submitted'", async (place) => {
    const db = await openEmpty(place, { options: { ordering: 'submitted' } })
    for (let round = 1; round <= 20; round++) {
      const write = db
        .insert(users)
        .values({ name: `user ${round}` })
        .run()
      expect(await db.$count(users)).toBe(round)
      await write
    }
  })

  it('say with the code of SQLite that somebody else holds the file, after as many attempts as they may make', async () => {
    const path = scratchPath()
    const first = drizzle(await open(path))
    // By a URI it is not shared, and meets the other as another process would.
    const second = drizzle(await open(pathToFileURL(path).href, { uri: true, busyTimeoutMs: 0 }))
    try {
      await first.run('CREATE TABLE t (x)')
      await first.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        const refused = await rejectionOf(second.transaction(async (other) => other.run('INSERT INTO t VALUES (2)')))
        expect(refused).toBeInstanceOf(SqliteError)
        expect(refused.code).toBe('SQLITE_BUSY')
        const retried = second.transaction(async (other) => other.run('INSERT INTO t VALUES (2)'), { retry: { attempts: 3, delayMs: 1 } })
        expect((await rejectionOf(retried)).code).toBe('SQLITE_BUSY')
        expect(second.$client.status().counters['transactionRetries']).toBe(2)
      })
    } finally {
      await first.$client.close()
      await second.$client.close()
    }
  })
})

describe('transactions as text', () => {
  it('take in all queries on a private handle, and no others', async () => {
    const shared = await openEmpty('a file')
    const db = drizzle(shared.$client.handle())
    await db.run('BEGIN')
    await db.insert(users).values({ name: 'a' })
    expect([await db.$count(users), await shared.$count(users)]).toEqual([1, 0])
    expect((await rejectionOf(db.transaction(async () => {}))).code).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    await db.run('ROLLBACK')
    expect(await db.$count(users)).toBe(0)
    await db.$client.close()
  })
})
