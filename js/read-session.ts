import { SluiceError } from './errors.js'
import { expectSql } from './queries.js'
import { Reads } from './reads.js'
import type { SessionRunner } from './session-runner.js'
import { makeReadStatement } from './statement.js'
import type { ReadStatement } from './statement.js'
import type { Row, SqlParameters } from './types.js'

const MAKER = Symbol('maker')
let construct: (runner: SessionRunner) => ReadSession

/**
 * Reads one state of a database over many statements. Made by {@link Database.read}.
 *
 * It has no way to write, and its connection refuses one.
 */
export class ReadSession extends Reads {
  readonly #runner: SessionRunner

  static {
    construct = (runner) => new ReadSession(MAKER, runner)
  }

  private constructor(maker: symbol, runner: object) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a ReadSession is made by db.read(fn)')
    super(runner)
    this.#runner = runner as SessionRunner
  }

  /**
   * Prepares a statement that reads, to be run many times in this session. Nothing is sent yet: errors in the text come with its
   * first call.
   *
   * @typeParam P - the values it takes
   * @typeParam T - a row; nothing checks that it is one
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
   */
  prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): ReadStatement<P, T> {
    expectSql(sql)
    return makeReadStatement<P, T>(this.#runner, sql)
  }
}

/** Makes a read session; its constructor is not for users. */
export function makeReadSession(runner: SessionRunner): ReadSession {
  return construct(runner)
}
