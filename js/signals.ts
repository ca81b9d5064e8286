import { AbortError } from './errors.js'

/** How long a call may take, and who may give it up. */
export interface CallLimits {
  readonly signal: AbortSignal | undefined
  /** In milliseconds; `undefined` is no limit. */
  readonly timeoutMs: number | undefined
}

/** Throws if `limits` says that the call is given up already. */
export function expectNotAborted(limits: CallLimits | null): void {
  if (limits?.signal?.aborted === true) throw new AbortError(limits.signal.reason)
}

/** The stops of each signal: one listener serves them all, because Node warns of many, and removing one of them takes a search. */
const stopsBySignal = new WeakMap<AbortSignal, Stops>()

/** The calls that wait for one signal. */
class Stops {
  readonly #signal: AbortSignal
  readonly #stops = new Set<Stop>()
  readonly #abort = (): void => {
    const stops = [...this.#stops]
    this.#stops.clear()
    for (const stop of stops) stop.run(false)
  }

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  add(stop: Stop): void {
    if (this.#stops.size === 0) this.#signal.addEventListener('abort', this.#abort, { once: true })
    this.#stops.add(stop)
  }

  remove(stop: Stop): void {
    if (this.#stops.delete(stop) && this.#stops.size === 0) this.#signal.removeEventListener('abort', this.#abort)
  }
}

function stopsOf(signal: AbortSignal): Stops {
  const known = stopsBySignal.get(signal)
  if (known !== undefined) return known
  const stops = new Stops(signal)
  stopsBySignal.set(signal, stops)
  return stops
}

/** Waits for the signal or the timeout of one call, until it is released. */
export class Stop {
  readonly signal: AbortSignal | undefined
  readonly #act: (timedOut: boolean) => void
  #timer: NodeJS.Timeout | undefined

  /** `act` stops the call, once. */
  constructor(limits: CallLimits, act: (timedOut: boolean) => void) {
    this.signal = limits.signal
    this.#act = act
    if (this.signal !== undefined) stopsOf(this.signal).add(this)
    // It does not keep the process: the call itself does.
    if (limits.timeoutMs !== undefined) this.#timer = setTimeout(() => this.run(true), limits.timeoutMs).unref()
  }

  run(timedOut: boolean): void {
    this.release()
    this.#act(timedOut)
  }

  /** Has its timeout keep the process. */
  ref(): void {
    this.#timer?.ref()
  }

  release(): void {
    if (this.signal !== undefined) stopsBySignal.get(this.signal)?.remove(this)
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
