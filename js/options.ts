import { availableParallelism } from 'node:os'

import { binding } from './binding.js'
import type { BindingConfig } from './binding.js'
import { SluiceError } from './errors.js'
import { INLINE_AFTER, INLINE_READS } from './inline-reads.js'
import type { InlineReads } from './inline-reads.js'
import { isPlainObject, kindOf } from './kinds.js'
import type { CallLimits } from './signals.js'
import type {
  CallOptions, CheckpointMode, CloseOptions, DateMode, ExecOptions, IntegerMode, IterateOptions, RowMode, TransactionBehavior,
} from './types.js'
import { SLOW_QUERY_MS } from './tracing.js'
import type { TracingOptions } from './tracing.js'
import { INTEGERS_AUTO, INTEGERS_BIGINT, INTEGERS_NUMBER } from './layout.js'

/** Options of `open`. Unknown keys, and values of the wrong kind or out of range, are errors (`ERR_SLUICE_INVALID_OPTION`). */
export interface OpenOptions extends TracingOptions {
  /**
   * Whether to open without the right to write: {@link https://sqlite.org/c3ref/open.html}.
   * @defaultValue false
   */
  readonly readonly?: boolean | undefined
  /**
   * Whether to create the file if there is none. With `false`, a missing file is an error (`SQLITE_CANTOPEN`).
   * @defaultValue true
   */
  readonly create?: boolean | undefined
  /**
   * Whether a path that begins with `file:` is a URI with parameters: {@link https://sqlite.org/uri.html}. Without it, a path is
   * always the literal name of a file.
   * @defaultValue false
   */
  readonly uri?: boolean | undefined
  /**
   * Whether symbolic links are followed. With `false`, one in any part of the path is an error: `SQLITE_CANTOPEN_SYMLINK`.
   * @defaultValue true
   */
  readonly followLinks?: boolean | undefined
  /**
   * Whether reads run beside the writer (`'wal'`) or take turns with it (`'exclusive'`).
   * @defaultValue `'wal'` for files whose journal mode is WAL, otherwise `'exclusive'`
   */
  readonly concurrency?: 'wal' | 'exclusive' | undefined
  /**
   * How many connections may read at once, 0 to 1,024. With 0, everything runs on the writer.
   * @defaultValue the number of cores, at least 2 and at most 8
   */
  readonly maxReaders?: number | undefined
  /**
   * After how long without use a reader is closed, in milliseconds.
   * @defaultValue 60_000
   */
  readonly idleTtlMs?: number | undefined
  /**
   * What a resolved write has survived: power loss (`'full'`), a crash of the process (`'normal'`), or neither (`'off'`):
   * {@link https://sqlite.org/pragma.html#pragma_synchronous}.
   * @defaultValue 'full'
   */
  readonly durability?: 'full' | 'normal' | 'off' | undefined
  /**
   * Whether writes that wait at the same time share one commit: none can tell but by the time it takes. `false`: each commits by itself.
   * A group is committed when nobody waits, and at the latest after `maxStatements` statements, `maxMs` milliseconds of work, or
   * `maxBytes` bytes of results.
   * @defaultValue true: 512 statements, 5 ms, 1 MiB
   */
  readonly groupCommit?: boolean | GroupCommitOptions | undefined
  /**
   * Which writes a read sees for sure: those that were acknowledged (`'acknowledged'`), or also those that were submitted on the same handle
   * before it and not awaited (`'submitted'`). For that a read runs on the writer, behind them, while there are such; not so in a callback of
   * `transaction`, `read` or `writeMode`, which they may be waiting for.
   * @defaultValue 'acknowledged'
   */
  readonly ordering?: 'acknowledged' | 'submitted' | undefined
  /**
   * How long a transaction may last, in milliseconds; then it is rolled back, and its owner told (`ERR_SLUICE_TX_TIMEOUT`). 0 is no limit.
   * @defaultValue 0
   */
  readonly transactionTimeoutMs?: number | undefined
  /**
   * How long a transaction may be idle, in milliseconds; then it is rolled back, and its owner told (`ERR_SLUICE_TX_TIMEOUT`). Keep it
   * below `acquireTimeoutMs`, so that the culprit fails before those who wait for it. 0 is no limit.
   * @defaultValue 10_000
   */
  readonly transactionIdleTimeoutMs?: number | undefined
  /**
   * How long a read session or an iterator may last, in milliseconds, because it keeps the write-ahead log from being reset; then it is
   * ended (`ERR_SLUICE_READ_LEASE_TIMEOUT`). 0 is no limit.
   * @defaultValue 0
   */
  readonly maxReadLeaseMs?: number | undefined
  /**
   * How long a call waits for its turn, in milliseconds; then it is rejected with `ERR_SLUICE_ACQUIRE_TIMEOUT`.
   * @defaultValue 30_000
   */
  readonly acquireTimeoutMs?: number | undefined
  /**
   * How long to wait for other processes that hold the file locked, in milliseconds; then the call is rejected with `SQLITE_BUSY`:
   * {@link https://sqlite.org/c3ref/busy_timeout.html}.
   * @defaultValue 5_000
   */
  readonly busyTimeoutMs?: number | undefined
  /**
   * How many calls may wait at once; further ones are rejected with `ERR_SLUICE_OVERLOADED`.
   * @defaultValue 262_144
   */
  readonly maxQueued?: number | undefined
  /**
   * How large the result of one call may be, in bytes; a larger one is rejected with `ERR_SLUICE_TOO_LARGE`. A row counts 56 bytes,
   * a value 8, and texts and BLOBs as many as they have: about what they take in the heap. Of `executeJson` the bytes of the text count.
   * @defaultValue 1_073_741_824
   */
  readonly maxResultBytes?: number | undefined
  /**
   * How many prepared statements each connection keeps, 1 to 65,536. It keeps none whose text is longer than 1 MiB.
   * @defaultValue 128
   */
  readonly statementCacheSize?: number | undefined
  /**
   * Whether reads that have proved short run on the JavaScript thread (`'auto'`), or all on threads of the driver (`'off'`).
   * @defaultValue 'auto'
   */
  readonly inlineReads?: InlineReads | undefined
  /**
   * How INTEGER values are delivered.
   * @defaultValue 'auto'
   */
  readonly integers?: IntegerMode | undefined
  /**
   * How a `Date` is bound.
   * @defaultValue 'reject'
   */
  readonly dates?: DateMode | undefined
  /**
   * How a row is delivered.
   * @defaultValue 'object'
   */
  readonly rowMode?: RowMode | undefined
  /**
   * Whether foreign keys are enforced: {@link https://sqlite.org/pragma.html#pragma_foreign_keys}.
   * @defaultValue true
   */
  readonly foreignKeys?: boolean | undefined
  /**
   * PRAGMAs to set on every connection, present and future, checked against a list: {@link https://sqlite.org/pragma.html}.
   * @defaultValue none
   */
  readonly pragmas?: { readonly [name: string]: string | number | boolean } | undefined
}

