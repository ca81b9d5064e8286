import { SluiceError } from './errors.js'
import { Handle } from './handle.js'
import { closeTimeoutMs, rowCallMode, valueCallMode } from './options.js'
import { expectSql } from './queries.js'
import { executeResult, runResult } from './results.js'
import { makeStatement } from './statement.js'
import type { Statement } from './statement.js'
import { templateText } from './template.js'
import type {
  CallOptions,
  CloseOptions,
  ExecuteResult,
  Row,
  RunResult,
  SqlParameter,
  SqlParameters,
  SqlValue,
  Status,
  ValueOptions,
} from './types.js'
import { TAKE_ALL, TAKE_FIRST, TAKE_NONE } from './layout.js'

let construct: (handle: Handle) => Database

/**
 * Gives access to one database. Made by {@link open}.
 *
 * Every call may be started at any time, also while others are under way: reads run in parallel, each on its own snapshot, and writes one
 * after another in the order of their calls. Values are those of the moment of the call. A resolved write is committed.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_CLOSED` once `close` has been called,
 * `ERR_SLUICE_OVERLOADED` when `maxQueued` calls are waiting, `ERR_SLUICE_ACQUIRE_TIMEOUT` when its turn did not come in time, and
 * `ERR_SLUICE_PANIC` after a fault in the driver; the database stays usable.
 */
export class Database {
  readonly #handle: Handle

  static {
    construct = (handle) => new Database(handle)
  }

  private constructor(handle: Handle) {
    if (!(handle instanceof Handle)) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Database is made by open(path)')
    this.#handle = handle
  }

  /** Holds the absolute path that was fixed at `open`; `':memory:'` and `''` stand for themselves. */
  get path(): string {
    return this.#handle.path
  }

  /** Tells whether `close` has been called. */
  get closed(): boolean {
    return this.#handle.closed
  }

