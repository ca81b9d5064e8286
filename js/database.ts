import { setTimeout as delay } from 'node:timers/promises'

import type { Call } from './call.js'
import { AbortError, SluiceError, isSluiceError } from './errors.js'
import type { Handle } from './handle.js'
import { kindOf } from './kinds.js'
import { rowsOf } from './methods.js'
import { makeMirror } from './mirror.js'
import type { Mirror } from './mirror.js'
import { mirrorMode } from './mirror-options.js'
import type { MirrorOptions } from './mirror-options.js'
import { checkpointMode, closeTimeoutMs, rowCallMode, sessionMode } from './options.js'
import type { SessionMode } from './options.js'
import type { MetricLabels } from './metrics.js'
import { copyParams } from './params.js'
import { makeReadSession } from './read-session.js'
import type { ReadSession } from './read-session.js'
import { executeResult } from './results.js'
import { Scope } from './scope.js'
import type { Session } from './session.js'
import type { CallLimits } from './signals.js'
import { SessionRunner, runSession } from './session-runner.js'
import { traceBeginning, traceWhole } from './trace.js'
import type { QueryTrace, TransactionTrace } from './tracing.js'
import { expectCallback, makeTransaction, runTransaction } from './transaction.js'
import type { Transaction } from './transaction.js'
import { clock } from './turn.js'
import type {
  BatchItem,
  BeginOptions,
  CallOptions,
  CheckpointMode,
  CheckpointResult,
  CloseOptions,
  ExecuteResult,
  Row,
  SessionOptions,
  Status,
  TransactionOptions,
} from './types.js'
import { later, whenFree, withLimits } from './when-free.js'
import { makeWriteMode } from './write-mode.js'
import type { WriteMode } from './write-mode.js'
import { Writes } from './writes.js'

const MAKER = Symbol('maker')
/** Marks what `handle()` has made. Adapters look for it by its name: they may be of another copy of the package. */
const PRIVATE = Symbol.for('sluice.private')
let construct: (handle: Handle) => Database

/**
 * Gives access to one database. Made by {@link open} and {@link connect}.
 *
 * Every call may be started at any time, also while others are under way: reads run in parallel, each on its own snapshot, and writes one
 * after another in the order of their calls. Values are those of the moment of the call. A resolved write is committed.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_CLOSED` once `close` has been called,
 * `ERR_SLUICE_OVERLOADED` when `maxQueued` calls are waiting, `ERR_SLUICE_ACQUIRE_TIMEOUT` when its turn did not come in time, and
 * `ERR_SLUICE_PANIC` after a fault in the driver; the database stays usable.
 */
export class Database extends Writes {
  readonly #handle: Handle

  static {
    construct = (handle) => new Database(MAKER, handle)
  }

