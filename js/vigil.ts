import { performance } from 'node:perf_hooks'

import { WATCHED_ARRIVED, WATCHED_CROWDED } from './layout.js'
import { nextTurn } from './turn.js'

/** For how long results are waited for awake, in milliseconds. */
const VIGIL_MS = 0.1
/** For how much of that the event loop stands still in one turn, in microseconds. */
const SPIN_US = 20
/** A wake-up that comes this soon would have been met awake, in milliseconds. */
const SOON_MS = 0.15
/** How many wake-ups in a row that come late end the vigils, until one comes soon again. */
const PATIENCE = 4

/** What a vigil is kept over. */
export interface Watched {
  /** Whether anybody waits for results. */
  isWaitedFor(): boolean
  /** Waits awake for results, for so many microseconds. */
  watch(patienceUs: number): number
  /** Takes the results that are there. */
  receive(): void
}

/**
 * Waits awake, for a moment, for results that are expected soon: to wake an event loop that sleeps takes tens of microseconds, which is
 * more than many calls take. A vigil lasts {@link VIGIL_MS} and is kept where the last results came soon; the event loop turns meanwhile.
 */
export class Vigil {
  readonly #watched: Watched
  #state: 'off' | 'expected' | 'kept' = 'off'
  /** How many more late wake-ups are put up with. */
  #patience = 0
  /** Whether every core was found to have work: the next wake-up is followed by no vigil. */
  #isCrowded = false
  /** When the last results had been taken. */
  #since = 0
  readonly #look = (): void => {
    if (!this.#watched.isWaitedFor()) return this.#end()
    const found = this.#watched.watch(SPIN_US)
    if (found === WATCHED_ARRIVED) {
      this.#patience = PATIENCE
      this.#state = 'expected'
      this.#watched.receive()
    } else if (found === WATCHED_CROWDED) {
      this.#isCrowded = true
      this.#end()
    } else if (performance.now() - this.#since < VIGIL_MS) {
      nextTurn(this.#look)
    } else {
      this.#patience--
      this.#end()
    }
  }

  constructor(watched: Watched) {
    this.#watched = watched
  }

  /** Whether more results are looked for without a wake-up once those that are there have been taken. */
  get comesAgain(): boolean {
    return this.#state !== 'off'
  }

  /** The event loop was woken for results, at the time `now`. */
  woken(now: number): void {
    if (now - this.#since < SOON_MS) this.#patience = PATIENCE
    else if (this.#patience > 0) this.#patience--
    if (this.#isCrowded) this.#isCrowded = false
    else if (this.#patience > 0 && this.#state === 'off') this.#state = 'expected'
  }

  /** Begins, if one is due: all results that were there have been taken. */
  begin(): void {
    this.#since = performance.now()
    if (this.#state !== 'expected') return
    this.#state = 'kept'
    nextTurn(this.#look)
  }

  /** From here on a wake-up is needed. */
  #end(): void {
    this.#state = 'off'
    this.#watched.receive()
  }
}
