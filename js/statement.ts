import { SluiceError } from './errors.js'
import { ALL, COLUMNAR, COLUMNS, EXECUTE, EXECUTE_JSON, GET, PLUCK, RUN, VALUES, run } from './methods.js'
import { iterateMode } from './options.js'
import { makeRowIterator } from './row-iterator.js'
import type { RowIterator } from './row-iterator.js'
import type { Runner } from './runner.js'
import type { CallOptions, Column, ColumnVector, ColumnarResult, ExecuteResult, IterateOptions, NodeBuffer, Row, RunResult, SqlParameters, SqlValue, ValueOptions } from './types.js'

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
  execute(params?: P, options?: CallOptions): Promise<ExecuteResult<T>> {
    return run(EXECUTE, this.#runner, this.sql, params, options) as Promise<ExecuteResult<T>>
  }

  /** Runs the statement and returns all rows. See {@link Database.all}. */
  all(params?: P, options?: CallOptions): Promise<T[]> {
    return run(ALL, this.#runner, this.sql, params, options) as Promise<T[]>
  }

  /** Runs the statement and returns the first row, or `undefined` if there is none. See {@link Database.get}. */
  get(params?: P, options?: CallOptions): Promise<T | undefined> {
    return run(GET, this.#runner, this.sql, params, options) as Promise<T | undefined>
  }

  /** Runs the statement and returns all rows as arrays. See {@link Database.values}. */
  values(params?: P, options?: ValueOptions): Promise<SqlValue[][]> {
    return run(VALUES, this.#runner, this.sql, params, options) as Promise<SqlValue[][]>
  }

  /** Runs the statement and returns the first column of all rows. See {@link Database.pluck}. */
  pluck<V = SqlValue>(params?: P, options?: ValueOptions): Promise<V[]> {
    return run(PLUCK, this.#runner, this.sql, params, options) as Promise<V[]>
  }

  /** Runs the statement and returns all values, column by column. See {@link Database.columnar}. */
  columnar<C = { [column: string]: ColumnVector }>(params?: P, options?: ValueOptions): Promise<ColumnarResult<C>> {
    return run(COLUMNAR, this.#runner, this.sql, params, options) as Promise<ColumnarResult<C>>
  }

  /** Runs the statement and returns all rows as the bytes of one JSON text. See {@link Database.executeJson}. */
  executeJson(params?: P, options?: CallOptions): Promise<NodeBuffer> {
    return run(EXECUTE_JSON, this.#runner, this.sql, params, options)
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
  columns(): Promise<readonly Column[]> {
    return run(COLUMNS, this.#runner, this.sql, undefined)
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
  run(params?: P, options?: ValueOptions): Promise<RunResult> {
    return run(RUN, this.#runner, this.sql, params, options)
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
