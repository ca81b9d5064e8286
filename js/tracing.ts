import { tracingChannel } from 'node:diagnostics_channel'
import type { TracingChannel } from 'node:diagnostics_channel'

import type { Call } from './call.js'
import { SlowQueries } from './slow-queries.js'
import { Trace } from './trace.js'
import type { Route, SqlParameters } from './types.js'

/** The method by which SQL was run. */
export type QueryOperation =
  | 'execute'
  | 'all'
  | 'get'
  | 'values'
  | 'pluck'
  | 'columnar'
  | 'executeJson'
  | 'sql'
  | 'run'
  | 'exec'
  | 'batch'
  | 'iterate'
  | 'pragma'
  | 'columns'

/**
 * What subscribers of the tracing channel `sluice:query` get: one object per call, the same one at each event. It is filled in at its end,
 * before `error`, `asyncStart` and `asyncEnd`. Subscribers may add keys of their own.
 *
 * @example
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel'
 * import type { TracedQuery } from 'sluice'
 *
 * subscribe('tracing:sluice:query:asyncEnd', (message) => {
 *   const { sql, duration } = message as TracedQuery
 *   console.log(sql, duration)
 * })
 * ```
 */
export interface TracedQuery {
  /**
   * The text, without values. For `batch` its texts, joined by `'; '`, or the one text if all are the same; for `pragma` without what it
   * is set to.
   */
  readonly sql: string
  /** The path of the database, as `db.path` has it. */
  readonly database: string
  /** The method that was called. */
  readonly operation: QueryOperation
  /** How many statements a `batch` has. */
  readonly batchSize?: number
  /** The values of the call, copied; of a `batch`, those of each item. Only with the option `traceParameters`. */
  readonly parameters?: SqlParameters | ReadonlyArray<SqlParameters | undefined>
  /** How long it took, in milliseconds, to the moment when its caller is told. Of `iterate`: the fetching, without what the loop does. */
  readonly duration?: number
  /** How many rows were delivered. Not there after a failure, but for `iterate`. */
  readonly rows?: number
  /** How many rows it changed. Not there after a failure, nor for `exec` and `pragma`. */
  readonly changes?: number
  /** Who ran it. Not there after a failure, nor for `pragma`. Of an iterator that only reads: always `'read'`. */
  readonly route?: Route
  /** How long it waited for a connection, in milliseconds. Not there for `iterate` and `pragma`, nor for what never came to one. */
  readonly queueMs?: number
  /** How long it ran there, in milliseconds. Where `queueMs` is. */
  readonly runMs?: number
  /** What its caller gets as a rejection. Only there after a failure. */
  readonly error?: unknown
}

/** What subscribers of the tracing channel `sluice:transaction` get: one object per transaction or session, the same one at each event. */
export interface TracedTransaction {
  /** The path of the database, as `db.path` has it. */
  readonly database: string
  /** The method that began it. */
  readonly operation: 'transaction' | 'begin' | 'read' | 'writeMode'
  /** How many transactions it is in: 0, or more for a savepoint. */
  readonly depth: number
  /** How long it waited until it had begun, in milliseconds. Not there when it never did. */
  readonly queueMs?: number
  /** How it ended. Not there for `read` and `writeMode`, nor when it never began, nor when nobody can tell (`ERR_SLUICE_OUTCOME_UNKNOWN`). */
  readonly outcome?: 'commit' | 'rollback'
  /** How long it took in all, in milliseconds. */
  readonly duration?: number
  /** What its holder gets as a rejection. Only there after a failure. */
  readonly error?: unknown
}

/** What subscribers of the tracing channel `sluice:connect` get: one object per `open` or `connect`, the same one at each event. */
export interface TracedConnect {
  /** The path of the database, as `db.path` has it. */
  readonly database: string
  /** How long it took, in milliseconds. */
  readonly duration?: number
  /** Why it could not be opened. Only there after a failure. */
  readonly error?: unknown
}

