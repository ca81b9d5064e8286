import { createHash } from 'node:crypto'
import { DrizzleError, DrizzleQueryError, sql } from 'drizzle-orm'
import type { TablesRelationalConfig } from 'drizzle-orm'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { SQLiteAsyncDialect } from 'drizzle-orm/sqlite-core'
import type { SQLiteSession } from 'drizzle-orm/sqlite-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import type { SluiceDatabase } from 'sluice/drizzle'
import { migrate } from 'sluice/drizzle/migrator'
import { scratchFolder } from '../support/scratch.js'
import { PLACES, pathOf, rejectionOf } from '../support/drizzle.js'
import type { Place } from '../support/drizzle.js'
import { bundle, writeFolder } from './migration-sources.js'

const CREATE = `CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);
--> statement-breakpoint
CREATE TABLE children (parent REFERENCES parents ON DELETE CASCADE);`
const FILL = `INSERT INTO parents VALUES (1, 'a'), (2, 'b');\n--> statement-breakpoint\nINSERT INTO children VALUES (1), (1), (2);`
/** As drizzle-kit rebuilds a table. */
const REBUILD = `PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE __new_parents (id INTEGER PRIMARY KEY, name TEXT NOT NULL);--> statement-breakpoint
INSERT INTO __new_parents SELECT id, name FROM parents;--> statement-breakpoint
DROP TABLE parents;--> statement-breakpoint
ALTER TABLE __new_parents RENAME TO parents;--> statement-breakpoint
PRAGMA foreign_keys=ON;`
const BREAKING = `PRAGMA foreign_keys=OFF;--> statement-breakpoint
DELETE FROM parents WHERE id = 2;--> statement-breakpoint
PRAGMA foreign_keys=ON;`

async function openBare(place: Place, foreignKeys = true): Promise<SluiceDatabase> {
  const client = await open(pathOf(place), { foreignKeys })
  onTestFinished(() => client.close({ timeoutMs: 0 }))
  return drizzle(client)
}