  /**
   * Runs one statement and returns everything about it: columns, rows, changes, and who ran it.
   *
   * A statement that returns no rows has none, and no columns; a text without a statement (empty, or only a comment) likewise.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @param sql - one statement; a comment may follow
   * @param params - the values of its parameters
   * @param options - what to do differently from what was said to `open`
   * @throws {@link SqliteError} for what SQLite refuses
   * @throws {@link SluiceError}, with nothing changed: `ERR_SLUICE_INVALID_ARGUMENT`; `ERR_SLUICE_INVALID_OPTION`;
   * `ERR_SLUICE_INVALID_PARAMETER` for values that do not fit the statement; `ERR_SLUICE_OUT_OF_RANGE` for an integer that cannot be
   * carried exactly; `ERR_SLUICE_MULTIPLE_STATEMENTS`; `ERR_SLUICE_MANUAL_TRANSACTION` for BEGIN, COMMIT and the like;
   * `ERR_SLUICE_PRAGMA` and `ERR_SLUICE_NOT_AUTHORIZED` for what must not run here; `ERR_SLUICE_CONNECTION_STATE` for functions such as
   * `changes()`; `ERR_SLUICE_TOO_LARGE` past `maxResultBytes`
   * @throws {@link SluiceError}: `ERR_SLUICE_DECODE` when the rows could not be made, for want of memory perhaps; a write has
   * committed then
   *
   * @example
   * ```ts
   * const { rows, columns, route } = await db.execute('SELECT name FROM users WHERE age > :age', { age: 30 })
   * ```
   */
  async execute<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<ExecuteResult<T>> {
    const mode = rowCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(sql, params, mode, mode.rowMode, TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return executeResult<T>(call)
  }

  /**
   * Runs one statement and returns all rows.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws as {@link Database.execute}
   *
   * @example
   * ```ts
   * const users = await db.all<{ id: number; name: string }>('SELECT id, name FROM users')
   * ```
   */
  async all<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<T[]> {
    const mode = rowCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(sql, params, mode, mode.rowMode, TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as T[]
  }

  /**
   * Runs one statement and returns the first row, or `undefined` if there is none. A read stops there; a write runs to its end.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws as {@link Database.execute}
   *
   * @example
   * ```ts
   * const user = await db.get<{ name: string }>('SELECT name FROM users WHERE id = ?', [7])
   * ```
   */
  async get<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<T | undefined> {
    const mode = rowCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(sql, params, mode, mode.rowMode, TAKE_FIRST)
    await call.settled
    call.expectSuccess()
    return call.takeFirst() as T | undefined
  }

  /**
   * Runs one statement and returns all rows as arrays, whatever `rowMode` says.
   *
   * @throws as {@link Database.execute}
   */
  async values(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<SqlValue[][]> {
    const mode = valueCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(sql, params, mode, 'array', TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as SqlValue[][]
  }

  /**
   * Runs one statement and returns the first column of all rows.
   *
   * @typeParam V - a value of that column; nothing checks that it is one
   * @throws as {@link Database.execute}
   *
   * @example
   * ```ts
   * const names = await db.pluck<string>('SELECT name FROM users ORDER BY name')
   * ```
   */
  async pluck<V = SqlValue>(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<V[]> {
    const mode = valueCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(sql, params, mode, 'pluck', TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as V[]
  }

  /**
   * Runs one statement and returns what it changed. Rows it may return are not carried over.
   *
   * @throws as {@link Database.execute}
   *
   * @example
   * ```ts
   * const { lastInsertRowid } = await db.run('INSERT INTO users (name) VALUES (?)', ['Ada'])
   * ```
   */
  async run(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<RunResult> {
    const mode = valueCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(sql, params, mode, 'array', TAKE_NONE)
    await call.settled
    call.expectSuccess()
    return runResult(call)
  }

  /**
   * Runs the statement of a template literal and returns all rows. Values become parameters, never text: an array is no list of
   * values, but an error.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` when called as a plain function; otherwise as {@link Database.execute}
   *
   * @example
   * ```ts
   * const users = await db.sql<{ id: number }>`SELECT id FROM users WHERE name = ${name} AND age > ${age}`
   * ```
   */
  async sql<T = Row>(strings: TemplateStringsArray, ...values: SqlParameter[]): Promise<T[]> {
    const text = templateText(strings)
    const { mode } = this.#handle
    const call = this.#handle.statement(text, values, mode, mode.rowMode, TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as T[]
  }

  /**
   * Runs a script of any number of statements, in order, on the writer; rows are not carried over. It stops at the first error,
   * whose `statementIndex` says which statement it was. Without a BEGIN of the script's own, each statement commits by itself;
   * a transaction that the script leaves open is rolled back, and `ERR_SLUICE_MANUAL_TRANSACTION` says so.
   *
   * @throws {@link SqliteError} and {@link SluiceError} as {@link Database.execute}, but for those on several statements; among them
   * `ERR_SLUICE_INVALID_PARAMETER` for a script with parameters, and for values beside it: a script takes none
   *
   * @example
   * ```ts
   * await db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)')
   * ```
   */
  exec(script: string): Promise<void>
  async exec(script: string, ...values: unknown[]): Promise<void> {
    if (values.length > 0) throw new SluiceError('ERR_SLUICE_INVALID_PARAMETER', 'db.exec takes a script and no values: use db.run for one statement')
    const call = this.#handle.script(script)
    await call.settled
    call.expectSuccess()
  }

  /**
   * Prepares a statement to be run many times. Nothing is sent yet: errors in the text come with its first call.
   *
   * @typeParam P - the values it takes
   * @typeParam T - a row; nothing checks that it is one
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
   */
  prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): Statement<P, T> {
    expectSql(sql)
    return makeStatement<P, T>(this.#handle, sql)
  }

  /**
   * Reads or sets a PRAGMA and returns its rows, as objects: {@link https://sqlite.org/pragma.html}. One that belongs to a connection
   * is set on all of them, present and future.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @param name - its name, with a schema or without: `'user_version'`, `'main.user_version'`
   * @param value - what to set it to, or what to ask it about
   * @throws {@link SqliteError} for what SQLite refuses
   * @throws {@link SluiceError}: `ERR_SLUICE_INVALID_ARGUMENT`, and `ERR_SLUICE_PRAGMA` for one that the driver keeps to itself
   *
   * @example
   * ```ts
   * await db.pragma('cache_size', -16_000)
   * const [row] = await db.pragma<{ user_version: number }>('user_version')
   * ```
   */
  async pragma<T = Row>(name: string, value?: string | number | boolean): Promise<T[]> {
    const call = this.#handle.pragma(name, value)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as T[]
  }

  /** Returns what the manager of this database is doing. It costs no wait, and works after `close` too. */
  status(): Status {
    return this.#handle.status()
  }

  /**
   * Closes the handle, and the database with its last handle. Nothing new is admitted from now on, and what waits for its turn is rejected
   * with `ERR_SLUICE_CLOSED`; what is under way finishes, or is interrupted after `timeoutMs`.
   *
   * May be called more than once: every caller gets the same outcome.
   *
   * @throws {@link SqliteError} when the file could not be closed in order
   */
  async close(options?: CloseOptions): Promise<void> {
    const call = this.#handle.close(closeTimeoutMs(options))
    await call.settled
    call.expectSuccess()
  }

  /** Closes the handle at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Makes a database; its constructor is not for users. */
export function makeDatabase(handle: Handle): Database {
  return construct(handle)
}
