import type { Kysely } from 'kysely'
import type { Migration, MigrationResultSet } from 'kysely/migration'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from '../../../index.js'
import { kyselyOn } from './line.js'
import type { Line } from './line.js'
import { codeOf } from '../../support/failure.js'
import { openScratch, scratchPath } from '../../support/scratch.js'

type Anything = Record<string, Record<string, unknown>>

const TWO: Record<string, Migration> = {
  '1_towns': {
    up: async (db) => {
      await db.schema.createTable('towns').addColumn('id', 'integer', (c) => c.primaryKey()).addColumn('name', 'text').execute()
    },
    down: async (db) => {
      await db.schema.dropTable('towns').execute()
    },
  },
  '2_size': {
    up: async (db) => {
      await db.schema.alterTable('towns').addColumn('size', 'integer').execute()
      await db.insertInto('towns').values({ name: 'Ulm', size: 3 }).execute()
    },
    down: async (db) => {
      await db.schema.alterTable('towns').dropColumn('size').execute()
    },
  },
}

/** Kysely's Migrator. */
export function describeMigrations(line: Line): void {
  const { sql } = line.kysely

  const migratorOf = (
    db: Kysely<Anything>,
    migrations: Record<string, Migration> = TWO,
  ): InstanceType<typeof line.migration.Migrator> =>
    new line.migration.Migrator({ db, provider: { getMigrations: async () => migrations } })

  const statuses = ({ results }: MigrationResultSet): string[] =>
    (results ?? []).map(({ migrationName, status }) => `${migrationName}: ${status}`)

  describe('migrations', () => {
    it('are applied once, in order', async () => {
      const db = kyselyOn<Anything>(line, await openScratch())
      const first = await migratorOf(db).migrateToLatest()
      expect(first.error).toBeUndefined()
      expect(statuses(first)).toEqual(['1_towns: Success', '2_size: Success'])
      expect(statuses(await migratorOf(db).migrateToLatest())).toEqual([])
      expect(await db.selectFrom('towns').selectAll().execute()).toEqual([{ id: 1, name: 'Ulm', size: 3 }])
    })

    it('go up and down', async () => {
      const db = kyselyOn<Anything>(line, await openScratch())
      const migrator = migratorOf(db)
      expect(statuses(await migrator.migrateUp())).toEqual(['1_towns: Success'])
      expect(statuses(await migrator.migrateUp())).toEqual(['2_size: Success'])
      expect(statuses(await migrator.migrateTo(line.migration.NO_MIGRATIONS))).toEqual(['2_size: Success', '1_towns: Success'])
      expect(await db.introspection.getTables()).toEqual([])
    })

    it('leave nothing behind when one of them fails', async () => {
      const db = kyselyOn<Anything>(line, await openScratch())
      const broken: Migration = {
        up: async (trx) => {
          await trx.schema.createTable('rivers').addColumn('x', 'text').execute()
          await sql`INSERT INTO missing VALUES (1)`.execute(trx)
        },
      }
      const outcome = await migratorOf(db, { ...TWO, '3_broken': broken }).migrateToLatest()
      expect(outcome.error).toMatchObject({ code: 'SQLITE_ERROR', message: 'no such table: missing' })
      expect(statuses(outcome)).toEqual(['1_towns: Success', '2_size: Success', '3_broken: Error'])
      expect(await db.introspection.getTables()).toEqual([])
      expect((await migratorOf(db).getMigrations()).map(({ executedAt }) => executedAt)).toEqual([undefined, undefined])
    })

    it('of several migrators at once are applied by one of them', async () => {
      const db = kyselyOn<Anything>(line, await openScratch())
      const outcomes = await Promise.all(Array.from({ length: 8 }, () => migratorOf(db).migrateToLatest()))
      expect(outcomes.flatMap(({ error }) => error ?? [])).toEqual([])
      expect(outcomes.map((one) => statuses(one).length).sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 2])
      expect(await db.selectFrom('towns').selectAll().execute()).toHaveLength(1)
    })

    it('of several databases on one file at once are applied by one of them', async () => {
      const path = scratchPath()
      const outcomes = await Promise.all(Array.from({ length: 4 }, async () => {
        const database = await open(path)
        onTestFinished(() => database.close())
        return migratorOf(kyselyOn<Anything>(line, database)).migrateToLatest()
      }))
      expect(outcomes.flatMap(({ error }) => error ?? [])).toEqual([])
      expect(outcomes.map((one) => statuses(one).length).sort()).toEqual([0, 0, 0, 2])
    })

    it('may postpone foreign keys to the commit', async () => {
      const database = await openScratch()
      const db = kyselyOn<Anything>(line, database)
      await database.exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a)')
      const reversed: Migration = {
        up: async (trx) => {
          await sql`PRAGMA defer_foreign_keys = ON`.execute(trx)
          await sql`INSERT INTO b VALUES (1)`.execute(trx)
          await sql`INSERT INTO a VALUES (1)`.execute(trx)
        },
      }
      expect(statuses(await migratorOf(db, { '1': reversed }).migrateToLatest())).toEqual(['1: Success'])
    })

    it('rebuild a table that others refer to on a database opened without foreign keys', async () => {
      const path = scratchPath()
      const database = await open(path)
      await database.exec(`CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a);
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`)
      const rebuild: Migration = {
        up: async (trx) => {
          await sql`CREATE TABLE new_a (id INTEGER PRIMARY KEY, name TEXT)`.execute(trx)
          await sql`INSERT INTO new_a (id) SELECT id FROM a`.execute(trx)
          await sql`DROP TABLE a`.execute(trx)
          await sql`ALTER TABLE new_a RENAME TO a`.execute(trx)
          const { rows } = await sql`PRAGMA foreign_key_check`.execute(trx)
          expect(rows).toEqual([])
        },
      }
      const enforcing = await migratorOf(kyselyOn<Anything>(line, database), { '1': rebuild }).migrateToLatest()
      expect(enforcing.error).toMatchObject({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
      await database.close()
      const lenient = await open(path, { foreignKeys: false })
      const outcome = await migratorOf(kyselyOn<Anything>(line, lenient), { '1': rebuild }).migrateToLatest()
      expect(outcome.error).toBeUndefined()
      await lenient.close()
      const again = await open(path)
      expect(await again.all('SELECT * FROM a')).toEqual([{ id: 1, name: null }])
      expect(await codeOf(again.run('INSERT INTO b VALUES (7)'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    })

    it('that cannot run in a transaction may do without', async () => {
      const db = kyselyOn<Anything>(line, await openScratch())
      const vacuum: Migration = { up: async (any) => void (await sql`VACUUM`.execute(any)) }
      const provider = { getMigrations: async () => ({ '1_vacuum': vacuum }) }
      const within = await new line.migration.Migrator({ db, provider }).migrateToLatest()
      expect(within.error).toMatchObject({ message: 'cannot VACUUM from within a transaction' })
      const without = await new line.migration.Migrator({ db, provider, disableTransactions: true }).migrateToLatest()
      expect(statuses(without)).toEqual(['1_vacuum: Success'])
    })
  })
}
