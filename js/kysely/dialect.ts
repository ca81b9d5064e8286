import { SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { DatabaseIntrospector, Dialect, DialectAdapter, Driver, Kysely, QueryCompiler } from 'kysely'
import { SluiceAdapter } from './adapter.js'
import type { SluiceDialectConfig } from './config.js'
import { SluiceDriver } from './driver.js'

/**
 * Runs the queries of {@link https://kysely.dev | Kysely} 0.28 and 0.29 on a `sluice` database.
 *
 * Reads run in parallel, beside one writer. A transaction begins IMMEDIATE, waits in the queue of all writes, and is serializable,
 * whatever isolation level is asked for; with the access mode `'read only'` it is one snapshot on a reader. Values are those that
 * `sluice` delivers: an INTEGER beyond 2^53 is a `bigint`, a BLOB a `Uint8Array`. Errors are those of `sluice`, with their codes.
 *
 * @throws nothing by itself: what `open` rejects with, and `ERR_SLUICE_INVALID_ARGUMENT` for a `database` that is none or was made by
 * `handle()`, come with the first query
 *
 * @example
 * ```ts
 * import { Kysely } from 'kysely'
 * import { SluiceDialect } from 'sluice/kysely'
 *
 * const db = new Kysely<Tables>({ dialect: new SluiceDialect({ path: 'app.db' }) })
 * const users = await db.selectFrom('users').selectAll().execute()
 * await db.destroy()
 * ```
 */
export class SluiceDialect implements Dialect {
  readonly #config: SluiceDialectConfig

  /** Takes an open database or a function that returns one (`database`), or a file (`path`) with options of `open`. */
  constructor(config: SluiceDialectConfig) {
    this.#config = { ...config }
  }

  /** Makes what opens the database and hands out connections. Called by Kysely. */
  createDriver(): Driver {
    return new SluiceDriver(this.#config)
  }

  /** Makes what turns queries into text: Kysely's own, for SQLite. Called by Kysely. */
  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler()
  }

  /** Makes what says what this dialect can do. Called by Kysely. */
  createAdapter(): DialectAdapter {
    return new SluiceAdapter()
  }

  /** Makes what lists tables and columns: Kysely's own, for SQLite. Called by Kysely. */
  // oxlint-disable-next-line typescript/no-explicit-any -- Kysely's own signature: a database of any tables
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}
