import type { DatabaseConnection } from 'kysely'
import type { Database, OpenOptions } from 'sluice'

/** What a {@link SluiceDialect} is to use: a database that is there already, or a file. */
export type SluiceDialectConfig = UseDatabase | OpenFile

/** What both kinds of configuration may say. */
export interface ConnectionConfig {
  /**
   * Is called once, before the first query, with a connection on which queries can be run. What it rejects with is the error of that
   * query; the next one tries again.
   */
  readonly onCreateConnection?: ((connection: DatabaseConnection) => Promise<void>) | undefined
}

/**
 * A database that the application has opened, and not made by `handle()`. `destroy()` closes it: open the file once more for Kysely to go on
 * using it.
 */
export interface UseDatabase extends ConnectionConfig {
  /** The database, or a function that is called once, before the first query, and returns it. */
  readonly database: Database | (() => Database | Promise<Database>)
}

/** A file that is opened before the first query, with the options of `open`, and closed by `destroy()`. */
export interface OpenFile extends ConnectionConfig, OpenOptions {
  /** The file, as `open` takes it. */
  readonly path: string | URL | Uint8Array
}
