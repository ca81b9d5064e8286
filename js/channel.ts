import { binding } from './binding.js'
import type { BindingChannel } from './binding.js'
import { Bursts } from './bursts.js'
import { isInlineOnItsWay } from './call.js'
import type { Call } from './call.js'
import { Inbox } from './inbox.js'
import type { End } from './session.js'
import { Outbox } from './outbox.js'
import type { InlineTarget } from './outbox.js'
import { HEADER_CALL, HELD } from './layout.js'
import { clock, nextTurn } from './turn.js'
import { Vigil } from './vigil.js'

/** How long results are decoded at a time, in milliseconds; then the event loop turns. */
const BUDGET_MS = 4
/** How many calls are settled at a time: what awaits them runs in the same turn, and takes its own time. */
const MAX_SETTLEMENTS = 1_000
/**
 * How many calls are settled at least before what awaits them runs. It often has new calls, which workers can begin while others are settled.
 */
const SETTLED_AT_ONCE = 8
/** Which part of the calls under way are settled at once where that is more: what each pause costs is little beside it. */
const SHARE_AT_ONCE = 1 / 8
/** After how many cells that runs, too: so it has its rows at once, and they need not be kept while others are made. */
const CELLS_PER_PAUSE = 4_096
/**
 * How long inline reads keep the event loop in one of its turns, in nanoseconds: a loop that awaits one read after another stays in the turn
 * in which it began. Then a read goes to a worker, and the event loop turns until its answer wakes it.
 */
const INLINE_SHARE_NS = 4_000_000
/** After how many cells the clock is read. */
const CELLS_PER_CLOCK = 4_096
/** What a result costs beside its cells, in cells. */
const CELLS_PER_RESULT = 8

/**
 * Carries all calls of this environment to the addon and back: a table of the calls under way, and one wake-up for many results.
 */
