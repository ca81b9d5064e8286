import { DrizzleQueryError } from 'drizzle-orm'
import type { Database, SqlValue, Transaction } from 'sluice'

import type { SluiceDatabase } from './database.js'
import { switchesForeignKeys, wantForeignKeysOff, withoutForeignKeys } from './foreign-keys.js'
import { readMigrations } from './migrations.js'
import type { BundledMigrations, Migration, MigrationsFolder } from './migrations.js'

export type { BundledMigrations, JournalEntry, MigrationsFolder } from './migrations.js'

/** What {@link migrate} is to apply, and where it keeps what it has applied. */
export type MigratorConfig = (MigrationsFolder | BundledMigrations) & {
  /**
   * The table of what was applied, in the form that every SQLite driver of drizzle gives it.
   * @defaultValue '__drizzle_migrations'
   */
  readonly migrationsTable?: string | undefined
}

/**
 * Applies the migrations that drizzle-kit has generated and the database does not have yet, in one transaction: all of them or none. When
 * there are none, it only reads.
 *
 * Of several processes that start at once, one applies a migration, and the others wait for it, for `busyTimeoutMs` at most.
 *
 * Where a migration rebuilds a table, as drizzle-kit does with `PRAGMA foreign_keys=OFF;` around it, foreign keys are not enforced in the
 * transaction, and are checked at its end.
 *
 * @param db - what `drizzle` of `sluice/drizzle` returned
 * @throws `DrizzleQueryError` with the statement at fault, and the error of `sluice` as its `cause`; nothing is applied then
 * @throws `DrizzleError` when a migration that rebuilds a table breaks references; nothing is applied then
 * @throws `Error` when a file or the journal is missing
 * @throws the errors of `sluice` as they are for what is no statement of a migration: `SQLITE_BUSY` when another process kept the file
 * locked; `ERR_SLUICE_REENTRANT` in the callback of a transaction
 *
 * @example
 * ```ts
 * import { migrate } from 'sluice/drizzle/migrator'
 *
 * await migrate(db, { migrationsFolder: 'drizzle' })
 * ```
 */
export async function migrate<TSchema extends Record<string, unknown>>(
  db: SluiceDatabase<TSchema>,
  config: MigratorConfig,
): Promise<void> {
  const { client } = db.session
  const log = new AppliedLog(config.migrationsTable ?? '__drizzle_migrations')
  const migrations = readMigrations(config)
  const isKept = await log.exists(client)
  const pending = isKept ? await log.pending(client, migrations) : migrations
  if (isKept && pending.length === 0) return
  await apply(client, pending.flatMap(({ statements }) => statements), async (tx) => {
    await log.create(tx)
    // Another process may have applied some meanwhile.
    for (const migration of await log.pending(tx, pending)) {
      await runAll(tx, migration.statements)
      await log.add(tx, migration)
    }
  })
}

/**
 * Runs statements that drizzle-kit has generated in one transaction, all or nothing, with the same care for foreign keys as
 * {@link migrate}: for `pushSQLiteSchema` of `drizzle-kit/api`, whose own `apply` runs them one by one, and cannot rebuild a table.
 *
 * @param db - what `drizzle` of `sluice/drizzle` returned
 * @throws as {@link migrate}
 *
 * @example
 * ```ts
 * const { statementsToExecute } = await pushSQLiteSchema(schema, db)
 * await applyStatements(db, statementsToExecute)
 * ```
 */
export async function applyStatements<TSchema extends Record<string, unknown>>(
  db: SluiceDatabase<TSchema>,
  statements: readonly string[],
): Promise<void> {
  await apply(db.session.client, statements, (tx) => runAll(tx, statements))
}

/** Runs `work` in a transaction that is fit for its statements. */
function apply(client: Database, statements: readonly string[], work: (tx: Transaction) => Promise<void>): Promise<void> {
  return wantForeignKeysOff(statements) ? withoutForeignKeys(client, work) : client.transaction(work)
}

async function runAll(tx: Transaction, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    if (switchesForeignKeys(statement)) continue
    // Between two breakpoints there may be several statements, or a comment alone.
    await tx.exec(statement).catch((error: unknown) => {
      throw new DrizzleQueryError(statement, [], error as Error)
    })
  }
}

/** The table of the migrations that were applied. */
class AppliedLog {
  readonly #name: string
  readonly #quoted: string

  constructor(name: string) {
    this.#name = name
    this.#quoted = `"${name.replaceAll('"', '""')}"`
  }

  async exists(reader: Pick<Database, 'get'>): Promise<boolean> {
    const table = await reader.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", [this.#name])
    return table !== undefined
  }

  /** Creates it, if need be, as every driver of drizzle does: `id` stays NULL. */
  async create(tx: Transaction): Promise<void> {
    await tx.run(`CREATE TABLE IF NOT EXISTS ${this.#quoted} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)`)
  }

  /** Picks the migrations that are younger than the youngest one that was applied: drizzle's own rule. */
  async pending(reader: Pick<Database, 'pluck'>, migrations: readonly Migration[]): Promise<readonly Migration[]> {
    const [last] = await reader.pluck<SqlValue>(`SELECT created_at FROM ${this.#quoted} ORDER BY created_at DESC LIMIT 1`)
    return last === undefined ? migrations : migrations.filter(({ when }) => Number(last) < when)
  }

  async add(tx: Transaction, { hash, when }: Migration): Promise<void> {
    await tx.run(`INSERT INTO ${this.#quoted} (hash, created_at) VALUES (?, ?)`, [hash, when])
  }
}
