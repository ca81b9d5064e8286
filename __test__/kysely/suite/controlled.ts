import type { Kysely } from 'kysely'
import { describe, expect, it } from 'vitest'

import { namesOf, openTables } from './line.js'
import type { Line, Tables } from './line.js'
import { codeOf, failureOf } from '../../support/failure.js'
import { untilQuiet } from '../../support/quiet.js'

/** Transactions that are begun and ended by calls, and their savepoints. */
export function describeControlled(line: Line): void {
  const { sql } = line.kysely
  const add = (db: Kysely<Tables>, name: string): Promise<unknown> => db.insertInto('users').values({ name }).execute()

  describe('a controlled transaction', () => {
    it('commits', async () => {
      const { db, database } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await add(trx, 'Ada')
      expect(await namesOf(db)).toEqual([])
      await trx.commit().execute()
      expect([trx.isCommitted, trx.isRolledBack]).toEqual([true, false])
      expect(await namesOf(db)).toEqual(['Ada'])
      await untilQuiet(database)
    })

    it('rolls back', async () => {
      const { db, database } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await add(trx, 'Ada')
      await trx.rollback().execute()
      expect([trx.isCommitted, trx.isRolledBack]).toEqual([false, true])
      expect(await namesOf(db)).toEqual([])
      await untilQuiet(database)
    })

    it('refuses queries after its end', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await trx.commit().execute()
      await expect((async () => add(trx, 'Ada'))()).rejects.toThrow('already committed')
    })

    it('stays open when its commit is refused, and can be mended', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await trx.insertInto('pets').values({ owner_id: 1, name: 'Rex' }).execute()
      expect(await codeOf(trx.commit().execute())).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
      await add(trx, 'Ada')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('that SQLite rolled back says so at its commit, and lets its rollback pass', async () => {
      const { db, database } = await openTables(line)
      await add(db, 'Ada')
      const trx = await db.startTransaction().execute()
      await sql`INSERT OR ROLLBACK INTO users (id, name) VALUES (1, 'Joan')`.execute(trx).catch(() => {})
      expect(await codeOf(add(trx, 'Grace'))).toBe('ERR_SLUICE_TX_ABORTED')
      expect(await codeOf(trx.commit().execute())).toBe('ERR_SLUICE_TX_ABORTED')
      await trx.rollback().execute()
      expect(trx.isRolledBack).toBe(true)
      await untilQuiet(database)
    })

    it('that was idle for too long lets its rollback pass', async () => {
      const { db, database } = await openTables(line, { transactionIdleTimeoutMs: 30 })
      const trx = await db.startTransaction().execute()
      await add(trx, 'Ada')
      await untilQuiet(database)
      expect(await codeOf(add(trx, 'Grace'))).toBe('ERR_SLUICE_TX_TIMEOUT')
      await trx.rollback().execute()
      expect(await namesOf(db)).toEqual([])
    })

    it('that only reads sees one state', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().setAccessMode('read only').execute()
      expect(await namesOf(trx)).toEqual([])
      await add(db, 'Ada')
      expect(await namesOf(trx)).toEqual([])
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('that only reads rolls back', async () => {
      const { db, database } = await openTables(line)
      const trx = await db.startTransaction().setAccessMode('read only').execute()
      await namesOf(trx)
      await trx.rollback().execute()
      await untilQuiet(database)
      expect(trx.isRolledBack).toBe(true)
    })
  })

  describe('a savepoint', () => {
    it('is rolled back to, and the transaction goes on', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await add(trx, 'a')
      const inner = await trx.savepoint('s').execute()
      await add(inner, 'b')
      await inner.rollbackToSavepoint('s').execute()
      await add(trx, 'c')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['a', 'c'])
    })

    it('is released, and its work kept', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      const inner = await trx.savepoint('s').execute()
      await add(inner, 'a')
      await inner.releaseSavepoint('s').execute()
      await add(trx, 'b')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['a', 'b'])
    })

    it('is still there after a rollback to it', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      const inner = await trx.savepoint('s').execute()
      for (const name of ['a', 'b']) {
        await add(inner, name)
        await inner.rollbackToSavepoint('s').execute()
      }
      await add(inner, 'c')
      await inner.releaseSavepoint('s').execute()
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['c'])
    })

    it('takes those within it along', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      const outer = await trx.savepoint('outer').execute()
      await add(outer, 'a')
      const inner = await outer.savepoint('inner').execute()
      await add(inner, 'b')
      await inner.rollbackToSavepoint('outer').execute()
      expect((await failureOf(inner.rollbackToSavepoint('inner').execute())).message).toBe('no such savepoint: inner')
      await add(trx, 'c')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['c'])
    })

    it('releases those within it', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      const outer = await trx.savepoint('outer').execute()
      const inner = await outer.savepoint('inner').execute()
      await add(inner, 'a')
      await inner.releaseSavepoint('outer').execute()
      expect(await codeOf(inner.releaseSavepoint('inner').execute())).toBe('SQLITE_ERROR')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['a'])
    })

    it('of a name that is used twice is the later one', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await trx.savepoint('s').execute()
      await add(trx, 'a')
      await trx.savepoint('S').execute()
      await add(trx, 'b')
      await trx.rollbackToSavepoint('s' as never).execute()
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['a'])
    })

    it('that is open at the commit is committed', async () => {
      const { db, database } = await openTables(line)
      const trx = await db.startTransaction().execute()
      const inner = await (await trx.savepoint('a').execute()).savepoint('b').execute()
      await add(inner, 'Ada')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['Ada'])
      await untilQuiet(database)
    })

    it('that is open at the rollback is rolled back', async () => {
      const { db, database } = await openTables(line)
      const trx = await db.startTransaction().execute()
      const inner = await (await trx.savepoint('a').execute()).savepoint('b').execute()
      await add(inner, 'Ada')
      await trx.rollback().execute()
      expect(await namesOf(db)).toEqual([])
      await untilQuiet(database)
    })

    it('that is open when SQLite rolls back does not keep the writer', async () => {
      const { db, database } = await openTables(line)
      await add(db, 'Ada')
      const trx = await db.startTransaction().execute()
      const inner = await (await trx.savepoint('a').execute()).savepoint('b').execute()
      await sql`INSERT OR ROLLBACK INTO users (id, name) VALUES (1, 'Joan')`.execute(inner).catch(() => {})
      expect(await codeOf(trx.commit().execute())).toBe('ERR_SLUICE_TX_ABORTED')
      await trx.rollback().execute()
      await untilQuiet(database)
      await add(db, 'Grace')
      expect(await namesOf(db)).toEqual(['Ada', 'Grace'])
    })

    it('that is open when the transaction is idle for too long does not keep the writer', async () => {
      const { db, database } = await openTables(line, { transactionIdleTimeoutMs: 30 })
      const trx = await db.startTransaction().execute()
      const inner = await trx.savepoint('a').execute()
      await add(inner, 'Ada')
      await untilQuiet(database)
      expect(await codeOf(inner.commit().execute())).toBe('ERR_SLUICE_TX_TIMEOUT')
      await inner.rollback().execute()
      await add(db, 'Grace')
      expect(await namesOf(db)).toEqual(['Grace'])
    })

    it('that there is not is an error of SQLite, and the transaction goes on', async () => {
      const { db } = await openTables(line)
      const trx = await db.startTransaction().execute()
      await add(trx, 'Ada')
      expect(await codeOf(trx.rollbackToSavepoint('nothing' as never).execute())).toBe('SQLITE_ERROR')
      await trx.commit().execute()
      expect(await namesOf(db)).toEqual(['Ada'])
    })
  })
}