/** What {@link TracingOptions.onSlowQuery} is told. A key that {@link TracedQuery} has under the same name means the same. */
export interface SlowQuery extends Pick<TracedQuery, 'sql' | 'database' | 'operation' | 'parameters' | 'queueMs' | 'runMs' | 'rows' | 'changes' | 'route' | 'error'> {
  /** How long it took, in milliseconds, to the moment when its caller is told. Of `iterate`: the fetching, without what the loop does. */
  readonly durationMs: number
}

/**
 * Options of `open` about watching calls. They belong to the handle and what is made from it: transactions, sessions, `handle()`.
 *
 * @example
 * ```ts
 * const db = await open('app.db', { slowQueryMs: 100, onSlowQuery: ({ sql, durationMs }) => console.warn(durationMs, sql) })
 * ```
 */
export interface TracingOptions {
  /**
   * Whether tracing channels and `onSlowQuery` are told the values of a call (`parameters`). They are copied at the call.
   * @defaultValue false
   */
  readonly traceParameters?: boolean | undefined
  /**
   * Is called with each call of the handle that took `slowQueryMs` or longer, whether it succeeded or failed: after its caller was told,
   * in the async context in which the database was opened. What it throws is an uncaught error, and disturbs no call.
   * @defaultValue none
   */
  readonly onSlowQuery?: ((query: SlowQuery) => unknown) | undefined
  /**
   * From how long on a call is slow, in milliseconds. 0: every call is. Needs `onSlowQuery`.
   * @defaultValue 200
   */
  readonly slowQueryMs?: number | undefined
}

/** How a transaction ended, as far as anybody can tell. */
export type Outcome = 'commit' | 'rollback' | undefined

type Writable<T> = { -readonly [K in keyof T]: T[K] }

const QUERY: TracingChannel<unknown, Writable<TracedQuery>> = tracingChannel('sluice:query')
const TRANSACTION: TracingChannel<unknown, Writable<TracedTransaction>> = tracingChannel('sluice:transaction')
const CONNECT: TracingChannel<unknown, Writable<TracedConnect>> = tracingChannel('sluice:connect')

/** One call that runs SQL, as it is traced. */
export class QueryTrace extends Trace<Writable<TracedQuery>> {
  readonly #slow: SlowQueries | null

  constructor(context: TracedQuery, isListened: boolean, slow: SlowQueries | null) {
    super(QUERY, isListened, context)
    this.#slow = slow
  }

  /** Tells what `call` came to. */
  conclude(call: Call, error: Error | null): void {
    this.#time(call)
    if (error !== null) return this.fail(error)
    const { operation } = this.context
    if (operation === 'exec') this.context.route = 'write'
    else if (operation !== 'pragma') this.add(call)
    this.context.rows ??= call.rowCount
    this.succeed()
  }

