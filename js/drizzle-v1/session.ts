import type { BatchItem } from 'drizzle-orm/batch'
import type { Cache } from 'drizzle-orm/cache/core'
import type { QueryMetadata, WithCacheConfig } from 'drizzle-orm/cache/core/types'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import type { Logger } from 'drizzle-orm/logger'
import type { AnyRelations } from 'drizzle-orm/relations'
import type { Query } from 'drizzle-orm/sql'
import { SQLiteAsyncSession, SQLiteAsyncTransaction } from 'drizzle-orm/sqlite-core'
import type { SQLiteDialect } from 'drizzle-orm/sqlite-core'
import type { SQLiteExecuteMethod } from 'drizzle-orm/sqlite-core/session'
import type { Database, RunResult, TransactionBehavior, TransactionOptions } from 'sluice'

import { nameEntity } from './entity.js'
import { SluicePreparedQuery } from './prepared-query.js'
import type { QueryMode, RowsMapper } from './prepared-query.js'
import { TransactionCache } from './transaction-cache.js'

/** What runs statements: a database, or a transaction on it. */
export type Runner = Pick<Database, 'all' | 'get' | 'run' | 'exec' | 'transaction'>

/** Options of `db.transaction`: those of the driver, `behavior` among them. Of a nested transaction they are not looked at. */
export type SluiceTransactionConfig = Omit<TransactionOptions, 'behavior'> & {
  /** How it begins; `'immediate'` if left out. */
  readonly behavior?: TransactionBehavior
}

/** What a session shares with those of its transactions. */
export interface SessionOptions {
  readonly logger: Logger
  readonly cache: Cache | undefined
  readonly paramsInErrors: boolean
}

/** Runs what drizzle has built, on a database or in a transaction. */
export class SluiceSession<TRelations extends AnyRelations> extends SQLiteAsyncSession<'async', RunResult, TRelations> {
  static {
    nameEntity(this, 'SluiceSession')
  }

  readonly #runner: Runner
  readonly #relations: TRelations
  readonly #options: SessionOptions

  constructor(runner: Runner, dialect: SQLiteDialect, relations: TRelations, options: SessionOptions) {
    super(dialect, 'async')
    this.#runner = runner
    this.#relations = relations
    this.#options = options
  }

  override prepareQuery(
    query: Query,
    mode: QueryMode,
    _prepare: boolean,
    executeMethod: SQLiteExecuteMethod = 'all',
    mapper?: RowsMapper,
    metadata?: QueryMetadata,
    cacheConfig?: WithCacheConfig,
  ): SluicePreparedQuery {
    return new SluicePreparedQuery(this.#runner, { query, mode, executeMethod, mapper, metadata, cacheConfig }, this.#options)
  }

  /** Runs several queries as one transaction, in one trip to the writer. Only a database can, not a transaction on it. */
  async batch(database: Database, items: readonly BatchItem<'sqlite'>[]): Promise<unknown[]> {
    const prepared = items.map((item) => (item as unknown as Preparable)._prepare())
    const queries = prepared.map((one) => one.batchItem())
    const results = await database.batch(queries, { rowMode: 'array' }).catch((error: unknown) => {
      const index = (error as { statementIndex?: number }).statementIndex
      const blamed = index === undefined ? queries : queries.slice(index, index + 1)
      throw this.#queryError(
        blamed.map(({ sql }) => sql).join('; '),
        blamed.flatMap(({ params }) => params),
        error,
      )
    })
    await invalidateCaches(prepared)
    return results.map((result, index) => prepared[index]!.batchResult(result))
  }

  /** Runs a script of any number of statements, whose rows nobody wants. */
  async script(text: string): Promise<void> {
    this.#options.logger.logQuery(text, [])
    await this.#runner.exec(text).catch((error: unknown) => {
      throw this.#queryError(text, [], error)
    })
  }

  override async transaction<T>(callback: (tx: SluiceTransaction<TRelations>) => Promise<T>, config?: SluiceTransactionConfig): Promise<T> {
    const cache = this.#options.cache && new TransactionCache(this.#options.cache)
    const result = await this.#runner.transaction((runner) => {
      const session = new SluiceSession(runner, this.dialect, this.#relations, { ...this.#options, cache })
      return callback(new SluiceTransaction('async', this.dialect, session, this.#relations))
    }, config)
    await cache?.invalidate()
    return result
  }

  #queryError(sql: string, params: unknown[], error: unknown): DrizzleQueryError {
    return new DrizzleQueryError(sql, this.#options.paramsInErrors ? params : undefined, error as Error)
  }
}

/** Is what drizzle passes to the callback of `transaction`: everything that a database has for queries, in the transaction. */
export class SluiceTransaction<TRelations extends AnyRelations> extends SQLiteAsyncTransaction<'async', RunResult, TRelations> {
  static {
    nameEntity(this, 'SluiceTransaction')
  }

  /**
   * Runs `callback` in a transaction within this one, a savepoint: kept when it returns, undone when it throws. Use only its own `tx` in
   * it: a query of the outer one would wait for its end, and is rejected with `ERR_SLUICE_REENTRANT`.
   *
   * @throws what the callback throws
   */
  override transaction<T>(callback: (tx: SluiceTransaction<TRelations>) => Promise<T>): Promise<T> {
    return (this._.session as SluiceSession<TRelations>).transaction(callback)
  }
}

/** Tells the cache of every query of a batch, also after it has failed for one: what it is not told of, it would go on to answer. */
async function invalidateCaches(prepared: readonly SluicePreparedQuery[]): Promise<void> {
  const failures: unknown[] = []
  for (const one of prepared) await one.invalidateCache().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

/** What can be part of a batch: drizzle hides the method from its types. */
interface Preparable {
  _prepare(): SluicePreparedQuery
}
