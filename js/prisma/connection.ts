import { DriverAdapterError } from '@prisma/driver-adapter-utils'
import type { ConnectionInfo, IsolationLevel, SqlDriverAdapter, Transaction as PrismaTransaction } from '@prisma/driver-adapter-utils'
import type { Database } from 'sluice'

import { withPrismaErrors } from './errors.js'
import type { TimestampFormat } from './parameters.js'
import { SluiceQueryable } from './queryable.js'
import { runScript } from './script.js'
import { SluiceClientTransaction } from './transaction.js'

/** How many parameters a statement of SQLite takes: {@link https://sqlite.org/limits.html#max_variable_number}. */
const MAX_PARAMETERS = 32_766

/**
 * Runs the queries of one client of Prisma on one database. Made by `SluicePrismaAdapter`, and used by Prisma.
 *
 * Queries outside transactions go where the driver sends them: reads beside each other and beside the writer, writes one after another.
 */
export class SluiceClientConnection extends SluiceQueryable implements SqlDriverAdapter {
  /** The database of `sluice` that it runs on. */
  readonly database: Database
  readonly #owned: boolean

  /** @internal */
  constructor(database: Database, owned: boolean, timestampFormat: TimestampFormat) {
    super(timestampFormat)
    this.database = database
    this.#owned = owned
  }

  /** @internal */
  protected override get target(): Database {
    return this.database
  }

  /**
   * Runs a script of any number of statements, in order. One that turns foreign keys off by lines as Prisma writes them into migrations,
   * `PRAGMA foreign_keys=OFF;`, is run as one transaction in which they are not enforced, and refused if it breaks one.
   *
   * @throws `DriverAdapterError` for what SQLite refuses
   *
   * @example
   * ```ts
   * const connection = await new SluicePrismaAdapter({ path: 'app.db' }).connect()
   * await connection.executeScript(await readFile('prisma/migrations/0_init/migration.sql', 'utf8'))
   * ```
   */
  async executeScript(script: string): Promise<void> {
    await withPrismaErrors(runScript(this.database, script))
  }

  /**
   * Begins a transaction, which waits for its turn in the queue of all writes.
   *
   * @param isolationLevel - `'SERIALIZABLE'`, which SQLite always is, or nothing
   * @throws `DriverAdapterError` for another level, and when no turn came in time
   */
  async startTransaction(isolationLevel?: IsolationLevel): Promise<PrismaTransaction> {
    if (isolationLevel !== undefined && isolationLevel !== 'SERIALIZABLE') {
      throw new DriverAdapterError({ kind: 'InvalidIsolationLevel', level: isolationLevel })
    }
    const stop = new AbortController()
    const transaction = await withPrismaErrors(this.database.begin({ signal: stop.signal }))
    return new SluiceClientTransaction(transaction, stop, this.timestampFormat)
  }

  /** Tells Prisma how many parameters a statement takes, and that relations are to be loaded by queries of their own. */
  getConnectionInfo(): ConnectionInfo {
    return { maxBindValues: MAX_PARAMETERS, supportsRelationJoins: false }
  }

  /** Closes the database, unless it was there before. */
  async dispose(): Promise<void> {
    if (this.#owned) await this.database.close()
  }
}