  private constructor(maker: symbol, handle: object) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a Database is made by open(path)')
    super(handle)
    this.#handle = handle as Handle
  }

  /** Holds the absolute path that was fixed at `open`; `':memory:'` and `''` stand for themselves. */
  get path(): string {
    return this.#handle.path
  }

  /** Tells whether `close` has been called. */
  get closed(): boolean {
    return this.#handle.closed
  }

  /**
   * Counts the handles on this database in the process that are not closed: those of `open` and `connect`, by any name of the file and in any
   * worker thread, and those of `handle()`.
   */
  get handleCount(): number {
    return this.#handle.count
  }

  /**
   * Waits until the database is open. Only a database made by {@link connect} is not open from its beginning.
   *
   * @throws what {@link open} throws; `ERR_SLUICE_CLOSED` when it has been closed
   */
  async ready(): Promise<void> {
    const handle = this.#handle
    while (handle.busy !== null) await handle.busy
    handle.expectOpen()
  }

  /**
   * Runs `callback` in a transaction, which is committed when it returns, and rolled back when it throws. What it returns is returned.
   *
   * The transaction has the right to write from its beginning (`behavior`), and waits for it in the queue of all writes. Use only `tx`
   * in the callback: a write on the database itself is rejected at once (`ERR_SLUICE_REENTRANT`), because it would wait for the
   * transaction; a read sees the committed state, or is rejected too where reads and writes take turns.
   *
   * On Node 20 and 22 the first callback of a process makes every later `await` somewhat slower, because that is what
   * `AsyncLocalStorage` costs there; `begin` does without.
   *
   * @throws what the callback throws, always
   * @throws {@link SqliteError}: `SQLITE_BUSY` when another process kept the file locked for `busyTimeoutMs`, and as
   * {@link Transaction.commit}
   * @throws {@link SluiceError}: `ERR_SLUICE_REENTRANT`; `ERR_SLUICE_TX_ABORTED`, `ERR_SLUICE_TX_TIMEOUT` and {@link AbortError} when it was
   * ended before its callback
   *
   * @example
   * ```ts
   * const id = await db.transaction(async (tx) => {
   *   const { lastInsertRowid } = await tx.run('INSERT INTO orders (customer) VALUES (?)', [customer])
   *   await tx.run('INSERT INTO items (order_id, article) VALUES (?, ?)', [lastInsertRowid, article])
   *   return lastInsertRowid
   * })
   * ```
   */
  async transaction<R>(callback: (tx: Transaction) => Promise<R> | R, options?: TransactionOptions): Promise<R> {
    expectCallback(callback)
    const mode = sessionMode(options, 'transaction')
    const { limits, retry } = mode
    const until = clock() + (limits?.timeoutMs ?? Infinity)
    for (let attempt = 1; ; attempt++) {
      let cause: unknown
      try {
        const trace = this.#handle.tracer.transaction('transaction', 0)
        const run = (): Promise<R> => this.#transact(callback, attempt === 1 ? mode : { ...mode, limits: remaining(limits, until) }, trace)
        return await (trace === null ? run() : traceWhole(trace, run))
      } catch (error) {
        if (attempt >= retry.attempts || !isBusy(error)) throw error
        cause = error
      }
      const left = until - clock()
      await pause(Math.min(retry.delayMs, left), limits?.signal)
      // A timer may fire a fraction of a millisecond early.
      if (retry.delayMs >= left || clock() >= until) throw timedOut(attempt, cause)
      this.#handle.countRetry()
    }
  }

  async #transact<R>(callback: (tx: Transaction) => Promise<R> | R, mode: SessionMode, trace: TransactionTrace | null): Promise<R> {
    const session = await this.#begin('transaction', mode, 'transaction', trace)
    return runTransaction(session, new Scope(this.#handle.manager, 'transaction', this.#handle), callback, trace)
  }

  /**
   * Begins a transaction that ends with `tx.commit()`, `tx.rollback()` or the end of an `await using` block. Prefer
   * {@link Database.transaction}: here nobody can tell a call that would wait for the transaction from any other; it is rejected when
   * `acquireTimeoutMs` has passed, or goes on when the transaction has been idle for `transactionIdleTimeoutMs` and is rolled back.
   *
   * @throws as {@link Database.transaction}, but for its callback
   *
   * @example
   * ```ts
   * const tx = await db.begin()
   * try {
   *   await tx.run('UPDATE counters SET n = n + 1')
   *   await tx.commit()
   * } finally {
   *   await tx[Symbol.asyncDispose]()
   * }
   * ```
   */
  async begin(options?: BeginOptions): Promise<Transaction> {
    const mode = sessionMode(options, 'begin')
    const trace = this.#handle.tracer.transaction('begin', 0)
    const begin = (): Promise<Session> => this.#begin('transaction', mode, 'begin', trace)
    return makeTransaction(await (trace === null ? begin() : traceBeginning(trace, begin)), trace)
  }

  /**
   * Runs `callback` on one state of the database, that of its beginning: all its statements see it, whatever is written meanwhile. It
   * keeps the write-ahead log from being reset until it ends; `maxReadLeaseMs` limits that.
   *
   * @throws what the callback throws, always
   * @throws {@link SluiceError}: `ERR_SLUICE_REENTRANT` in a callback that has a session already, or the database for itself;
   * `ERR_SLUICE_READ_LEASE_TIMEOUT`; `ERR_SLUICE_TIMEOUT` and {@link AbortError} when it was ended before its callback
   *
   * @example
   * ```ts
   * const page = await db.read(async (r) => ({
   *   total: (await r.get<{ n: number }>('SELECT count(*) AS n FROM users'))!.n,
   *   users: await r.all('SELECT * FROM users ORDER BY id LIMIT 20'),
   * }))
   * ```
   */
  async read<R>(callback: (r: ReadSession) => Promise<R> | R, options?: SessionOptions): Promise<R> {
    expectCallback(callback)
    const mode = sessionMode(options, 'session')
    return this.#inSession('read', mode, (runner) => callback(makeReadSession(runner)))
  }

  /**
   * Runs `callback` in exclusive write mode: reads and writes that run are waited for, new ones wait, and every other connection of
   * this process to the database is closed. Connections that are opened later are fresh.
   *
   * What needs it by nature, such as a change of the journal mode, takes it by itself.
   *
   * @throws what the callback throws, always
   * @throws {@link SluiceError}: `ERR_SLUICE_REENTRANT`; `ERR_SLUICE_TX_TIMEOUT` when it was idle for `transactionIdleTimeoutMs` or lasted
   * longer than it may; {@link AbortError}
   *
   * @example
   * ```ts
   * await db.writeMode(async (w) => {
   *   await w.transaction((tx) => tx.exec(migration))
   *   await w.run('VACUUM')
   * })
   * ```
   */
  async writeMode<R>(callback: (w: WriteMode) => Promise<R> | R, options?: SessionOptions): Promise<R> {
    expectCallback(callback)
    const mode = sessionMode(options, 'session')
    return this.#inSession('writeMode', mode, (runner) => callback(makeWriteMode(runner)))
  }

  /** Runs `callback` in a session that is no transaction. */
  #inSession<R>(kind: 'read' | 'writeMode', mode: SessionMode, callback: (runner: SessionRunner) => Promise<R> | R): Promise<R> {
    const trace = this.#handle.tracer.transaction(kind, 0)
    const run = async (): Promise<R> => {
      const session = await this.#begin(kind, mode, kind, trace)
      const runner = new SessionRunner(session, `the ${kind} callback`)
      return runSession(runner, new Scope(this.#handle.manager, kind, this.#handle), () => callback(runner))
    }
    return trace === null ? run() : traceWhole(trace, run)
  }

  /**
   * Runs statements as one transaction, all or nothing, and returns the result of each, as {@link Database.execute} does. It is one trip
   * to the writer, however many they are.
   *
   * @param items - texts, or texts and values
   * @throws as {@link Database.execute}; `statementIndex` is the item at fault, from 0, if there is one; an
   * {@link AbortError} names none. Nothing is changed then.
   *
   * @example
   * ```ts
   * const [, { rows }] = await db.batch([
   *   { sql: 'UPDATE users SET visits = visits + 1 WHERE id = ?', params: [id] },
   *   { sql: 'SELECT visits FROM users WHERE id = ?', params: [id] },
   * ])
   * ```
   */
  batch(items: readonly BatchItem[], options?: CallOptions): Promise<ExecuteResult[]> {
    const handle = this.#handle
    try {
      // Who waits keeps the values of this moment.
      const kept = batchItems(items, handle.busy === null ? asTheyAre : copyParams)
      const mode = rowCallMode(options, handle.mode)
      return whenFree(handle, mode.limits, (outer, limits) => {
        const { whole, parts, trace } = handle.batch(kept, withLimits(mode, limits))
        return trace === null ? whole.into(() => batchResults(whole, parts), outer) : tracedBatch(whole, parts, trace)
      })
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * Makes another handle on this database, with the same connections. On it BEGIN, COMMIT, ROLLBACK and SAVEPOINT work as text: from
   * such a text until the end of the transaction, its calls run in order on a connection of its own. For code that knows transactions
   * only as text; {@link Database.transaction} is safer and faster.
   *
   * When SQLite has rolled such a transaction back by itself, or it was idle for `transactionIdleTimeoutMs`, every call on the handle is
   * rejected (`ERR_SLUICE_TX_ABORTED`, `ERR_SLUICE_TX_TIMEOUT`) until COMMIT, which is rejected too, or ROLLBACK.
   *
   * @throws `ERR_SLUICE_CLOSED` at once
   *
   * @example
   * ```ts
   * const own = db.handle()
   * await own.run('BEGIN')
   * await own.run('DELETE FROM sessions')
   * await own.run('ROLLBACK')
   * await own.close()
   * ```
   */
  handle(): Database {
    return Object.defineProperty(makeDatabase(this.#handle.sibling()), PRIVATE, { value: true })
  }

  /**
   * Moves pages from the write-ahead log into the database file: {@link https://sqlite.org/wal.html#ckpt}. The driver does so by itself;
   * this is for those who need it at a certain moment. `'passive'` waits for nobody; the others do the same first, and then hold writes back
   * until the reads have ended that are older than that, and do the rest. New reads are held back only if one of those takes longer than 10 ms.
   * What another process has in the way is waited for up to `busyTimeoutMs`, while reads and writes go on; the result says if it still is.
   *
   * @param mode - how far it goes; `'passive'` if left out
   * @throws {@link SqliteError} for what SQLite refuses
   * @throws {@link SluiceError}: `ERR_SLUICE_INVALID_ARGUMENT`; `ERR_SLUICE_REENTRANT`
   */
  async checkpoint(mode?: CheckpointMode): Promise<CheckpointResult> {
    const handle = this.#handle
    while (handle.busy !== null) await handle.busy
    const call = handle.checkpoint(checkpointMode(mode))
    await call.settled
    call.expectSuccess()
    const [row] = call.takeRows() as Array<{ busy: number; log: number; checkpointed: number }>
    const { busy = 0, log = 0, checkpointed = 0 } = row ?? {}
    return { busy: busy !== 0, walPages: Math.max(log, 0), checkpointedPages: Math.max(checkpointed, 0) }
  }

  /**
   * Makes a copy of the database in memory, to read from while this goes on to be written to: {@link Mirror}. The promise resolves when
   * there is a copy.
   *
   * @param options - what to do differently from the defaults
   * @throws {@link SqliteError}, {@link SluiceError} and what `onReload` throws: when the first copy could not be made, as
   * {@link Mirror.reload}; `ERR_SLUICE_INVALID_OPTION`
   *
   * @example
   * ```ts
   * const prices = await db.mirror({ watch: true })
   * const price = await prices.get('SELECT amount FROM prices WHERE article = ?', [article])
   * ```
   */
  async mirror(options?: MirrorOptions): Promise<Mirror> {
    const handle = this.#handle
    const mode = mirrorMode(options)
    while (handle.busy !== null) await handle.busy
    handle.expectCopyable('mirror')
    return makeMirror(handle, mode, makeDatabase)
  }

  /** Waits for the connection of a session. */
  async #begin(kind: 'transaction' | 'read' | 'writeMode', mode: SessionMode, what: string, trace: TransactionTrace | null): Promise<Session> {
    const handle = this.#handle
    const session =
      handle.busy === null
        ? handle.session(kind, mode, what)
        : await later(handle, mode.limits, async (_outer, limits) => handle.session(kind, withLimits(mode, limits), what))
    await session.begun.settled
    session.begun.expectSuccess()
    trace?.begun()
    return session
  }

  /**
   * Reads or sets a PRAGMA and returns its rows, as objects: {@link https://sqlite.org/pragma.html}. One that belongs to a connection
   * is set on all of them, present and future.
   *
   * @typeParam T - a row; nothing checks that it is one
   * @param name - its name, with a schema or without: `'user_version'`, `'main.user_version'`
   * @param value - what to set it to, or what to ask it about
   * @throws {@link SqliteError} for what SQLite refuses
   * @throws {@link SluiceError}: `ERR_SLUICE_INVALID_ARGUMENT`, and `ERR_SLUICE_PRAGMA` for one that the driver keeps to itself
   *
   * @example
   * ```ts
   * await db.pragma('cache_size', -16_000)
   * const [row] = await db.pragma<{ user_version: number }>('user_version')
   * ```
   */
  pragma<T = Row>(name: string, value?: string | number | boolean): Promise<T[]> {
    const handle = this.#handle
    return whenFree(handle, null, (outer) => handle.pragma(name, value).into(rowsOf, outer)) as Promise<T[]>
  }

  /** Returns what the manager of this database is doing. It costs no wait, and works after `close` too. */
  status(): Status {
    return this.#handle.status()
  }

  /**
   * Returns every metric of this database as text in the form of OpenMetrics 1.0, for Prometheus and those who read its format. It costs
   * no wait, and works after `close` too.
   *
   * @example
   * ```ts
   * http.createServer((_request, response) => {
   *   response.setHeader('Content-Type', 'application/openmetrics-text; version=1.0.0; charset=utf-8')
   *   response.end(db.metrics())
   * })
   * ```
   */
  metrics(): string {
    return this.#handle.metrics()
  }

  /**
   * Returns one number of `metrics()`: the sum of the samples of that name that have these labels.
   *
   * @param name - as in the text, with what its kind adds: `'sluice_errors_total'`, `'sluice_commit_seconds_count'`
   * @param labels - which of the samples; all of them if left out
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` for a name or a label that there is not
   *
   * @example
   * ```ts
   * const waited = db.metric('sluice_queue_wait_seconds_sum', { class: 'write' })
   * ```
   */
  metric(name: string, labels?: MetricLabels): number {
    return this.#handle.metric(name, labels)
  }

  /**
   * Closes the handle, and the database with its last handle. Nothing new is admitted from now on. When the database closes, what waits for
   * its turn is rejected with `ERR_SLUICE_CLOSED`; what is under way finishes, or is interrupted after `timeoutMs`. While others have the
   * database open, the handle waits for its own calls, transactions and loops over `iterate`; after `timeoutMs` transactions are rolled back,
   * loops are ended, and what still runs is left to come to its end.
   *
   * Its mirrors are closed with it. May be called more than once: every caller gets the same outcome.
   *
   * @throws {@link SqliteError} when the file could not be closed in order
   * @throws {@link SluiceError}: `ERR_SLUICE_REENTRANT` in a callback that it would wait for
   */
  async close(options?: CloseOptions): Promise<void> {
    const handle = this.#handle
    const timeoutMs = closeTimeoutMs(options)
    while (handle.busy !== null) await handle.busy
    if (handle.failed) return
    // All or nothing: a callback of a mirror may be what this is called in.
    for (const mirror of handle.mirrors) mirror.expectClosable()
    const call = handle.close(timeoutMs)
    await Promise.all([call.settled, ...[...handle.mirrors].map((mirror) => mirror.close(timeoutMs))])
    call.expectSuccess()
  }

  /** Closes the handle at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Makes a database; its constructor is not for users. */
export function makeDatabase(handle: Handle): Database {
  return construct(handle)
}

async function tracedBatch(whole: Call, parts: readonly Call[], trace: QueryTrace): Promise<ExecuteResult[]> {
  await whole.settled
  return trace.concludeBatch(whole, parts, () => batchResults(whole, parts))
}

/** Returns the results of a batch that has come to its end. */
function batchResults(whole: Call, parts: readonly Call[]): ExecuteResult[] {
  whole.expectSuccess()
  return parts.map((part) => {
    part.expectSuccess()
    return executeResult<Row>(part)
  })
}

function timedOut(attempts: number, cause: unknown): SluiceError {
  return new SluiceError('ERR_SLUICE_TIMEOUT', `the transaction took longer than its timeoutMs, in ${attempts} attempts`, { cause })
}

/** Returns the limits of a further attempt, of which all must have ended at `until`. */
function remaining(limits: CallLimits | null, until: number): CallLimits | null {
  return limits?.timeoutMs === undefined ? limits : { ...limits, timeoutMs: Math.max(1, Math.ceil(until - clock())) }
}

/** Waits, unless it is given up meanwhile. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch {
    throw new AbortError(signal?.reason)
  }
}

/** Whether another process was in the way. */
function isBusy(error: unknown): boolean {
  return isSluiceError(error) && error.code.startsWith('SQLITE_BUSY')
}

const asTheyAre = (params: unknown): unknown => params

function batchItems(items: readonly BatchItem[], valuesOf: (params: unknown) => unknown): Array<{ sql: string; params: unknown }> {
  if (!Array.isArray(items)) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', `a batch is an array of statements, not ${kindOf(items)}`)
  return Array.from(items, (item: BatchItem, index) => {
    if (typeof item === 'string') return { sql: item, params: undefined }
    if (typeof item === 'object' && item !== null) return { sql: item.sql, params: valuesOf(item.params) }
    const message = `a statement of a batch is a text, or an object with sql and params, not ${kindOf(item)}`
    throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message, { statementIndex: index })
  })
}