export class Channel {
  readonly binding: BindingChannel
  readonly outbox: Outbox
  readonly #inbox: Inbox
  readonly #vigil = new Vigil({
    isWaitedFor: () => this.#unsettled > 0,
    watch: (patienceUs) => this.#watch(patienceUs),
    receive: (inNewTurn) => this.#receive(clock(), inNewTurn),
  })
  /** The calls under way by their number; 0 is no call. */
  readonly #calls: Array<Call | undefined> = [undefined]
  readonly #freeNumbers: number[] = []
  #unsettled = 0
  /** Whether the wake-up keeps the event loop alive. */
  #referenced = false
  /** Whether the rest of what has arrived is left to a later turn, or until what awaits some of it has run. */
  #deferred = false
  /** Until when results are taken this time. */
  #deadline = 0
  /** How many calls were settled this time. */
  #settlements = 0
  /** Whether the call that was settled last is rejected in a microtask: those behind it must wait for that, or they would overtake it. */
  #isRejecting = false
  /** How many cells were read since the clock was. */
  #cells = 0
  /** How long inline reads have taken since the event loop was last seen to turn, in nanoseconds. */
  #inlineNs = 0
  readonly #bursts = new Bursts()
  readonly #settled: Promise<void> = Promise.resolve()
  readonly #receiveInNewTurn = (): void => {
    this.#deferred = false
    this.#receive(clock(), true)
  }
  readonly #receiveMore = (): void => {
    this.#deferred = false
    this.outbox.expectsCompany = false
    // What awaited the settled calls has taken its time too.
    if (clock() > this.#deadline) this.#defer()
    else this.#receiveSome()
  }

  constructor() {
    this.#inbox = new Inbox(() => this.binding.takeExtras())
    this.binding = new binding.BindingChannel(() => this.#wake(), this.#inbox.buffer)
    // Node tells the addon itself only when the event loop has ended by itself, or with a worker.
    process.once('exit', () => this.binding.tearDown())
    this.outbox = new Outbox((buffer) => this.binding.setRequestBuffer(buffer))
  }

  /**
   * Gives `call` a number, under which its answer will come, and keeps it until then. What is posted is handed over before: the call must
   * not overtake it.
   */
  enter(call: Call): number {
    this.outbox.flush()
    return this.enterPosted(call)
  }

  /** As `enter`, for a call that is posted itself. */
  enterPosted(call: Call): number {
    const number = this.enterUnreferenced(call)
    call.referenced = true
    this.#unsettled++
    if (!this.#referenced) {
      this.#referenced = true
      this.binding.ref()
    }
    return number
  }

  /**
   * Whether a read may run inline: when nothing else is under way, so that reads which are made together run side by side on workers.
   * The inbox has been read to its end then.
   */
  get mayRunInline(): boolean {
    return this.#unsettled === 0 && this.#inlineNs < INLINE_SHARE_NS && !this.#deferred && !isInlineOnItsWay()
  }

  /**
   * Has `target` run the request that was packed last, of `call`, at once if it can. Otherwise enters `call`: a worker will answer.
   * Returns its number.
   */
  runInline(target: InlineTarget, call: Call, query: number): number {
    const number = this.#freeNumbers.at(-1) ?? this.#calls.length
    let took = this.outbox.postInline(target, number, query)
    if (took === 0) {
      call.wait()
      // Gives it the number that was said.
      return this.enterPosted(call)
    }
    if (took >= HELD) {
      took -= HELD
      this.#bursts.begin(target)
    }
    this.#inlineNs += took
    this.#inbox.refill(1)
    this.#inbox.next()
    call.receiveInline(this.#inbox)
    return number
  }

  /** As `enter`, for a call whose answer nobody waits for: it does not keep the event loop alive. */
  enterUnreferenced(call: Call): number {
    const number = this.#freeNumbers.pop() ?? this.#calls.length
    this.#calls[number] = call
    return number
  }

  /** Takes back a number whose call the addon refused: no answer will come. */
  leave(number: number): void {
    this.#release(number, this.#calls[number]!)
    this.#rest()
  }

  /** Returns what is under way of a handle: its calls, and the ends of its sessions. */
  underWay(handle: object): Call[] {
    const isOf = (call: Call): boolean => call.owner === handle || (call.owner as Partial<End>).handle === handle
    return this.#calls.filter((call) => call !== undefined && isOf(call)) as Call[]
  }

  #release(number: number, call: Call): void {
    this.#calls[number] = undefined
    this.#freeNumbers.push(number)
    if (call.referenced) this.#unsettled--
    if (call.stop !== null) call.stop.release()
    call.end()
  }

  /** Lets the event loop end when nobody waits for anything. */
  #rest(): void {
    if (this.#unsettled > 0 || !this.#referenced) return
    this.#referenced = false
    this.binding.unref()
  }

  #wake(): void {
    if (this.#deferred) return
    const now = clock()
    this.#vigil.woken(now)
    this.#receive(now, true)
  }

  /** Takes results until there are no more or that, which begins at `now`, has lasted long enough. */
  #receive(now: number, inNewTurn: boolean): void {
    this.#deadline = now + BUDGET_MS
    this.#settlements = 0
    this.#cells = 0
    if (inNewTurn) this.#inlineNs = 0
    this.#receiveSome()
  }

  #receiveSome(): void {
    this.#isRejecting = false
    const pauseAt = this.#settlements + Math.max(SETTLED_AT_ONCE, Math.floor(this.#unsettled * SHARE_AT_ONCE))
    let cells = 0
    while (this.#nextResult()) {
      const more = CELLS_PER_RESULT + this.#inbox.resultCells()
      this.#cells += more
      cells += more
      const isSettled = this.#receiveResult()
      if (isSettled) this.#settlements++
      if (this.#isTimeOver()) return this.#defer()
      if (isSettled && (this.#settlements === pauseAt || cells >= CELLS_PER_PAUSE || this.#isRejecting)) return this.#pause()
    }
    this.#vigil.begin()
    // Where results are looked for again soon, so are calls under way: to tell the addon in between costs as much as a call.
    if (!this.#vigil.comesAgain) this.#rest()
  }

  #isTimeOver(): boolean {
    if (this.#settlements >= MAX_SETTLEMENTS) return true
    if (this.#cells < CELLS_PER_CLOCK) return false
    this.#cells = 0
    return clock() > this.#deadline
  }

  /** Leaves the rest to a later turn. */
  #defer(): void {
    this.#deferred = true
    nextTurn(this.#receiveInNewTurn)
  }

  /** Lets what awaits the settled calls run, and goes on in the same turn. */
  #pause(): void {
    this.#deferred = true
    this.outbox.expectsCompany = true
    void this.#settled.then(this.#receiveMore)
  }

  /** Waits for results. All that were there have been taken, or the vigil would not have begun. */
  #watch(patienceUs: number): number {
    const headers = this.binding.watch(patienceUs)
    if (headers > 0) this.#inbox.refill(headers)
    return headers
  }

  #nextResult(): boolean {
    if (this.#inbox.next()) return true
    // To find out that there are no more costs as much as a call, and they are looked for soon.
    if (this.#unsettled === 0 && this.#settlements > 0 && this.#vigil.comesAgain) return false
    this.#inbox.refill(this.binding.drain(this.#vigil.comesAgain))
    return this.#inbox.next()
  }

  /** Hands the present result to its call. Returns whether that settled the call. */
  #receiveResult(): boolean {
    const number = this.#inbox.header(HEADER_CALL)
    const call = this.#calls[number]
    if (call === undefined) {
      this.#inbox.passResult()
      // Not thrown here: the results behind it would never be read.
      queueMicrotask(() => {
        throw new Error(`BUG: a result for call ${number}, which is not under way`)
      })
      return false
    }
    if (!call.receive(this.#inbox)) return false
    this.#release(number, call)
    this.#isRejecting = !call.settle()
    return true
  }
}

let channel: Channel | undefined

/** Returns the channel of this environment. */
export function environmentChannel(): Channel {
  channel ??= new Channel()
  return channel
}
