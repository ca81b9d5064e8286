import type { BindingFailure, BindingShape } from './binding.js'
import { AbortError, SluiceError, errorOf } from './errors.js'
import type { ColumnarRows } from './columnar.js'
import type { JsonRows } from './json.js'
import { CarriedFailure } from './inbox.js'
import type { Inbox } from './inbox.js'
import { dilute } from './pauses.js'
import type { Query } from './queries.js'
import type { RowForm } from './rows.js'
import type { Stop } from './signals.js'
import { NO_COLUMNS, Shape } from './shape.js'
import type { QueryTrace } from './tracing.js'
import {
  HAS_TIMES,
  HEADER_CHANGES,
  HEADER_COLUMNS,
  HEADER_FAILURE_EXTRA,
  HEADER_FLAGS,
  HEADER_KIND,
  HEADER_QUEUED_US,
  HEADER_RAN_US,
  HEADER_ROWID,
  HEADER_ROWS,
  HEADER_SHAPE,
  HEADER_SHAPE_EXTRA,
  INSERTED,
  KIND_END,
  KIND_FAILED,
  KIND_MORE,
  KIND_ROWS,
  ROUTE_WRITE,
  SHAPE_NEW,
} from './layout.js'

/** Settle a promise. */
export interface Settlers {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Settle the promise that is being made. */
let resolveLast: (result: unknown) => void = nobodyWaits
let rejectLast: (error: unknown) => void = nobodyWaits

/** Whether an inline answer has not reached whoever awaits it. */
let isOnItsWay = false

/** Whether the call that was last answered inline is still under way: whoever awaits it has not gone on yet. */
export function isInlineOnItsWay(): boolean {
  return isOnItsWay
}

const SETTLED: Promise<void> = Promise.resolve()

function nobodyWaits(): void {}

/** One executor for all calls: a closure per call would cost more than the promise. */
function keepSettlers(resolve: (result: unknown) => void, reject: (error: unknown) => void): void {
  resolveLast = resolve
  rejectLast = reject
}

/**
 * One call under way, and in the end what it came to.
 *
 * `settled` rejects only where it is what {@link Call.into} has returned. Otherwise the error is made by whoever awaits it, so that their
 * callers' frames are in its stack.
 */
export class Call {
  /** What must stay alive until the call is settled. */
  readonly owner: object
  /** What was asked, for a call that has a query. */
  readonly query: Query | null
  /** The text for error messages. */
  readonly sql: string | undefined
  readonly form: RowForm
  /** Whether integers are delivered as `bigint` whatever their size. */
  readonly bigints: boolean
  /** The rows so far; `null` when there are none. */
  rows: unknown[] | null = null
  shape: Shape = NO_COLUMNS
  changes = 0
  lastInsertRowid: number | bigint | undefined = undefined
  wrote = false
  /** How long it waited before a connection began it, in microseconds; 0 unless the request had the flag `TIMED`. */
  queuedUs = 0
  /** How long it ran there, in microseconds. Its own commit counts, one that it shared does not. 0 unless asked for. */
  ranUs = 0
  /** Whether its cursor has more rows. */
  more = false
  failure: BindingFailure | null = null
  /** What reading the answer threw, if it did. */
  fault: unknown = undefined
  /** Tells subscribers what it comes to, if there are any. */
  trace: QueryTrace | null = null
  /** Stops it, when its caller may want that. */
  stop: Stop | null = null
  /** The signal that ends what it is part of, if there is one. */
  signal: AbortSignal | undefined = undefined
  /** Whether it keeps the event loop alive. */
  referenced = false
  /** Whether the answer has come. */
  isSettled = false
  /** Settle `settled`, or what is settled in its place. */
  #resolve: (result: unknown) => void = nobodyWaits
  #reject: (error: unknown) => void = nobodyWaits
  settled: Promise<void> = SETTLED
  /** The items of a batch, which are settled before it. One that failed, because its rows could not be made, fails the whole. */
  parts: readonly Call[] | null = null
  /** Called when the answer has come. */
  #onSettled: (() => void) | null = null
  /** What `settled` is resolved with is made of the answer by this; `null`: with nothing. */
  #resultOf: ((call: Call) => unknown) | null = null

