import { SluiceError } from './errors.js'
import { iterateMode, rowCallMode, valueCallMode } from './options.js'
import { columnarResult } from './columnar.js'
import { jsonResult, jsonTake } from './json.js'
import { executeResult, runResult } from './results.js'
import { makeRowIterator } from './row-iterator.js'
import type { RowIterator } from './row-iterator.js'
import type { Runner } from './runner.js'
import type { CallOptions, Column, ColumnVector, ColumnarResult, ExecuteResult, IterateOptions, NodeBuffer, Row, RunResult, SqlParameters, SqlValue, ValueOptions } from './types.js'
import { DESCRIBE, TAKE_ALL, TAKE_FIRST, TAKE_NONE } from './layout.js'

/** Says who makes statements: they are not for users to make. */
const MAKER = Symbol('maker')
let constructRead: (runner: Runner, sql: string) => ReadStatement<never, unknown>
let construct: (runner: Runner, sql: string) => Statement<never, unknown>

/**
 * Runs one text of SQL that reads again and again, with other values each time. Made by {@link ReadSession.prepare}.
 *
 * It belongs to what prepared it, not to a connection: each connection prepares it when it first runs there, and again when the
 * schema has changed. There is nothing to close.
 *
 * Its methods do what those of the same name on {@link Database} do, and fail with the same errors.
 *
 * @typeParam P - the values it takes
 * @typeParam T - a row
 */
export class ReadStatement<P extends SqlParameters = SqlParameters, T = Row> {
  /** Holds the text. */
  readonly sql: string
  readonly #runner: Runner

  static {
    constructRead = (runner, sql) => new ReadStatement(MAKER, runner, sql)
  }

  protected constructor(maker: symbol, runner: object, sql: string) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Statement is made by db.prepare(sql)')
    this.#runner = runner as Runner
    this.sql = sql
  }

  /** Runs the statement and returns everything about it. See {@link Database.execute}. */
  async execute(params?: P, options?: CallOptions): Promise<ExecuteResult<T>> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const mode = rowCallMode(options, runner.mode)
    const call = runner.statement(this.sql, params, mode, mode.rowMode, TAKE_ALL, 'execute')
    await call.settled
    call.expectSuccess()
    return executeResult<T>(call)
  }

  /** Runs the statement and returns all rows. See {@link Database.all}. */
  async all(params?: P, options?: CallOptions): Promise<T[]> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const mode = rowCallMode(options, runner.mode)
    const call = runner.statement(this.sql, params, mode, mode.rowMode, TAKE_ALL, 'all')
    await call.settled
    call.expectSuccess()
    return call.takeRows() as T[]
  }

  /** Runs the statement and returns the first row, or `undefined` if there is none. See {@link Database.get}. */
  async get(params?: P, options?: CallOptions): Promise<T | undefined> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const mode = rowCallMode(options, runner.mode)
    const call = runner.statement(this.sql, params, mode, mode.rowMode, TAKE_FIRST, 'get')
    await call.settled
    call.expectSuccess()
    return call.takeFirst() as T | undefined
  }

  /** Runs the statement and returns all rows as arrays. See {@link Database.values}. */
  async values(params?: P, options?: ValueOptions): Promise<SqlValue[][]> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const call = runner.statement(this.sql, params, valueCallMode(options, runner.mode), 'array', TAKE_ALL, 'values')
    await call.settled
    call.expectSuccess()
    return call.takeRows() as SqlValue[][]
  }

  /** Runs the statement and returns the first column of all rows. See {@link Database.pluck}. */
  async pluck<V = SqlValue>(params?: P, options?: ValueOptions): Promise<V[]> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const call = runner.statement(this.sql, params, valueCallMode(options, runner.mode), 'pluck', TAKE_ALL, 'pluck')
    await call.settled
    call.expectSuccess()
    return call.takeRows() as V[]
  }

  /** Runs the statement and returns all values, column by column. See {@link Database.columnar}. */
  async columnar<C = { [column: string]: ColumnVector }>(params?: P, options?: ValueOptions): Promise<ColumnarResult<C>> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const call = runner.statement(this.sql, params, valueCallMode(options, runner.mode), 'columnar', TAKE_ALL, 'columnar')
    await call.settled
    call.expectSuccess()
    return columnarResult<C>(call)
  }

  /** Runs the statement and returns all rows as the bytes of one JSON text. See {@link Database.executeJson}. */
  async executeJson(params?: P, options?: CallOptions): Promise<NodeBuffer> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const mode = rowCallMode(options, runner.mode)
    const call = runner.statement(this.sql, params, mode, 'json', jsonTake(mode.rowMode), 'executeJson')
    await call.settled
    call.expectSuccess()
    return jsonResult(call)
  }

  /** Runs the statement and delivers its rows one after another. See {@link Database.iterate}. */
  iterate(params?: P, options?: IterateOptions): RowIterator<T> {
    const { mode, rows } = iterateMode(options, this.#runner.mode)
    return makeRowIterator<T>(this.#runner.iterate(this.sql, params, mode, mode.rowMode, rows))
  }

  /**
   * Returns the columns the statement would have if it were run now, without running it. Empty for one that returns no rows.
   *
   * @throws {@link SqliteError} for what SQLite cannot prepare, and errors of the driver as {@link Database.execute}
   */
  async columns(): Promise<readonly Column[]> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const call = runner.statement(this.sql, undefined, runner.mode, 'array', DESCRIBE, 'columns')
    await call.settled
    call.expectSuccess()
    return call.shape.columns
  }
}

/**
 * Runs one text of SQL again and again, with other values each time. Made by {@link Database.prepare}.
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
export class Statement<P extends SqlParameters = SqlParameters, T = Row> extends ReadStatement<P, T> {
  readonly #runner: Runner

  static {
    construct = (runner, sql) => new Statement(MAKER, runner, sql)
  }

  private constructor(maker: symbol, runner: object, sql: string) {
    super(maker, runner, sql)
    this.#runner = runner as Runner
  }

  /** Runs the statement and returns what it changed. See {@link Database.run}. */
  async run(params?: P, options?: ValueOptions): Promise<RunResult> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    const call = runner.statement(this.sql, params, valueCallMode(options, runner.mode), 'array', TAKE_NONE, 'run')
    await call.settled
    call.expectSuccess()
    return runResult(call)
  }
}

/** Makes a statement; its constructor is not for users. */
export function makeStatement<P extends SqlParameters, T>(runner: Runner, sql: string): Statement<P, T> {
  return construct(runner, sql) as Statement<P, T>
}

/** Makes a statement that only reads; its constructor is not for users. */
export function makeReadStatement<P extends SqlParameters, T>(runner: Runner, sql: string): ReadStatement<P, T> {
  return constructRead(runner, sql) as ReadStatement<P, T>
}
