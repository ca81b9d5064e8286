import { SluiceError } from './errors.js'
import { Handle } from './handle.js'
import { rowCallMode, valueCallMode } from './options.js'
import { executeResult, runResult } from './results.js'
import type { CallOptions, Column, ExecuteResult, Row, RunResult, SqlParameters, SqlValue, ValueOptions } from './types.js'
import { DESCRIBE, TAKE_ALL, TAKE_FIRST, TAKE_NONE } from './layout.js'

let construct: <P extends SqlParameters, T>(handle: Handle, sql: string) => Statement<P, T>

/**
 * Runs one text of SQL again and again, with other values each time. Made by {@link Database.prepare}.
 *
 * It belongs to its handle, not to a connection: each connection prepares it when it first runs there, and again when the schema
 * has changed. There is nothing to close.
 *
 * Its methods do what those of the same name on {@link Database} do, and fail with the same errors.
 *
 * @example
 * ```ts
 * const byEmail = db.prepare<[string], { id: number; name: string }>('SELECT id, name FROM users WHERE email = ?')
 * const user = await byEmail.get(['ada@example.com'])
 * ```
 *
 * @typeParam P - the values it takes
 * @typeParam T - a row
 */
export class Statement<P extends SqlParameters = SqlParameters, T = Row> {
  /** Holds the text. */
  readonly sql: string
  readonly #handle: Handle

  static {
    construct = <Q extends SqlParameters, U>(handle: Handle, sql: string) => new Statement<Q, U>(handle, sql)
  }

  private constructor(handle: Handle, sql: string) {
    if (!(handle instanceof Handle)) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Statement is made by db.prepare(sql)')
    this.#handle = handle
    this.sql = sql
  }

  /** Runs the statement and returns everything about it. See {@link Database.execute}. */
  async execute(params?: P, options?: CallOptions): Promise<ExecuteResult<T>> {
    const mode = rowCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(this.sql, params, mode, mode.rowMode, TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return executeResult<T>(call)
  }

  /** Runs the statement and returns all rows. See {@link Database.all}. */
  async all(params?: P, options?: CallOptions): Promise<T[]> {
    const mode = rowCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(this.sql, params, mode, mode.rowMode, TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as T[]
  }

  /** Runs the statement and returns the first row, or `undefined` if there is none. See {@link Database.get}. */
  async get(params?: P, options?: CallOptions): Promise<T | undefined> {
    const mode = rowCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(this.sql, params, mode, mode.rowMode, TAKE_FIRST)
    await call.settled
    call.expectSuccess()
    return call.takeFirst() as T | undefined
  }

  /** Runs the statement and returns all rows as arrays. See {@link Database.values}. */
  async values(params?: P, options?: ValueOptions): Promise<SqlValue[][]> {
    const mode = valueCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(this.sql, params, mode, 'array', TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as SqlValue[][]
  }

  /** Runs the statement and returns the first column of all rows. See {@link Database.pluck}. */
  async pluck<V = SqlValue>(params?: P, options?: ValueOptions): Promise<V[]> {
    const mode = valueCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(this.sql, params, mode, 'pluck', TAKE_ALL)
    await call.settled
    call.expectSuccess()
    return call.takeRows() as V[]
  }

  /** Runs the statement and returns what it changed. See {@link Database.run}. */
  async run(params?: P, options?: ValueOptions): Promise<RunResult> {
    const mode = valueCallMode(options, this.#handle.mode)
    const call = this.#handle.statement(this.sql, params, mode, 'array', TAKE_NONE)
    await call.settled
    call.expectSuccess()
    return runResult(call)
  }

  /**
   * Returns the columns the statement would have if it were run now, without running it. Empty for one that returns no rows.
   *
   * @throws {@link SqliteError} for what SQLite cannot prepare, and errors of the driver as {@link Database.execute}
   */
  async columns(): Promise<readonly Column[]> {
    const call = this.#handle.statement(this.sql, undefined, this.#handle.mode, 'array', DESCRIBE)
    await call.settled
    call.expectSuccess()
    return call.shape.columns
  }
}

/** Makes a statement; its constructor is not for users. */
export function makeStatement<P extends SqlParameters, T>(handle: Handle, sql: string): Statement<P, T> {
  return construct<P, T>(handle, sql)
}