  /** `isAwaited`: whether somebody will wait for it; without, it is settled with another one, or answered at once. */
  constructor(owner: object, query: Query | null, sql: string | undefined, form: RowForm, bigints: boolean, isAwaited = true) {
    this.owner = owner
    this.query = query
    this.sql = sql
    this.form = form
    this.bigints = bigints
    if (isAwaited) this.wait()
  }

  /** Makes the promise of a call that is awaited. */
  wait(): void {
    this.settled = new Promise<unknown>(keepSettlers) as Promise<void>
    this.#resolve = resolveLast
    this.#reject = rejectLast
    // They know the promise, which knows the result: kept here, that could not be collected.
    resolveLast = rejectLast = nobodyWaits
  }

  /**
   * Returns what `resultOf` makes of the answer, when that has come. To be called once, in the same turn as the call is made. `outer` settle a
   * promise that is settled in place of the one that is returned, if that is not by then.
   */
  into<R>(resultOf: (call: Call) => R, outer: Settlers | null = null): Promise<R> {
    // What traces the call is told in the context of whoever made it.
    if (this.isSettled || this.trace !== null) return this.#awaited(resultOf)
    this.#resultOf = resultOf
    if (outer !== null) {
      this.#resolve = outer.resolve
      this.#reject = outer.reject
    }
    return this.settled as Promise<unknown> as Promise<R>
  }

  async #awaited<R>(resultOf: (call: Call) => R): Promise<R> {
    await this.settled
    this.expectSuccess()
    return resultOf(this)
  }

  /**
   * Settles the call, whose answer has come. Returns whether it is settled by now: one that failed is in a microtask, and no other is to be settled before it.
   */
  settle(): boolean {
    const resultOf = this.#resultOf
    if (resultOf === null) {
      this.#resolve(undefined)
      return true
    }
    const failed = this.failure === null ? this.parts?.find((part) => part.failure !== null) : this
    if (failed !== undefined) return this.#rejectSoon(() => failed.error())
    try {
      this.#resolve(resultOf(this))
      return true
    } catch (error) {
      return this.#rejectSoon(() => error)
    }
  }

  /** Notes that the answer has come. */
  end(): void {
    this.isSettled = true
    this.#onSettled?.()
  }

  /**
   * Rejects with what `make` returns, in a microtask: in one of a promise that `settled` listens to. So V8 knows who awaits that, and puts
   * their frames in the stack of the error.
   */
  #rejectSoon(make: () => unknown): false {
    const rejecting = async (): Promise<void> => {
      await SETTLED
      this.#reject(make())
    }
    void rejecting().then(this.#resolve, this.#reject)
    return false
  }

