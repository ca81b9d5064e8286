import type { BatchItem, BatchResponse } from 'drizzle-orm/batch'
import { DefaultLogger, NoopLogger } from 'drizzle-orm/logger'
import type { Logger } from 'drizzle-orm/logger'
import type { AnyRelations, EmptyRelations } from 'drizzle-orm/relations'
import { SQLiteAsyncDatabase, SQLiteDialect } from 'drizzle-orm/sqlite-core'
import type { DrizzleSQLiteConfig } from 'drizzle-orm/sqlite-core/utils'
import { connect, Database } from 'sluice'
import type { OpenOptions, RunResult } from 'sluice'

import { sluiceCodecs } from './codecs.js'
import { nameEntity } from './entity.js'
import { SluiceSession } from './session.js'
import type { SluiceTransaction, SluiceTransactionConfig } from './session.js'

/** A file, as `open` takes it. */
export type SluicePath = string | URL

/** A file, or a file and the options with which it is opened. */
export type SluiceConnection = SluicePath | (OpenOptions & { readonly path: SluicePath })

/** What {@link drizzle} takes beside a database or what to open: `relations`, `logger`, `cache`, `codecs`, `jit`, `paramsInErrors`. */
export type SluiceDrizzleConfig<TRelations extends AnyRelations = EmptyRelations> = DrizzleSQLiteConfig<TRelations>

/** Is drizzle on a database. Made by {@link drizzle}. */
export class SluiceDatabase<TRelations extends AnyRelations = EmptyRelations> extends SQLiteAsyncDatabase<'async', RunResult, TRelations> {
  static {
    nameEntity(this, 'SluiceDatabase')
  }

  /** Holds the database of the driver: for what drizzle has no words for, and to be closed. */
  declare readonly $client: Database

  constructor(client: Database, config: SluiceDrizzleConfig<TRelations>) {
    const relations = config.relations ?? ({} as TRelations)
    const dialect = new SQLiteDialect({ codecs: config.codecs ?? sluiceCodecs, useJitMappers: config.jit === true && canCompile() })
    const { cache, paramsInErrors = false } = config
    super('async', dialect, new SluiceSession(client, dialect, relations, { logger: loggerOf(config), cache, paramsInErrors }), relations)
    this.$client = client
    if (cache !== undefined) this.$cache = { invalidate: (params) => cache.onMutate(params) }
  }

  /**
   * Runs queries as one transaction, all or nothing, in one trip to the writer, and returns the result of each. Queries with placeholders
   * cannot be part of it.
   *
   * @param batch - queries that have not been run: from the query builders, `db.query`, or `db.run`, `db.all`, `db.get` and `db.values`
   * @throws `DrizzleQueryError` with the query at fault and, as `cause`, the error of the driver. Nothing is changed then.
   *
   * @example
   * ```ts
   * const [inserted, all] = await db.batch([db.insert(users).values({ name: 'Ada' }).returning(), db.select().from(users)])
   * ```
   */
  async batch<U extends BatchItem<'sqlite'>, T extends Readonly<[U, ...U[]]>>(batch: T): Promise<BatchResponse<T>> {
    return (await sessionOf(this).batch(this.$client, batch)) as BatchResponse<T>
  }

  /**
   * Runs `callback` in a transaction, which is committed when it returns, and rolled back when it throws. Use only `tx` in it: a write
   * through `db` would wait for the transaction, and is rejected.
   *
   * A configured cache is passed by in the transaction, and learns what was changed once it is committed.
   *
   * @param config - options of the driver's `transaction`: `behavior`, `timeoutMs`, `signal`, `retry`
   * @throws what the callback throws; `TransactionRollbackError` after `tx.rollback()`; errors of the driver, such as
   * `ERR_SLUICE_TX_TIMEOUT` and `SQLITE_BUSY`, and `ERR_SLUICE_INVALID_OPTION` for a `behavior` that SQLite does not have
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   const [order] = await tx.insert(orders).values({ customer: 'Ada' }).returning()
   *   await tx.insert(items).values({ orderId: order.id, article: 'engine' })
   * })
   * ```
   */
  override transaction<T>(callback: (tx: SluiceTransaction<TRelations>) => Promise<T>, config?: SluiceTransactionConfig): Promise<T> {
    return sessionOf(this).transaction(callback, config)
  }
}

