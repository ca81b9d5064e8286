import { setTimeout as delay } from 'node:timers/promises'

import { binding } from './binding.js'
import type { BindingConfig, BindingDatabase, BindingSessionKind } from './binding.js'
import type { Call } from './call.js'
import { environmentChannel } from './channel.js'
import type { Channel } from './channel.js'
import type { Copies } from './copies.js'
import { SluiceError } from './errors.js'
import { kindOf } from './kinds.js'
import { locationText } from './location.js'
import type { Location } from './location.js'
import { metricOf } from './metrics.js'
import type { MetricLabels } from './metrics.js'
import { isPragmaName } from './options.js'
import type { Target } from './outbox.js'
import type { CallMode, LeaseLimits, SessionMode } from './options.js'
import { startedByValues } from './params.js'
import { QueryCache } from './queries.js'
import type { RowForm } from './rows.js'
import type { Loop, RowSource } from './row-source.js'
import type { Runner } from './runner.js'
import { expectClosable, expectOutside, innermost, reentrant, scopeFlags } from './scope.js'
import type { Ways } from './scope.js'
import { Session } from './session.js'
import { Submitter } from './submitter.js'
import type { Context, Trace } from './trace.js'
import { startTraced, Tracer } from './tracing.js'
import type { QueryOperation, QueryTrace, TracingOptions } from './tracing.js'
import type { CheckpointMode, Status } from './types.js'
import { clock } from './turn.js'
import { Watch } from './watch.js'
import { SCOPE_SHIFT, TIMED } from './layout.js'

/** What all handles on one database share. */
interface Shared {
  readonly path: string
  readonly mode: CallMode
  readonly leases: LeaseLimits
  readonly tracer: Tracer
}

/** A statement of a batch. */
interface Item {
  readonly sql: string
  readonly params: unknown
}

/** A batch under way. */
export interface Batch {
  readonly whole: Call
  readonly parts: readonly Call[]
  /** Is told by whoever awaits it what it comes to. */
  readonly trace: QueryTrace | null
}

/** Starts the calls of one handle on a database. What a call came to is for the public method to say. */
export class Handle implements Runner {
  /** Settled when the database is open, or could not be opened; `null` from then on. */
  busy: Promise<void> | null = null
  readonly #shared: Shared
  readonly #binding: BindingDatabase
  readonly #submitter: Submitter
  /** Takes the requests of a batch. */
  readonly #staging: Target = { submit: (start, end, extras) => this.#binding.stage(start, end, extras), collects: true }
  /** Whether the items of a batch are being taken, of which a getter may make another call. */
  #isStaging = false
  /** The one closing call, once there is one: nothing is admitted after it. */
  #closing: Call | null = null
  /** Opens the database; of the first handle on it. */
  #opening: Call | null = null
  /** Those over `iterate` that are under way. */
  readonly #loops = new Set<Loop>()
  /** The copies in memory that are closed with it. */
  readonly mirrors: Set<Pick<Copies, 'expectClosable' | 'close'>> = new Set()
  /** The number of the manager; 0 before the database is open. */
  #manager: number

  private constructor(shared: Shared, database: BindingDatabase, channel: Channel) {
    this.#shared = shared
    this.#binding = database
    this.#manager = database.managerId
    this.#submitter = new Submitter(this, database, channel, new QueryCache(database, () => channel.outbox.flush()), shared.tracer)
  }

  /** Makes the first handle on a database, which is not open yet. */
  static first(location: Location, config: BindingConfig, mode: CallMode, leases: LeaseLimits, tracing: TracingOptions = {}): Handle {
    const channel = environmentChannel()
    const database = new binding.BindingDatabase(channel.binding, location, config)
    const path = locationText(location)
    return new Handle({ path, mode, leases, tracer: new Tracer(path, tracing) }, database, channel)
  }

