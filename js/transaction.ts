import type { BindingControl } from './binding.js'
import { isSluiceError, SluiceError } from './errors.js'
import { kindOf } from './kinds.js'
import { sessionMode } from './options.js'
import { Scope } from './scope.js'
import type { End, Session } from './session.js'
import { SessionRunner } from './session-runner.js'
import { traceBeginning, traceWhole } from './trace.js'
import type { Outcome, Tracer, TransactionTrace } from './tracing.js'
import { Writes } from './writes.js'

/** How a transaction or savepoint is begun and ended, at its depth: 0 is the transaction itself. */
interface Level {
  readonly depth: number
  readonly commit: BindingControl
  readonly rollback: BindingControl
}

const NESTED = { commit: 'release', rollback: 'rollbackTo' } as const

/** A transaction on its session, or a savepoint in one. */
class TransactionRunner extends SessionRunner {
  readonly level: Level
  /** What to call after the commit. */
  readonly afterCommit: Array<() => unknown> = []
  /** Lets go of what must not wait for its callback, nor for those after its commit, once it has ended. */
  released: () => void = () => {}
  /** Settled when the attempt to end it that is under way, or was the last, has come to its end. */
  attempt: Promise<void> | null = null
  /** The transaction within which it is. */
  readonly outer: TransactionRunner | null
  readonly #trace: TransactionTrace | null
  /** Whether its holder ends it, and not a callback. */
  readonly #isHeld: boolean

  constructor(session: Session, level: Level, outer: TransactionRunner | null, trace: TransactionTrace | null, isHeld: boolean) {
    super(session, 'the transaction')
    this.level = level
    this.outer = outer
    this.#trace = trace
    this.#isHeld = isHeld
    if (trace !== null && isHeld) session.end.traces.add(trace)
  }

