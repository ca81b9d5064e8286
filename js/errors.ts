import type { BindingFailure } from './binding.js'

/**
 * Names every error of the driver itself. `docs/ERRORS.md` explains each.
 */
export type SluiceErrorCode =
  | 'ABORT_ERR'
  | 'ERR_SLUICE_ACQUIRE_TIMEOUT'
  | 'ERR_SLUICE_BINDING_MISSING'
  | 'ERR_SLUICE_CLOSED'
  | 'ERR_SLUICE_CONNECTION_STATE'
  | 'ERR_SLUICE_DATABASE_REPLACED'
  | 'ERR_SLUICE_DECODE'
  | 'ERR_SLUICE_INVALID_ARGUMENT'
  | 'ERR_SLUICE_INVALID_OPTION'
  | 'ERR_SLUICE_INVALID_PARAMETER'
  | 'ERR_SLUICE_MANUAL_TRANSACTION'
  | 'ERR_SLUICE_MULTIPLE_STATEMENTS'
  | 'ERR_SLUICE_NETWORK_FILE_SYSTEM'
  | 'ERR_SLUICE_NOT_AUTHORIZED'
  | 'ERR_SLUICE_OUTCOME_UNKNOWN'
  | 'ERR_SLUICE_OUT_OF_RANGE'
  | 'ERR_SLUICE_OVERLOADED'
  | 'ERR_SLUICE_PANIC'
  | 'ERR_SLUICE_PRAGMA'
  | 'ERR_SLUICE_READ_LEASE_TIMEOUT'
  | 'ERR_SLUICE_REENTRANT'
  | 'ERR_SLUICE_SQLITE_BUILD'
  | 'ERR_SLUICE_TIMEOUT'
  | 'ERR_SLUICE_TOO_LARGE'
  | 'ERR_SLUICE_TX_ABORTED'
  | 'ERR_SLUICE_TX_CLOSED'
  | 'ERR_SLUICE_TX_TIMEOUT'
  | 'ERR_SLUICE_WAL_GONE'

/**
 * Names an error of SQLite by its extended result code, such as `'SQLITE_CONSTRAINT_UNIQUE'`:
 * {@link https://sqlite.org/rescode.html}.
 */
export type SqliteErrorCode = `SQLITE_${string}`

/** Says where an error comes from, as far as that is known. */
export interface SluiceErrorDetails {
  /** The parameter at fault: its name, or its index from 1. */
  readonly parameter?: string | number | undefined
  /** The option at fault. */
  readonly option?: string | undefined
  /** Which statement of a script failed, from 0. */
  readonly statementIndex?: number | undefined
  /** What led to it. */
  readonly cause?: unknown
}

/** Says what SQLite said. */
export interface SqliteErrorDetails extends SluiceErrorDetails {
  /** The extended result code as a number. */
  readonly errno: number
  /** Where in `sql` SQLite saw the error, in UTF-16 units. */
  readonly offset?: number | undefined
  /** The text of the statement or script. */
  readonly sql?: string | undefined
  /** The constraint, as SQLite names it: `'users.email'`, or the constraint's own name. */
  readonly constraint?: string | undefined
}

/** Two copies of the package in one process, or the same one in two realms, agree on this. */
const BRAND: unique symbol = Symbol.for('sluice.error') as never

/** Returns the name of the class that branded `value`, from whichever copy of the package. */
function brandOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (value as { [BRAND]?: unknown })[BRAND] : undefined
}

/** Gives a class of errors its `name` and its brand, where they do not show up as fields of each error. */
function brand(prototype: object, name: string): void {
  Object.defineProperty(prototype, 'name', { value: name, configurable: true, writable: true })
  Object.defineProperty(prototype, BRAND, { value: name })
}

/** Adds the fields that have a value, so that an error prints only what is known. */
function assignKnown(error: Error, fields: object): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) {
      Object.defineProperty(error, name, { value, enumerable: true, configurable: true, writable: true })
    }
  }
}

