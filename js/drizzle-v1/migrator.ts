import { createHash } from 'node:crypto'
import { is } from 'drizzle-orm/entity'
import { DrizzleError, TransactionRollbackError } from 'drizzle-orm/errors'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type { MigrationConfig, MigrationMeta } from 'drizzle-orm/migrator'
import { formatToMillis, getMigrationsToRun } from 'drizzle-orm/migrator.utils'
import type { AnyRelations } from 'drizzle-orm/relations'
import { sql } from 'drizzle-orm/sql'
import { upgradeAsyncIfNeeded } from 'drizzle-orm/up-migrations/sqlite'

import type { SluiceDatabase } from './driver.js'
import type { SluiceSession, SluiceTransaction } from './session.js'

/** Migrations in a folder, as drizzle-kit 1.0 writes it: a folder for each, with its `migration.sql`. */
export type MigrationsFolder = Pick<MigrationConfig, 'migrationsFolder'> & MigrationsTable

/** Migrations in an object, for an application that is one file: what drizzle-kit writes to `migrations.js`, from names to texts. */
export interface BundledMigrations extends MigrationsTable {
  /** The text of each migration, by its name, which begins with its time: `'20260131120000_first'`. */
  readonly migrations: Readonly<Record<string, string>>
}

interface MigrationsTable {
  /**
   * The table in which drizzle notes what was applied.
   * @defaultValue '__drizzle_migrations'
   */
  readonly migrationsTable?: string
}

/** A row of the table of migrations, as drizzle compares it with those of the application. */
type AppliedMigration = Parameters<typeof getMigrationsToRun>[0]['dbMigrations'][number]

/** What separates statements, so that other drivers can run them one by one. */
const BREAKPOINT = '--> statement-breakpoint'

/** What drizzle-kit writes around the rebuilding of a table. In a transaction it has no effect: {@link migrate} does what it asks for. */
const FOREIGN_KEY_PRAGMAS = new Set(['PRAGMA foreign_keys=OFF;', 'PRAGMA foreign_keys=ON;'])

/**
 * Applies the migrations that have not been applied, in the order of their names, in one transaction: all of them or none. Several
 * processes may do so at once; each migration is applied once. When there is nothing to apply, nothing is written.
 *
 * Where a migration rebuilds a table, which drizzle-kit marks with `PRAGMA foreign_keys=OFF;`, foreign keys are not enforced in the
 * transaction, since to drop the old table would delete what refers to it. They are checked before the commit instead, unless the database
 * does not enforce them at all.
 *
 * @param db - what `drizzle` returned; not a transaction
 * @param config - where the migrations are
 * @throws `DrizzleQueryError` with the statement at fault and, as `cause`, the error of the driver
 * @throws `DrizzleError` when more foreign keys are violated than before
 * @throws errors of the driver: `SQLITE_BUSY` when another process kept the file locked; `ERR_SLUICE_REENTRANT` in a transaction
 * @throws `Error` for a folder that is missing, or was written by drizzle-kit before 1.0
 *
 * Nothing is changed then, whatever it is.
 *
 * @example
 * ```ts
 * import { drizzle } from 'sluice/drizzle-v1'
 * import { migrate } from 'sluice/drizzle-v1/migrator'
 *
 * const db = drizzle('app.db')
 * await migrate(db, { migrationsFolder: 'drizzle' })
 * ```
 */
export async function migrate<TRelations extends AnyRelations>(
  db: SluiceDatabase<TRelations>,
  config: MigrationsFolder | BundledMigrations,
): Promise<void> {
  const table = config.migrationsTable ?? '__drizzle_migrations'
  const migrations = 'migrations' in config ? bundled(config.migrations) : readMigrationFiles(config)
  const pending = await pendingOf(db, table, migrations)
  if (pending.length === 0) return
  const rebuilds = pending.some(({ sql: statements }) => statements.some(setsForeignKeys))
  const isChecked = rebuilds && (await enforcesForeignKeys(db))
  await db.transaction(
    async (tx) => {
      const before = isChecked ? await brokenReferences(tx) : undefined
      await apply(tx, table, migrations)
      if (before !== undefined) expectNoMore(before, await brokenReferences(tx))
    },
    rebuilds ? { foreignKeys: false } : {},
  )
}

/** Lists what is not noted as applied, without locking anything unless drizzle-orm before 1.0 has noted it. */
async function pendingOf<TRelations extends AnyRelations>(
  db: SluiceDatabase<TRelations>,
  table: string,
  migrations: MigrationMeta[],
): Promise<MigrationMeta[]> {
  const columns = await db.all<{ name: string }>(sql`SELECT name FROM pragma_table_info(${table})`)
  if (columns.length === 0) return migrations
  return columns.some(({ name }) => name === 'name') ? notNoted(db, table, migrations) : pendingOfOld(db, table, migrations)
}