/** When a group of writes is committed, at the latest. */
export interface GroupCommitOptions {
  /**
   * After how many statements, 1 to 65,536.
   * @defaultValue 512
   */
  readonly maxStatements?: number | undefined
  /**
   * After how much work, in milliseconds.
   * @defaultValue 5
   */
  readonly maxMs?: number | undefined
  /**
   * After how many bytes of results.
   * @defaultValue 1_048_576
   */
  readonly maxBytes?: number | undefined
}

/** How one option is checked, and what it is when it is left out. */
export interface Rule<V> {
  readonly initial: V
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

export type Rules<T> = { readonly [K in keyof T]-?: Rule<T[K]> }

/** What `open` was told, complete and checked. */
type OpenConfig = { [K in keyof OpenOptions]-?: K extends 'concurrency' | 'onSlowQuery' | 'slowQueryMs' ? OpenOptions[K] : NonNullable<OpenOptions[K]> }

/** The longest time that can be said, in milliseconds: what a timer of Node takes (24.8 days). */
export const MAX_MS: number = 2 ** 31 - 1
const MAX_COUNT = 2 ** 32 - 1

/** An option that is on or off. */
export function flag(initial: boolean): Rule<boolean> {
  return { initial, expected: 'true or false', accepts: (value) => typeof value === 'boolean' }
}

/** An option that is a whole number. */
export function count(initial: number, least: number, most: number): Rule<number> {
  const accepts = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
  return { initial, expected: `an integer from ${least} to ${most}`, accepts }
}

export function choice<V extends string | undefined>(initial: V, values: readonly V[]): Rule<V> {
  const expected = `one of ${values.map((value) => `'${value}'`).join(', ')}`
  return { initial, expected, accepts: (value) => values.includes(value as V) }
}

const INTEGERS = choice<IntegerMode>('auto', ['auto', 'number', 'bigint'])
const DATES = choice<DateMode>('reject', ['reject', 'iso', 'ms'])
const ROW_MODE = choice<RowMode>('object', ['object', 'array'])

const OPEN_RULES: Rules<OpenConfig> = {
  readonly: flag(false),
  create: flag(true),
  uri: flag(false),
  followLinks: flag(true),
  concurrency: choice<OpenConfig['concurrency']>(undefined, ['wal', 'exclusive']),
  maxReaders: count(Math.min(Math.max(availableParallelism(), 2), 8), 0, 1_024),
  idleTtlMs: count(60_000, 0, MAX_MS),
  durability: choice<OpenConfig['durability']>('full', ['full', 'normal', 'off']),
  ordering: choice<OpenConfig['ordering']>('acknowledged', ['acknowledged', 'submitted']),
  groupCommit: {
    initial: true,
    expected: 'true, false or an object',
    accepts: (value) => typeof value === 'boolean' || (typeof value === 'object' && value !== null && isPlainObject(value)),
  },
  transactionTimeoutMs: count(0, 0, MAX_MS),
  transactionIdleTimeoutMs: count(10_000, 0, MAX_MS),
  maxReadLeaseMs: count(0, 0, MAX_MS),
  acquireTimeoutMs: count(30_000, 0, MAX_MS),
  busyTimeoutMs: count(5_000, 0, MAX_MS),
  maxQueued: count(262_144, 1, MAX_COUNT),
  maxResultBytes: count(2 ** 30, 1, Number.MAX_SAFE_INTEGER),
  statementCacheSize: count(128, 1, 65_536),
  inlineReads: choice<InlineReads>(INLINE_READS.initial, ['auto', 'off']),
  integers: INTEGERS,
  dates: DATES,
  rowMode: ROW_MODE,
  foreignKeys: flag(true),
  traceParameters: flag(false),
  onSlowQuery: { initial: undefined, expected: 'a function', accepts: (value) => typeof value === 'function' },
  slowQueryMs: { ...count(SLOW_QUERY_MS, 0, MAX_MS), initial: undefined },
  pragmas: {
    initial: {},
    expected: 'a plain object of names and values',
    accepts: (value) => typeof value === 'object' && value !== null && isPlainObject(value),
  },
}

const GROUP_RULES: Rules<{ maxStatements: number; maxMs: number; maxBytes: number }> = {
  maxStatements: count(512, 1, 65_536),
  maxMs: count(5, 0, MAX_MS),
  maxBytes: count(2 ** 20, 0, Number.MAX_SAFE_INTEGER),
}

const CLOSE_RULES: Rules<{ timeoutMs: number }> = { timeoutMs: count(10_000, 0, MAX_MS) }

/** Checks `options` against `rules` and fills in what is left out. */
export function complete<T extends object>(rules: Rules<T>, options: unknown, within = ''): T {
  const config = {} as T
  for (const name in rules) config[name] = rules[name].initial
  if (options === undefined) return config
  expectObject(options)
  // Inherited keys count: options made by Object.create(defaults) say what they seem to say.
  for (const name in options) {
    if (!Object.hasOwn(rules, name)) throw unknownOption(name, Object.keys(rules), within)
    const value: unknown = options[name]
    if (value === undefined) continue
    const key = name as unknown as keyof T
    if (!rules[key].accepts(value)) throw invalidOption(within + name, rules[key].expected, value)
    config[key] = value as T[keyof T]
  }
  return config
}

function expectObject(options: unknown): asserts options is Record<string, unknown> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', `options must be an object, not ${kindOf(options)}`)
  }
}

