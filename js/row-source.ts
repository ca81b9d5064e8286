import type { BindingCursor } from './binding.js'
import { Call } from './call.js'
import type { Channel } from './channel.js'
import { Stop } from './signals.js'
import type { CallLimits } from './signals.js'
import type { QueryTrace } from './tracing.js'

/** Ends the traces of sources that nobody closed and nobody has any more. */
const dropped = new FinalizationRegistry<QueryTrace>((trace) => trace.succeed())

/** Fetches the rows of one statement bit by bit. */
export class RowSource {
  readonly #channel: Channel
  readonly #cursor: BindingCursor | null
  readonly #rows: number
  readonly #stop: Stop | null
  #number: number
  /** The call whose answer is to be taken next, or is under way. */
  call: Call
  /** Tells subscribers what it comes to, if there are any. */
  #trace: QueryTrace | null = null
  /** Whether its time was up, or it was given up. */
  stopped: 'no' | 'aborted' | 'timedOut' = 'no'

  /** `first` has been submitted under `number`, and opened `cursor`. */
  constructor(channel: Channel, first: Call, number: number, cursor: BindingCursor | null, rows: number, limits: CallLimits | null) {
    this.#channel = channel
    this.#cursor = cursor
    this.#rows = rows
    this.#number = number
    this.call = first
    // A signal that lives on keeps nobody's rows.
    const reference = new WeakRef(this)
    this.#stop = limits === null ? null : new Stop(limits, (timedOut) => reference.deref()?.halt(timedOut))
  }

  /** The signal that ends it. */
  get signal(): AbortSignal | undefined {
    return this.#stop?.signal
  }

  /** Has all that it comes to told by `trace`. */
  traceWith(trace: QueryTrace): void {
    this.#trace = trace
    dropped.register(this, trace)
    void trace.addFetch(this.call.settled)
  }

  /** Takes the rows that have arrived. */
  take(): unknown[] {
    this.#trace?.add(this.call)
    return this.call.takeRows()
  }

  /** Starts to fetch the next rows, of the same form as those before. */
  fetch(): void {
    const { owner, query, sql, form, bigints } = this.call
    const call = new Call(owner, query, sql, form, bigints)
    call.shape = this.call.shape
    this.#number = this.#channel.enter(call)
    this.call = call
    void this.#trace?.addFetch(call.settled)
    try {
      this.#cursor?.fetch(this.#number, this.#rows, this.#stop !== null)
    } catch (error) {
      this.#channel.leave(this.#number)
      throw error
    }
  }

  /** Gives back what it holds. */
  close(): void {
    this.#stop?.release()
    this.#cursor?.close()
    this.#trace?.succeed()
  }

  /** Gives back what it holds, because of `error`. */
  fail(error: unknown): void {
    this.#trace?.fail(error)
    this.close()
  }

  /** Ends it, because its time is up or it was given up. */
  halt(timedOut: boolean): void {
    this.stopped = timedOut ? 'timedOut' : 'aborted'
    if (!this.call.isSettled) this.#channel.binding.cancel(this.#number, timedOut)
    this.#cursor?.close()
  }
}