  /** Returns when the call is settled, whatever it came to. That is no answer to a rejection: somebody else has to have one. */
  whenSettled(): Promise<void> {
    if (this.isSettled) return SETTLED
    return new Promise((resolve) => {
      const others = this.#onSettled
      this.#onSettled = () => {
        others?.()
        resolve()
      }
    })
  }

  /** Takes the present result from the inbox, which is the whole answer. */
  receiveInline(inbox: Inbox): void {
    this.receive(inbox)
    this.isSettled = true
    isOnItsWay = true
  }

  /** Takes the present result from the inbox. Returns whether it was the last of this call. */
  receive(inbox: Inbox): boolean {
    const kind = inbox.header(HEADER_KIND)
    try {
      if (kind === KIND_ROWS || kind === KIND_END || kind === KIND_MORE) this.#receiveRows(inbox)
      if (kind === KIND_MORE) this.more = true
      if (kind === KIND_END) this.#receiveOutcome(inbox)
      if (kind !== KIND_ROWS) this.#receiveTimes(inbox)
      if (kind === KIND_FAILED) this.failure = inbox.extra(inbox.header(HEADER_FAILURE_EXTRA)) as BindingFailure
    } catch (error) {
      this.#fail(error)
      inbox.passResult()
    }
    return kind !== KIND_ROWS
  }

  #receiveRows(inbox: Inbox): void {
    const shape = this.#receiveShape(inbox)
    const count = inbox.header(HEADER_ROWS)
    if (count === 0) return
    if (this.failure !== null) {
      inbox.passResult()
    } else if (count === 1 && this.rows === null) {
      this.rows = [shape.factory(this.form, 1).one(inbox)]
    } else {
      const rows = (this.rows ??= [])
      shape.factory(this.form, count).many(inbox, count, rows)
      dilute(count, this.form === 'pluck' ? 1 : inbox.header(HEADER_COLUMNS), rows.length)
    }
  }

  #receiveShape(inbox: Inbox): Shape {
    const id = inbox.header(HEADER_SHAPE)
    if (id === this.shape.id) return this.shape
    if ((inbox.header(HEADER_FLAGS) & SHAPE_NEW) !== 0) {
      this.shape = new Shape(inbox.extra(inbox.header(HEADER_SHAPE_EXTRA)) as BindingShape)
      this.query?.learn(this.shape)
      return this.shape
    }
    const known = this.query?.shape(id)
    if (known === undefined) throw new Error(`BUG: shape ${id} was never told`)
    this.shape = known
    return known
  }

  #receiveOutcome(inbox: Inbox): void {
    const flags = inbox.header(HEADER_FLAGS)
    const changes = inbox.headerNumber(HEADER_CHANGES)
    const small = changes | 0
    // As a double it would be a box of its own for the call, and another one for the result.
    this.changes = small === changes ? small : changes
    this.wrote = (flags & ROUTE_WRITE) !== 0
    if ((flags & INSERTED) !== 0) this.lastInsertRowid = inbox.headerInteger(HEADER_ROWID, this.bigints)
  }

  #receiveTimes(inbox: Inbox): void {
    if ((inbox.header(HEADER_FLAGS) & HAS_TIMES) === 0) return
    this.queuedUs = inbox.headerFloat(HEADER_QUEUED_US)
    this.ranUs = inbox.headerFloat(HEADER_RAN_US)
  }

  /** Keeps the first failure; rows that came before it are void. */
  #fail(error: unknown): void {
    if (this.failure !== null) return
    this.rows = null
    if (error instanceof CarriedFailure) {
      this.failure = error.failure
      return
    }
    this.fault = error
    this.failure = { code: 'ERR_SLUICE_DECODE', message: 'the result could not be turned into JavaScript values: `cause` says why' }
  }

  /** Throws if the call failed. To be called by whoever has awaited `settled`. */
  expectSuccess(): void {
    isOnItsWay = false
    if (this.failure === null && this.trace === null) return
    const error = this.error()
    this.trace?.conclude(this, error)
    if (error !== null) throw error
  }

  /** Makes the error of a call that failed; `null` if it succeeded. */
  error(): Error | null {
    if (this.failure === null) return null
    if (this.failure.code === 'ABORT_ERR') return new AbortError(this.#abortReason())
    if (this.fault === undefined) return errorOf(this.failure, this.sql)
    return new SluiceError('ERR_SLUICE_DECODE', this.failure.message, { cause: this.fault })
  }

  #abortReason(): unknown {
    const own = this.stop?.signal
    return own?.aborted === true ? own.reason : this.signal?.reason
  }

  /** How many rows have come. */
  get rowCount(): number {
    if (this.rows === null) return 0
    switch (this.form) {
      case 'columnar':
      case 'json':
        return (this.rows[0] as ColumnarRows | JsonRows).count
      case 'object':
      case 'array':
      case 'pluck':
        return this.rows.length
    }
  }

  /** Returns the rows, in an array of the caller's own. */
  takeRows(): unknown[] {
    return this.rows ?? []
  }

  /** Returns the first row, or `undefined` if there is none. */
  takeFirst(): unknown {
    return this.rows === null ? undefined : this.rows[0]
  }
}
