import type { BindingCursor } from './binding.js'
import { Call } from './call.js'
import type { Channel } from './channel.js'
import type { CallMode } from './options.js'
import type { InlineTarget, Target as RequestTarget } from './outbox.js'
import { expectSql } from './queries.js'
import type { QueryCache } from './queries.js'
import { RowSource } from './row-source.js'
import type { RowForm } from './rows.js'
import { Stop, expectNotAborted } from './signals.js'
import type { CallLimits } from './signals.js'
import { startTraced } from './tracing.js'
import type { QueryOperation, Tracer } from './tracing.js'
import { CANCELLABLE, INTEGERS_BIGINT, TAKE_ALL, TIMED } from './layout.js'

/** What takes calls: a handle of the addon, or a session of one. */
interface Target extends RequestTarget {
  script(call: number, sql: string, cancellable: boolean, timed: boolean): void
}

/** Whether it runs requests inline: a session does not. */
function runsInline(target: Target): target is Target & InlineTarget {
  return 'submitInline' in target
}

/** Packs calls, gives them numbers, and hands them to the addon. */
export class Submitter {
  readonly channel: Channel
  readonly queries: QueryCache
  readonly tracer: Tracer
  readonly #target: Target
  /** The target, if it runs requests inline. */
  readonly #inline: InlineTarget | null
  /** What must stay alive until its calls are settled. */
  readonly owner: object
  /** Ends what its calls are part of. */
  readonly #signal: AbortSignal | undefined

  constructor(owner: object, target: Target, channel: Channel, queries: QueryCache, tracer: Tracer, signal?: AbortSignal) {
    this.owner = owner
    this.#signal = signal
    this.#target = target
    this.#inline = runsInline(target) ? target : null
    this.channel = channel
    this.queries = queries
    this.tracer = tracer
  }

  /** Starts a statement for the method `operation`; `flags` say which rows are wanted, and in which scope. */
  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, flags: number, operation: QueryOperation): Call {
    const trace = this.tracer.query(operation, sql, params)
    if (trace === null) return this.#send(sql, params, mode, form, flags, null)
    return startTraced(trace, () => this.#send(sql, params, mode, form, flags | TIMED, null))
  }

  /** Starts a statement of the driver's own, of which no tracing channel tells. */
  own(sql: string, mode: CallMode, form: RowForm): Call {
    return this.#send(sql, undefined, mode, form, TAKE_ALL, null)
  }

  /** Adds a statement to the batch that is being made in `batch`: nobody waits for it but with that. Returns its number too. */
  stage(batch: RequestTarget, sql: string, params: unknown, mode: CallMode, flags: number): { call: Call; number: number } {
    const { outbox } = this.channel
    outbox.pack(mode.integers | flags, params, mode.dates)
    const query = this.queries.lookup(sql)
    const call = new Call(this.owner, query, sql, mode.rowMode, mode.integers === INTEGERS_BIGINT, false)
    const number = this.channel.enterPosted(call)
    try {
      outbox.post(batch, number, query.id)
    } catch (error) {
      this.channel.leave(number)
      throw error
    } finally {
      this.queries.giveBack(query)
    }
    return { call, number }
  }

  script(sql: string, mode: CallMode): Call {
    expectSql(sql)
    const trace = this.tracer.query('exec', sql, undefined)
    return startTraced(trace, () =>
      this.command(sql, mode.limits, (number, cancellable) => this.#target.script(number, sql, cancellable, trace !== null)),
    )
  }

  /** Starts a statement whose rows are fetched bit by bit, `rows` at a time. `open` hands it to the addon. */
  iterate(
    sql: string,
    params: unknown,
    mode: CallMode,
    form: RowForm,
    rows: number,
    flags: number,
    open: (byteLength: number, extras: Array<string | Uint8Array> | null) => BindingCursor | null,
  ): RowSource {
    const trace = this.tracer.query('iterate', sql, params)
    if (trace === null) return this.#iterate(sql, params, mode, form, rows, flags, open)
    const source = trace.start(() => this.#iterate(sql, params, mode, form, rows, flags, open))
    source.traceWith(trace)
    return source
  }

  #iterate(
    sql: string,
    params: unknown,
    mode: CallMode,
    form: RowForm,
    rows: number,
    flags: number,
    open: (byteLength: number, extras: Array<string | Uint8Array> | null) => BindingCursor | null,
  ): RowSource {
    expectNotAborted(mode.limits)
    let cursor: BindingCursor | null = null
    let first = 0
    const cancellable = mode.limits === null ? 0 : CANCELLABLE
    const call = this.#send(sql, params, { ...mode, limits: null }, form, flags | cancellable, (byteLength, extras, number) => {
      first = number
      cursor = open(byteLength, extras)
    })
    return new RowSource(this.channel, call, first, cursor, rows, mode.limits)
  }

  /** Starts what is no statement with values. */
  command(sql: string | undefined, limits: CallLimits | null, send: (number: number, cancellable: boolean) => void): Call {
    expectNotAborted(limits)
    const call = new Call(this.owner, null, sql, 'object', false)
    call.signal = this.#signal
    const number = this.channel.enter(call)
    try {
      send(number, limits !== null)
    } catch (error) {
      this.channel.leave(number)
      throw error
    }
    if (limits !== null) this.#limit(call, number, limits)
    return call
  }

  #send(
    sql: string,
    params: unknown,
    mode: CallMode,
    form: RowForm,
    flags: number,
    submit: ((byteLength: number, extras: Array<string | Uint8Array> | null, number: number) => void) | null,
  ): Call {
    const { limits, integers } = mode
    if (limits !== null) {
      expectNotAborted(limits)
      flags |= CANCELLABLE
    }
    const { outbox } = this.channel
    if (submit === null && this.#inline !== null && this.channel.mayRunInline) return this.#sendInline(this.#inline, sql, params, mode, form, flags)
    if (submit !== null) outbox.flush()
    outbox.pack(integers | flags, params, mode.dates)
    const query = this.queries.lookup(sql)
    const call = new Call(this.owner, query, sql, form, integers === INTEGERS_BIGINT)
    if (this.#signal !== undefined) call.signal = this.#signal
    const number = this.channel.enterPosted(call)
    try {
      if (submit === null) outbox.post(this.#target, number, query.id)
      else outbox.hand((byteLength, extras) => submit(byteLength, extras, number), number, query.id)
    } catch (error) {
      this.channel.leave(number)
      throw error
    } finally {
      this.queries.giveBack(query)
    }
    if (limits !== null) {
      // The addon must know of it before it can be stopped.
      outbox.flush()
      this.#limit(call, number, limits)
    }
    return call
  }

  /** Sends a statement that is run at once, on this thread, if it can be. */
  #sendInline(target: InlineTarget, sql: string, params: unknown, mode: CallMode, form: RowForm, flags: number): Call {
    const { channel } = this
    channel.outbox.pack(mode.integers | flags, params, mode.dates)
    const query = this.queries.lookup(sql)
    const call = new Call(this.owner, query, sql, form, mode.integers === INTEGERS_BIGINT, false)
    try {
      const number = channel.runInline(target, call, query.id)
      if (mode.limits !== null && !call.isSettled) this.#limit(call, number, mode.limits)
    } finally {
      this.queries.giveBack(query)
    }
    return call
  }

  #limit(call: Call, number: number, limits: CallLimits): void {
    call.stop = new Stop(limits, (timedOut) => this.channel.binding.cancel(number, timedOut))
  }
}