function unknownOption(name: string, known: string[], within = ''): SluiceError {
  const suggestion = binding.suggest(name, known)
  const hint = suggestion === null ? `the options are ${known.join(', ')}` : `did you mean '${suggestion}'?`
  return new SluiceError('ERR_SLUICE_INVALID_OPTION', `unknown option '${within}${name}': ${hint}`, { option: within + name })
}

function invalidOption(name: string, expected: string, value: unknown): SluiceError {
  const given = typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value)
  return new SluiceError('ERR_SLUICE_INVALID_OPTION', `option '${name}' must be ${expected}, not ${given}`, { option: name })
}

/** What `open` was told, by who gets it. */
interface OpenParts {
  readonly config: BindingConfig
  readonly mode: CallMode
  readonly leases: LeaseLimits
  readonly tracing: TracingOptions
}

/** Checks the options of `open`, and splits them into what the manager gets and what this side keeps. */
export function openConfig(options: OpenOptions | undefined): OpenParts {
  const { integers, dates, rowMode, pragmas, groupCommit, inlineReads, ...others } = complete<OpenConfig>(OPEN_RULES, options)
  const { transactionTimeoutMs, transactionIdleTimeoutMs, maxReadLeaseMs, ...more } = others
  const { traceParameters, slowQueryMs, onSlowQuery, ...rest } = more
  if (slowQueryMs !== undefined && onSlowQuery === undefined) throw invalidOption('slowQueryMs', 'left out without onSlowQuery', slowQueryMs)
  return {
    config: {
      ...rest,
      groupCommit: groupLimits(groupCommit),
      inlineAfter: INLINE_AFTER[inlineReads],
      pragmas: Object.entries(pragmas).map(([name, value]) => [name, pragmaText(name, value)]),
      leftOut: Object.keys(OPEN_RULES).filter((name) => options?.[name as keyof OpenOptions] === undefined),
    },
    mode: { integers: INTEGER_FLAGS[integers], dates, rowMode, limits: null, detached: false },
    leases: { transactionTimeoutMs, transactionIdleTimeoutMs, maxReadLeaseMs },
    tracing: { traceParameters, slowQueryMs, onSlowQuery },
  }
}