/**
 * Lists what is not noted in a table of drizzle-orm before 1.0, which has no names: takes it over to see. That is undone when there is
 * something to apply, whose own transaction does it again: it may fail, and is to change nothing then.
 */
async function pendingOfOld<TRelations extends AnyRelations>(
  db: SluiceDatabase<TRelations>,
  table: string,
  migrations: MigrationMeta[],
): Promise<MigrationMeta[]> {
  let pending: MigrationMeta[] = []
  const takenOver = db.transaction(async (tx) => {
    await takeOver(tx, table, migrations)
    pending = await notNoted(tx, table, migrations)
    if (pending.length > 0) tx.rollback()
  })
  await takenOver.catch(unlessRolledBack)
  return pending
}

function unlessRolledBack(error: unknown): void {
  if (!is(error, TransactionRollbackError)) throw error
}

function setsForeignKeys(statement: string): boolean {
  return FOREIGN_KEY_PRAGMAS.has(statement.trim())
}

async function enforcesForeignKeys<TRelations extends AnyRelations>(db: SluiceDatabase<TRelations>): Promise<boolean> {
  const [[value] = []] = await db.values<[number | bigint]>(sql`PRAGMA foreign_keys`)
  return Number(value) === 1
}

/** How many references are broken, by what there is to say of them. */
type BrokenReferences = ReadonlyMap<string, number>

/** Counts broken references by their tables; `undefined` where SQLite cannot tell, because a key points to what is not unique. */
async function brokenReferences<TRelations extends AnyRelations>(tx: SluiceTransaction<TRelations>): Promise<BrokenReferences | undefined> {
  const counts = sql`SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2`
  const rows = await tx.values<[string, string, number | bigint]>(counts).catch(unlessMismatched)
  return rows && new Map(rows.map(([table, parent, count]) => [`rows of "${table}" that refer to rows of "${parent}"`, Number(count)]))
}

/** Takes the refusal to check references at all; what else is wrong must not be taken for it. */
function unlessMismatched(error: unknown): undefined {
  const { cause } = error as Error
  if (cause instanceof Error && cause.message.startsWith('foreign key mismatch')) return
  throw error
}

function expectNoMore(before: BrokenReferences, after: BrokenReferences | undefined): void {
  for (const [references, count] of after ?? []) {
    if (count <= (before.get(references) ?? 0)) continue
    throw new DrizzleError({ message: `the migrations leave ${references} that are not there` })
  }
}

/** Applies what has not been applied, as seen in the transaction: another process may have been faster. */
async function apply<TRelations extends AnyRelations>(
  tx: SluiceTransaction<TRelations>,
  table: string,
  migrations: MigrationMeta[],
): Promise<void> {
  if (!(await takeOver(tx, table, migrations))) {
    const columns = sql.raw('id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric, name text, applied_at TEXT')
    await tx.run(sql`CREATE TABLE ${sql.identifier(table)} (${columns})`)
  }
  for (const migration of await notNoted(tx, table, migrations)) await applyOne(tx, table, migration)
}

/** Gives a table of drizzle-orm before 1.0 the names of what it notes; tells whether there is a table at all. */
async function takeOver<TRelations extends AnyRelations>(
  tx: SluiceTransaction<TRelations>,
  table: string,
  migrations: MigrationMeta[],
): Promise<boolean> {
  const { newDb } = await upgradeAsyncIfNeeded(table, tx as unknown as SluiceTransaction<AnyRelations>, migrations)
  return !newDb
}

async function applyOne<TRelations extends AnyRelations>(
  tx: SluiceTransaction<TRelations>,
  table: string,
  migration: MigrationMeta,
): Promise<void> {
  const session = tx._.session as SluiceSession<TRelations>
  for (const statement of migration.sql) {
    if (!setsForeignKeys(statement)) await session.script(statement)
  }
  const { hash, folderMillis, name } = migration
  const now = new Date().toISOString()
  await tx.run(
    sql`INSERT INTO ${sql.identifier(table)} (hash, created_at, name, applied_at) VALUES (${hash}, ${folderMillis}, ${name}, ${now})`,
  )
}

/** Lists what is not noted as applied in a table that has names. */
async function notNoted(db: Pick<SluiceDatabase, 'all'>, table: string, migrations: MigrationMeta[]): Promise<MigrationMeta[]> {
  const noted = sql`SELECT id, hash, created_at, name FROM ${sql.identifier(table)}`
  return getMigrationsToRun({ localMigrations: migrations, dbMigrations: await db.all<AppliedMigration>(noted) })
}

/** Makes of texts what drizzle makes of a folder. */
function bundled(migrations: Readonly<Record<string, string>>): MigrationMeta[] {
  return Object.keys(migrations)
    .sort()
    .map((name) => {
      const text = migrations[name]!
      const hash = createHash('sha256').update(text).digest('hex')
      return { sql: text.split(BREAKPOINT), bps: true, folderMillis: formatToMillis(name.slice(0, 14)), hash, name }
    })
}
