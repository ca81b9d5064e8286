import { sql } from 'drizzle-orm'
import { DrizzleError, DrizzleQueryError } from 'drizzle-orm/errors'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from 'sluice'
import type { OpenOptions } from 'sluice'
import { drizzle } from 'sluice/drizzle-v1'
import type { SluiceDatabase } from 'sluice/drizzle-v1'
import { migrate } from 'sluice/drizzle-v1/migrator'
import { scratchFolder, scratchPath } from '../support/scratch.js'
import { causeOf, pathOf, PLACES, rejectionOf } from '../support/drizzle.js'
import type { Place } from '../support/drizzle.js'

const FIRST = [
  'CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);',
  'CREATE TABLE children (parent_id INTEGER REFERENCES parents (id) ON DELETE CASCADE);',
].join('\n--> statement-breakpoint\n')
const SECOND = "INSERT INTO parents VALUES (1, 'Ada');\n--> statement-breakpoint\nINSERT INTO children VALUES (1);\n"
/** As drizzle-kit writes it when a column gets a constraint. */
const REBUILD = [
  'PRAGMA foreign_keys=OFF;',
  'CREATE TABLE `__new_parents` (`id` integer PRIMARY KEY, `name` text NOT NULL);',
  'INSERT INTO `__new_parents`("id", "name") SELECT "id", "name" FROM `parents`;',
  'DROP TABLE `parents`;',
  'ALTER TABLE `__new_parents` RENAME TO `parents`;',
  'PRAGMA foreign_keys=ON;',
].join('--> statement-breakpoint\n')

const MIGRATIONS = { '20260101120000_first': FIRST, '20260102120000_second': SECOND }

type Migrations = Readonly<Record<string, string>>

/** Writes migrations as drizzle-kit does, and returns their folder. */
function folderOf(migrations: Migrations): string {
  const folder = scratchFolder()
  for (const [name, text] of Object.entries(migrations)) {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'migration.sql'), text)
    writeFileSync(join(folder, name, 'snapshot.json'), '{}')
  }
  return folder
}

async function openOn(path: string, options?: OpenOptions): Promise<SluiceDatabase> {
  const client = await open(path, options)
  onTestFinished(() => client.close({ timeoutMs: 0 }))
  return drizzle(client)
}

function openAt(place: Place, options?: OpenOptions): Promise<SluiceDatabase> {
  return openOn(pathOf(place), options)
}

/** Applies migrations, and leaves them noted as drizzle-orm before 1.0 does: without names. */
async function applyAsBefore(db: SluiceDatabase, migrations: Migrations): Promise<void> {
  await migrate(db, { migrations })
  for (const column of ['name', 'applied_at']) await db.run(`ALTER TABLE __drizzle_migrations DROP COLUMN ${column}`)
}

async function appliedTo(db: SluiceDatabase, table = '__drizzle_migrations'): Promise<string[]> {
  return (await db.values<[string]>(sql`SELECT name FROM ${sql.identifier(table)} ORDER BY id`)).map(([name]) => name)
}