function groupLimits(option: boolean | GroupCommitOptions): BindingConfig['groupCommit'] {
  if (option === false) return undefined
  return complete(GROUP_RULES, option === true ? undefined : option, 'groupCommit.')
}

/** How long sessions may take, in milliseconds; 0 is no limit. */
export interface LeaseLimits {
  readonly transactionTimeoutMs: number
  readonly transactionIdleTimeoutMs: number
  readonly maxReadLeaseMs: number
}

/** Checks the options of `close`, and returns how long it may take in milliseconds. */
export function closeTimeoutMs(options: CloseOptions | undefined): number {
  return complete(CLOSE_RULES, options).timeoutMs
}

const PRAGMA_NAME = /^(?:[a-z_]\w*\.)?[a-z_]\w*$/iu

/** Tells whether `name` is the name of a PRAGMA, with or without a schema: never more SQL than that. */
export function isPragmaName(name: unknown): name is string {
  return typeof name === 'string' && PRAGMA_NAME.test(name)
}

function pragmaText(name: string, value: unknown): string {
  const option = `pragmas.${name}`
  if (!isPragmaName(name)) throw invalidOption(option, 'named like a PRAGMA', name)
  switch (typeof value) {
    case 'string':
      return value
    case 'boolean':
      return value ? '1' : '0'
    case 'number':
      if (Number.isFinite(value)) return String(value)
      break
    case 'bigint':
    case 'function':
    case 'object':
    case 'symbol':
    case 'undefined':
      break
  }
  throw invalidOption(option, 'a string, a finite number or a boolean', value)
}

/** How the values of a call go out and come back. */
export interface CallMode {
  /** The request flags that say how INTEGER values are delivered. */
  readonly integers: number
  readonly dates: DateMode
  readonly rowMode: RowMode
  /** `null`: nobody stops it. */
  readonly limits: CallLimits | null
  /** Whether it may wait for the callback in which it is made. */
  readonly detached: boolean
}

const INTEGER_FLAGS: { readonly [mode in IntegerMode]: number } = {
  auto: INTEGERS_AUTO,
  number: INTEGERS_NUMBER,
  bigint: INTEGERS_BIGINT,
}

const LIMIT_OPTIONS = ['signal', 'timeoutMs', 'detached']
const VALUE_OPTIONS = ['integers', 'dates', ...LIMIT_OPTIONS]
const ROW_OPTIONS = [...VALUE_OPTIONS, 'rowMode']
const ITERATE_OPTIONS = [...ROW_OPTIONS, 'chunkRows']

/** Checks the options of a call that returns rows. What is left out is taken from `mode`. */
export function rowCallMode(options: CallOptions | undefined, mode: CallMode): CallMode {
  return options === undefined ? mode : callMode(options, mode, ROW_OPTIONS)
}

/** Checks the options of a call whose rows have one form only. What is left out is taken from `mode`. */
export function valueCallMode(options: CallOptions | undefined, mode: CallMode): CallMode {
  return options === undefined ? mode : callMode(options, mode, VALUE_OPTIONS)
}

/** Checks the options of a script. */
export function execCallMode(options: ExecOptions | undefined, mode: CallMode): CallMode {
  return options === undefined ? mode : callMode(options, mode, LIMIT_OPTIONS)
}

const CHUNK_ROWS = count(1_000, 1, 1_000_000)

/** Checks the options of `iterate`, and returns how many rows are fetched at a time too. */
export function iterateMode(options: IterateOptions | undefined, mode: CallMode): { mode: CallMode; rows: number } {
  if (options === undefined) return { mode, rows: CHUNK_ROWS.initial }
  const own = callMode(options, mode, ITERATE_OPTIONS)
  return { mode: own, rows: pick('chunkRows', CHUNK_ROWS, options as Record<string, unknown>) ?? CHUNK_ROWS.initial }
}