  /** Makes a handle on the same database, on which BEGIN and COMMIT as text work. */
  sibling(): Handle {
    this.expectOpen()
    const database = this.#binding.sibling(this.#shared.leases.transactionIdleTimeoutMs)
    return new Handle(this.#shared, database, this.#submitter.channel)
  }

  /** Starts to copy the database into memory. The calls of the copy wait for that, and are rejected with what it fails with. */
  copy(maxBytes: number, writable: boolean): Handle {
    this.expectOpen()
    return this.#making((number) => this.#binding.copy(number, maxBytes, writable))
  }

  /** Starts to make a copy that can be read only, of this one, which is closed. */
  freeze(): Handle {
    return this.#making((number) => this.#binding.freeze(number))
  }

  #making(make: (number: number) => BindingDatabase): Handle {
    let database!: BindingDatabase
    const call = this.#submitter.command(undefined, null, (number) => {
      database = make(number)
    })
    const handle = new Handle(this.#shared, database, this.#submitter.channel)
    handle.#opening = call
    handle.busy = handle.#untilOpen(call, null)
    return handle
  }

  /** Begins to watch the database. */
  watch(pollMs: number): Watch {
    this.expectOpen()
    return new Watch(this.#submitter.channel, (number) => this.#binding.watch(number, pollMs))
  }

  /** The path that was fixed when the first handle was made. */
  get path(): string {
    return this.#shared.path
  }

  get mode(): CallMode {
    return this.#shared.mode
  }

  get tracer(): Tracer {
    return this.#shared.tracer
  }

  /** Stands for the manager, in scopes. */
  get manager(): number {
    return this.#manager
  }

  /** Whether `close` has been called. */
  get closed(): boolean {
    return this.#closing !== null
  }

  /** Whether there is nothing to close, because there was nothing to open. */
  get failed(): boolean {
    return this.#opening !== null && this.#opening.failure !== null
  }

  get count(): number {
    return this.#binding.handles
  }

  /** Starts to open the database. Calls wait for that, and are rejected with what it fails with. */
  open(): void {
    const begin = (): Call => this.#submitter.command(undefined, null, (number) => this.#binding.open(number))
    const trace = this.tracer.connect()
    const call = trace === null ? begin() : trace.start(begin)
    this.#opening = call
    this.busy = this.#untilOpen(call, trace)
  }

  async #untilOpen(call: Call, trace: Trace<Context> | null): Promise<void> {
    await call.settled
    this.busy = null
    if (call.failure !== null) {
      trace?.fail(call.error())
      return
    }
    this.#opening = null
    this.#manager = this.#binding.managerId
    if (this.#binding.hardLinks > 1) warnAboutHardLinks(this.path)
    trace?.succeed()
  }

  /** Throws what opening the database failed with. */
  #expectOpened(): void {
    if (this.busy !== null) throw invalid('the database is still being opened: await db.ready() first')
    // Few frames: a stack has ten, and the caller should be among them.
    const error = this.#opening?.error() ?? null
    if (error !== null) throw error
  }

  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, take: number, operation: QueryOperation): Call {
    this.expectOpen()
    return this.#submitter.statement(sql, params, mode, form, take | this.#scope(mode), operation)
  }

  /** Starts to read something for the driver itself. */
  ownRead(sql: string, form: RowForm): Call {
    this.expectOpen()
    return this.#submitter.own(sql, this.mode, form)
  }

  script(sql: string, mode: CallMode): Call {
    this.expectOpen()
    if (!mode.detached) expectOutside(this.manager, 'exec', 'detachable')
    return this.#submitter.script(sql, mode)
  }

  iterate(sql: string, params: unknown, mode: CallMode, form: RowForm, rows: number): RowSource {
    this.expectOpen()
    if (!mode.detached) this.expectReadable('iterate', 'detachable')
    const { maxReadLeaseMs } = this.#shared.leases
    const source = this.#submitter.iterate(sql, params, mode, form, rows, this.#scope(mode), (byteLength, extras) =>
      this.#binding.iterate(byteLength, extras, rows, maxReadLeaseMs),
    )
    source.loop.join(this.#loops)
    return source
  }

  /** Starts a batch. `items` are texts and values; the calls of the items are settled with that of the whole. */
  batch(items: readonly Item[], mode: CallMode): Batch {
    this.expectOpen()
    if (!mode.detached) expectOutside(this.manager, 'batch', 'detachable')
    const trace = this.tracer.batch(items)
    return trace === null ? this.#batch(items, mode, 0) : { ...trace.start(() => this.#batch(items, mode, TIMED)), trace }
  }

  #batch(items: readonly Item[], mode: CallMode, flags: number): Batch {
    if (this.#isStaging) throw startedByValues()
    const parts: Call[] = []
    const numbers: number[] = []
    this.#isStaging = true
    try {
      for (const { sql, params } of items) {
        const { call, number } = this.#submitter.stage(this.#staging, sql, params, mode, flags)
        parts.push(call)
        numbers.push(number)
      }
      const whole = this.#submitter.command(undefined, mode.limits, (number, cancellable) => this.#binding.batch(number, cancellable))
      whole.parts = parts
      return { whole, parts, trace: null }
    } catch (error) {
      this.#submitter.channel.outbox.flush()
      this.#binding.unstage()
      for (const number of numbers) this.#submitter.channel.leave(number)
      // When all were taken, none of them is at fault.
      throw error instanceof SluiceError && parts.length < items.length ? atItem(error, parts.length) : error
    } finally {
      this.#isStaging = false
    }
  }

  /** Begins a session. */
  session(kind: 'transaction' | 'read' | 'writeMode', mode: SessionMode, what: string): Session {
    this.expectOpen()
    if (!mode.detached) {
      if (kind === 'read') this.expectReadable(what, 'detachable')
      else expectOutside(this.manager, what, 'detachable')
      if (kind === 'read') this.#expectNoTextBeside(what)
      else this.#expectNoText(what)
    }
    const { maxReadLeaseMs, transactionIdleTimeoutMs, transactionTimeoutMs } = this.#shared.leases
    const [idleMs, totalMs] = kind === 'read' ? [0, maxReadLeaseMs] : [transactionIdleTimeoutMs, transactionTimeoutMs]
    const sort = this.#sort(kind, mode)
    return new Session(this.#submitter, this.mode, mode.limits, (call, ended) =>
      this.#binding.session(call, ended, sort, idleMs, totalMs, mode.limits !== null),
    )
  }

  /** A read in a callback waits for no write: that may wait for the callback. */
  #sort(kind: 'transaction' | 'read' | 'writeMode', mode: SessionMode): BindingSessionKind {
    if (kind === 'transaction') return mode.foreignKeys ? mode.behavior : UNCHECKED[mode.behavior]
    if (kind !== 'read' || innermost(this.manager) === undefined) return kind
    return mode.detached ? 'readInCallback' : 'readInTransaction'
  }

  countRetry(): void {
    this.#binding.countRetry()
  }

  checkpoint(mode: CheckpointMode): Call {
    this.expectOpen()
    const scope = innermost(this.manager)
    const besideIt = mode === 'passive' && scope?.kind !== 'writeMode' && this.#readsBesideWrites
    if (scope !== undefined && !besideIt) throw reentrant('checkpoint', scope.kind, 'elsewhere')
    if (!besideIt) this.#expectNoText('checkpoint')
    return this.#submitter.command(undefined, null, (number) => this.#binding.checkpoint(number, mode))
  }

  pragma(name: string, value: unknown): Call {
    this.expectOpen()
    if (!isPragmaName(name)) throw invalid('name must be the name of a PRAGMA, with or without a schema')
    const argument = pragmaArgument(value)
    if (value !== undefined) this.#expectNoText('pragma')
    const scope = scopeFlags(this.manager) >> SCOPE_SHIFT
    const sql = `PRAGMA ${name}`
    return startTraced(this.tracer.query('pragma', sql, undefined), () =>
      this.#submitter.command(sql, null, (number) => this.#binding.pragma(number, name, argument, scope)),
    )
  }

  get #isLast(): boolean {
    return this.#binding.handles === 1
  }

  /** Throws if to close it here would wait for the callback in which that is done. */
  expectClosable(): void {
    // A close that is under way waits for the callback as well; one that is over does not.
    if (this.#closing?.isSettled === true) return
    if (this.#isLast) expectOutside(this.manager, 'close', 'elsewhere')
    else expectClosable(this)
  }

  /** Starts to close, or returns the call that has started already. The last handle closes the database. */
  close(timeoutMs: number): Call {
    this.expectClosable()
    if (this.#closing === null) {
      // Before the closing itself is under way.
      const underWay = this.#isLast ? null : this.#underWay()
      this.#closing = this.#submitter.command(undefined, null, (number) => {
        if (underWay === null) this.#binding.close(number, timeoutMs)
        else void this.#closeAfter(underWay, number, timeoutMs)
      })
    }
    return this.#closing
  }

  /** Settled when what is under way of this handle, its calls, sessions and loops, has come to its end. */
  async #underWay(): Promise<void> {
    const calls = this.#submitter.channel.underWay(this).map((call) => call.whenSettled())
    await Promise.all([...calls, ...[...this.#loops].map((loop) => loop.untilEnd())])
  }

  /** Closes one handle of several, when what is under way of it has come to its end, or its time is up. It may be the last one by then. */
  async #closeAfter(underWay: Promise<void>, number: number, timeoutMs: number): Promise<void> {
    this.#binding.endText()
    const until = clock() + timeoutMs
    const timer = new AbortController()
    const timeUp = delay(timeoutMs, undefined, { signal: timer.signal, ref: false }).catch(() => {})
    await Promise.race([underWay, timeUp])
    timer.abort()
    this.#binding.close(number, Math.max(0, until - clock()))
  }

  status(): Status {
    this.#expectOpened()
    this.#submitter.channel.outbox.flush()
    const status = this.#binding.status()
    if (status === null) throw new Error('BUG: the status of a database that has not been opened')
    const { writer, wal, counters, errors } = status
    return {
      ...status,
      writer: { ...writer, holder: writer.holder ?? null },
      wal: { ...wal, oldestReaderMs: wal.oldestReaderMs ?? null, oldestReaderSql: wal.oldestReaderSql ?? null },
      counters: Object.fromEntries(counters.map(({ name, value }) => [name, value])),
      errors: Object.fromEntries(errors.map(({ name, value }) => [name, value])),
    }
  }

  metrics(): string {
    this.#expectOpened()
    return this.#binding.metrics() ?? ''
  }

  metric(name: string, labels: MetricLabels | undefined): number {
    this.#expectOpened()
    return metricOf(this.#binding, this.path, name, labels)
  }

  /** The request flags of the callback in which a call is made. */
  #scope(mode: CallMode): number {
    return mode.detached ? 0 : scopeFlags(this.manager)
  }

  get #readsBesideWrites(): boolean {
    return this.#binding.status()?.concurrency === 'wal'
  }

  /** Refuses what reads the database as a whole, where that would wait for the callback, or for a text, of this handle. */
  expectCopyable(what: string): void {
    this.expectReadable(what, 'elsewhere')
    this.#expectNoTextBeside(what)
  }

  /** As `#expectNoText`, of what reads: it waits only where reads and writes take turns. */
  #expectNoTextBeside(what: string): void {
    if (this.#binding.holdsTheWriter && !this.#readsBesideWrites) this.#expectNoText(what)
  }

  /** Refuses what would wait for the transaction that text has begun on this handle. */
  #expectNoText(what: string): void {
    if (!this.#binding.holdsTheWriter) return
    // What was called before may end it.
    this.#submitter.channel.outbox.flush()
    if (!this.#binding.holdsTheWriter) return
    const message = `${what} would wait for the transaction that is open on this handle: end it first`
    throw new SluiceError('ERR_SLUICE_MANUAL_TRANSACTION', message)
  }

  /** Refuses what holds a read connection where that cannot be had, or where the callback has one that should be used. */
  expectReadable(what: string, ways: Ways): void {
    const scope = innermost(this.manager)
    if (scope === undefined) return
    const besideIt = scope.kind === 'transaction' && this.#readsBesideWrites && this.#binding.status()!.readers.max > 0
    if (!besideIt) throw reentrant(what, scope.kind, ways)
  }

  /** Throws unless calls are admitted. */
  expectOpen(): void {
    this.#expectOpened()
    if (this.#closing !== null) throw new SluiceError('ERR_SLUICE_CLOSED', `the database '${this.path}' has been closed`)
  }
}

const UNCHECKED = { immediate: 'uncheckedImmediate', exclusive: 'uncheckedExclusive', deferred: 'uncheckedDeferred' } as const

/** Under each of its names SQLite keeps another log beside a file: two processes that open it by two of them destroy it. */
function warnAboutHardLinks(path: string): void {
  const message = `'${path}' has several names (hard links): a process that opens it by another one would corrupt it`
  process.emitWarning(message, { type: 'SluiceWarning', code: 'SLUICE_HARD_LINK' })
}

/** Returns the error with the item of a batch that it is about. */
function atItem(error: SluiceError, statementIndex: number): SluiceError {
  Object.defineProperty(error, 'statementIndex', { value: statementIndex, enumerable: true, configurable: true, writable: true })
  return error
}

/** A PRAGMA takes its value as text, from which SQLite reads the number where it wants one. */
function pragmaArgument(value: unknown): string | null {
  if (value === undefined) return null
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  if (typeof value === 'string' && !value.includes('\0')) return value
  throw invalid(`the value of a PRAGMA must be a string without NUL, a finite number or a boolean, not ${kindOf(value)}`)
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