describe.each(PLACES)('the migrator of drizzle on %s', (place) => {
  it('applies the migrations of a folder, in order', async () => {
    const db = await openBare(place)
    await migrate(db, { migrationsFolder: writeFolder([CREATE, FILL]) })
    expect(await db.values('SELECT id, name FROM parents')).toEqual([[1, 'a'], [2, 'b']])
  })

  it('applies migrations that the application has bundled', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE, FILL]))
    expect(await db.values('SELECT count(*) FROM children')).toEqual([[3]])
  })

  it('applies each migration once', async () => {
    const db = await openBare(place)
    for (let round = 0; round < 3; round++) await migrate(db, bundle([CREATE, FILL]))
    expect(await db.values('SELECT count(*) FROM children')).toEqual([[3]])
  })

  it('applies later what is added later', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE]))
    await migrate(db, bundle([CREATE, FILL]))
    expect(await db.values('SELECT count(*) FROM __drizzle_migrations')).toEqual([[2]])
  })

  it('records what it applied as the other drivers of drizzle do', async () => {
    const db = await openBare(place)
    await migrate(db, { migrationsFolder: writeFolder([CREATE]) })
    const hash = createHash('sha256').update(CREATE).digest('hex')
    expect(await db.all(sql`SELECT * FROM __drizzle_migrations`)).toEqual([{ id: null, hash, created_at: 1_000 }])
  })

  it('records the same for a folder and a bundle', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE]))
    await migrate(db, { migrationsFolder: writeFolder([CREATE, FILL]) })
    expect(await db.values('SELECT count(*) FROM __drizzle_migrations')).toEqual([[2]])
  })

  it('goes on where another driver of drizzle has left off', async () => {
    const db = await openBare(place)
    const session = (db as unknown as { session: SQLiteSession<'async', unknown, Record<string, unknown>, TablesRelationalConfig> }).session
    await new SQLiteAsyncDialect().migrate(readMigrationFiles({ migrationsFolder: writeFolder([CREATE]) }), session)
    await migrate(db, bundle([CREATE, FILL]))
    expect(await db.values('SELECT created_at FROM __drizzle_migrations')).toEqual([[1_000], [2_000]])
  })

  it('leaves out what is older than the youngest that was applied', async () => {
    const db = await openBare(place)
    const { journal, migrations } = bundle([CREATE, FILL])
    await migrate(db, { journal: { entries: [{ ...journal.entries[0]!, when: 5_000 }] }, migrations })
    await migrate(db, { journal, migrations })
    expect(await db.values('SELECT count(*) FROM parents')).toEqual([[0]])
  })

  it('keeps its records in a table of another name', async () => {
    const db = await openBare(place)
    await migrate(db, { ...bundle([CREATE]), migrationsTable: 'my "own" steps' })
    await migrate(db, { ...bundle([CREATE]), migrationsTable: 'my "own" steps' })
    expect(await db.values('SELECT count(*) FROM "my ""own"" steps"')).toEqual([[1]])
    expect(await db.get(`SELECT name FROM sqlite_schema WHERE name = '__drizzle_migrations'`)).toBeUndefined()
  })

  it('makes its table when there are no migrations yet', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([]))
    expect(await db.values('SELECT count(*) FROM __drizzle_migrations')).toEqual([[0]])
  })

  it('undoes all pending migrations when a statement fails, and names that', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE]))
    const rejection = await rejectionOf(migrate(db, bundle([CREATE, FILL, 'INSERT INTO nothing VALUES (1)'])))
    expect(rejection).toBeInstanceOf(DrizzleQueryError)
    expect(rejection.query).toBe('INSERT INTO nothing VALUES (1)')
    expect(rejection.cause?.code).toBe('SQLITE_ERROR')
    expect(await db.values('SELECT (SELECT count(*) FROM parents), (SELECT count(*) FROM __drizzle_migrations)')).toEqual([[0, 1]])
  })

  it('takes several statements without breakpoints, comments and blanks', async () => {
    const db = await openBare(place)
    await migrate(db, bundle(['-- Custom SQL migration file, put your code below! --', 'CREATE TABLE a (x); CREATE TABLE b (x);\n', '']))
    expect(await db.values(`SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b')`)).toEqual([[2]])
  })

  it('rebuilds a table without losing the rows that refer to it', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE, FILL]))
    await migrate(db, bundle([CREATE, FILL, REBUILD]))
    expect(await db.values('SELECT count(*) FROM children')).toEqual([[3]])
    expect((await rejectionOf(db.run(`INSERT INTO parents VALUES (3, NULL)`))).cause?.code).toBe('SQLITE_CONSTRAINT_NOTNULL')
  })

  it('enforces foreign keys again afterwards, and for others meanwhile', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE, FILL]))
    const orphan = (): Promise<unknown> => db.run('INSERT INTO children VALUES (99)').execute()
    const [migrated, meanwhile] = await Promise.allSettled([migrate(db, bundle([CREATE, FILL, REBUILD])), orphan()])
    expect(migrated.status).toBe('fulfilled')
    expect(meanwhile).toMatchObject({ reason: { cause: { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' } } })
    expect((await rejectionOf(orphan())).cause?.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('refuses a rebuilding that breaks references', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE, FILL]))
    const rejection = await rejectionOf(migrate(db, bundle([CREATE, FILL, BREAKING])))
    expect(rejection).toBeInstanceOf(DrizzleError)
    expect(rejection.message).toBe('the statements break 1 references from children to parents')
    expect(await db.values('SELECT count(*) FROM parents')).toEqual([[2]])
  })

  it('does not mind references that were broken before', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE, FILL]))
    await db.transaction((tx) => tx.run('INSERT INTO children VALUES (77)').execute(), { foreignKeys: false })
    await migrate(db, bundle([CREATE, FILL, REBUILD]))
    expect(await db.values('SELECT count(*) FROM __drizzle_migrations')).toEqual([[3]])
  })

  it('leaves references alone where the client does not enforce them', async () => {
    const db = await openBare(place, false)
    await migrate(db, bundle([CREATE, FILL, BREAKING]))
    expect(await db.values('SELECT count(*) FROM parents')).toEqual([[1]])
    expect(await db.values('PRAGMA foreign_keys')).toEqual([[0]])
  })

  it('enforces foreign keys in a migration that does not rebuild', async () => {
    const db = await openBare(place)
    await migrate(db, bundle([CREATE, FILL, 'DELETE FROM parents WHERE id = 1']))
    expect(await db.values('SELECT count(*) FROM children')).toEqual([[1]])
    const orphan = rejectionOf(migrate(db, bundle([CREATE, FILL, '', 'INSERT INTO children VALUES (99)'])))
    expect((await orphan).cause?.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('applies each migration once when it is called several times at once', async () => {
    const db = await openBare(place)
    await Promise.all(Array.from({ length: 5 }, () => migrate(db, bundle([CREATE, FILL, REBUILD]))))
    expect(await db.values('SELECT count(*) FROM __drizzle_migrations')).toEqual([[3]])
    expect(await db.values('SELECT count(*) FROM children')).toEqual([[3]])
  })

  it('is rejected in the callback of a transaction, which it would wait for', async () => {
    const db = await openBare(place)
    await db.transaction(async () => {
      expect((await rejectionOf(migrate(db, bundle([CREATE])))).code).toBe('ERR_SLUICE_REENTRANT')
    })
  })

  it('says which file or text is missing', async () => {
    const db = await openBare(place)
    expect((await rejectionOf(migrate(db, { migrationsFolder: scratchFolder() }))).message).toContain('_journal.json')
    const { journal } = bundle([CREATE])
    expect((await rejectionOf(migrate(db, { journal, migrations: {} }))).message).toBe('Missing migration: 0000_step')
  })
})