/**
 * Reports that a call failed. Every error of the driver is one; those of SQLite itself are {@link SqliteError}s.
 *
 * `instanceof` works across copies of the package and across realms. Bound values never enter a message.
 *
 * @example
 * ```ts
 * try {
 *   await db.run('INSERT INTO users (email) VALUES (?)', [email])
 * } catch (error) {
 *   if (error instanceof SqliteError && error.code === 'SQLITE_CONSTRAINT_UNIQUE') return 'taken'
 *   throw error
 * }
 * ```
 */
export class SluiceError extends Error {
  /** Names the kind of error; never changes between releases. */
  readonly code: SluiceErrorCode | SqliteErrorCode
  /** Holds the parameter at fault: its name, or its index from 1. */
  declare readonly parameter?: string | number
  /** Holds the option at fault. */
  declare readonly option?: string
  /** Holds which statement of a script failed, from 0. */
  declare readonly statementIndex?: number

  static {
    brand(this.prototype, 'SluiceError')
  }

  constructor(code: SluiceErrorCode | SqliteErrorCode, message: string, details: SluiceErrorDetails = {}) {
    const { cause, ...fields } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    assignKnown(this, fields)
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this === SluiceError) return brandOf(value) !== undefined
    if (this === (SqliteError as unknown)) return brandOf(value) === 'SqliteError'
    if (this === (AbortError as unknown)) return brandOf(value) === 'AbortError'
    return Function.prototype[Symbol.hasInstance].call(this, value)
  }
}

/** Reports that SQLite answered with a result code: {@link https://sqlite.org/rescode.html}. */
export class SqliteError extends SluiceError {
  declare readonly code: SqliteErrorCode
  /** Holds the extended result code as a number. */
  declare readonly errno: number
  /** Holds the extended result code as a number: the same as `errno`, under the name other drivers use. */
  declare readonly extendedCode: number
  /** Holds where in `sql` SQLite saw the error, in UTF-16 units. */
  declare readonly offset?: number
  /** Holds the text of the statement or script. */
  declare readonly sql?: string
  /** Holds the constraint, as SQLite names it: `'users.email'`, or the constraint's own name. */
  declare readonly constraint?: string

  static {
    brand(this.prototype, 'SqliteError')
  }

  constructor(code: SqliteErrorCode, message: string, details: SqliteErrorDetails) {
    super(code, message, details)
    assignKnown(this, { extendedCode: details.errno })
  }
}

/**
 * Reports that a call was given up through its `signal`. Its `code` is `'ABORT_ERR'` and its `cause` the reason of the signal, as with
 * Node's own functions.
 */
export class AbortError extends SluiceError {
  declare readonly code: 'ABORT_ERR'

  static {
    brand(this.prototype, 'AbortError')
  }

  constructor(reason: unknown) {
    super('ABORT_ERR', 'The operation was aborted', { cause: reason })
  }
}

/** Makes the error of a call whose time was over before it began: that of the addon for the others. */
export function timeoutError(): SluiceError {
  return new SluiceError('ERR_SLUICE_TIMEOUT', 'the call took longer than its timeoutMs')
}

/**
 * Tells whether `value` is an error of the driver, from whichever copy of the package or realm: the same as
 * `value instanceof SluiceError`, for those who narrow types with functions.
 */
export function isSluiceError(value: unknown): value is SluiceError {
  return value instanceof SluiceError
}

/** Makes the error of a failed call. To be called after the `await`, so that the caller's frames are in the stack. */
export function errorOf(failure: BindingFailure, sql: string | undefined): SluiceError {
  const { code, message, errno, offset, constraint, statementIndex, parameter, option } = failure
  const details = { statementIndex, parameter, option }
  const at = offset === undefined || sql === undefined ? undefined : unitsBefore(sql, offset)
  if (isSqliteCode(code)) {
    return new SqliteError(code, message, { ...details, errno: errno ?? 1, offset: at, sql, constraint })
  }
  // The addon and this file hold the same closed list.
  return new SluiceError(code as SluiceErrorCode, message, details)
}

/** Returns how many UTF-16 units of `text` its first `bytes` bytes of UTF-8 are. */
function unitsBefore(text: string, bytes: number): number {
  return Buffer.from(text).toString('utf8', 0, bytes).length
}

function isSqliteCode(code: string): code is SqliteErrorCode {
  return code.startsWith('SQLITE_')
}
