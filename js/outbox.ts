import { Packer } from './params.js'
import type { DateMode } from './types.js'

/** What takes requests: a handle of the addon, or a session of one. */
export interface Target {
  /** Submits the requests that stand in the request buffer from `start` to `end`. With `extras`, that is one. */
  submit(start: number, end: number, extras?: Array<string | Uint8Array> | null): void
  /** Whether it begins with none of them before it has all. */
  readonly collects?: boolean
}

/** What takes requests that it may run at once, on this thread. */
export interface InlineTarget extends Target {
  /**
   * Submits one request. Returns how long it took if it was run and its answer is in the inbox, in nanoseconds, with `HELD` if it has left a
   * snapshot open; otherwise 0.
   */
  submitInline(start: number, end: number, extras?: Array<string | Uint8Array> | null): number
  /** Ends the snapshots that inline reads have left open. */
  endBurst(): void
}

/** How many requests wait for company at first, unless their target collects them: little of what a call into the addon costs is left for each then, and a worker begins with them. */
const MIN_WAITING = 8
/** How many wait at most. Each time in a turn it is twice as many, up to this: the workers have enough to do then, and writes that come together cost them less. */
const MAX_WAITING = 64

/**
 * Hands requests over to the addon, those of one turn together: the call into it costs as much as all the rest of submitting.
 *
 * The first of a turn is handed over at once, so that a call by itself waits for nothing, unless company is expected. The others follow at
 * the end of the turn (in a microtask), when there are {@link MIN_WAITING} or more, or before anything else is asked of the addon, which must not overtake them.
 * Those for a target that collects wait for all that, the first too, however many there are.
 */
export class Outbox {
  readonly #packer: Packer
  /** Where the requests that wait begin in the buffer. They end where the next one is packed. */
  #start = 0
  #waiting = 0
  /** How many wait before they are handed over. */
  #room = MIN_WAITING
  /** What has been given a request in this turn; what waits is for it. Nothing between turns: it must not be kept from being collected. */
  #target: Target | null = null
  /** Whether the end of the turn will be noticed. */
  #inTurn = false
  /** Whether others will be given requests in this turn: then the first of them waits for company too. */
  expectsCompany = false
  readonly #settled: Promise<void> = Promise.resolve()
  readonly #endTurn = (): void => {
    this.#inTurn = false
    this.flush()
    this.#target = null
    this.#room = MIN_WAITING
  }

  /** `adopt` is told of every new request buffer. */
  constructor(adopt: (buffer: ArrayBuffer) => void) {
    this.#packer = new Packer(adopt, () => this.flush())
  }

  /** Packs a request but for the numbers of call and query. Throws as {@link Packer.pack}. */
  pack(flags: number, params: unknown, dates: DateMode): void {
    if (this.#waiting === 0) this.#packer.rewind()
    this.#packer.pack(flags, params, dates)
  }

  /** Sends the request that was packed last to `target`, at the end of the turn at the latest. */
  post(target: Target, call: number, query: number): void {
    const packer = this.#packer
    packer.address(call, query)
    const extras = packer.takeExtras()
    const isFirst = target !== this.#target
    if (isFirst || extras !== null) {
      this.flush()
      this.#target = target
      this.#beginTurn()
    }
    if (extras !== null || (isFirst && !this.expectsCompany && target.collects !== true)) return target.submit(packer.start, packer.end, extras)
    if (this.#waiting === 0) this.#start = packer.start
    packer.keep()
    if (++this.#waiting < this.#room || target.collects === true) return
    this.#room = Math.min(2 * this.#room, MAX_WAITING)
    this.flush()
  }

  /**
   * Sends the request that was packed last to `target` at once, to be run on this thread if it can be. Nothing may be waiting. Returns
   * how long that took, as `submitInline` does; 0 if a worker will answer.
   */
  postInline(target: InlineTarget, call: number, query: number): number {
    const packer = this.#packer
    packer.address(call, query)
    const extras = packer.takeExtras()
    const { start, end } = packer
    const took = extras === null ? target.submitInline(start, end) : target.submitInline(start, end, extras)
    if (took > 0) return took
    this.#target = target
    this.#beginTurn()
    return 0
  }

  /** Hands the request that was packed last to `send`, with its length in bytes and what travels apart. Nothing may be waiting. */
  hand(send: (byteLength: number, extras: Array<string | Uint8Array> | null) => void, call: number, query: number): void {
    this.#packer.address(call, query)
    send(this.#packer.end, this.#packer.takeExtras())
  }

  /** Hands over what waits. */
  flush(): void {
    if (this.#waiting === 0) return
    this.#waiting = 0
    this.#target?.submit(this.#start, this.#packer.start, null)
  }

  #beginTurn(): void {
    if (this.#inTurn) return
    this.#inTurn = true
    void this.#settled.then(this.#endTurn)
  }
}
