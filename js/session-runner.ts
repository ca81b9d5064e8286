import type { Call } from './call.js'
import { SluiceError } from './errors.js'
import type { CallMode } from './options.js'
import type { RowForm } from './rows.js'
import type { RowSource } from './row-source.js'
import type { Runner } from './runner.js'
import { innermost, reentrant } from './scope.js'
import type { Scope } from './scope.js'
import type { Session } from './session.js'
import type { QueryOperation } from './tracing.js'

/** Runs statements on the connection of a session, until its holder has ended what it is for. */
export class SessionRunner implements Runner {
  readonly session: Session
  /** Whether its holder has ended it. */
  over = false
  /** The transaction within it that is under way, until that has ended. */
  nested: Promise<void> | null = null
  /** The transaction within it that its holder has begun, and not ended. */
  begun: SessionRunner | null = null
  /** The transactions within it, from the call to the last callback after the commit. */
  readonly #within = new Set<Promise<unknown>>()
  /** What it is for, in messages. */
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
    // Nobody can tell whether its holder would wait for itself.
    this.expectNoneBegun()
    if (this.nested !== null && innermost(this) !== undefined) throw reentrant(`a call on ${this.#what}`, 'transaction', 'elsewhere')
    return this.nested
  }

  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, take: number, operation: QueryOperation): Call {
    this.expectOpen()
    return this.session.submitter.statement(sql, params, mode, form, take, operation)
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

  /**
   * Claims it for a transaction within it: its calls wait, until what is returned is called. Nothing may be awaited between the look at `busy`
   * and this.
   */
  claim(): () => void {
    let isClaimed = true
    let settle!: () => void
    this.nested = new Promise<void>((resolve) => (settle = resolve))
    return () => {
      // Another one may have claimed it since.
      if (!isClaimed) return
      isClaimed = false
      this.nested = null
      settle()
    }
  }

  /** Has the session wait for a transaction within it before it ends. */
  async awaits<R>(transaction: Promise<R>): Promise<R> {
    this.#within.add(transaction)
    try {
      return await transaction
    } finally {
      this.#within.delete(transaction)
    }
  }

  /** Settled when no transaction is under way within it. */
  async untilAlone(): Promise<void> {
    while (this.#within.size > 0) await Promise.allSettled(this.#within)
  }

  /** Takes it that what its holder has begun in it, and not ended, ends with it. */
  endBegun(): void {
    const inner = this.begun
    if (inner === null) return
    this.begun = null
    inner.over = true
    inner.endBegun()
  }

  /** Throws when its holder has begun a transaction in it, and not ended that. Where the session is over it ended with that, which has an error of its own. */
  expectNoneBegun(): void {
    if (this.begun !== null && !this.session.end.over) throw unended(this.#what)
  }

  /** Throws when it has ended, or has to wait. */
  expectOpen(): void {
    if (this.over) throw new SluiceError('ERR_SLUICE_TX_CLOSED', `${this.#what} has ended`)
    // Only what cannot wait comes here while there is one.
    if (this.busy !== null) throw new SluiceError('ERR_SLUICE_REENTRANT', 'a nested transaction is under way: wait for its end, or use its tx')
  }
}

function unended(what: string): SluiceError {
  return new SluiceError('ERR_SLUICE_REENTRANT', `a transaction that was begun in ${what} is open: use that, or end it first`)
}

/** Runs the callback of a session, and ends that: the callback's own error always survives. */
export async function runSession<R>(runner: SessionRunner, scope: Scope, callback: () => Promise<R> | R): Promise<R> {
  let result: R
  try {
    result = await runner.session.whileOpen(scope.run(callback))
    await runner.untilAlone()
  } catch (error) {
    scope.live = false
    runner.over = true
    await runner.session.control('end', 0).settled
    throw error
  }
  runner.over = true
  const ended = runner.session.control('end', 0)
  await ended.settled
  ended.expectSuccess()
  return result
}
