import type { Settlers } from './call.js'
import { AbortError, timeoutError } from './errors.js'
import type { Runner } from './runner.js'
import { Stop, expectNotAborted } from './signals.js'
import type { CallLimits } from './signals.js'
import { clock } from './turn.js'

const SETTLED: Promise<void> = Promise.resolve()

/** Starts a call. It takes `outer` as {@link Call.into} does; `limits` are what the wait has left of its own. */
type Begin<R> = (outer: Settlers | null, limits: CallLimits | null) => Promise<R>

/** Has `begin` start a call as soon as `runner` is free. Never throws: what `begin` throws rejects, too. */
export function whenFree<R>(runner: Pick<Runner, 'busy'>, limits: CallLimits | null, begin: Begin<R>): Promise<R> {
  try {
    return runner.busy === null ? begin(null, limits) : later(runner, limits, begin)
  } catch (error) {
    return Promise.reject(error as Error)
  }
}

/**
 * As `whenFree`, of a runner that is not free. Throws if the call is given up already.
 *
 * What is answered to a call that had to wait is told no later than what is answered to one that had not: its own promise is settled.
 */
export function later<R>(runner: Pick<Runner, 'busy'>, limits: CallLimits | null, begin: Begin<R>): Promise<R> {
  expectNotAborted(limits)
  return new Promise<unknown>((resolve, reject) => {
    void beginLater(runner, limits, begin, { resolve, reject }).then(resolve, reject)
  }) as Promise<R>
}

/** With limits or without, each waits for the same promise: so they go on in the order of their calls. */
async function beginLater<R>(runner: Pick<Runner, 'busy'>, limits: CallLimits | null, begin: Begin<R>, outer: Settlers): Promise<R | void> {
  const wait = limits === null ? null : new LimitedWait(limits, outer)
  try {
    while (runner.busy !== null) await runner.busy
  } finally {
    wait?.end()
  }
  // Its caller knows by now.
  if (wait?.isGivenUp === true) return
  return begin(outer, wait === null ? null : wait.left())
}

/** The wait of a call before it begins, which a signal and a timeout end as they end the call itself. */
class LimitedWait {
  isGivenUp = false
  readonly #limits: CallLimits
  readonly #until: number
  readonly #stop: Stop

  constructor(limits: CallLimits, outer: Settlers) {
    this.#limits = limits
    this.#until = clock() + (limits.timeoutMs ?? Infinity)
    this.#stop = new Stop(limits, (timedOut) => {
      this.isGivenUp = true
      void this.#fail(timedOut).then(outer.resolve, outer.reject)
    })
    // No call is under way that would keep the process until then.
    this.#stop.ref()
  }

  /** Rejects in a microtask of a promise that the caller's listens to: so V8 puts their frames in the stack of the error. */
  async #fail(timedOut: boolean): Promise<never> {
    await SETTLED
    throw timedOut ? timeoutError() : new AbortError(this.#limits.signal?.reason)
  }

  end(): void {
    this.#stop.release()
  }

  /** Returns what is left of the limits. Throws if that is nothing: a busy event loop may be later than its timer. */
  left(): CallLimits {
    if (this.#limits.timeoutMs === undefined) return this.#limits
    const timeoutMs = Math.ceil(this.#until - clock())
    if (timeoutMs <= 0) throw timeoutError()
    return { signal: this.#limits.signal, timeoutMs }
  }
}

/** Returns `mode` with what is left of its limits. */
export function withLimits<M extends { readonly limits: CallLimits | null }>(mode: M, limits: CallLimits | null): M {
  return limits === mode.limits ? mode : { ...mode, limits }
}
