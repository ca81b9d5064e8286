import { DrizzleQueryError, fillPlaceholders } from 'drizzle-orm'
import type { ExtractTablesWithRelations, Query, RelationalSchemaConfig, TablesRelationalConfig } from 'drizzle-orm'
import type { BatchItem as Batchable } from 'drizzle-orm/batch'
import type { WithCacheConfig } from 'drizzle-orm/cache/core/types'
import { SQLiteSession, SQLiteTransaction } from 'drizzle-orm/sqlite-core'
import type { PreparedQueryConfig, SelectedFieldsOrdered, SQLiteAsyncDialect, SQLiteExecuteMethod } from 'drizzle-orm/sqlite-core'
import { isSluiceError } from 'sluice'
import type { Database, ExecuteResult, RunResult, SqlParameters, Transaction, TransactionOptions } from 'sluice'

import { TransactionCache } from './cache.js'
import { nameKind, prepareForBatch } from './internals.js'
import { SluicePreparedQuery, rowsAsObjects, runResult } from './prepared-query.js'
import type { Executor, QueryMetadata, SessionOptions } from './prepared-query.js'

type FullSchema = Record<string, unknown>

/** Runs the queries of drizzle in one transaction of `sluice`; on a database it is a {@link SluiceDatabaseSession}. */
export class SluiceSession<TFullSchema extends FullSchema, TSchema extends TablesRelationalConfig> extends SQLiteSession<
  'async',
  RunResult,
  TFullSchema,
  TSchema
