import type { BindingCursor } from './binding.js'
import { Call } from './call.js'
import type { Channel } from './channel.js'
import { Stop } from './signals.js'
import type { CallLimits } from './signals.js'
import type { QueryTrace } from './tracing.js'

/** What ends with the rows of a source, in whatever way that comes. Holds nothing of the source, so that it does not keep it. */
export class Loop {
  stop: Stop | null = null
  /** Tells subscribers what it comes to, if there are any. */
  trace: QueryTrace | null = null
  /** The loops among which this one counts until it ends. */
  #among: Set<Loop> | null = null
  #settle: (() => void) | null = null

  /** Counts among others from now on. */
  join(among: Set<Loop>): void {
    this.#among = among.add(this)
  }

  /** Counts no more: nothing of it is under way, although nobody may have taken its end. */
  leave(): void {
    this.#among?.delete(this)
    this.#settle?.()
  }

  end(): void {
    this.stop?.release()
    this.trace?.succeed()
    this.leave()
  }

  /** Settled when it counts no more. Of one that does. */
  untilEnd(): Promise<void> {
    return new Promise((resolve) => (this.#settle = resolve))
  }
}

/** Ends what sources leave that nobody closed and nobody has any more. */
const dropped = new FinalizationRegistry<Loop>((loop) => loop.end())

/** Fetches the rows of one statement bit by bit. */
export class RowSource {
  readonly #channel: Channel
  readonly #cursor: BindingCursor | null
  readonly #rows: number
  readonly loop: Loop = new Loop()
  #number: number
  /** The call whose answer is to be taken next, or is under way. */
  call: Call
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
    this.loop.stop = limits === null ? null : new Stop(limits, (timedOut) => reference.deref()?.halt(timedOut))
    dropped.register(this, this.loop, this.loop)
  }

  /** The signal that ends it. */
  get signal(): AbortSignal | undefined {
    return this.loop.stop?.signal
  }

  /** Has all that it comes to told by `trace`. */
  traceWith(trace: QueryTrace): void {
    this.loop.trace = trace
    void trace.addFetch(this.call.settled)
  }

  /** Takes the rows that have arrived. */
  take(): unknown[] {
    this.loop.trace?.add(this.call)
    return this.call.takeRows()
  }

  /** Starts to fetch the next rows, of the same form as those before. */
  fetch(): void {
    const { owner, query, sql, form, bigints } = this.call
    const call = new Call(owner, query, sql, form, bigints)
    call.shape = this.call.shape
    this.#number = this.#channel.enter(call)
    this.call = call
    void this.loop.trace?.addFetch(call.settled)
    try {
      this.#cursor?.fetch(this.#number, this.#rows, this.loop.stop !== null)
    } catch (error) {
      this.#channel.leave(this.#number)
      throw error
    }
  }

  /** Gives back what it holds. */
  close(): void {
    dropped.unregister(this.loop)
    this.loop.end()
    this.#cursor?.close()
  }

  /** Gives back what it holds, because of `error`. */
  fail(error: unknown): void {
    this.loop.trace?.fail(error)
    this.close()
  }

  /** Ends it, because its time is up or it was given up. */
  halt(timedOut: boolean): void {
    this.stopped = timedOut ? 'timedOut' : 'aborted'
    if (!this.call.isSettled) this.#channel.binding.cancel(this.#number, timedOut)
    this.#cursor?.close()
    this.loop.leave()
  }
}
