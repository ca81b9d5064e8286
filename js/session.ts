import type { BindingControl, BindingSession } from './binding.js'
import { Call } from './call.js'
import { AbortError, errorOf } from './errors.js'
import type { CallMode } from './options.js'
import { expectNotAborted, Stop } from './signals.js'
import type { CallLimits } from './signals.js'
import { Submitter } from './submitter.js'
import type { TransactionTrace } from './tracing.js'

/** How a session ended, or that it has not. Holds nothing of the session, so that it does not keep it. */
export interface End {
  over: boolean
  /** The handle that began it. */
  readonly handle: object
  /** What is told of the end, for transactions that are no callbacks. */
  readonly traces: Set<TransactionTrace>
}

/** A connection of one's own in the addon, from its beginning to its end. */
export class Session {
  /** What calls do that say nothing else. */
  readonly mode: CallMode
  readonly submitter: Submitter
  /** Settled when the session may be used. */
  readonly begun: Call
  readonly end: End
  readonly #binding: BindingSession
  /** Settled when the session has ended. */
  readonly #ended: Call
  readonly #signal: AbortSignal | undefined

  /** `begin` is given the numbers of two calls: of the beginning, and of the end. */
  constructor(
    parent: Submitter,
    mode: CallMode,
    limits: CallLimits | null,
    begin: (call: number, ended: number) => BindingSession,
  ) {
    expectNotAborted(limits)
    const { channel, queries } = parent
    this.end = { over: false, handle: parent.owner, traces: new Set() }
    this.mode = mode
    this.#signal = limits?.signal
    // Nothing of the session may be kept by its calls: whoever drops the session ends it.
    this.begun = new Call(this.end, null, undefined, 'object', false)
    this.#ended = new Call(this.end, null, undefined, 'object', false)
    const number = channel.enter(this.begun)
    const ended = channel.enterUnreferenced(this.#ended)
    try {
      this.#binding = begin(number, ended)
    } catch (error) {
      channel.leave(number)
      channel.leave(ended)
      throw error
    }
    this.submitter = new Submitter(this, this.#binding, channel, queries, parent.tracer, this.#signal)
    void markEnd(this.#ended, this.end, this.#signal)
    if (limits !== null) {
      this.begun.signal = limits.signal
      limitSession(this.#binding, this.begun, this.#ended, limits, (timedOut) => channel.binding.cancel(number, timedOut))
    }
  }

  get binding(): BindingSession {
    return this.#binding
  }

  /** Starts what begins or ends something within the session, or itself. */
  control(control: BindingControl, depth: number): Call {
    return this.submitter.command(undefined, null, (number) => this.#binding.control(number, control, depth))
  }

  /** Waits for `work`, or rejects as soon as the session was ended by anybody but its holder. */
  async whileOpen<R>(work: Promise<R>): Promise<R> {
    return Promise.race([work, this.#untilLost()])
  }

  async #untilLost(): Promise<never> {
    await this.#ended.settled
    const loss = lossOf(this.#ended, this.#signal)
    if (loss === null) return new Promise<never>(() => {})
    throw loss
  }
}

async function markEnd(ended: Call, end: End, signal: AbortSignal | undefined): Promise<void> {
  await ended.settled
  end.over = true
  for (const trace of end.traces) trace.lost(lossOf(ended, signal))
}

/** Makes the error of a session that was ended by anybody but its holder; `null` if it was ended by that. */
function lossOf({ failure }: Call, signal: AbortSignal | undefined): Error | null {
  if (failure === null) return null
  return failure.code === 'ABORT_ERR' ? new AbortError(signal?.reason) : errorOf(failure, undefined)
}

/** Lets a signal or a timeout end a session: while it waits for its turn, and afterwards. */
function limitSession(
  session: BindingSession,
  begun: Call,
  ended: Call,
  limits: CallLimits,
  cancel: (timedOut: boolean) => void,
): void {
  // Whoever drops the session need not wait for its limits.
  const reference = new WeakRef(session)
  ended.stop = new Stop(limits, (timedOut) => {
    if (!begun.isSettled) cancel(timedOut)
    // It may have begun, and the answer that says so not have been taken yet.
    reference.deref()?.abort(timedOut)
  })
}
