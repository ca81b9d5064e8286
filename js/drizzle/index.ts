import type { DrizzleConfig } from 'drizzle-orm'
import { connect } from 'sluice'
import type { Database, OpenOptions } from 'sluice'

import { construct } from './database.js'
import type { SluiceDatabase } from './database.js'

export { SluiceDatabase } from './database.js'
export { SluiceTransaction } from './session.js'

/** What `drizzle({ connection })` is to open: a path alone, or a path and options of `open`. */
export type Connection = string | URL | ConnectionOptions

/** A database that is to be opened. */
export interface ConnectionOptions extends OpenOptions {
  /** The file, as `open` takes it. */
  readonly path: string | URL
}

/** Where the database is: to be opened at `connection`, or open already as `client`. */
export type DrizzleSource<TClient extends Database = Database> = { connection: Connection } | { client: TClient }

/**
 * Makes a database of {@link https://orm.drizzle.team | drizzle} on a path, or on a database of `sluice` that is there already.
 *
 * A path begins to be opened at once, and queries wait until it is; each is rejected with the reason if it cannot be opened. `db.$client`
 * is the database of `sluice`: `await db.$client.ready()` waits for the opening alone, and `await db.$client.close()` closes it.
 *
 * The second argument, or what stands beside `connection` or `client`, is drizzle's own configuration: `schema`, `logger`, `casing` and
 * `cache`.
 *
 * @typeParam TSchema - the tables and relations that `db.query` knows
 * @throws at once, before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { drizzle } from 'sluice/drizzle'
 *
 * const db = drizzle('app.db', { schema })
 * const other = drizzle({ connection: { path: 'other.db', ordering: 'submitted' }, schema })
 * ```
 */
export function drizzle<TSchema extends Record<string, unknown> = Record<string, never>, TClient extends Database = Database>(
  ...params:
    | [source: TClient | string | URL]
    | [source: TClient | string | URL, config: DrizzleConfig<TSchema>]
    | [config: DrizzleConfig<TSchema> & DrizzleSource<TClient>]
): SluiceDatabase<TSchema> & { $client: TClient } {
  const [source, config] = params
  if (isPath(source)) return construct(connect(source) as TClient, config)
  if (isClient(source)) return construct(source, config)
  const { connection, client, ...rest } = source as DrizzleConfig<TSchema> & { connection: Connection; client?: TClient }
  return construct(client ?? (openConnection(connection) as TClient), rest)
}

export namespace drizzle {
  /**
   * Makes a database that builds queries and cannot run them.
   *
   * @example
   * ```ts
   * const { sql, params } = drizzle.mock().select().from(users).toSQL()
   * ```
   */
  export function mock<TSchema extends Record<string, unknown> = Record<string, never>>(
    config?: DrizzleConfig<TSchema>,
  ): SluiceDatabase<TSchema> & { $client: '$client is not available on drizzle.mock()' } {
    return construct('$client is not available on drizzle.mock()' as const, config)
  }
}

function isClient<TClient extends Database>(source: TClient | object): source is TClient {
  return 'execute' in source
}

/** Whether it is a path, or nothing that could be anything else: the driver says what it misses. */
function isPath(source: unknown): source is string | URL {
  return typeof source !== 'object' || source === null || source instanceof URL
}

function openConnection(connection: Connection): Database {
  if (isPath(connection)) return connect(connection)
  const { path, ...options } = connection
  return connect(path, options)
}
