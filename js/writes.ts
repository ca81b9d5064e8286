import { SluiceError } from './errors.js'
import { RUN, run } from './methods.js'
import { execCallMode } from './options.js'
import { expectSql } from './queries.js'
import { Reads } from './reads.js'
import type { Runner } from './runner.js'
import { makeStatement } from './statement.js'
import type { Statement } from './statement.js'
import type { ExecOptions, Row, RunResult, SqlParameters, ValueOptions } from './types.js'
import { whenFree, withLimits } from './when-free.js'

/** Runs statements of any kind: on a database, in a transaction, in exclusive write mode. */
export abstract class Writes extends Reads {
  readonly #runner: Runner

  /** @internal */
  protected constructor(runner: object) {
    super(runner)
    this.#runner = runner as Runner
  }

  /**
   * Runs one statement and returns what it changed. Rows it may return are not carried over.
   *
   * @throws as `execute`
   *
   * @example
   * ```ts
   * const { lastInsertRowid } = await db.run('INSERT INTO users (name) VALUES (?)', ['Ada'])
   * ```
   */
  run(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<RunResult> {
    return run(RUN, this.#runner, sql, params, options)
  }

  /**
   * Runs a script of any number of statements, in order, on the writer; rows are not carried over. It stops at the first error,
   * whose `statementIndex` says which statement it was. On a database and without a BEGIN of the script's own, each statement
   * commits by itself; a transaction that the script leaves open is rolled back, and `ERR_SLUICE_MANUAL_TRANSACTION` says so. In a
   * transaction it takes part in that.
   *
   * @throws {@link SqliteError} and {@link SluiceError} as `execute`, but for those on several statements; among them
   * `ERR_SLUICE_INVALID_PARAMETER` for a script with parameters, and for values beside it: a script takes none
   *
   * @example
   * ```ts
   * await db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)')
   * ```
   */
  exec(script: string, options?: ExecOptions): Promise<void> {
    const runner = this.#runner
    try {
      if (Array.isArray(options)) throw new SluiceError('ERR_SLUICE_INVALID_PARAMETER', 'exec takes a script and no values: use run for one statement')
      const mode = execCallMode(options, runner.mode)
      return whenFree(runner, mode.limits, (outer, limits) => runner.script(script, withLimits(mode, limits)).into(() => undefined, outer))
    } catch (error) {
      return Promise.reject(error as Error)
    }
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
    return makeStatement<P, T>(this.#runner, sql)
  }
}