/** Is no private member of the database: what `withReplicas` makes of one inherits what it has, but not its private members. */
function sessionOf<TRelations extends AnyRelations>(db: SluiceDatabase<TRelations>): SluiceSession<TRelations> {
  return db._.session as SluiceSession<TRelations>
}

/** Is what {@link drizzle} can be called with. */
export interface Drizzle {
  <TRelations extends AnyRelations = EmptyRelations>(
    database: SluicePath | Database,
    config?: SluiceDrizzleConfig<TRelations>,
  ): SluiceDatabase<TRelations>
  <TRelations extends AnyRelations = EmptyRelations>(
    config: SluiceDrizzleConfig<TRelations> & ({ readonly connection: SluiceConnection } | { readonly client: Database }),
  ): SluiceDatabase<TRelations>

  /** Makes one without a database, for what only builds queries: `toSQL()`, types, drizzle-kit. */
  mock<TRelations extends AnyRelations = EmptyRelations>(
    config?: SluiceDrizzleConfig<TRelations>,
  ): Omit<SluiceDatabase<TRelations>, '$client'> & { $client: '$client is not available on drizzle.mock()' }
}

/** What `drizzle` takes as its only argument, once types are left aside. */
type Configuration = SluiceDrizzleConfig<AnyRelations> & { connection?: SluiceConnection; client?: Database }

/**
 * Puts drizzle-orm 1.0 on a database: on one that is open already, or on a file, which is opened without waiting. Then queries wait until
 * it is open, and each is rejected with the reason if it cannot be opened; `await db.$client.ready()` tells at once.
 *
 * Close it with `db.$client.close()`, also one that was opened here.
 *
 * @throws at once, before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { drizzle } from 'sluice/drizzle-v1'
 *
 * const db = drizzle('app.db', { relations })
 * const other = drizzle({ connection: { path: 'other.db', readonly: true } })
 * const same = drizzle({ client: await open('app.db'), relations })
 * ```
 */
export const drizzle: Drizzle = Object.assign(fromArguments, { mock }) as unknown as Drizzle

function fromArguments(
  first: SluicePath | Database | Configuration,
  config?: SluiceDrizzleConfig<AnyRelations>,
): SluiceDatabase<AnyRelations> {
  if (first instanceof Database) return new SluiceDatabase(first, config ?? {})
  if (isPath(first)) return new SluiceDatabase(connect(first), config ?? {})
  const { client, connection, ...rest } = first
  return new SluiceDatabase(client ?? connectTo(connection!), rest)
}

function mock(config: SluiceDrizzleConfig<AnyRelations> = {}): SluiceDatabase<AnyRelations> {
  return new SluiceDatabase('$client is not available on drizzle.mock()' as unknown as Database, config)
}

/** Starts to open what `connection` says. */
function connectTo(connection: SluiceConnection): Database {
  if (isPath(connection)) return connect(connection)
  const { path, ...options } = connection
  return connect(path, options)
}

/** Whether it is a path, or nothing that could be anything else: the driver says what it misses. */
function isPath(value: unknown): value is SluicePath {
  return typeof value !== 'object' || value === null || value instanceof URL
}

function loggerOf({ logger }: { logger?: boolean | Logger | undefined }): Logger {
  if (typeof logger === 'object') return logger
  return logger === true ? new DefaultLogger() : new NoopLogger()
}

/** Tells whether code can be made from text, which `jit` needs and `--disallow-code-generation-from-strings` forbids. */
function canCompile(): boolean {
  try {
    return new Function('return true')() as boolean
  } catch {
    return false
  }
}