  #time({ queuedUs, ranUs }: Call): void {
    // Not all kinds of calls are timed, nor is what never came to a connection.
    if (queuedUs === 0 && ranUs === 0) return
    this.context.queueMs = queuedUs / 1_000
    this.context.runMs = ranUs / 1_000
  }

  /** Adds what one of several calls has delivered. */
  add(call: Call): void {
    const { context } = this
    context.rows = (context.rows ?? 0) + call.rowCount
    context.changes = (context.changes ?? 0) + call.changes
    context.route = call.wrote ? 'write' : 'read'
  }

  /** Tells what a batch came to, which is `whole`, its items `parts`: what `take` returns or throws. */
  concludeBatch<R>(whole: Call, parts: readonly Call[], take: () => R): R {
    this.#time(whole)
    try {
      const results = take()
      for (const part of parts) this.add(part)
      this.context.rows ??= 0
      this.context.route = 'write'
      this.succeed()
      return results
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  /** Adds the time until `fetched` to the duration, which is that of all fetches and nothing else. */
  async addFetch(fetched: Promise<void>): Promise<void> {
    const before = this.elapsed
    await fetched
    if (!this.isSettled) this.context.duration = (this.context.duration ?? 0) + this.elapsed - before
  }

  protected override settled(): void {
    this.#slow?.consider(this.context)
  }
}

/** A transaction or session, as it is traced. */
export class TransactionTrace extends Trace<Writable<TracedTransaction>> {
  /** Whether its holder is ending it, and will tell how that went. */
  isEnding = false

  constructor(context: TracedTransaction) {
    super(TRANSACTION, true, context)
  }

  /** Tells that it has begun. */
  begun(): void {
    this.context.queueMs ??= this.elapsed
  }

  /** Tells of a transaction that is no callback how it ended: with its commit or rollback, or with that of one around it. */
  ended(outcome: Outcome, error: Error | null): void {
    if (this.isSettled) return
    if (outcome !== undefined) this.context.outcome = outcome
    if (error === null) this.succeed()
    else this.fail(error)
  }

  /** Tells that it was rolled back without its holder, for the reason `error` if there is one. */
  lost(error: Error | null): void {
    if (!this.isEnding) this.ended('rollback', error)
  }
}

/** Begins the traces of one handle, where anybody wants them. */
export class Tracer {
  readonly #database: string
  readonly #withParameters: boolean
  readonly #slow: SlowQueries | null

  constructor(database: string, { traceParameters, slowQueryMs, onSlowQuery }: TracingOptions) {
    this.#database = database
    this.#withParameters = traceParameters === true
    this.#slow = onSlowQuery === undefined ? null : new SlowQueries(slowQueryMs ?? SLOW_QUERY_MS, onSlowQuery)
  }

  /** Returns the trace of a call that is about to be made; `null` when nobody wants it. */
  query(operation: QueryOperation, sql: string, params: unknown): QueryTrace | null {
    const isListened = QUERY.hasSubscribers
    if (!isListened && this.#slow === null) return null
    // What is no text is refused before it is sent.
    if (typeof sql !== 'string') return null
    const parameters = this.#withParameters ? copyOf(params) : undefined
    const context = { sql, database: this.#database, operation, ...(parameters !== undefined && { parameters }) }
    return new QueryTrace(context, isListened, this.#slow)
  }

  /** As `query`, for a batch. */
  batch(items: ReadonlyArray<{ sql: string; params: unknown }>): QueryTrace | null {
    const isListened = QUERY.hasSubscribers
    if (!isListened && this.#slow === null) return null
    // What is no text is refused when it is sent.
    const texts = items.map(({ sql }) => (typeof sql === 'string' ? sql : ''))
    const sql = texts.every((text) => text === texts[0]) ? (texts[0] ?? '') : texts.join('; ')
    const context: TracedQuery = {
      sql,
      database: this.#database,
      operation: 'batch',
      batchSize: items.length,
      ...(this.#withParameters && { parameters: items.map(({ params }) => copyOf(params)) }),
    }
    return new QueryTrace(context, isListened, this.#slow)
  }

  /** Returns the trace of a transaction or session that is about to begin; `null` when nobody wants it. */
  transaction(operation: TracedTransaction['operation'], depth: number): TransactionTrace | null {
    return TRANSACTION.hasSubscribers ? new TransactionTrace({ database: this.#database, operation, depth }) : null
  }

  /** Returns the trace of opening the database; `null` when nobody wants it. */
  connect(): Trace<Writable<TracedConnect>> | null {
    return CONNECT.hasSubscribers ? new Trace(CONNECT, true, { database: this.#database }) : null
  }
}

/** From how long on a call is slow, in milliseconds, unless the option says otherwise. */
export const SLOW_QUERY_MS = 200

/** Starts a call under `trace`, which is concluded by whoever awaits the call. */
export function startTraced(trace: QueryTrace | null, begin: () => Call): Call {
  if (trace === null) return begin()
  const call = trace.start(begin)
  call.trace = trace
  return call
}

/** Returns the values as they are now; `undefined` for what are no values, or cannot be read. */
function copyOf(params: unknown): SqlParameters | undefined {
  if (typeof params !== 'object' || params === null) return undefined
  try {
    if (Array.isArray(params)) return params.map(copyOfValue)
    return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, copyOfValue(value)]))
  } catch {
    // Packing them fails for the same reason, and tells the caller.
    return undefined
  }
}

function copyOfValue<V>(value: V): V | Uint8Array {
  if (!ArrayBuffer.isView(value)) return value
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice()
}
