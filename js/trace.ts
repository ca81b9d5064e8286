import { AsyncResource } from 'node:async_hooks'
import type { TracingChannel } from 'node:diagnostics_channel'
import { performance } from 'node:perf_hooks'

/** What every traced thing tells its subscribers. */
export interface Context {
  /** What its promise is rejected with. */
  error?: unknown
  /** How long it took, in milliseconds. */
  duration?: number
}

/**
 * One thing that is being traced, from its beginning to its end.
 *
 * Subscribers see the events of `TracingChannel.tracePromise`: `start` and `end` around what is done at once, then `error` if it fails,
 * `asyncStart` and `asyncEnd`. Unlike there, these come also for what fails at once, because the caller is told by a promise all the same;
 * and no result is told, because that would be values.
 */
export class Trace<C extends Context> {
  readonly context: C
  readonly #channel: TracingChannel<unknown, C>
  /** Who subscribes later does not see the end of what began without them. */
  readonly #isListened: boolean
  readonly #startedAt = performance.now()
  /** The async context of the start, with what subscribers have bound to that. */
  #scope: AsyncResource | null = null
  /** Whether its end has been told. */
  protected isSettled = false

  constructor(channel: TracingChannel<unknown, C>, isListened: boolean, context: C) {
    this.#channel = channel
    this.#isListened = isListened
    this.context = context
  }

  /** How long it has been under way, in milliseconds. */
  get elapsed(): number {
    return performance.now() - this.#startedAt
  }

  /** Runs `begin`, which starts it; what `begin` throws is its failure. */
  start<R>(begin: () => R): R {
    try {
      return this.#isListened ? this.#startListened(begin) : begin()
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  #startListened<R>(begin: () => R): R {
    const { start, end } = this.#channel
    return start.runStores(this.context, () => {
      this.#scope = new AsyncResource('SLUICE_TRACE')
      try {
        return begin()
      } finally {
        end.publish(this.context)
      }
    })
  }

  /** Tells that it has succeeded, unless its end has been told. */
  succeed(): void {
    if (!this.isSettled) this.#settle(() => {})
  }

  /** Tells that it has failed, unless its end has been told. */
  fail(error: unknown): void {
    if (this.isSettled) return
    this.context.error = error
    this.#settle(() => this.#channel.error.publish(this.context))
  }

  #settle(publishFirst: () => void): void {
    this.isSettled = true
    this.context.duration ??= this.elapsed
    this.settled()
    this.#scope?.runInAsyncScope(() => {
      publishFirst()
      this.#channel.asyncStart.publish(this.context)
      this.#channel.asyncEnd.publish(this.context)
    })
    // Who keeps something for each async id waits for this, and not for the garbage collector.
    this.#scope?.emitDestroy()
  }

  /** Is called once, when the context is complete and its subscribers have not been told yet. */
  protected settled(): void {}
}

/** Runs `body` as what `trace` is about, to its end. */
export async function traceWhole<R>(trace: Trace<Context>, body: () => Promise<R>): Promise<R> {
  const result = await traceBeginning(trace, body)
  trace.succeed()
  return result
}

/** Runs `body`, which begins what `trace` is about: that fails with it, but has not succeeded yet. */
export async function traceBeginning<R>(trace: Trace<Context>, body: () => Promise<R>): Promise<R> {
  try {
    return await trace.start(body)
  } catch (error) {
    trace.fail(error)
    throw error
  }
}
