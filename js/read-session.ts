import type { Call } from './call.js'
import { SluiceError } from './errors.js'
import type { CallMode } from './options.js'
import { expectSql } from './queries.js'
import { Reads } from './reads.js'
import type { RowForm } from './rows.js'
import type { RowSource } from './row-source.js'
import type { Runner } from './runner.js'
import { innermost, reentrant } from './scope.js'
import type { Session } from './session.js'
import { makeReadStatement } from './statement.js'
import type { ReadStatement } from './statement.js'
import type { Row, SqlParameters } from './types.js'

/** Runs statements on the connection of a session, until its callback has come to its end. */
export class SessionRunner implements Runner {
  readonly session: Session
  over = false
  /** The transaction in it that is under way, until it has ended. */
  nested: Promise<void> | null = null
  readonly #what: string

  constructor(session: Session, what: string) {
    this.session = session
    this.#what = what
  }

  get mode(): CallMode {
    return this.session.mode
  }

  /** What its calls have to wait for. Throws for a call that is made in what it would wait for. */
  get busy(): Promise<void> | null {
    if (this.nested !== null && innermost(this) !== undefined) throw reentrant('a call on w', 'transaction')
    return this.nested
  }

  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, take: number): Call {
    this.expectOpen()
    return this.session.submitter.statement(sql, params, mode, form, take)
  }

  script(sql: string, mode: CallMode): Call {
    this.expectOpen()
    return this.session.submitter.script(sql, mode)
  }

  iterate(sql: string, params: unknown, mode: CallMode, form: RowForm, rows: number): RowSource {
    this.expectOpen()
    return this.session.submitter.iterate(sql, params, mode, form, rows, 0, (byteLength, extras) =>
      this.session.binding.iterate(byteLength, extras, rows),
    )
  }

  expectOpen(): void {
    if (this.over) throw new SluiceError('ERR_SLUICE_TX_CLOSED', `the ${this.#what} callback has ended`)
    // Only what cannot wait comes here while there is one.
    if (this.busy !== null) throw new SluiceError('ERR_SLUICE_REENTRANT', 'a transaction is under way: wait for its end, or use its tx')
  }
}

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