  /** Is called before its holder, or its callback, ends it. */
  ending(isEnding: boolean): void {
    if (this.#trace !== null) this.#trace.isEnding = isEnding
  }

  /** Is called when it has ended. What its callback came to, if it has one, is told when that is known. */
  ended(outcome: Outcome, error: Error | null): void {
    if (this.#trace === null) return
    if (!this.#isHeld) {
      if (outcome !== undefined) this.#trace.context.outcome = outcome
      return
    }
    this.session.end.traces.delete(this.#trace)
    this.#trace.ended(outcome, error)
  }

  override endBegun(): void {
    if (this.begun instanceof TransactionRunner) this.begun.ended('rollback', null)
    super.endBegun()
  }
}

const MAKER = Symbol('maker')
let construct: (runner: TransactionRunner) => Transaction

/** Tells of transactions that nobody ended and nobody has any more. The addon has rolled them back. */
const forgotten = new FinalizationRegistry<End>((end) => {
  if (end.over) return
  const message = 'a transaction was never committed or rolled back; it was rolled back when it was garbage-collected'
  process.emitWarning(message, { type: 'SluiceWarning', code: 'SLUICE_TX_COLLECTED' })
})

/**
 * Gives access to one transaction. Made by {@link Database.transaction} and {@link Database.begin}.
 *
 * Its calls run in the order in which they are made, on a connection that is its own; nobody else's statement lands in between. BEGIN,
 * COMMIT and the like as text are refused.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_TX_CLOSED` once it has ended,
 * `ERR_SLUICE_TX_ABORTED` once SQLite has rolled it back by itself, and `ERR_SLUICE_TX_TIMEOUT` once it was rolled back because it was
 * idle, or lasted, for too long.
 */
export class Transaction extends Writes {
  readonly #runner: TransactionRunner

  static {
    construct = (runner) => new Transaction(MAKER, runner)
  }

  private constructor(maker: symbol, runner: object) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Transaction is made by db.transaction(fn) or db.begin()')
    super(runner)
    this.#runner = runner as TransactionRunner
  }

  /** Tells whether it can be used: it has not been committed or rolled back, by its holder or for taking too long. */
  get open(): boolean {
    return !this.#runner.over && !this.#runner.session.end.over
  }

  /**
   * Runs `callback` in a transaction within this one: a savepoint ({@link https://sqlite.org/lang_savepoint.html}). It is kept when the
   * callback returns, as part of this one, and undone when it throws. Several run one after another. Calls on this transaction wait
   * until it has ended; made in the callback itself they are rejected (`ERR_SLUICE_REENTRANT`): use its own `tx`.
   *
   * @throws what the callback throws; as `commit`
   */
  async transaction<R>(callback: (tx: Transaction) => Promise<R> | R): Promise<R> {
    expectCallback(callback)
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    runner.expectOpen()
    const free = runner.claim()
    try {
      const trace = tracerOf(runner).transaction('transaction', runner.level.depth + 1)
      const run = (): Promise<R> => runNested(runner, callback, trace)
      return await (trace === null ? run() : traceWhole(trace, run))
    } finally {
      free()
    }
  }

  /**
   * Begins a transaction within this one that ends with its own `commit()`, `rollback()` or the end of an `await using` block: a savepoint,
   * for code that cannot be a callback. Until then calls on this transaction are rejected (`ERR_SLUICE_REENTRANT`), but for `rollback`,
   * which undoes both.
   *
   * @throws as {@link Transaction.transaction}, but for its callback
   */
  async begin(): Promise<Transaction> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    runner.expectOpen()
    const depth = runner.level.depth + 1
    const trace = tracerOf(runner).transaction('begin', depth)
    const nested = new TransactionRunner(runner.session, { depth, ...NESTED }, runner, trace, true)
    runner.begun = nested
    const begin = (): Promise<void> => beginNested(runner, depth, trace)
    await (trace === null ? begin() : traceBeginning(trace, begin))
    return construct(nested)
  }

  /**
   * Calls `callback` after the commit, before `commit` or `transaction` returns. Of a nested transaction: after the commit of the
   * outermost one. It is not called after a rollback. What it throws does not change that the transaction is committed: it is an
   * uncaught error.
   */
  afterCommit(callback: () => unknown): void {
    expectCallback(callback)
    if (this.#runner.over) throw new SluiceError('ERR_SLUICE_TX_CLOSED', 'the transaction has ended')
    this.#runner.afterCommit.push(callback)
  }

  /**
   * Commits. What was called before and not awaited is part of it.
   *
   * @throws {@link SqliteError}: a deferred foreign key or a lock of another process that refuses the commit leaves the transaction open
   * @throws {@link SluiceError}: `ERR_SLUICE_TX_ABORTED` when SQLite has rolled back; `ERR_SLUICE_TX_CLOSED`; `ERR_SLUICE_TX_TIMEOUT`;
   * `ERR_SLUICE_OUTCOME_UNKNOWN` after an I/O error, when it may have taken effect or not
   */
  async commit(): Promise<void> {
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    runner.expectOpen()
    await end(runner, 'commit')
  }

  /**
   * Rolls back. Succeeds too when SQLite has done so by itself.
   *
   * @throws `ERR_SLUICE_TX_CLOSED`; `ERR_SLUICE_TX_TIMEOUT`
   */
  async rollback(): Promise<void> {
    const runner = this.#runner
    runner.endBegun()
    while (runner.busy !== null) await runner.busy
    runner.expectOpen()
    await end(runner, 'rollback')
  }

  /** Rolls back at the end of an `await using` block, unless it was committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#runner.endBegun()
    while (this.#runner.nested !== null) await this.#runner.nested
    if (this.open) await end(this.#runner, 'rollback')
  }
}

function tracerOf(runner: TransactionRunner): Tracer {
  return runner.session.submitter.tracer
}

/** Begins a savepoint, for the transaction that `runner` has claimed. */
async function beginNested(runner: TransactionRunner, depth: number, trace: TransactionTrace | null): Promise<void> {
  const begun = runner.session.control('savepoint', depth)
  await begun.settled
  if (begun.failure !== null) runner.begun = null
  begun.expectSuccess()
  trace?.begun()
}

/** Ends a transaction or savepoint. A commit that is refused leaves it open. */
function end(runner: TransactionRunner, how: 'commit' | 'rollback'): Promise<void> {
  const attempt = tryToEnd(runner, how)
  runner.attempt = attempt.catch(() => undefined)
  return attempt
}

async function tryToEnd(runner: TransactionRunner, how: 'commit' | 'rollback'): Promise<void> {
  runner.over = true
  runner.ending(true)
  const call = runner.session.control(runner.level[how], runner.level.depth)
  await call.settled
  const stays = how === 'commit' && call.failure !== null && !isEnd(call.failure.code)
  runner.over = !stays
  const { outer } = runner
  if (outer !== null && !stays && outer.begun === runner) outer.begun = null
  const error = call.error()
  if (stays) runner.ending(false)
  else {
    runner.ended(error === null ? how : outcomeAfter(error), error)
    runner.released()
  }
  if (error !== null) throw error
  if (how === 'rollback') return
  if (outer !== null) return void outer.afterCommit.push(...runner.afterCommit.splice(0))
  await runAfterCommit(runner.afterCommit)
}

/** How a transaction ended whose end failed with `error`. */
function outcomeAfter(error: Error): Outcome {
  return isSluiceError(error) && error.code === 'ERR_SLUICE_OUTCOME_UNKNOWN' ? undefined : 'rollback'
}

/** Whether a code says that a transaction has ended. */
function isEnd(code: string): boolean {
  return !code.startsWith('SQLITE_')
}

async function runAfterCommit(callbacks: Array<() => unknown>): Promise<void> {
  for (const callback of callbacks.splice(0)) await runOne(callback)
}

async function runOne(callback: () => unknown): Promise<void> {
  try {
    await callback()
  } catch (error) {
    // Not a rejection of the commit, which has taken effect.
    queueMicrotask(() => {
      throw error
    })
  }
}

async function runNested<R>(
  outer: TransactionRunner,
  callback: (tx: Transaction) => Promise<R> | R,
  trace: TransactionTrace | null,
): Promise<R> {
  const { session } = outer
  const depth = outer.level.depth + 1
  const begun = session.control('savepoint', depth)
  await begun.settled
  begun.expectSuccess()
  trace?.begun()
  const runner = new TransactionRunner(session, { depth, ...NESTED }, outer, trace, false)
  return runCallback(runner, new Scope(outer, 'transaction'), callback)
}

/** Runs the callback of a transaction, and ends that: the callback's own error always survives. */
async function runCallback<R>(runner: TransactionRunner, scope: Scope, callback: (tx: Transaction) => Promise<R> | R): Promise<R> {
  const tx = construct(runner)
  let result: R
  try {
    result = await runner.session.whileOpen(scope.run(() => callback(tx)))
    while (runner.nested !== null) await runner.nested
    runner.expectNoneBegun()
  } catch (error) {
    scope.live = false
    runner.endBegun()
    await runner.attempt
    await giveUp(runner)
    throw error
  }
  // Begun in the callback, and not awaited there.
  await runner.attempt
  if (!runner.over) await commitOrGiveUp(runner)
  return result
}

/** A commit that is refused is the end of a transaction whose callback has returned. */
async function commitOrGiveUp(runner: TransactionRunner): Promise<void> {
  try {
    await end(runner, 'commit')
  } catch (error) {
    await giveUp(runner)
    throw error
  }
}

/** Rolls back what is open, for an error that says more than how that went. */
async function giveUp(runner: TransactionRunner): Promise<void> {
  // A nested one that goes on would be rolled back with this one, and find that out by itself.
  if (runner.over) return
  runner.over = true
  runner.ended('rollback', null)
  await runner.session.control(runner.level.rollback, runner.level.depth).settled
}

/** Throws unless `callback` can be called. */
export function expectCallback(callback: unknown): void {
  if (typeof callback === 'function') return
  throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', `the callback must be a function, not ${kindOf(callback)}`)
}

/** How the transaction of a session is ended. */
const OUTERMOST: Level = { depth: 0, commit: 'commit', rollback: 'rollback' }

/** Runs `callback` in the transaction of `session`, which has begun. `released` is called when it has ended, before the callbacks after its commit. */
export async function runTransaction<R>(
  session: Session,
  scope: Scope,
  callback: (tx: Transaction) => Promise<R> | R,
  trace: TransactionTrace | null,
  released: () => void = () => {},
): Promise<R> {
  const runner = new TransactionRunner(session, OUTERMOST, null, trace, false)
  runner.released = () => {
    // Its callback may go on: what that calls on the database has nothing to wait for.
    scope.live = false
    released()
  }
  return runCallback(runner, scope, callback)
}

/** Makes a transaction that its holder ends. */
export function makeTransaction(session: Session, trace: TransactionTrace | null): Transaction {
  const runner = new TransactionRunner(session, OUTERMOST, null, trace, true)
  const tx = construct(runner)
  forgotten.register(tx, session.end)
  return tx
}

/** Checks the options of a transaction within another thing. */
export function expectBehavior(options: unknown): BindingControl {
  return sessionMode(options, 'within').behavior
}
