import { fillPlaceholders, is } from 'drizzle-orm'
import type { Logger, Query } from 'drizzle-orm'
import { NoopCache } from 'drizzle-orm/cache/core'
import type { Cache } from 'drizzle-orm/cache/core'
import type { WithCacheConfig } from 'drizzle-orm/cache/core/types'
import { SQLitePreparedQuery } from 'drizzle-orm/sqlite-core'
import type { PreparedQueryConfig, SelectedFieldsOrdered, SQLiteExecuteMethod } from 'drizzle-orm/sqlite-core'
import type { Database, ExecuteResult, RunResult, SqlParameters } from 'sluice'

import { TransactionCache } from './cache.js'
import { mapResultRow, nameKind } from './internals.js'
import type { NotNullableTables } from './internals.js'

/** What runs the queries of a session: a database, or a transaction. */
export type Executor = Pick<Database, 'all' | 'get' | 'run' | 'values' | 'transaction'>

/** What a query does to which tables; queries without it are never cached. */
export interface QueryMetadata {
  type: 'select' | 'update' | 'delete' | 'insert'
  tables: string[]
}

/** What a query is made of. */
export interface QueryParts {
  readonly query: Query
  /** What the columns of a row are; `undefined` for text that drizzle knows nothing about. */
  readonly fields: SelectedFieldsOrdered | undefined
  readonly executeMethod: SQLiteExecuteMethod
  readonly isResponseInArrayMode: boolean
  /** Makes the result of a relational query from all its rows. */
  readonly mapRows: ((rows: unknown[][]) => unknown) | undefined
  readonly metadata: QueryMetadata | undefined
  readonly cacheConfig: WithCacheConfig | undefined
}

/** What the queries of a session share. */
export interface SessionOptions {
  readonly logger: Logger
  /** `undefined`: nothing is cached. */
  readonly cache: Cache | undefined
}

