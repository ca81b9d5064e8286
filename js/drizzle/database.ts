import { DefaultLogger, NoopLogger, createTableRelationsHelpers, extractTablesRelationalConfig } from 'drizzle-orm'
import type { DrizzleConfig, ExtractTablesWithRelations, Logger, RelationalSchemaConfig } from 'drizzle-orm'
import type { BatchItem, BatchResponse } from 'drizzle-orm/batch'
import { BaseSQLiteDatabase, SQLiteAsyncDialect } from 'drizzle-orm/sqlite-core'
import type { Database, RunResult, TransactionOptions } from 'sluice'

import { nameKind } from './internals.js'
import { SluiceDatabaseSession } from './session.js'
import type { SluiceTransaction } from './session.js'

/**
 * Gives access to a database through drizzle. Made by `drizzle`.
 *
 * Errors of queries are drizzle's `DrizzleQueryError`, whose `cause` is the error of `sluice`, with its `code`. Queries that are under way
 * at the same time are ordered as those of `sluice` are: reads run beside each other, and writes in the order in which they were sent.
 *
 * @typeParam TSchema - the tables and relations that `db.query` knows
 */
export class SluiceDatabase<TSchema extends Record<string, unknown> = Record<string, never>> extends BaseSQLiteDatabase<
  'async',
  RunResult,
  TSchema
> {
  static {
    nameKind(this, 'SluiceDatabase')
  }

  /** @internal Set by drizzle. A private field would not be found through a proxy. */
  declare readonly session: SluiceDatabaseSession<TSchema, ExtractTablesWithRelations<TSchema>>

  /**
   * Runs queries as one transaction, all or nothing, and returns the result of each. It is one trip to the writer, however many they are.
   *
   * @param batch - queries of the builder, relational ones, and `db.run`, `db.all`, `db.get` and `db.values` of text
   * @throws `DrizzleQueryError` with the query at fault, if there is one, and the error of `sluice` as its `cause`; nothing is changed then
   *
   * @example
   * ```ts
   * const [, all] = await db.batch([db.insert(users).values({ name: 'Ada' }), db.select().from(users)])
   * ```
   */
  async batch<U extends BatchItem<'sqlite'>, T extends Readonly<[U, ...U[]]>>(batch: T): Promise<BatchResponse<T>> {
    return this.session.batch(batch) as Promise<BatchResponse<T>>
  }

  /**
   * Runs `callback` in a transaction, which is committed when it returns and rolled back when it throws. What it returns is returned.
   *
   * Use only `tx` in the callback: a write on the database itself is rejected at once (`ERR_SLUICE_REENTRANT`), because it would wait for
   * the transaction.
   *
   * @param config - as `transaction` of `sluice` takes them: `behavior` (`'immediate'` if left out), `retry`, `timeoutMs`, `signal`
   * @throws what the callback throws, such as the `TransactionRollbackError` of `tx.rollback()`
   * @throws the errors of `sluice` for what happens outside the callback, such as `SQLITE_BUSY`, as they are
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   const [order] = await tx.insert(orders).values({ customer: 7 }).returning()
   *   await tx.update(stock).set({ left: sql`${stock.left} - 1` })
   * }, { behavior: 'immediate' })
   * ```
   */
  override transaction<T>(
    callback: (tx: SluiceTransaction<TSchema, ExtractTablesWithRelations<TSchema>>) => Promise<T>,
    config?: TransactionOptions,
  ): Promise<T> {
    return this.session.transaction(callback, config)
  }
}

/** Makes the database of drizzle on a client. */
export function construct<TSchema extends Record<string, unknown>, TClient>(
  client: TClient,
  config: DrizzleConfig<TSchema> = {},
): SluiceDatabase<TSchema> & { $client: TClient } {
  const dialect = new SQLiteAsyncDialect(config.casing === undefined ? {} : { casing: config.casing })
  const schema = relationalSchema(config.schema)
  const options = { logger: chooseLogger(config.logger), cache: config.cache }
  const session = new SluiceDatabaseSession<TSchema, ExtractTablesWithRelations<TSchema>>(client as Database, dialect, schema, options)
  const db = new SluiceDatabase<TSchema>('async', dialect, session, schema)
  // Every driver of drizzle hands out the cache itself, with `invalidate` added to it.
  if (config.cache !== undefined) db.$cache = Object.assign(config.cache, { invalidate: config.cache.onMutate })
  return Object.assign(db, { $client: client })
}

function chooseLogger(logger: boolean | Logger | undefined): Logger {
  if (logger === true) return new DefaultLogger()
  return logger === undefined || logger === false ? new NoopLogger() : logger
}

function relationalSchema<TSchema extends Record<string, unknown>>(
  fullSchema: TSchema | undefined,
): RelationalSchemaConfig<ExtractTablesWithRelations<TSchema>> | undefined {
  if (fullSchema === undefined) return undefined
  const { tables, tableNamesMap } = extractTablesRelationalConfig<ExtractTablesWithRelations<TSchema>>(
    fullSchema,
    createTableRelationsHelpers,
  )
  return { fullSchema, schema: tables, tableNamesMap }
}
