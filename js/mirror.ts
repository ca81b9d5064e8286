import { Copies, closedError } from './copies.js'
import type { Copy } from './copies.js'
import type { Database } from './database.js'
import { SluiceError } from './errors.js'
import type { Handle } from './handle.js'
import { reloadAfter } from './mirror-options.js'
import type { MirrorMode, MirrorStatus, ReloadOptions } from './mirror-options.js'
import { closeTimeoutMs, sessionMode } from './options.js'
import type { CallMode } from './options.js'
import { expectSql } from './queries.js'
import { makeReadSession } from './read-session.js'
import type { ReadSession } from './read-session.js'
import { Reads } from './reads.js'
import type { RowSource } from './row-source.js'
import type { RowForm } from './rows.js'
import type { Runner } from './runner.js'
import type { Call } from './call.js'
import { Scope } from './scope.js'
import { SessionRunner, runSession } from './session-runner.js'
import { makeReadStatement } from './statement.js'
import type { ReadStatement } from './statement.js'
import { traceWhole } from './trace.js'
import type { QueryOperation } from './tracing.js'
import { expectCallback } from './transaction.js'
import type { CloseOptions, Row, SessionOptions, SqlParameters } from './types.js'

const MAKER = Symbol('maker')
let construct: (copies: Copies) => Mirror
let constructSnapshot: (runner: PinnedRunner) => Snapshot

/** Runs statements on one copy or another, as it is asked for each. */
abstract class CopyRunner implements Runner {
  readonly busy = null
  readonly copies: Copies

  constructor(copies: Copies) {
    this.copies = copies
  }

  /** The copy to read. Throws when there is none any more. */
  abstract get copy(): Copy

  get mode(): CallMode {
    return this.copies.source.mode
  }

  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, take: number, operation: QueryOperation): Call {
    return this.copy.handle.statement(sql, params, mode, form, take, operation)
  }

  script(sql: string, mode: CallMode): Call {
    return this.copy.handle.script(sql, mode)
  }

  iterate(sql: string, params: unknown, mode: CallMode, form: RowForm, rows: number): RowSource {
    return this.copy.handle.iterate(sql, params, mode, form, rows)
  }
}

/** Reads the copy that is current when a call is made. */
class CurrentRunner extends CopyRunner {
  get copy(): Copy {
    return this.copies.current
  }
}

/** What is to be taken back from a copy, once. */
interface Pin {
  readonly copies: Copies
  readonly copy: Copy
  released: boolean
}

function release(pin: Pin): void {
  if (pin.released) return
  pin.released = true
  pin.copy.pins--
  pin.copies.retire(pin.copy)
}

/** Releases the snapshots that were dropped. */
const dropped = new FinalizationRegistry<Pin>(release)

/** Reads one copy, which is kept for it. */
class PinnedRunner extends CopyRunner {
  readonly pin: Pin

  constructor(copies: Copies) {
    super(copies)
    this.pin = { copies, copy: copies.current, released: false }
    this.pin.copy.pins++
    dropped.register(this, this.pin)
  }

  get copy(): Copy {
    if (this.copies.closed) throw closedError()
    if (this.pin.released) throw new SluiceError('ERR_SLUICE_CLOSED', 'the snapshot has been released')
    return this.pin.copy
  }
}

/** Reads copies of a database in memory: {@link Mirror} and {@link Snapshot}. */
export abstract class MirrorReads extends Reads {
  readonly #runner: CopyRunner

  /** @internal */
  protected constructor(runner: object) {
    super(runner)
    this.#runner = runner as CopyRunner
  }

  /**
   * Prepares a statement that reads, to be run many times. Nothing is sent yet: errors in the text come with its first call.
   *
   * @typeParam P - the values it takes
   * @typeParam T - a row; nothing checks that it is one
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
   */
  prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): ReadStatement<P, T> {
    expectSql(sql)
    return makeReadStatement<P, T>(this.#runner, sql)
  }

  /**
   * Runs `callback` on one copy, on a connection of its own: all its statements see the copy that is current when this is called.
   *
   * @throws as {@link Database.read}
   */
  async read<R>(callback: (r: ReadSession) => Promise<R> | R, options?: SessionOptions): Promise<R> {
    expectCallback(callback)
    const mode = sessionMode(options, 'session')
    const trace = this.#runner.copies.source.tracer.transaction('read', 0)
    const run = async (): Promise<R> => {
      const { handle } = this.#runner.copy
      const session = handle.session('read', mode, 'read')
      await session.begun.settled
      session.begun.expectSuccess()
      trace?.begun()
      const runner = new SessionRunner(session, 'the read callback')
      return runSession(runner, new Scope(handle.manager, 'read', handle), () => callback(makeReadSession(runner)))
    }
    return trace === null ? run() : traceWhole(trace, run)
  }
}

