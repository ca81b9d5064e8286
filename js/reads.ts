import { ALL, COLUMNAR, EXECUTE, EXECUTE_JSON, GET, PLUCK, SQL, VALUES, run } from './methods.js'
import { iterateMode } from './options.js'
import { expectSql } from './queries.js'
import { makeRowIterator } from './row-iterator.js'
import type { RowIterator } from './row-iterator.js'
import type { Runner } from './runner.js'
import { templateText } from './template.js'
import type { CallOptions, ColumnVector, ColumnarResult, ExecuteResult, IterateOptions, NodeBuffer, Row, SqlParameter, SqlParameters, SqlValue, ValueOptions } from './types.js'

/** Runs statements that return rows: on a database, in a transaction, in a session. */
export abstract class Reads {
  readonly #runner: Runner

  /** @internal */
  protected constructor(runner: object) {
    this.#runner = runner as Runner
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
   * `changes()`; `ERR_SLUICE_TOO_LARGE` past `maxResultBytes`; `ERR_SLUICE_REENTRANT` for a call that would wait for the callback in
   * which it is made; `ERR_SLUICE_TIMEOUT` past its `timeoutMs`; {@link AbortError} when its `signal` is aborted
   * @throws {@link SluiceError}: `ERR_SLUICE_DECODE` when the rows could not be made, for want of memory perhaps; a write has
   * committed then. `ERR_SLUICE_OUTCOME_UNKNOWN` when an I/O error during the commit of a write leaves that open
   *
   * @example
   * ```ts
   * const { rows, columns, route } = await db.execute('SELECT name FROM users WHERE age > :age', { age: 30 })
   * ```
   */
  execute<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<ExecuteResult<T>> {
    return run(EXECUTE, this.#runner, sql, params, options) as Promise<ExecuteResult<T>>
  }

  /**
   * Runs one statement and returns all rows.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws as `execute`
   *
   * @example
   * ```ts
   * const users = await db.all<{ id: number; name: string }>('SELECT id, name FROM users')
   * ```
   */
  all<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<T[]> {
    return run(ALL, this.#runner, sql, params, options) as Promise<T[]>
  }

  /**
   * Runs one statement and returns the first row, or `undefined` if there is none. A read stops there; a write runs to its end.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws as `execute`
   *
   * @example
   * ```ts
   * const user = await db.get<{ name: string }>('SELECT name FROM users WHERE id = ?', [7])
   * ```
   */
  get<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<T | undefined> {
    return run(GET, this.#runner, sql, params, options) as Promise<T | undefined>
  }

  /**
   * Runs one statement and returns all rows as arrays, whatever `rowMode` says.
   *
   * @throws as `execute`
   */
  values(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<SqlValue[][]> {
    return run(VALUES, this.#runner, sql, params, options) as Promise<SqlValue[][]>
  }

  /**
   * Runs one statement and returns the first column of all rows.
   *
   * @typeParam V - a value of that column; nothing checks that it is one
   * @throws as `execute`
   *
   * @example
   * ```ts
   * const names = await db.pluck<string>('SELECT name FROM users ORDER BY name')
   * ```
   */
  pluck<V = SqlValue>(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<V[]> {
    return run(PLUCK, this.#runner, sql, params, options) as Promise<V[]>
  }

  /**
   * Runs one statement and returns all values, column by column: for sums, charts and other work on whole columns.
   *
   * A column is a `Float64Array` if all of its values are numbers, and a `BigInt64Array` if all are bigints: with `integers: 'bigint'`
   * those are its INTEGERs. In all other cases it is an array of the values that `values` gives: as soon as it has a NULL, a TEXT, a
   * BLOB, or both numbers and bigints, and when there is no row.
   *
   * @typeParam T - the columns by name; nothing checks that they are like that
   * @throws as `execute`
   *
   * @example
   * ```ts
   * const { rowCount, byName } = await db.columnar<{ amount: Float64Array }>('SELECT amount FROM orders')
   * const mean = byName.amount.reduce((sum, amount) => sum + amount, 0) / rowCount
   * ```
   */
  columnar<T = { [column: string]: ColumnVector }>(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<ColumnarResult<T>> {
    return run(COLUMNAR, this.#runner, sql, params, options) as Promise<ColumnarResult<T>>
  }

  /**
   * Runs one statement and returns all rows as the bytes of one JSON text, ready for an HTTP response: what
   * `Buffer.from(JSON.stringify(await db.all(sql, params, options)))` returns, but for two kinds of values. The text is written by the
   * thread that runs the statement, and the event loop makes no rows.
   *
   * - An INTEGER beyond 2^53 is written with all its digits; with `integers: 'number'` it is an error, as everywhere.
   * - A BLOB is a string in base64.
   *
   * NULL and infinite numbers are `null`. `rowMode: 'array'` makes arrays of the rows. A text without a single row is `[]`.
   * `maxResultBytes` limits the bytes.
   *
   * @throws as `execute`
   *
   * @example
   * ```ts
   * response.setHeader('content-type', 'application/json')
   * response.end(await db.executeJson('SELECT id, name FROM users WHERE age > ?', [30]))
   * ```
   */
  executeJson(sql: string, params?: SqlParameters, options?: CallOptions): Promise<NodeBuffer> {
    return run(EXECUTE_JSON, this.#runner, sql, params, options)
  }

  /**
   * Runs the statement of a template literal and returns all rows. Values become parameters, never text: an array is no list of
   * values, but an error.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` when called as a plain function; otherwise as `execute`
   *
   * @example
   * ```ts
   * const users = await db.sql<{ id: number }>`SELECT id FROM users WHERE name = ${name} AND age > ${age}`
   * ```
   */
  sql<T = Row>(strings: TemplateStringsArray, ...values: SqlParameter[]): Promise<T[]> {
    try {
      return run(SQL, this.#runner, templateText(strings), values) as Promise<T[]>
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * Runs one statement and delivers its rows one after another, of which few are held at a time.
   *
   * On a database it sees one state of it, on a read connection that is its own until the loop ends: in any way. It begins at once.
   * Two kinds of statements cannot be stepped like that, and have all their rows fetched first: those that write, and, where reads and
   * writes take turns (`concurrency: 'exclusive'`), all. In a transaction or session it uses the connection of that, and other calls may
   * be made in the loop.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @throws at once: `ERR_SLUICE_INVALID_ARGUMENT`, `ERR_SLUICE_INVALID_OPTION`, `ERR_SLUICE_INVALID_PARAMETER`, `ERR_SLUICE_CLOSED`,
   * `ERR_SLUICE_REENTRANT`
   * @throws from the iterator: everything else, as `execute`; `ERR_SLUICE_READ_LEASE_TIMEOUT` past `maxReadLeaseMs`
   *
   * @example
   * ```ts
   * for await (const { name } of db.iterate<{ name: string }>('SELECT name FROM users')) console.log(name)
   * ```
   */
  iterate<T = Row>(sql: string, params?: SqlParameters, options?: IterateOptions): RowIterator<T> {
    const { mode, rows } = iterateMode(options, this.#runner.mode)
    expectSql(sql)
    return makeRowIterator<T>(this.#runner.iterate(sql, params, mode, mode.rowMode, rows))
  }
}
