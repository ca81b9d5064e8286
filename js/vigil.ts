import { WATCHED_CROWDED } from './layout.js'
import { afterMicrotasks, clock, nextTurn } from './turn.js'

/** For how long results are waited for awake, in milliseconds: a fast disk syncs a commit in less. */
const VIGIL_MS = 0.3
/** For how much of that the event loop stands still in one turn, in microseconds. */
const SPIN_US = 20
/** A wake-up that comes this soon would have been met awake, in milliseconds. */
const SOON_MS = 0.3
/** For how long results are looked for in the turn in which others came, in milliseconds. */
const STAY_MS = 0.25
/** How many wake-ups in a row that come late end the vigils, until one comes soon again. */
const PATIENCE = 4

/** What a vigil is kept over. */
export interface Watched {
  /** Whether anybody waits for results. */
  isWaitedFor(): boolean
  /** Waits awake for results, for so many microseconds. Returns how many there are, or what else that came to. */
  watch(patienceUs: number): number
  /** Takes the results that are there, for the first time in a turn of the event loop or not. */
  receive(inNewTurn: boolean): void
}

/**
 * Waits awake, for a moment, for results that are expected soon: to wake an event loop that sleeps takes tens of microseconds, which is
 * more than many calls take. A vigil lasts {@link VIGIL_MS} and is kept where the last results came soon; the event loop turns meanwhile.
 *
 * Whoever awaits one call after another makes the next as soon as the last is settled: so after results the first look is in the same turn,
 * and the event loop turns when none are found, or its turn has lasted for {@link STAY_MS}.
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
  /** When the present turn of the event loop was seen to begin. */
  #turnBegan = 0
  readonly #lookInNewTurn = (): void => {
    this.#turnBegan = clock()
    this.#look(true)
  }
  readonly #lookInTurn = (): void => this.#look(false)

  constructor(watched: Watched) {
    this.#watched = watched
  }

  /** Whether more results are looked for without a wake-up once those that are there have been taken. */
  get comesAgain(): boolean {
    return this.#state !== 'off'
  }

  /** The event loop was woken for results, at the time `now`. */
  woken(now: number): void {
    this.#turnBegan = now
    if (now - this.#since < SOON_MS) this.#patience = PATIENCE
    else if (this.#patience > 0) this.#patience--
    if (this.#isCrowded) this.#isCrowded = false
    else if (this.#patience > 0 && this.#state === 'off') this.#state = 'expected'
  }

  /** Begins, if one is due: all results that were there have been taken. */
  begin(): void {
    this.#since = clock()
    if (this.#state !== 'expected') return
    this.#state = 'kept'
    if (this.#since - this.#turnBegan < STAY_MS) afterMicrotasks(this.#lookInTurn)
    else nextTurn(this.#lookInNewTurn)
  }

  #look(inNewTurn: boolean): void {
    // Nothing is left for a later turn then: whoever looks after one at what keeps the process alive finds nothing of the driver's.
    if (!this.#watched.isWaitedFor()) return this.#end(inNewTurn)
    const found = this.#watched.watch(SPIN_US)
    if (found > 0) {
      this.#patience = PATIENCE
      this.#state = 'expected'
      this.#watched.receive(inNewTurn)
    } else if (found === WATCHED_CROWDED) {
      this.#isCrowded = true
      this.#end(inNewTurn)
    } else if (clock() - this.#since < VIGIL_MS) {
      nextTurn(this.#lookInNewTurn)
    } else {
      this.#patience--
      this.#end(inNewTurn)
    }
  }

  /** From here on a wake-up is needed. */
  #end(inNewTurn: boolean): void {
    this.#state = 'off'
    this.#watched.receive(inNewTurn)
  }
}
