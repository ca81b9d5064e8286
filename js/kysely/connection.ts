import type { CompiledQuery, DatabaseConnection, QueryResult, TransactionSettings } from 'kysely'
import { isSluiceError } from 'sluice'
import type { CallOptions, Database, ExecuteResult, IterateOptions, SluiceError, SqlParameters } from 'sluice'
import { ReadTransaction, WriteTransaction, foundItRolledBack } from './transactions.js'
import type { OpenTransaction, Work } from './transactions.js'

/** What Kysely passes beside a query, from 0.29 on. */
export interface QueryOptions {
  readonly signal?: AbortSignal | undefined
}

/** Kysely reads columns by name, whatever the database was opened for. */
const AS_OBJECTS: CallOptions = Object.freeze({ rowMode: 'object' })

/**
 * What Kysely takes for a connection. It holds nothing: each query is one call of the driver, which finds a connection for it. It is only
 * bound to one by a transaction, until that ends, and by a BEGIN as text, until it is released.
 */
export class SluiceConnection implements DatabaseConnection {
  readonly #database: Database
  /** Takes transactions as text; made when the first comes. */
  #own: Database | undefined
  #transaction: OpenTransaction | undefined
  /** Stops the query that is under way, if Kysely may ask for that. */
  #running: AbortController | undefined
  #queries = 0
  /** Why `#own` was made. */
  #refusal: SluiceError | undefined
  /** Whether a query came with a signal: Kysely tells nobody then why a connection could not be released. */
  #hasSignal = false

  constructor(database: Database) {
    this.#database = database
  }

  /** Runs a query. Its `signal` only lets Kysely stop waiting; what stops the query is {@link SluiceConnection.cancelQuery}. */
  async executeQuery<R>(query: CompiledQuery, options?: QueryOptions): Promise<QueryResult<R>> {
    this.#queries++
    const running = options?.signal === undefined ? undefined : new AbortController()
    this.#running = running
    this.#hasSignal ||= running !== undefined
    const work = this.#work
    const parameters = query.parameters as SqlParameters
    const callOptions = running === undefined ? AS_OBJECTS : { ...AS_OBJECTS, signal: running.signal }
    try {
      return queryResult(await work.execute<R>(query.sql, parameters, callOptions))
    } catch (error) {
      if (work !== this.#database || !isTransactionControl(error)) throw this.#failure(error)
      this.#refusal = error
    }
    // Nothing has run yet. On a handle of its own, a BEGIN takes in nobody else's statements.
    this.#own ??= this.#database.handle()
    return queryResult(await this.#own.execute<R>(query.sql, parameters, callOptions))
  }

  /** Runs a query and delivers its rows in parts of `chunkSize`. */
  async *streamQuery<R>(query: CompiledQuery, chunkSize?: number, options?: QueryOptions): AsyncIterableIterator<QueryResult<R>> {
    this.#queries++
    const iterateOptions: IterateOptions = { ...AS_OBJECTS, chunkRows: chunkSize, signal: options?.signal }
    let rows: R[] = []
    try {
      for await (const row of this.#work.iterate<R>(query.sql, query.parameters as SqlParameters, iterateOptions)) {
        rows.push(row)
        if (rows.length === chunkSize) {
          yield { rows }
          rows = []
        }
      }
    } catch (error) {
      throw this.#failure(error)
    }
    if (rows.length > 0) yield { rows }
  }

  /** Stops the query that is under way, and nothing else. Called by Kysely for the abort strategy `'cancel query'`. */
  async cancelQuery(): Promise<void> {
    this.#running?.abort()
  }

  /** Stops the query that is under way, and rolls back. Called by Kysely for the abort strategy `'kill session'`. */
  async killSession(): Promise<void> {
    this.#running?.abort()
    await this.#transaction?.rollback()
    await this.#own?.close()
  }

  /** Begins a transaction: on a reader if it is read-only, otherwise with the right to write. */
  async begin({ accessMode }: TransactionSettings): Promise<void> {
    this.#queries++
    await this.#leaveText()
    this.#transaction = await (accessMode === 'read only' ? ReadTransaction : WriteTransaction).begin(this.#database)
  }

  /** Commits. A commit that is refused leaves the transaction open; one that finds it rolled back does not, and Kysely does not end it. */
  async commit(): Promise<void> {
    try {
      await this.transaction.commit()
    } catch (error) {
      if (foundItRolledBack(error)) this.#transaction = undefined
      throw error
    }
    this.#transaction = undefined
  }

  /** Rolls back, if a commit has not found it rolled back already: Kysely 0.28 rolls back after any. */
  async rollback(): Promise<void> {
    const transaction = this.#transaction
    this.#transaction = undefined
    await transaction?.rollback()
  }

  /** The transaction that is open. */
  get transaction(): OpenTransaction {
    if (this.#transaction === undefined) throw new Error('BUG: no transaction is open on this connection')
    return this.#transaction
  }

  /**
   * Gives back what the connection holds. A transaction that was begun as text, and never ended, is rolled back: with the driver's error
   * when it was a query by itself, otherwise with a warning, because an error could hide the one that led to it.
   */
  async release(): Promise<void> {
    const own = this.#own
    if (own === undefined) return
    this.#own = undefined
    const wasOpen = await rolledBack(own)
    await own.close()
    if (!wasOpen) return
    if (this.#queries === 1 && !this.#hasSignal) throw this.#refusal
    const message = 'a transaction that was begun as text was still open when its connection was released; it was rolled back'
    process.emitWarning(message, { type: 'SluiceWarning', code: 'SLUICE_TX_LEFT_OPEN' })
  }

  get #work(): Work {
    return this.#transaction?.work ?? this.#own ?? this.#database
  }

  /**
   * Lets the stack of an error begin here. It holds ten frames, and those of the driver, above, and of Kysely, below, would leave none for
   * who made the query.
   */
  #failure(error: unknown): unknown {
    const reason = this.#transaction === undefined ? error : this.#transaction.reasonOf(error)
    if (isSluiceError(reason)) Error.captureStackTrace(reason, this.#failure)
    return reason
  }

  /** Gives up the handle for transactions as text, or throws what SQLite says when one is open: it would be waited for in vain. */
  async #leaveText(): Promise<void> {
    const own = this.#own
    if (own === undefined) return
    await own.execute('BEGIN')
    await own.execute('ROLLBACK')
    this.#own = undefined
    await own.close()
  }
}

/** Rolls a handle back, and tells whether there was anything to roll back. */
async function rolledBack(handle: Database): Promise<boolean> {
  try {
    await handle.execute('ROLLBACK')
    return true
  } catch {
    return false
  }
}

function isTransactionControl(error: unknown): error is SluiceError {
  return isSluiceError(error) && error.code === 'ERR_SLUICE_MANUAL_TRANSACTION'
}

/** A statement that returned columns and changed nothing has read. */
function queryResult<R>({ rows, columns, changes, lastInsertRowid }: ExecuteResult<R>): QueryResult<R> {
  if (columns.length > 0 && changes === 0) return { rows }
  const numAffectedRows = BigInt(changes)
  return lastInsertRowid === undefined ? { rows, numAffectedRows } : { rows, numAffectedRows, insertId: BigInt(lastInsertRowid) }
}
