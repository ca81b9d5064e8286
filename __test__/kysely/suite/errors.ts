import { describe, expect, it } from 'vitest'

import { SqliteError } from 'sluice'
import type { SluiceError } from 'sluice'
import { openTables } from './line.js'
import type { Line } from './line.js'
import { codeOf, failureOf } from '../../support/failure.js'

/** What a failing query is rejected with. */
export function describeErrors(line: Line): void {
  const { sql } = line.kysely

  describe('a query that fails', () => {
    it.each<[string, string, string]>([
      ['a duplicate', `INSERT INTO users (name) VALUES ('Ada'), ('Ada')`, 'SQLITE_CONSTRAINT_UNIQUE'],
      ['a duplicate key', `INSERT INTO users (id, name) VALUES (1, 'a'), (1, 'b')`, 'SQLITE_CONSTRAINT_PRIMARYKEY'],
      ['a missing value', `INSERT INTO users (name) VALUES (NULL)`, 'SQLITE_CONSTRAINT_NOTNULL'],
      ['a check', `INSERT INTO users (name, age) VALUES ('a', -1)`, 'SQLITE_CONSTRAINT_CHECK'],
      ['a foreign key', `INSERT INTO pets (owner_id, name) VALUES (99, 'a')`, 'SQLITE_CONSTRAINT_FOREIGNKEY'],
      ['a missing table', `SELECT * FROM nothing`, 'SQLITE_ERROR'],
      ['a spelling mistake', `SELEC 1`, 'SQLITE_ERROR'],
      ['two statements', `SELECT 1; SELECT 2`, 'ERR_SLUICE_MULTIPLE_STATEMENTS'],
      ['a PRAGMA of one connection', `PRAGMA foreign_keys = OFF`, 'ERR_SLUICE_PRAGMA'],
      ['a function that answers for others', `SELECT last_insert_rowid()`, 'ERR_SLUICE_CONNECTION_STATE'],
    ])('has the code of the driver: %s', async (_, text, code) => {
      const { db } = await openTables(line)
      expect(await codeOf(sql.raw(text).execute(db))).toBe(code)
    })

    it('is rejected with an SqliteError that names its text and the constraint', async () => {
      const { db } = await openTables(line)
      await db.insertInto('users').values({ name: 'secret' }).execute()
      const failure = await failureOf(db.insertInto('users').values({ name: 'secret' }).execute())
      expect(failure).toBeInstanceOf(SqliteError)
      expect(failure).toMatchObject({ constraint: 'users.name', errno: 2067, sql: 'insert into "users" ("name") values (?)' })
      expect(failure.message).not.toContain('secret')
    })

    it('names the file of the caller in its stack', async () => {
      const { db } = await openTables(line)
      const callerOutside = async (): Promise<void> => {
        await db.selectFrom('nothing' as never).selectAll().executeTakeFirstOrThrow()
      }
      const { stack } = await failureOf(callerOutside())
      expect(stack).toContain('SqliteError: no such table: nothing')
      expect(stack).toMatch(/callerOutside.*suite[/\\]errors\.ts/)
    })

    it('names the file of the caller in its stack, in a transaction too', async () => {
      const { db } = await openTables(line)
      const callerInside = (): Promise<unknown> =>
        db.transaction().execute(async function inTransaction(trx) {
          await trx.selectFrom('nothing' as never).selectAll().executeTakeFirstOrThrow()
        })
      const { stack } = await failureOf(callerInside())
      expect(stack).toMatch(/inTransaction.*suite[/\\]errors\.ts/)
    })

    it('disturbs no other: of 60 at once, those that are right succeed', async () => {
      const { db } = await openTables(line)
      const outcomes = await Promise.allSettled(
        Array.from({ length: 60 }, (_, n) => db.insertInto('users').values({ name: `user ${n % 40}` }).execute()),
      )
      const failed = outcomes.filter((one) => one.status === 'rejected')
      expect(failed).toHaveLength(20)
      expect(failed.every((one) => (one.reason as SluiceError).code === 'SQLITE_CONSTRAINT_UNIQUE')).toBe(true)
    })

    it('in executeTakeFirstOrThrow without a row is the error of Kysely', async () => {
      const { db } = await openTables(line)
      await expect(db.selectFrom('users').selectAll().executeTakeFirstOrThrow()).rejects.toBeInstanceOf(line.kysely.NoResultError)
    })
  })
}
