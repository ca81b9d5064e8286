import type { Connector, PreparedStatement, Primitive, Statement } from 'db0'
import { connect } from 'sluice'
import type { Database, OpenOptions, RunResult } from 'sluice'

/** What {@link sluiceConnector} is to use: a file, with the options of `open`, or a database that is there already. */
export type ConnectorOptions = OpenFile | UseClient

/** A database that the connector opens when it is first used, and closes when it is disposed of. */
export interface OpenFile extends OpenOptions {
  /** The file, as `open` takes it. */
  readonly path: string | URL
}

/** A database that the connector uses and leaves open. */
export interface UseClient {
  readonly client: Database
}

/** What {@link sluiceConnector} returns for an action. */
export interface ActionResult extends RunResult {
  /** Always `true`: an action that fails is rejected. */
  readonly success: true
}

/**
 * Makes a connector for {@link https://db0.unjs.io | db0}.
 *
 * Values come as `sluice` delivers them: an INTEGER beyond 2^53 is a `bigint`, unless the database was opened with other `integers`.
 * `exec` takes a script of any number of statements and resolves to `undefined`. BEGIN and COMMIT as text are refused, because everybody
 * who uses the connector shares it: take `await db.getInstance()` and its `transaction`. A file that could not be opened is tried again
 * with the next use.
 *
 * @param options - what to open or to use
 * @throws `ERR_SLUICE_INVALID_ARGUMENT` and `ERR_SLUICE_INVALID_OPTION` from its first use, as `open` does
 *
 * @example
 * ```ts
 * import { createDatabase } from 'db0'
 * import sluice from 'sluice/db0'
 *
 * const db = createDatabase(sluice({ path: 'app.db' }))
 * const { rows } = await db.sql`SELECT name FROM users WHERE id = ${7}`
 * ```
 */
export function sluiceConnector(options: ConnectorOptions): Connector<Database> {
  const { client, ...owned } = (options ?? {}) as { client?: Database } & OpenFile
  let database = client
  const get = (): Database => (database ??= openOwned(owned, () => (database = undefined)))
  return {
    name: 'sluice',
    dialect: 'sqlite',
    getInstance: async () => {
      const opened = get()
      await opened.ready()
      return opened
    },
    exec: async (sql) => get().exec(sql),
    prepare: (sql) => new SluiceStatement(get, sql),
    dispose: async () => {
      if (client === undefined) await database?.close()
    },
  }
}

export default sluiceConnector

/** Starts to open a file. `onFailure` is called when it cannot be. */
function openOwned({ path, ...options }: OpenFile, onFailure: () => void): Database {
  const database = connect(path, options)
  // Whoever uses it is told why.
  database.ready().catch(() => database.closed || onFailure())
  return database
}

/** A text and how to reach its database, which is not opened for a statement that never runs. */
class SluiceStatement implements Statement {
  readonly #get: () => Database
  readonly #sql: string

  constructor(get: () => Database, sql: string) {
    this.#get = get
    this.#sql = sql
  }

  bind(...params: Primitive[]): PreparedStatement {
    return {
      bind: (...others) => this.bind(...others),
      all: () => this.all(...params),
      run: () => this.run(...params),
      get: () => this.get(...params),
    }
  }

  async all(...params: Primitive[]): Promise<unknown[]> {
    return this.#get().all(this.#sql, params)
  }

  async run(...params: Primitive[]): Promise<ActionResult> {
    const { changes, lastInsertRowid } = await this.#get().run(this.#sql, params)
    return { success: true, changes, lastInsertRowid }
  }

  async get(...params: Primitive[]): Promise<unknown> {
    return this.#get().get(this.#sql, params)
  }
}