/** One query of drizzle on a database or transaction of `sluice`, to be run any number of times. */
export class SluicePreparedQuery<T extends PreparedQueryConfig = PreparedQueryConfig> extends SQLitePreparedQuery<{
  type: 'async'
  run: RunResult
  all: T['all']
  get: T['get']
  values: T['values']
  execute: T['execute']
}> {
  static {
    nameKind(this, 'SluicePreparedQuery')
  }

  /** @internal Set by drizzle. */
  declare joinsNotNullableMap?: NotNullableTables
  /** @internal Runs a query through the cache, and gives its errors the query. */
  declare queryWithCache: <R>(sql: string, params: unknown[], query: () => Promise<R>) => Promise<R>
  readonly #executor: Executor
  readonly #parts: QueryParts
  readonly #logger: Logger
  /** Whether its rows may come from the cache, or get there. */
  readonly #isCacheable: boolean

  constructor(executor: Executor, parts: QueryParts, { logger, cache }: SessionOptions) {
    super('async', parts.executeMethod, parts.query, cache, parts.metadata, parts.cacheConfig)
    this.#executor = executor
    this.#parts = parts
    this.#logger = logger
    this.#isCacheable = isCacheable(parts, cache)
  }

  /** @internal The tables it changes, if it does. */
  get mutatedTables(): string[] {
    const { metadata } = this.#parts
    return metadata === undefined || metadata.type === 'select' ? [] : metadata.tables
  }

  async run(placeholderValues?: Record<string, unknown>): Promise<RunResult> {
    const { sql } = this.query
    return this.#send(placeholderValues, (params) => this.#executor.run(sql, params))
  }

  async all(placeholderValues?: Record<string, unknown>): Promise<T['all']> {
    const { sql } = this.query
    if (this.#isRaw) return this.#send(placeholderValues, (params) => this.#executor.all(sql, params, { rowMode: 'object' }))
    return this.#mapAll(await this.#rows(placeholderValues))
  }

  async get(placeholderValues?: Record<string, unknown>): Promise<T['get']> {
    const { sql } = this.query
    if (this.#isRaw) return this.#send(placeholderValues, (params) => this.#executor.get(sql, params, { rowMode: 'object' }))
    return this.#mapFirst(await this.#firstRow(placeholderValues))
  }

  async values(placeholderValues?: Record<string, unknown>): Promise<T['values']> {
    return this.#rows(placeholderValues)
  }

  override mapRunResult(result: unknown, isFromBatch?: boolean): unknown {
    return isFromBatch === true ? runResult(result as ExecuteResult) : result
  }

  override mapAllResult(result: unknown, isFromBatch?: boolean): unknown {
    if (this.#isRaw) return isFromBatch === true ? rowsAsObjects(result as ExecuteResult<unknown[]>) : result
    return this.#mapAll(arrayRows(result, isFromBatch))
  }

  override mapGetResult(result: unknown, isFromBatch?: boolean): unknown {
    if (this.#isRaw) return (isFromBatch === true ? rowsAsObjects(result as ExecuteResult<unknown[]>) : (result as unknown[]))[0]
    return this.#mapFirst(arrayRows(result, isFromBatch)[0])
  }

  /** @internal */
  isResponseInArrayMode(): boolean {
    return this.#parts.isResponseInArrayMode
  }

  /** Whether drizzle does not know what the columns are. */
  get #isRaw(): boolean {
    return this.#parts.fields === undefined && this.#parts.mapRows === undefined
  }

  async #send<R>(placeholderValues: Record<string, unknown> | undefined, call: (params: SqlParameters) => Promise<R>): Promise<R> {
    const { sql } = this.query
    const params = fillPlaceholders(this.query.params, placeholderValues ?? {})
    this.#logger.logQuery(sql, params)
    return this.queryWithCache(sql, params, () => call(params as SqlParameters))
  }

  #rows(placeholderValues: Record<string, unknown> | undefined): Promise<unknown[][]> {
    return this.#send(placeholderValues, (params) => this.#executor.values(this.query.sql, params))
  }

  async #firstRow(placeholderValues: Record<string, unknown> | undefined): Promise<unknown[] | undefined> {
    // The cache knows a query by its text and values alone: what `get` puts there must be what `all` would find.
    if (this.#isCacheable) return (await this.#rows(placeholderValues))[0]
    return this.#send(placeholderValues, (params) => this.#executor.get(this.query.sql, params, { rowMode: 'array' }))
  }

  #mapAll(rows: unknown[][]): unknown {
    const { fields, mapRows } = this.#parts
    if (mapRows !== undefined) return mapRows(rows)
    return rows.map((row) => mapResultRow(fields!, row, this.joinsNotNullableMap))
  }

  #mapFirst(row: unknown[] | undefined): unknown {
    if (row === undefined) return undefined
    const { fields, mapRows } = this.#parts
    return mapRows === undefined ? mapResultRow(fields!, row, this.joinsNotNullableMap) : mapRows([row])
  }
}

/** Whether drizzle looks for the rows of a query in the cache, and puts them there, by the rules of its `queryWithCache`. */
function isCacheable({ metadata, cacheConfig }: QueryParts, cache: Cache | undefined): boolean {
  if (metadata?.type !== 'select' || cache === undefined) return false
  // These keep nothing, whatever a query asks for.
  if (is(cache, NoopCache) || is(cache, TransactionCache)) return false
  return cacheConfig === undefined ? cache.strategy() === 'all' : cacheConfig.enable
}

/** Picks what `run` returns from everything that a batch knows about a statement. */
export function runResult({ changes, lastInsertRowid }: RunResult): RunResult {
  return { changes, lastInsertRowid }
}

/** Makes objects of the rows of a batch. Of columns that share a name, the last one wins, as everywhere. */
export function rowsAsObjects({ columns, rows }: ExecuteResult<unknown[]>): object[] {
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])))
}

function arrayRows(result: unknown, isFromBatch: boolean | undefined): unknown[][] {
  return isFromBatch === true ? (result as ExecuteResult<unknown[]>).rows : (result as unknown[][])
}