function callMode(options: unknown, mode: CallMode, known: string[]): CallMode {
  expectObject(options)
  for (const name in options) if (!known.includes(name)) throw unknownOption(name, known)
  const integers = pick('integers', INTEGERS, options)
  return {
    integers: integers === undefined ? mode.integers : INTEGER_FLAGS[integers],
    dates: pick('dates', DATES, options) ?? mode.dates,
    rowMode: pick('rowMode', ROW_MODE, options) ?? mode.rowMode,
    limits: limitsOf(options),
    detached: pick('detached', DETACHED, options) ?? false,
  }
}

const DETACHED = flag(false)
const FOREIGN_KEYS = flag(true)
const TIMEOUT_MS = count(0, 0, MAX_MS)
const SIGNAL: Rule<AbortSignal | undefined> = {
  initial: undefined,
  expected: 'an AbortSignal',
  accepts: (value) => value instanceof EventTarget && typeof (value as { aborted?: unknown }).aborted === 'boolean',
}

function limitsOf(options: Record<string, unknown>): CallLimits | null {
  const signal = pick('signal', SIGNAL, options)
  const timeoutMs = pick('timeoutMs', TIMEOUT_MS, options)
  return signal === undefined && timeoutMs === undefined ? null : { signal, timeoutMs }
}

/** How a session is begun. */
export interface SessionMode {
  readonly behavior: TransactionBehavior
  /** Whether foreign keys are enforced in it, where the database does so. */
  readonly foreignKeys: boolean
  readonly limits: CallLimits | null
  readonly detached: boolean
  /** How often the whole is tried when another process is in the way, and how long to wait in between, in milliseconds. */
  readonly retry: { readonly attempts: number; readonly delayMs: number }
}

const BEHAVIOR = choice<TransactionBehavior>('immediate', ['immediate', 'exclusive', 'deferred'])
const RETRY: Rule<object | undefined> = {
  initial: undefined,
  expected: 'an object with attempts and delayMs',
  accepts: (value) => typeof value === 'object' && value !== null && isPlainObject(value) && 'attempts' in value,
}
const RETRY_RULES: Rules<{ attempts: number; delayMs: number }> = { attempts: count(1, 1, 1_000), delayMs: count(50, 0, MAX_MS) }
const DEFAULT_SESSION: SessionMode = {
  behavior: 'immediate',
  foreignKeys: true,
  limits: null,
  detached: false,
  retry: { attempts: 1, delayMs: 50 },
}

/** The options of each way to begin a session, beside the limits that all have. */
const SESSION_OPTIONS: { readonly [kind in 'transaction' | 'begin' | 'within' | 'session']: readonly string[] } = {
  transaction: ['behavior', 'foreignKeys', 'retry'],
  begin: ['behavior', 'foreignKeys'],
  within: ['behavior'],
  session: [],
}

/** Checks the options of a session. */
export function sessionMode(options: unknown, kind: keyof typeof SESSION_OPTIONS): SessionMode {
  if (options === undefined) return DEFAULT_SESSION
  expectObject(options)
  const known = [...LIMIT_OPTIONS, ...SESSION_OPTIONS[kind]]
  for (const name in options) if (!known.includes(name)) throw unknownOption(name, known)
  const retry = pick('retry', RETRY, options)
  return {
    behavior: pick('behavior', BEHAVIOR, options) ?? 'immediate',
    foreignKeys: pick('foreignKeys', FOREIGN_KEYS, options) ?? true,
    limits: limitsOf(options),
    detached: pick('detached', DETACHED, options) ?? false,
    retry: retry === undefined ? DEFAULT_SESSION.retry : complete(RETRY_RULES, retry, 'retry.'),
  }
}

const CHECKPOINT_MODE = choice<CheckpointMode>('passive', ['passive', 'full', 'restart', 'truncate'])

/** Checks how far a checkpoint is to go. */
export function checkpointMode(mode: unknown): CheckpointMode {
  if (mode === undefined) return 'passive'
  if (!CHECKPOINT_MODE.accepts(mode)) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', `mode must be ${CHECKPOINT_MODE.expected}`)
  return mode as CheckpointMode
}

function pick<V>(name: string, rule: Rule<V>, options: Record<string, unknown>): V | undefined {
  const value = options[name]
  if (value === undefined) return undefined
  if (!rule.accepts(value)) throw invalidOption(name, rule.expected, value)
  return value as V
}
