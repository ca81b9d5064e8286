/** The only importer of the addon: its types, and what happens when it cannot be loaded. */

import { SluiceError } from './errors.js'
import type { LogLevel } from './logs.js'
import type { TransactionBehavior } from './types.js'

/** Carries requests and results between one copy of this code and the addon. */
export interface BindingChannel {
  /** Hands over the buffer that requests are written to. */
  setRequestBuffer(buffer: ArrayBuffer): void
  /** Copies finished results into the inbox and returns how many; after 0, the next result wakes again. */
  drain(comesAgain: boolean): number
  /** Waits awake for results, copies them into the inbox and returns how many; or one of `WATCHED_…`, and nobody wakes for the next. */
  watch(patienceUs: number): number
  /** Takes the values of the last `drain()` that the inbox has no form for. */
  takeExtras(): BindingExtra[]
  /** Stops a call that may be stopped, unless it has been answered. */
  cancel(call: number, timedOut: boolean): void
  /** Stops deliveries, interrupts what runs and closes the databases: the process ends. */
  tearDown(): void
  /** Keeps the event loop alive. */
  ref(): void
  /** Lets the event loop end. */
  unref(): void
}

/** Talks to one handle on one database. */
export interface BindingDatabase {
  open(call: number): void
  intern(sql: string): number
  forget(query: number): void
  /** Submits the requests that stand in the request buffer from `start` to `end`. With `extras`, that is one. */
  submit(start: number, end: number, extras?: Array<string | Uint8Array> | null): void
  /**
   * Submits one request, which is run at once, on this thread, if it is expected to be short. Its answer is in the inbox then, alone, and how
   * long it took is returned, in nanoseconds, with `HELD` if it has left a snapshot open. 0: a worker will answer.
   */
  submitInline(start: number, end: number, extras?: Array<string | Uint8Array> | null): number
  /** Ends the snapshots that inline reads have left open. */
  endBurst(): void
  script(call: number, sql: string, cancellable: boolean, timed?: boolean): void
  /** Adds the requests that stand in the request buffer from `start` to `end` to the batch that is being made. With `extras`, that is one. */
  stage(start: number, end: number, extras?: Array<string | Uint8Array> | null): void
  /** Forgets the batch that is being made. */
  unstage(): void
  batch(call: number, cancellable: boolean): void
  session(call: number, ended: number, kind: BindingSessionKind, idleMs: number, totalMs: number, cancellable: boolean): BindingSession
  /** Returns `null` when the call has been answered already. */
  iterate(byteLength: number, extras: Array<string | Uint8Array> | null | undefined, rows: number, totalMs: number): BindingCursor | null
  checkpoint(call: number, mode: 'passive' | 'full' | 'restart' | 'truncate'): void
  sibling(idleMs: number): BindingDatabase
  /** Copies the database into memory; the copy may be used once the call is answered. */
  copy(call: number, maxBytes: number, writable: boolean): BindingDatabase
  /** Makes a copy that can be read only, of this one, which is closed. */
  freeze(call: number): BindingDatabase
  watch(call: number, pollMs: number): BindingWatch
  /** How many handles on the database there are in the process. */
  readonly handles: number
  /** A number that handles on one database share; 0 before it is open. */
  readonly managerId: number
  /** How many names the file has. */
  readonly hardLinks: number
  countRetry(): void
  /** Ends the transaction that was begun as text. */
  endText(): void
  /** Whether a transaction that was begun as text holds the writer. */
  readonly holdsTheWriter: boolean
  pragma(call: number, name: string, value: string | null | undefined, scope: number): void
  /** Returns `null` before it is open. */
  status(): BindingStatus | null
  /** Returns `null` before it is open. */
  metrics(): string | null
  /** Returns why there is no such number, in words; `null` before it is open. */
  metric(name: string, labels: Array<[string, string]>): number | string | null
  close(call: number, timeoutMs: number): void
}

/** What a session is for. */
export type BindingSessionKind = TransactionBehavior | `unchecked${Capitalize<TransactionBehavior>}` | 'read' | 'readInCallback' | 'readInTransaction' | 'writeMode'

/** What begins or ends within a session, or ends it. */
export type BindingControl = 'immediate' | 'exclusive' | 'deferred' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollbackTo' | 'end'

/** A connection of one's own over many calls. Collected, it rolls back and ends. */
export interface BindingSession {
  /** Submits the requests that stand in the request buffer from `start` to `end`. With `extras`, that is one. */
  submit(start: number, end: number, extras?: Array<string | Uint8Array> | null): void
  script(call: number, sql: string, cancellable: boolean, timed?: boolean): void
  iterate(byteLength: number, extras: Array<string | Uint8Array> | null | undefined, rows: number): BindingCursor | null
  control(call: number, control: BindingControl, depth: number): void
  abort(timedOut: boolean): void
}

/** Tells of changes of a database. Collected, it ends. */
export interface BindingWatch {
  /** Answers when there was a change since the last answer. One call at a time. */
  next(call: number): void
  /** Forgets the changes so far. */
  forget(): void
  close(): void
}

/** A result that is fetched bit by bit. Collected, it closes. */
export interface BindingCursor {
  fetch(call: number, rows: number, cancellable: boolean): void
  close(): void
}

