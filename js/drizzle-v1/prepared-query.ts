import type { Cache } from 'drizzle-orm/cache/core'
import { strategyFor } from 'drizzle-orm/cache/core/cache'
import type { QueryMetadata, WithCacheConfig } from 'drizzle-orm/cache/core/types'
import type { Logger } from 'drizzle-orm/logger'
import { fillPlaceholders } from 'drizzle-orm/sql/sql'
import type { Query } from 'drizzle-orm/sql'
import { SQLiteAsyncPreparedQuery } from 'drizzle-orm/sqlite-core'
import type { SQLiteAsyncPreparedQueryConfig, SQLiteQueryExecutors } from 'drizzle-orm/sqlite-core'
import type { SQLiteExecuteMethod } from 'drizzle-orm/sqlite-core/session'
import type { Database, ExecuteResult, RunResult, SqlParameter, SqlValue } from 'sluice'

import { nameEntity } from './entity.js'

/** How the rows of a query are delivered to drizzle. */
export type QueryMode = 'arrays' | 'objects' | 'raw'

/** Makes of rows what the query is to return. */
// oxlint-disable-next-line typescript/no-explicit-any -- drizzle's own signature
export type RowsMapper = (rows: any[]) => any

/** What drizzle says about a query. */
export interface QueryPlan {
  readonly query: Query
  readonly mode: QueryMode
  readonly executeMethod: SQLiteExecuteMethod
  readonly mapper: RowsMapper | undefined
  readonly metadata: QueryMetadata | undefined
  readonly cacheConfig: WithCacheConfig | undefined
}

/** What it needs of its session. */
interface Surroundings {
  readonly logger: Logger
  readonly cache: Cache | undefined
  readonly paramsInErrors: boolean
}

/** What it runs on. */
type Runner = Pick<Database, 'all' | 'get' | 'run'>

type AsyncConfig = SQLiteAsyncPreparedQueryConfig & { type: 'async'; run: RunResult }

/** Is a query as drizzle has built it, to be run by itself or as part of a batch. */
export class SluicePreparedQuery extends SQLiteAsyncPreparedQuery<AsyncConfig> {
  static {
    nameEntity(this, 'SluicePreparedQuery')
  }

  readonly #plan: QueryPlan

  constructor(runner: Runner, plan: QueryPlan, { logger, cache, paramsInErrors }: Surroundings) {
    const { query, mode, executeMethod, mapper, metadata, cacheConfig } = plan
    const executors = executorsOf(runner, query.sql, mode)
    super('async', executeMethod, executors, query, mapper, mode, logger, cache, metadata, cacheConfig, paramsInErrors)
    this.#plan = plan
  }

  /** Logs the query, and returns what the driver is to run for it. A batch has no values for placeholders. */
  batchItem(): { sql: string; params: SqlParameter[] } {
    const { sql, params } = this.#plan.query
    const filled = fillPlaceholders(params, {})
    this.logger.logQuery(sql, filled)
    return { sql, params: filled as SqlParameter[] }
  }

  /** Makes of what the driver returned, with rows as arrays, what the query returns when it is run by itself. */
  batchResult({ columns, rows, changes, lastInsertRowid }: ExecuteResult): unknown {
    const { mode, executeMethod, mapper } = this.#plan
    if (executeMethod === 'run') return { changes, lastInsertRowid }
    if (executeMethod === 'values') return rows
    const arrays = rows as unknown as SqlValue[][]
    const shaped =
      mode === 'arrays' ? arrays : arrays.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])))
    if (executeMethod === 'all') return mapper === undefined ? shaped : mapper(shaped)
    const first = shaped.slice(0, 1)
    return mapper === undefined || first.length === 0 ? first[0] : mapper(first)[0]
  }

  /** Tells the cache what the query, which has run as part of a batch, has changed. */
  async invalidateCache(): Promise<void> {
    if (this.cache === undefined) return
    const { query, metadata } = this.#plan
    const strategy = await strategyFor(query.sql, query.params, metadata)
    if (strategy.type === 'invalidate') await this.cache.onMutate({ tables: strategy.tables })
  }
}

function executorsOf(runner: Runner, sql: string, mode: QueryMode): SQLiteQueryExecutors<'async'> {
  const options = { rowMode: mode === 'arrays' ? 'array' : 'object' } as const
  return {
    all: (params) => runner.all(sql, params as SqlParameter[], options),
    get: (params) => runner.get(sql, params as SqlParameter[], options),
    run: (params) => runner.run(sql, params as SqlParameter[]),
  }
}