async function tablesOf(db: SluiceDatabase): Promise<unknown[]> {
  return db.$client.pluck("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
}

describe.each(PLACES)('migrate on %s', (place) => {
  it('applies the migrations of a folder in the order of their names', async () => {
    const db = await openAt(place)
    await migrate(db, { migrationsFolder: folderOf(MIGRATIONS) })
    expect(await appliedTo(db)).toEqual(Object.keys(MIGRATIONS))
    expect(await db.all(sql`SELECT * FROM parents`)).toEqual([{ id: 1, name: 'Ada' }])
  })

  it('applies the migrations of an object', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toEqual(Object.keys(MIGRATIONS))
    expect(await db.all(sql`SELECT * FROM children`)).toEqual([{ parent_id: 1 }])
  })

  it('notes the same of a folder and of an object, so that one can follow the other', async () => {
    const [db, other] = [await openAt(place), await openAt(place)]
    await migrate(db, { migrationsFolder: folderOf(MIGRATIONS) })
    await migrate(other, { migrations: MIGRATIONS })
    const noted = sql`SELECT id, hash, created_at, name FROM __drizzle_migrations`
    expect(await db.all(noted)).toEqual(await other.all(noted))
    expect(await db.get(noted)).toEqual({
      id: 1,
      hash: createHash('sha256').update(FIRST).digest('hex'),
      created_at: Date.UTC(2026, 0, 1, 12),
      name: '20260101120000_first',
    })
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toHaveLength(2)
  })

  it('applies only what is new', async () => {
    const db = await openAt(place)
    const [[name, text]] = Object.entries(MIGRATIONS) as [[string, string]]
    await migrate(db, { migrations: { [name]: text } })
    expect(await tablesOf(db)).toContain('parents')
    expect(await db.$count(sql`parents`)).toBe(0)
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toEqual(Object.keys(MIGRATIONS))
    expect(await db.$count(sql`parents`)).toBe(1)
  })

  it('writes nothing when there is nothing to apply', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    const before = await db.$client.pragma('data_version')
    const { modeSwitches } = db.$client.status().counters
    await migrate(db, { migrations: MIGRATIONS })
    expect(db.$client.status().counters['modeSwitches']).toBe(modeSwitches)
    expect(await db.$client.pragma('data_version')).toEqual(before)
    expect(await appliedTo(db)).toHaveLength(2)
  })

  it('applies an older migration that arrives later', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    await migrate(db, { migrations: { ...MIGRATIONS, '20260101130000_between': 'CREATE TABLE between_them (x)' } })
    expect(await tablesOf(db)).toContain('between_them')
  })

  it('notes them in the table that is asked for', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS, migrationsTable: 'my "migrations"' })
    expect(await appliedTo(db, 'my "migrations"')).toHaveLength(2)
    expect(await tablesOf(db)).not.toContain('__drizzle_migrations')
  })

  it('applies nothing when one statement fails, and names it', async () => {
    const db = await openAt(place)
    const error = await rejectionOf(
      migrate(db, {
        migrations: {
          ...MIGRATIONS,
          '20260103120000_third': 'CREATE TABLE third (x);\n--> statement-breakpoint\nINSERT INTO nothing VALUES (1)',
        },
      }),
    )
    expect(error).toBeInstanceOf(DrizzleQueryError)
    expect(error).toMatchObject({ query: expect.stringContaining('INSERT INTO nothing'), cause: { code: 'SQLITE_ERROR' } })
    expect(await tablesOf(db)).toEqual([])
  })

  it('goes on after a failure, once the migration is mended', async () => {
    const db = await openAt(place)
    await rejectionOf(migrate(db, { migrations: { '20260101120000_first': 'CREATE TABLE' } }))
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toHaveLength(2)
  })

  it('takes several statements without a breakpoint, triggers, comments and nothing at all', async () => {
    const db = await openAt(place)
    const texts = {
      '20260101120000_many':
        'CREATE TABLE a (x); CREATE TABLE b (x);\n' +
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.x); INSERT INTO b VALUES (';'); END;",
      '20260102120000_comment': '-- Custom SQL migration file, put your code below! --',
      '20260103120000_empty': '',
    }
    await migrate(db, { migrations: texts })
    await db.run('INSERT INTO a VALUES (1)')
    expect(await db.values(sql`SELECT x FROM b`)).toEqual([[1], [';']])
    expect(await appliedTo(db)).toHaveLength(3)
  })

  it('rebuilds a table without losing what refers to it, as drizzle-kit writes it', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } })
    expect(await db.all(sql`SELECT * FROM children`)).toEqual([{ parent_id: 1 }])
    expect(await causeOf(db.run('INSERT INTO parents VALUES (2, NULL)'))).toBe('SQLITE_CONSTRAINT_NOTNULL')
  })

  it('enforces foreign keys again afterwards, and after a failure', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } })
    await rejectionOf(migrate(db, { migrations: { '20260104120000_bad': `${REBUILD}--> statement-breakpoint\nCREATE TABLE` } }))
    expect(await causeOf(db.run('INSERT INTO children VALUES (99)'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(await db.$client.pragma('foreign_keys')).toEqual([{ foreign_keys: 1 }])
  })

  it('enforces foreign keys in migrations that rebuild nothing', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    await migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_delete': 'DELETE FROM parents' } })
    expect(await db.$count(sql`children`)).toBe(0)
    const error = await rejectionOf(migrate(db, { migrations: { '20260104120000_orphan': 'INSERT INTO children VALUES (99)' } }))
    expect(error.cause?.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('refuses migrations that leave rows without what they refer to', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    const error = await rejectionOf(
      migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_orphans': `${REBUILD}--> statement-breakpoint\nDELETE FROM parents` } }),
    )
    expect(error).toBeInstanceOf(DrizzleError)
    expect(error.message).toBe('the migrations leave rows of "children" that refer to rows of "parents" that are not there')
    expect(await db.$count(sql`parents`)).toBe(1)
  })

  it('lets violations be that were there before', async () => {
    const db = await openAt(place, { foreignKeys: false })
    await migrate(db, { migrations: MIGRATIONS })
    await db.run('INSERT INTO children VALUES (99)')
    await db.$client.pragma('foreign_keys', true)
    await migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } })
    expect(await appliedTo(db)).toHaveLength(3)
  })

  it('refuses migrations that break one reference and mend another', async () => {
    const db = await openAt(place, { foreignKeys: false })
    await migrate(db, { migrations: MIGRATIONS })
    await db.$client.exec('CREATE TABLE pets (owner_id INTEGER REFERENCES parents (id)); INSERT INTO pets VALUES (99)')
    await db.$client.pragma('foreign_keys', true)
    const text = `${REBUILD}--> statement-breakpoint\nDELETE FROM pets; DELETE FROM parents`
    const error = await rejectionOf(migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_orphans': text } }))
    expect(error).toBeInstanceOf(DrizzleError)
    expect(error.message).toBe('the migrations leave rows of "children" that refer to rows of "parents" that are not there')
    expect([await db.$count(sql`parents`), await db.$count(sql`pets`)]).toEqual([1, 1])
  })

  it('rebuilds a table beside a foreign key that SQLite cannot check', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    await db.$client.exec('CREATE TABLE fans (parent_name TEXT REFERENCES parents (name))')
    await migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } })
    expect(await appliedTo(db)).toHaveLength(3)
  })

  it('leaves foreign keys alone in a database that does not enforce them', async () => {
    const db = await openAt(place, { foreignKeys: false })
    await migrate(db, {
      migrations: { ...MIGRATIONS, '20260103120000_orphans': `${REBUILD}--> statement-breakpoint\nDELETE FROM parents` },
    })
    expect(await db.$client.pragma('foreign_keys')).toEqual([{ foreign_keys: 0 }])
    expect(await db.all(sql`SELECT * FROM children`)).toEqual([{ parent_id: 1 }])
  })

  it('lets no other write of the process escape its foreign keys meanwhile', async () => {
    const db = await openAt(place)
    await migrate(db, { migrations: MIGRATIONS })
    const over = new AbortController()
    const migrated = migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } }).finally(() => over.abort())
    const orphans: Promise<string>[] = []
    while (!over.signal.aborted) {
      orphans.push(rejectionOf(db.run('INSERT INTO children VALUES (99)')).then(({ cause }) => cause?.code ?? ''))
      await new Promise(setImmediate)
    }
    await migrated
    expect(orphans.length).toBeGreaterThan(1)
    expect([...new Set(await Promise.all(orphans))]).toEqual(['SQLITE_CONSTRAINT_FOREIGNKEY'])
    expect(await db.all(sql`SELECT * FROM children`)).toEqual([{ parent_id: 1 }])
  })

  it('applies each migration once when it is called ten times at once', async () => {
    const db = await openAt(place)
    await Promise.all(Array.from({ length: 10 }, () => migrate(db, { migrations: MIGRATIONS })))
    expect(await appliedTo(db)).toEqual(Object.keys(MIGRATIONS))
    expect(await db.$client.pragma('foreign_keys')).toEqual([{ foreign_keys: 1 }])
  })

  it('takes over what drizzle-orm before 1.0 has noted', async () => {
    const db = await openAt(place)
    await applyAsBefore(db, { '20260101120000_first': FIRST })
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toEqual(Object.keys(MIGRATIONS))
    expect(await db.$count(sql`parents`)).toBe(1)
  })

  it('takes over what drizzle-orm before 1.0 has noted when there is nothing to apply', async () => {
    const db = await openAt(place)
    await applyAsBefore(db, MIGRATIONS)
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toEqual(Object.keys(MIGRATIONS))
  })

  it('enforces foreign keys where drizzle-orm before 1.0 has applied what rebuilds a table', async () => {
    const db = await openAt(place)
    const old = { ...MIGRATIONS, '20260103120000_rebuild': REBUILD }
    await applyAsBefore(db, old)
    const orphan = migrate(db, { migrations: { ...old, '20260104120000_orphan': 'INSERT INTO children VALUES (99)' } })
    expect(await causeOf(orphan)).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    await migrate(db, { migrations: { ...old, '20260104120000_delete': 'DELETE FROM parents' } })
    expect(await db.$count(sql`children`)).toBe(0)
  })

  it('rebuilds a table without losing what refers to it after drizzle-orm before 1.0', async () => {
    const db = await openAt(place)
    await applyAsBefore(db, MIGRATIONS)
    await migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } })
    expect(await db.all(sql`SELECT * FROM children`)).toEqual([{ parent_id: 1 }])
    expect(await appliedTo(db)).toHaveLength(3)
  })

  it('leaves what drizzle-orm before 1.0 has noted as it is when a migration fails', async () => {
    const db = await openAt(place)
    await applyAsBefore(db, MIGRATIONS)
    await rejectionOf(migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_bad': 'CREATE TABLE' } }))
    expect(await db.$client.pluck("SELECT name FROM pragma_table_info('__drizzle_migrations')")).toEqual(['id', 'hash', 'created_at'])
  })

  it('refuses a folder that drizzle-kit before 1.0 has written', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'meta'))
    writeFileSync(join(folder, 'meta', '_journal.json'), '{}')
    const db = await openAt(place)
    expect((await rejectionOf(migrate(db, { migrationsFolder: folder }))).message).toMatch(/drizzle-kit up/)
  })

  it('rejects when there is no such folder', async () => {
    const db = await openAt(place)
    expect((await rejectionOf(migrate(db, { migrationsFolder: join(scratchFolder(), 'missing') }))).code).toBe('ENOENT')
  })

  it('is rejected in a transaction, which it would wait for', async () => {
    const db = await openAt(place)
    const inside = await db.transaction(async () => rejectionOf(migrate(db, { migrations: MIGRATIONS })))
    expect(inside.code ?? inside.cause?.code).toBe('ERR_SLUICE_REENTRANT')
  })
})

describe('migrate on one file', () => {
  it('applies each migration once when several open databases call it at once', async () => {
    const path = scratchPath()
    const databases = await Promise.all(Array.from({ length: 4 }, () => openOn(path)))
    await Promise.all(databases.map((db) => migrate(db, { migrations: { ...MIGRATIONS, '20260103120000_rebuild': REBUILD } })))
    expect(await appliedTo(databases[0]!)).toHaveLength(3)
    expect(await databases[0]!.all(sql`SELECT * FROM children`)).toEqual([{ parent_id: 1 }])
  })

  it('opens a path that drizzle was given', async () => {
    const path = scratchPath()
    const db = drizzle(path)
    onTestFinished(() => db.$client.close())
    await migrate(db, { migrations: MIGRATIONS })
    expect(await appliedTo(db)).toHaveLength(2)
  })
})