/**
 * Reads a copy of a database that is in memory, and is replaced by newer ones. Made by {@link Database.mirror}.
 *
 * Each call reads the copy that is current when it is made, beside any number of others, and never waits for a reload or for the database
 * itself. A copy is one state of the database; the current one is as old as the last reload. It cannot be written to: a statement that
 * would is rejected by SQLite (`SQLITE_READONLY`).
 *
 * Close it when it is no longer needed; it is closed with the handle of the database that it was made from. One that watches keeps its
 * database, but no process, alive.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_CLOSED` once either has been closed, and with the
 * other errors that every call on a {@link Database} can be rejected with.
 */
export class Mirror extends MirrorReads {
  readonly #copies: Copies

  static {
    construct = (copies) => new Mirror(MAKER, copies)
  }

  private constructor(maker: symbol, copies: object) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Mirror is made by db.mirror()')
    super(new CurrentRunner(copies as Copies))
    this.#copies = copies as Copies
  }

  /** Counts the copies that were made current: 1 is the first. */
  get generation(): number {
    return this.#copies.status().generation
  }

  /** Tells whether the mirror or its database has been closed. */
  get closed(): boolean {
    return this.#copies.closed
  }

  /**
   * Makes a new copy, lets `onReload` write to it, and makes it the current one. It has everything that was committed before the call.
   *
   * Reloads run one after another, so that a copy is never replaced by an older one. Calls that come while one runs share the next. When
   * one fails, the current copy stays.
   *
   * @throws what `onReload` throws, and what `after` is rejected with
   * @throws {@link SqliteError} for what SQLite says: `SQLITE_BUSY`, `SQLITE_IOERR`
   * @throws {@link SluiceError}: `ERR_SLUICE_TOO_LARGE` past `maxBytes`; `ERR_SLUICE_ACQUIRE_TIMEOUT` when no reader was free in time;
   * `ERR_SLUICE_INVALID_OPTION`; `ERR_SLUICE_CLOSED`; `ERR_SLUICE_REENTRANT` in a callback of the database that it would wait for
   *
   * @example
   * ```ts
   * await prices.reload({ after: db.run('UPDATE prices SET amount = amount + 1') })
   * ```
   */
  async reload(options?: ReloadOptions): Promise<void> {
    const after = reloadAfter(options)
    try {
      this.#copies.expectReloadable()
    } catch (error) {
      // Whoever gave it to be waited for is told of this instead.
      if (after !== undefined) void Promise.resolve(after).catch(() => {})
      throw error
    }
    if (after !== undefined) await after
    await this.#copies.reload()
  }

  /**
   * Returns the current copy, to be read for as long as one likes, whatever is reloaded meanwhile. It is kept until it is released or
   * collected.
   *
   * @throws `ERR_SLUICE_CLOSED` at once
   *
   * @example
   * ```ts
   * const snapshot = prices.snapshot()
   * try {
   *   const total = await snapshot.get('SELECT sum(amount) AS total FROM prices')
   *   const all = await snapshot.all('SELECT * FROM prices')
   * } finally {
   *   snapshot.release()
   * }
   * ```
   */
  snapshot(): Snapshot {
    return constructSnapshot(new PinnedRunner(this.#copies))
  }

  /** Returns what the mirror is doing. It costs no wait, and works after `close` too. */
  status(): MirrorStatus {
    return this.#copies.status()
  }

  /**
   * Closes the mirror and its copies. Nothing new is admitted from now on. What is being read finishes, or is interrupted after `timeoutMs`;
   * a reload that is under way is rejected with `ERR_SLUICE_CLOSED`. The database stays open. May be called more than once.
   *
   * @throws `ERR_SLUICE_REENTRANT` in a `read` callback of its own
   */
  async close(options?: CloseOptions): Promise<void> {
    await this.#copies.close(closeTimeoutMs(options))
  }

  /** Closes the mirror at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * Reads one copy of a database that is in memory. Made by {@link Mirror.snapshot}.
 *
 * Its calls are rejected with `ERR_SLUICE_CLOSED` once it has been released, or the mirror closed.
 */
export class Snapshot extends MirrorReads {
  readonly #runner: PinnedRunner

  static {
    constructSnapshot = (runner) => new Snapshot(MAKER, runner)
  }

  private constructor(maker: symbol, runner: object) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Snapshot is made by mirror.snapshot()')
    super(runner)
    this.#runner = runner as PinnedRunner
  }

  /** Holds the number of the copy: see {@link Mirror.generation}. */
  get generation(): number {
    return this.#runner.pin.copy.generation
  }

  /** Lets the copy go. What is being read finishes. May be called more than once. */
  release(): void {
    release(this.#runner.pin)
  }

  /** Lets the copy go at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.release()
  }
}

/** Makes a mirror, and its first copy. `wrap` makes what `onReload` is given. */
export async function makeMirror(source: Handle, mode: MirrorMode, wrap: (handle: Handle) => Database): Promise<Mirror> {
  return construct(await Copies.open(source, mode, wrap))
}
