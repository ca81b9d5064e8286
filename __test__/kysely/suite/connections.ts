import { describe, expect, it, onTestFinished } from 'vitest'

import { connect, open } from 'sluice'
import { collectWarnings, namesOf, openTables } from './line.js'
import type { Line, Tables } from './line.js'
import { codeOf, failureOf } from '../../support/failure.js'
import { openForTest, scratchPath } from '../../support/scratch.js'

/** Connections that last for a callback; and how a database is opened and closed. */
export function describeConnections(line: Line): void {
  const { sql, Kysely } = line.kysely
  const { SluiceDialect } = line.dialect

  describe('a connection', () => {
    it('runs queries one after another, and returns what its callback returned', async () => {
      const { db } = await openTables(line)
      const names = await db.connection().execute(async (connection) => {
        await connection.insertInto('users').values({ name: 'Ada' }).execute()
        return namesOf(connection)
      })
      expect(names).toEqual(['Ada'])
    })

    it('takes a transaction as text, which is its own', async () => {
      const { db, database } = await openTables(line)
      await db.connection().execute(async (connection) => {
        await sql`BEGIN`.execute(connection)
        await connection.insertInto('users').values({ name: 'Ada' }).execute()
        expect([await namesOf(db), await namesOf(connection)]).toEqual([[], ['Ada']])
        await sql`SAVEPOINT s`.execute(connection)
        await connection.insertInto('users').values({ name: 'Grace' }).execute()
        await sql`ROLLBACK TO s`.execute(connection)
        await sql`COMMIT`.execute(connection)
      })
      expect(await namesOf(db)).toEqual(['Ada'])
      expect(database.handleCount).toBe(1)
    })

    it('takes a transaction of Kysely after one as text', async () => {
      const { db } = await openTables(line)
      await db.connection().execute(async (connection) => {
        await sql`BEGIN`.execute(connection)
        await sql`ROLLBACK`.execute(connection)
        await connection.transaction().execute((trx) => trx.insertInto('users').values({ name: 'Ada' }).execute())
      })
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('refuses a transaction of Kysely within one as text, at once', async () => {
      const { db } = await openTables(line)
      collectWarnings()
      const outcome = db.connection().execute(async (connection) => {
        await sql`BEGIN`.execute(connection)
        await connection.transaction().execute(async () => {})
      })
      expect((await failureOf(outcome)).message).toBe('cannot start a transaction within a transaction')
    })

    it('rolls back what it began as text and did not end, and warns', async () => {
      const { db, database } = await openTables(line)
      const warnings = collectWarnings()
      await db.connection().execute(async (connection) => {
        await sql`BEGIN`.execute(connection)
        await connection.insertInto('users').values({ name: 'Ada' }).execute()
      })
      expect([await namesOf(db), database.handleCount]).toEqual([[], 1])
      expect(warnings).toMatchObject([{ code: 'SLUICE_TX_LEFT_OPEN', name: 'SluiceWarning' }])
    })

    it('keeps the error that led it to leave a transaction open', async () => {
      const { db } = await openTables(line)
      collectWarnings()
      const outcome = db.connection().execute(async (connection) => {
        await sql`BEGIN`.execute(connection)
        await connection.insertInto('users').values({ name: null as never }).execute()
      })
      expect(await codeOf(outcome)).toBe('SQLITE_CONSTRAINT_NOTNULL')
    })

    it('is refused a BEGIN that would be a query by itself', async () => {
      const { db, database } = await openTables(line)
      expect(await codeOf(sql`BEGIN`.execute(db))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
      expect(await codeOf(sql`COMMIT`.execute(db))).toBe('SQLITE_ERROR')
      await db.insertInto('users').values({ name: 'Ada' }).execute()
      expect([await namesOf(db), database.handleCount]).toEqual([['Ada'], 1])
    })

    it('sees temporary tables', async () => {
      const { db } = await openTables(line)
      const { rows } = await db.connection().execute(async (connection) => {
        await sql`CREATE TEMP TABLE scratch (x)`.execute(connection)
        await sql`INSERT INTO scratch VALUES (7)`.execute(connection)
        return sql`SELECT x FROM scratch`.execute(connection)
      })
      expect(rows).toEqual([{ x: 7 }])
    })

    it('streams', async () => {
      const { db } = await openTables(line)
      await db.insertInto('users').values([{ name: 'a' }, { name: 'b' }]).execute()
      const names = await db.connection().execute(async (connection) => {
        const seen: string[] = []
        for await (const { name } of connection.selectFrom('users').select('name').stream(1)) seen.push(name)
        return seen
      })
      expect(names).toEqual(['a', 'b'])
    })
  })

  describe('a dialect', () => {
    const usersOn = async (dialect: InstanceType<typeof SluiceDialect>): Promise<InstanceType<typeof Kysely<Tables>>> => {
      const db = new Kysely<Tables>({ dialect })
      onTestFinished(() => db.destroy())
      await db.schema.createTable('users').addColumn('id', 'integer', (c) => c.primaryKey()).addColumn('name', 'text').execute()
      await db.insertInto('users').values({ name: 'Ada' }).execute()
      return db
    }

    it('opens a file, with the options of open', async () => {
      const path = scratchPath()
      const db = await usersOn(new SluiceDialect({ path, integers: 'bigint' }))
      expect(await db.selectFrom('users').select('id').execute()).toEqual([{ id: 1n }])
      await db.destroy()
      const database = await open(path)
      expect(await database.pluck('SELECT name FROM users')).toEqual(['Ada'])
      await database.close()
    })

    it('opens a database in memory', async () => {
      const db = await usersOn(new SluiceDialect({ path: ':memory:' }))
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('takes a database that is still being opened', async () => {
      const db = await usersOn(new SluiceDialect({ database: connect(scratchPath()) }))
      expect(await namesOf(db)).toEqual(['Ada'])
    })

    it('takes a function, and calls it once, before the first query', async () => {
      const path = scratchPath()
      let calls = 0
      const dialect = new SluiceDialect({ database: () => (calls++, open(path)) })
      expect(calls).toBe(0)
      await usersOn(dialect)
      expect(calls).toBe(1)
    })

    it('closes what it was given', async () => {
      const database = await open(scratchPath())
      const db = await usersOn(new SluiceDialect({ database }))
      await db.destroy()
      expect(database.closed).toBe(true)
      await expect(namesOf(db)).rejects.toThrow('driver has already been destroyed')
    })

    it('leaves the database open when the file was opened once more for it', async () => {
      const database = await open(scratchPath())
      const db = await usersOn(new SluiceDialect({ database: await open(database.path) }))
      await db.destroy()
      expect([database.closed, await database.pluck('SELECT name FROM users')]).toEqual([false, ['Ada']])
      await database.close()
    })

    it('rejects the first query with what opening failed with, and tries again', async () => {
      const path = scratchPath()
      let isReady = false
      const db = new Kysely<Tables>({ dialect: new SluiceDialect({ database: () => open(path, { create: isReady }) }) })
      expect(await codeOf(namesOf(db))).toBe('SQLITE_CANTOPEN')
      isReady = true
      expect((await sql`SELECT 1 AS one`.execute(db)).rows).toEqual([{ one: 1 }])
      await db.destroy()
    })

    it('refuses an option that there is not', async () => {
      const db = new Kysely<Tables>({ dialect: new SluiceDialect({ path: scratchPath(), readOnly: true } as never) })
      const failure = await failureOf(namesOf(db))
      expect([failure.code, failure.option]).toEqual(['ERR_SLUICE_INVALID_OPTION', 'readOnly'])
    })

    it.each([undefined, null, {}, 'app.db'])('refuses what is no database: %s', async (database) => {
      const db = new Kysely<Tables>({ dialect: new SluiceDialect({ database } as never) })
      expect(await codeOf(namesOf(db))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    })

    it.each(['a handle', 'a function', 'a handle of a handle'])('refuses a private handle, on which BEGIN would be everybody\'s: %s', async (what) => {
      const shared = await openForTest(scratchPath())
      const own = what === 'a handle of a handle' ? shared.handle().handle() : shared.handle()
      const db = new Kysely<Tables>({ dialect: new SluiceDialect({ database: what === 'a function' ? () => own : own } as never) })
      const { code, message } = await failureOf(sql`BEGIN`.execute(db))
      expect([code, message]).toEqual(['ERR_SLUICE_INVALID_ARGUMENT', expect.stringContaining('open the file once more')])
      expect([own.closed, shared.status().writer.holder]).toEqual([false, null])
    })

    it('calls onCreateConnection once, before the first query', async () => {
      const texts: string[] = []
      const dialect = new SluiceDialect({
        path: scratchPath(),
        onCreateConnection: async (connection) => {
          const { rows } = await connection.executeQuery<{ x: string }>(line.kysely.CompiledQuery.raw(`SELECT 'hello' AS x`))
          texts.push(rows[0]!.x)
        },
      })
      await usersOn(dialect)
      expect(texts).toEqual(['hello'])
    })

    it('closes the file that it opened when onCreateConnection fails, and tries again', async () => {
      let attempts = 0
      const dialect = new SluiceDialect({
        path: scratchPath(),
        onCreateConnection: async () => {
          if (++attempts === 1) throw new Error('not yet')
        },
      })
      const db = new Kysely<Tables>({ dialect })
      await expect(namesOf(db)).rejects.toThrow('not yet')
      expect((await sql`SELECT 1 AS one`.execute(db)).rows).toEqual([{ one: 1 }])
      await db.destroy()
    })

    it('says what it can do', async () => {
      const { db } = await openTables(line)
      expect(db.getExecutor().adapter).toMatchObject({
        supportsCreateIfNotExists: true,
        supportsMultipleConnections: true,
        supportsReturning: true,
        supportsTransactionalDdl: true,
      })
    })
  })
}