> {
  static {
    nameKind(this, 'SluiceSession')
  }

  readonly #executor: Executor
  readonly #dialect: SQLiteAsyncDialect
  readonly #schema: RelationalSchemaConfig<TSchema> | undefined
  readonly #options: SessionOptions
  /** How many savepoints deep it is. */
  readonly #depth: number

  constructor(
    executor: Executor,
    dialect: SQLiteAsyncDialect,
    schema: RelationalSchemaConfig<TSchema> | undefined,
    options: SessionOptions,
    depth: number,
  ) {
    super(dialect)
    this.#executor = executor
    this.#dialect = dialect
    this.#schema = schema
    this.#options = options
    this.#depth = depth
  }

  prepareQuery<T extends PreparedQueryConfig>(
    query: Query,
    fields: SelectedFieldsOrdered | undefined,
    executeMethod: SQLiteExecuteMethod,
    isResponseInArrayMode: boolean,
    mapRows?: (rows: unknown[][]) => unknown,
    metadata?: QueryMetadata,
    cacheConfig?: WithCacheConfig,
  ): SluicePreparedQuery<T> {
    const parts = { query, fields, executeMethod, isResponseInArrayMode, mapRows, metadata, cacheConfig }
    return new SluicePreparedQuery<T>(this.#executor, parts, this.#options)
  }

  /** Runs `callback` in a transaction within this one, which is a savepoint. */
  async transaction<T>(callback: (tx: SluiceTransaction<TFullSchema, TSchema>) => Promise<T> | T, _config?: object): Promise<T> {
    return this.#executor.transaction((inner) => callback(this.begun(inner, this.#options, this.#depth + 1)))
  }

  /** Wraps a transaction that has begun. */
  protected begun(tx: Transaction, options: SessionOptions, depth: number): SluiceTransaction<TFullSchema, TSchema> {
    const session = new SluiceSession<TFullSchema, TSchema>(tx, this.#dialect, this.#schema, options, depth)
    return new SluiceTransaction<TFullSchema, TSchema>('async', this.#dialect, session, this.#schema, depth)
  }

  /** @internal */
  extractRawRunValueFromBatchResult(result: unknown): unknown {
    return runResult(result as ExecuteResult)
  }

  /** @internal */
  extractRawAllValueFromBatchResult(result: unknown): unknown {
    return rowsAsObjects(result as ExecuteResult<unknown[]>)
  }

  /** @internal */
  extractRawGetValueFromBatchResult(result: unknown): unknown {
    return rowsAsObjects(result as ExecuteResult<unknown[]>)[0]
  }

  /** @internal */
  extractRawValuesValueFromBatchResult(result: unknown): unknown {
    return (result as ExecuteResult<unknown[]>).rows
  }
}

/** Runs the queries of drizzle on a database of `sluice`. */
export class SluiceDatabaseSession<TFullSchema extends FullSchema, TSchema extends TablesRelationalConfig> extends SluiceSession<
  TFullSchema,
  TSchema
> {
  static {
    nameKind(this, 'SluiceDatabaseSession')
  }

  /** @internal */
  readonly client: Database
  readonly #options: SessionOptions

  constructor(
    client: Database,
    dialect: SQLiteAsyncDialect,
    schema: RelationalSchemaConfig<TSchema> | undefined,
    options: SessionOptions,
  ) {
    super(client, dialect, schema, options, 0)
    this.client = client
    this.#options = options
  }

  /** Runs `callback` in a transaction. The cache is told of what has changed after the commit. */
  override async transaction<T>(
    callback: (tx: SluiceTransaction<TFullSchema, TSchema>) => Promise<T> | T,
    config?: TransactionOptions,
  ): Promise<T> {
    const { logger, cache } = this.#options
    const within = cache === undefined ? undefined : new TransactionCache(cache)
    const result = await this.client.transaction((tx) => callback(this.begun(tx, { logger, cache: within }, 0)), config)
    await within?.committed()
    return result
  }

  /** Runs queries as one transaction, in one trip to the writer. The cache is told of what has changed after the commit. */
  async batch(queries: readonly Batchable<'sqlite'>[]): Promise<unknown[]> {
    const { logger, cache } = this.#options
    const entries = queries.map(prepareForBatch)
    const items = entries.map((entry) => toStatement(entry.getQuery()))
    for (const { sql, params } of items) logger.logQuery(sql, params)
    const results = await this.client.batch(items as BatchStatement[], { rowMode: 'array' }).catch((error: unknown) => {
      throw withQuery(error, items)
    })
    const tables = entries.flatMap((entry) => (entry instanceof SluicePreparedQuery ? entry.mutatedTables : []))
    if (tables.length > 0) await cache?.onMutate({ tables })
    return entries.map((entry, index) => entry.mapResult(results[index], true))
  }
}

/** What the client takes as a statement of a batch. */
interface BatchStatement {
  readonly sql: string
  readonly params: SqlParameters
}

function toStatement({ sql, params }: Query): { sql: string; params: unknown[] } {
  return { sql, params: fillPlaceholders(params, {}) }
}

/** Gives an error of a batch the query at fault, if there is one. */
function withQuery(error: unknown, items: readonly { sql: string; params: unknown[] }[]): unknown {
  const item = isSluiceError(error) && error.statementIndex !== undefined ? items[error.statementIndex] : undefined
  return item === undefined ? error : new DrizzleQueryError(item.sql, item.params, error as Error)
}

/**
 * Gives access to one transaction of drizzle. Made by `db.transaction` and `tx.transaction`.
 *
 * While a nested one is under way, queries on the outer one wait for its end; made in its callback they are rejected
 * (`ERR_SLUICE_REENTRANT`): use its own `tx`.
 */
export class SluiceTransaction<
  TFullSchema extends FullSchema = Record<string, never>,
  TSchema extends TablesRelationalConfig = ExtractTablesWithRelations<TFullSchema>,
> extends SQLiteTransaction<'async', RunResult, TFullSchema, TSchema> {
  static {
    nameKind(this, 'SluiceTransaction')
  }

  /**
   * Runs `callback` in a transaction within this one, which is a savepoint: kept when the callback returns, undone when it throws.
   *
   * @throws what the callback throws, such as the `TransactionRollbackError` of `tx.rollback()`
   *
   * @example
   * ```ts
   * await db.transaction(async (tx) => {
   *   await tx.insert(users).values({ name: 'Ada' })
   *   await tx.transaction((inner) => inner.insert(users).values({ name: 'Grace' }).run())
   * })
   * ```
   */
  override transaction<T>(callback: (tx: SluiceTransaction<TFullSchema, TSchema>) => Promise<T>): Promise<T> {
    return super.transaction(callback as (tx: SQLiteTransaction<'async', RunResult, TFullSchema, TSchema>) => Promise<T>)
  }
}
