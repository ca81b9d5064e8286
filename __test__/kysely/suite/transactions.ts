import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import { addUsers, namesOf, openTables } from './line.js'
import type { Line } from './line.js'
import { codeOf, failureOf } from '../../support/failure.js'
import { gate, untilWaiting } from '../../support/order.js'
import { untilQuiet } from '../../support/quiet.js'

/** Transactions with a callback. */
export function describeTransactions(line: Line): void {
  const { sql } = line.kysely

  describe('a transaction', () => {
    it('commits what its callback did, and returns what it returned', async () => {
      const { db } = await openTables(line)
      const result = await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        return 'returned'
      })
      expect([result, await namesOf(db)]).toEqual(['returned', ['Ada']])
    })

    it('rolls back when its callback throws, and rejects with that very error', async () => {
      const { db, database } = await openTables(line)
      const reason = new Error('no')
      const outcome = db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        throw reason
      })
      await expect(outcome).rejects.toBe(reason)
      expect(await namesOf(db)).toEqual([])
      await untilQuiet(database)
    })

    it('goes on after a query that failed', async () => {
      const { db } = await openTables(line)
      await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        expect(await codeOf(trx.insertInto('users').values({ name: 'Ada' }).execute())).toBe('SQLITE_CONSTRAINT_UNIQUE')
        await trx.insertInto('users').values({ name: 'Grace' }).execute()
      })
      expect(await namesOf(db)).toEqual(['Ada', 'Grace'])
    })

    it('is seen by nobody before its end, and reads run beside it', async () => {
      const { db } = await openTables(line)
      await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        expect([await namesOf(db), await namesOf(trx)]).toEqual([[], ['Ada']])
      })
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('keeps the writes of others out, which wait for their turn', async () => {
      const { db, database } = await openTables(line)
      let other: Promise<unknown> | undefined
      const outcome = db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        other = db.insertInto('users').values({ name: 'Grace' }).execute()
        await untilWaiting(database, 1)
        throw new Error('undo')
      })
      await expect(outcome).rejects.toThrow('undo')
      await other
      expect(await namesOf(db)).toEqual(['Grace'])
    })

    it('lets 100 at once read, add and write without losing one', async () => {
      const { db } = await openTables(line)
      await db.insertInto('users').values({ name: 'counter', age: 0 }).execute()
      await Promise.all(Array.from({ length: 100 }, () => db.transaction().execute(async (trx) => {
        const { age } = await trx.selectFrom('users').select('age').executeTakeFirstOrThrow()
        await turn()
        await trx.updateTable('users').set({ age: age! + 1 }).execute()
      })))
      expect(await db.selectFrom('users').select('age').executeTakeFirst()).toEqual({ age: 100 })
    })

    it('runs its queries in the order of their calls, also those that are not awaited', async () => {
      const { db } = await openTables(line)
      await db.transaction().execute(async (trx) => {
        await Promise.all(['a', 'b', 'c', 'd'].map((name) => trx.insertInto('users').values({ name }).execute()))
      })
      expect(await namesOf(db)).toEqual(['a', 'b', 'c', 'd'])
    })

    it('may ask for changes() and last_insert_rowid()', async () => {
      const { db } = await openTables(line)
      const rows = await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values([{ name: 'a' }, { name: 'b' }]).execute()
        return (await sql`SELECT changes() AS changes, last_insert_rowid() AS id`.execute(trx)).rows
      })
      expect(rows).toEqual([{ changes: 2, id: 2 }])
    })

    it('refuses COMMIT as text', async () => {
      const { db } = await openTables(line)
      expect(await codeOf(db.transaction().execute((trx) => sql`COMMIT`.execute(trx)))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    })

    it('that SQLite rolled back by itself does not pretend to be committed', async () => {
      const { db, database } = await openTables(line)
      await db.insertInto('users').values({ id: 1, name: 'Ada' }).execute()
      const outcome = db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Grace' }).execute()
        await sql`INSERT OR ROLLBACK INTO users (id, name) VALUES (1, 'Joan')`.execute(trx).catch(() => {})
      })
      expect(await codeOf(outcome)).toBe('ERR_SLUICE_TX_ABORTED')
      expect(await namesOf(db)).toEqual(['Ada'])
      await untilQuiet(database)
    })

    it('that SQLite rolled back by itself leaves its connection to what follows', async () => {
      const { db } = await openTables(line)
      await db.insertInto('users').values({ id: 1, name: 'Ada' }).execute()
      await db.connection().execute(async (connection) => {
        const outcome = connection.transaction().execute(async (trx) => {
          await sql`INSERT OR ROLLBACK INTO users (id, name) VALUES (1, 'Joan')`.execute(trx).catch(() => {})
        })
        expect(await codeOf(outcome)).toBe('ERR_SLUICE_TX_ABORTED')
        expect(await namesOf(connection)).toEqual(['Ada'])
        await connection.transaction().execute((trx) => trx.insertInto('users').values({ name: 'Grace' }).execute())
      })
      expect(await namesOf(db)).toEqual(['Ada', 'Grace'])
    })

    it('that was idle for too long is rolled back, and says so', async () => {
      const { db, database } = await openTables(line, { transactionIdleTimeoutMs: 30 })
      const outcome = db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        await untilQuiet(database)
      })
      expect(await codeOf(outcome)).toBe('ERR_SLUICE_TX_TIMEOUT')
      expect(await namesOf(db)).toEqual([])
    })

    it('that was rolled back for being idle rejects with the error of its callback, if there is one', async () => {
      const { db, database } = await openTables(line, { transactionIdleTimeoutMs: 30 })
      const outcome = db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        await untilQuiet(database)
        throw new Error('its own')
      })
      await expect(outcome).rejects.toThrow('its own')
    })

    it('whose commit a deferred foreign key refuses is rolled back', async () => {
      const { db, database } = await openTables(line)
      const outcome = db.transaction().execute((trx) => trx.insertInto('pets').values({ owner_id: 99, name: 'Rex' }).execute())
      expect(await codeOf(outcome)).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
      expect(await db.selectFrom('pets').selectAll().execute()).toEqual([])
      await untilQuiet(database)
    })

    it.each(['read uncommitted', 'read committed', 'repeatable read', 'serializable', 'snapshot'] as const)(
      'takes the isolation level %s, and is serializable',
      async (level) => {
        const { db } = await openTables(line)
        await db.transaction().setIsolationLevel(level).execute(async (trx) => {
          await trx.insertInto('users').values({ name: 'Ada' }).execute()
          expect(await namesOf(db)).toEqual([])
        })
        expect(await namesOf(db)).toEqual(['Ada'])
      },
    )

    it('refuses an isolation level that there is not', async () => {
      const { db } = await openTables(line)
      await expect(db.transaction().setIsolationLevel('chaos' as never).execute(async () => {})).rejects.toThrow('chaos')
    })

    it('waits for a write of the driver itself, and the driver for it', async () => {
      const { db, database } = await openTables(line)
      const tx = await database.begin()
      const later = db.transaction().execute((trx) => trx.insertInto('users').values({ name: 'second' }).execute())
      await untilWaiting(database, 1)
      await tx.run(`INSERT INTO users (name) VALUES ('first')`)
      await tx.commit()
      await later
      expect(await namesOf(db)).toEqual(['first', 'second'])
    })

    it('makes a write on the database itself wait for no longer than acquireTimeoutMs', async () => {
      const { db, database } = await openTables(line, { acquireTimeoutMs: 50 })
      await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        expect(await codeOf(database.run('DELETE FROM users'))).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
        expect(await codeOf(db.deleteFrom('users').execute())).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
      })
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('is refused in a callback of the driver that holds the writer', async () => {
      const { db, database } = await openTables(line)
      await database.transaction(async () => {
        expect(await codeOf(db.transaction().execute(async () => {}))).toBe('ERR_SLUICE_REENTRANT')
      })
    })

    it.each([':memory:', 'a file'])('works where reads and writes take turns: %s', async (where) => {
      const { db, database } = await openTables(line, { concurrency: 'exclusive' }, where === ':memory:' ? where : undefined)
      expect(database.status().concurrency).toBe('exclusive')
      await Promise.all(Array.from({ length: 10 }, (_, n) => db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: `user ${n}` }).execute()
        await namesOf(trx)
      })))
      expect(await namesOf(db)).toHaveLength(10)
    })
  })

  describe('a transaction in a database in memory', () => {
    it('makes a read outside wait for no longer than acquireTimeoutMs', async () => {
      const { db } = await openTables(line, { acquireTimeoutMs: 50 }, ':memory:')
      await db.transaction().execute(async (trx) => {
        await trx.insertInto('users').values({ name: 'Ada' }).execute()
        expect(await codeOf(namesOf(db))).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
      })
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('that only reads runs beside others that do', async () => {
      const { db } = await openTables(line, {}, ':memory:')
      await db.transaction().setAccessMode('read only').execute(async (trx) => {
        expect([await namesOf(trx), await namesOf(db)]).toEqual([[], []])
      })
    })
  })

  describe('a transaction that only reads', () => {
    it('sees one state of the database, whatever is written meanwhile', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 2)
      const [before, after] = await db.transaction().setAccessMode('read only').execute(async (trx) => {
        const first = await namesOf(trx)
        await db.deleteFrom('users').execute()
        return [first, await namesOf(trx)]
      })
      expect(before).toEqual(['user 1', 'user 2'])
      expect(after).toEqual(before)
      expect(await namesOf(db)).toEqual([])
    })

    it('leaves the writer to others', async () => {
      const { db, database } = await openTables(line)
      await db.transaction().setAccessMode('read only').execute(async (trx) => {
        await namesOf(trx)
        expect(database.status().writer.active).toBe(false)
        expect(database.status().readers.active).toBe(1)
      })
      await untilQuiet(database)
    })

    it('refuses a write', async () => {
      const { db, database } = await openTables(line)
      const reading = db.transaction().setAccessMode('read only')
      const outcome = reading.execute((trx) => trx.insertInto('users').values({ name: 'Ada' }).execute())
      expect(await codeOf(outcome)).toBe('SQLITE_READONLY')
      expect(await namesOf(db)).toEqual([])
      await untilQuiet(database)
    })

    it('runs in parallel with others', async () => {
      const { db, database } = await openTables(line, { maxReaders: 4 })
      const all = gate()
      let running = 0
      const active: number[] = []
      await Promise.all([1, 2, 3].map(() => db.transaction().setAccessMode('read only').execute(async (trx) => {
        await namesOf(trx)
        if (++running === 3) all.open()
        await all.opened
        active.push(database.status().readers.active)
      })))
      expect(active[0]).toBe(3)
    })

    it('streams', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 5)
      const ids = await db.transaction().setAccessMode('read only').execute(async (trx) => {
        const seen: number[] = []
        for await (const { id } of trx.selectFrom('users').select('id').stream(2)) seen.push(id)
        return seen
      })
      expect(ids).toEqual([1, 2, 3, 4, 5])
    })

    it('rejects with the error of its callback', async () => {
      const { db, database } = await openTables(line)
      const reason = new Error('no')
      await expect(db.transaction().setAccessMode('read only').execute(() => Promise.reject(reason))).rejects.toBe(reason)
      await untilQuiet(database)
    })

    it('that lasts longer than maxReadLeaseMs is ended, and says so', async () => {
      const { db, database } = await openTables(line, { maxReadLeaseMs: 30 })
      const outcome = db.transaction().setAccessMode('read only').execute(async (trx) => {
        await namesOf(trx)
        await untilQuiet(database)
        return namesOf(trx)
      })
      expect(await codeOf(outcome)).toBe('ERR_SLUICE_READ_LEASE_TIMEOUT')
    })

    it('that lasts longer than maxReadLeaseMs says so with a stream, too', async () => {
      const { db, database } = await openTables(line, { maxReadLeaseMs: 30 })
      const outcome = db.transaction().setAccessMode('read only').execute(async (trx) => {
        await namesOf(trx)
        await untilQuiet(database)
        for await (const _ of trx.selectFrom('users').select('id').stream()) expect.unreachable()
      })
      expect(await codeOf(outcome)).toBe('ERR_SLUICE_READ_LEASE_TIMEOUT')
    })

    it('has no savepoints', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().setAccessMode('read only').execute()
      const failure = await failureOf(trx.savepoint('a').execute())
      expect(failure.message).toBe('a transaction that only reads has nothing that a savepoint could undo')
      expect(await codeOf(trx.rollbackToSavepoint('a' as never).execute())).toBe('ERR_SLUICE_INVALID_ARGUMENT')
      expect(await codeOf(trx.releaseSavepoint('a' as never).execute())).toBe('ERR_SLUICE_INVALID_ARGUMENT')
      await trx.commit().execute()
    })
  })
}