/** What `open` was told, complete and checked. */
export interface BindingConfig {
  readonly: boolean
  create: boolean
  uri: boolean
  followLinks: boolean
  concurrency: 'wal' | 'exclusive' | undefined
  maxReaders: number
  idleTtlMs: number
  acquireTimeoutMs: number
  busyTimeoutMs: number
  maxQueued: number
  maxResultBytes: number
  statementCacheSize: number
  durability: 'full' | 'normal' | 'off'
  ordering: 'acknowledged' | 'submitted'
  foreignKeys: boolean
  /** After how many short runs a statement may run inline; never without it. */
  inlineAfter: number | undefined
  groupCommit: { maxStatements: number; maxMs: number; maxBytes: number } | undefined
  pragmas: Array<[string, string]>
  leftOut: string[]
}

/** What a manager is doing. */
export interface BindingStatus {
  mode: 'read' | 'write'
  phase: 'open' | 'draining' | 'closed'
  concurrency: 'wal' | 'exclusive'
  readers: { open: number; active: number; idle: number; waiting: number; max: number }
  writer: { active: boolean; waiting: number; holder?: { sql: string; forMs: number } | null }
  queued: number
  handles: number
  wal: { bytes: number; oldestReaderMs?: number | null; oldestReaderSql?: string | null }
  counters: Array<{ name: string; value: number }>
  errors: Array<{ name: string; value: number }>
}

/** Why a call failed, as data. */
export interface BindingFailure {
  code: string
  message: string
  errno?: number
  /** Where in the SQL text, in bytes of UTF-8. */
  offset?: number
  constraint?: string
  statementIndex?: number
  parameter?: string | number
  option?: string
}

/** The columns of a result. */
export interface BindingShape {
  id: number
  names: string[]
  declaredTypes: Array<string | null | undefined>
  tables: Array<string | null | undefined>
  origins: Array<string | null | undefined>
}

/** What the inbox has no form for. */
export type BindingExtra = string | Uint8Array | BindingFailure | BindingShape

/** What happened, as data. */
export interface BindingRecord {
  level: LogLevel
  target: string
  message: string
  database?: string | null
  timeMs: number
  names: string[]
  values: Array<string | number | boolean>
}

/** Collects records for one listener. */
export interface BindingLog {
  /** Says up to which level it records: 1 is that of errors, 5 that of everything. */
  setLevel(level: number): void
  /** Takes what was recorded, at most `most` records; after none, the next record wakes again. */
  take(most: number): BindingRecord[]
  /** How many records were dropped because too many waited. */
  readonly lost: number
  close(): void
}

/** What the addon exports. */
export interface Binding {
  BindingChannel: new (onWake: () => void, inbox: ArrayBuffer) => BindingChannel
  BindingLog: new (onWake: () => void, level: number, database: string | null) => BindingLog
  BindingDatabase: new (channel: BindingChannel, path: string | Uint8Array, config: BindingConfig) => BindingDatabase
  /** Returns the known word that `word` was probably meant to be. */
  suggest(word: string, known: string[]): string | null
  /** Returns every name of a metric. */
  metricNames(): string[]
  /** Returns the bytes that SQLite holds in the process; -1 where that is not counted, as in the package. */
  memoryUsed(): number
  /**
   * Gives free memory back to the system, and returns the bytes that the process has allocated with `malloc`; -1 where that is not counted,
   * as in the package.
   */
  trimMemory(): number
}

/** Where the first copy of this package left its file name. */
const LOADED_FROM: unique symbol = Symbol.for('sluice.loaded-from') as never

/** The addon. */
export const binding: Binding = load()
warnAboutAnotherCopy()

function load(): Binding {
  try {
    return require('../binding.cjs') as Binding
  } catch (cause) {
    throw new SluiceError('ERR_SLUICE_BINDING_MISSING', missing(cause), { cause })
  }
}

function missing(cause: unknown): string {
  // Node's permission model refuses every addon, whatever is installed. The loader keeps of that refusal only the words.
  for (let error = cause; error instanceof Error; error = error.cause) {
    if (error.message.includes('loading addons is disabled')) {
      return 'sluice is an addon, and this process may load none: start it with --allow-addons beside --permission'
    }
  }
  return `sluice has no working binary for this platform: install the package ${platformPackage()} in the version of sluice itself`
}

/** Returns the name of the package that holds the binary for this platform. */
function platformPackage(): string {
  const { arch, platform } = process
  return `@sluice/binding-${platform}-${arch}${libcSuffix(platform)}`
}

function libcSuffix(platform: NodeJS.Platform): string {
  if (platform === 'win32') return '-msvc'
  if (platform !== 'linux') return ''
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return report?.header?.glibcVersionRuntime === undefined ? '-musl' : '-gnu'
}

/**
 * Warns when another copy of the package is loaded in this environment: two copies open a file through two managers, and
 * SQLite's file locks are lost when one of two in a process closes ({@link https://sqlite.org/howtocorrupt.html}, 2.2).
 */
function warnAboutAnotherCopy(): void {
  const copies = process as unknown as { [LOADED_FROM]?: string }
  const first = copies[LOADED_FROM]
  if (first === undefined) {
    Object.defineProperty(process, LOADED_FROM, { value: __filename })
  } else if (first !== __filename) {
    const message = `two copies of sluice are loaded, ${first} and ${__filename}: open each database file through one of them only`
    process.emitWarning(message, { type: 'SluiceWarning', code: 'SLUICE_SECOND_COPY' })
  }
}

