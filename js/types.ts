/** A value as SQLite stores it: NULL, INTEGER or REAL, INTEGER, TEXT, BLOB. */
export type SqlValue = null | number | bigint | string | Uint8Array

/**
 * A value that can be bound to a parameter.
 *
 * - `null`, `undefined`: NULL
 * - `boolean`: INTEGER 1 or 0
 * - `number`: INTEGER if it is a safe integer and not −0, otherwise REAL; `NaN` is an error
 * - `bigint`: INTEGER; beyond 64 bits an error (`ERR_SLUICE_OUT_OF_RANGE`)
 * - `string`: TEXT; a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD
 * - a view (`Buffer`, `Uint8Array`, any typed array, `DataView`): BLOB, of exactly the bytes the view shows
 * - `Date`: by the option `dates`
 *
 * Anything else is an error that names the parameter (`ERR_SLUICE_INVALID_PARAMETER`).
 */
export type SqlParameter = SqlValue | undefined | boolean | ArrayBufferView | Date

/**
 * The values of one call: an array for `?` and `?NNN`, or a plain object for `:name`, `@name` and `$name`. A key without a prefix fits
 * all three; a key with one fits only itself. Every parameter needs its value, and every value its parameter; two values for one
 * parameter are an error.
 */
export type SqlParameters = readonly SqlParameter[] | { readonly [name: string]: SqlParameter }

/** A row as an object: one own key per column. Of columns that share a name, the last one wins. */
export type Row = { [column: string]: SqlValue }

/**
 * How INTEGER values are delivered.
 *
 * - `'auto'`: as `number` when it is a safe integer, otherwise as `bigint`
 * - `'number'`: as `number`; one that is not safe fails the call before it commits (`ERR_SLUICE_OUT_OF_RANGE`)
 * - `'bigint'`: as `bigint`, all of them
 */
export type IntegerMode = 'auto' | 'number' | 'bigint'

/**
 * How a `Date` is bound.
 *
 * - `'reject'`: it is an error
 * - `'iso'`: as TEXT in UTC, `'2026-01-31T12:00:00.000Z'`, which SQLite's date functions read
 * - `'ms'`: as INTEGER, milliseconds since 1970
 */
export type DateMode = 'reject' | 'iso' | 'ms'

/** How a row is delivered: `'object'` with a key per column, or `'array'`, which keeps columns that share a name apart. */
export type RowMode = 'object' | 'array'

/** Options of one call that returns values. What is left out is as it was said to `open`. */
export interface ValueOptions {
  /** How INTEGER values are delivered. */
  readonly integers?: IntegerMode | undefined
  /** How a `Date` is bound. */
  readonly dates?: DateMode | undefined
  /** Gives the call up when it is aborted (`AbortError`). While it waits it leaves no trace; while it runs it is stopped, and no other. */
  readonly signal?: AbortSignal | undefined
  /** How long the call may take in all, its wait included, in milliseconds, before it is stopped (`ERR_SLUICE_TIMEOUT`). No limit if left out. */
  readonly timeoutMs?: number | undefined
  /**
   * Lets the call wait although it is made in a callback of `transaction`, `read` or `writeMode` on the same database: for work that
   * the callback does not wait for.
   * @defaultValue false
   */
  readonly detached?: boolean | undefined
}

/** Options of `exec`. */
export type ExecOptions = Pick<ValueOptions, 'signal' | 'timeoutMs' | 'detached'>

/** Options of `iterate`. */
export interface IterateOptions extends CallOptions {
  /**
   * How many rows are fetched at a time, 1 to 1,000,000.
   * @defaultValue 1_000
   */
  readonly chunkRows?: number | undefined
}

/** How a transaction begins: {@link https://sqlite.org/lang_transaction.html}. */
export type TransactionBehavior = 'immediate' | 'exclusive' | 'deferred'

/** Options of `read` and `writeMode`. */
export interface SessionOptions {
  /** Ends the session when it is aborted, and rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** How long it may take in all, the wait for its turn included, in milliseconds. No limit if left out. */
  readonly timeoutMs?: number | undefined
  /**
   * Lets it wait although it is begun in a callback of `transaction`, `read` or `writeMode` on the same database.
   * @defaultValue false
   */
  readonly detached?: boolean | undefined
}

/** Options of `begin`. */
export interface BeginOptions extends SessionOptions {
  /**
   * When it takes the right to write: at its beginning (`'immediate'`), at its beginning and, without a write-ahead log, keeping other
   * processes from reading too (`'exclusive'`), or with its first write (`'deferred'`), which fails with `SQLITE_BUSY_SNAPSHOT` if
   * another process has written meanwhile.
   * @defaultValue 'immediate'
   */
  readonly behavior?: TransactionBehavior | undefined
  /**
   * Whether foreign keys are enforced in it. `false` is for rebuilding a table that others refer to, which dropping it would empty
   * otherwise: {@link https://sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes}. `PRAGMA foreign_key_check` tells
   * what is broken before the commit, which does not look.
   * @defaultValue true, unless the database was opened with `foreignKeys: false`
   */
  readonly foreignKeys?: boolean | undefined
}

/** Options of `transaction`. */
export interface TransactionOptions extends BeginOptions {
  /**
   * Runs the whole callback again, in a new transaction, when another process was in the way (`SQLITE_BUSY…`): `attempts` times in all,
   * with `delayMs` milliseconds (50 if left out) in between. What the callback did outside the database is done again too. `timeoutMs` and
   * `signal` are for all attempts together.
   * @defaultValue none
   */
  readonly retry?: { readonly attempts: number; readonly delayMs?: number | undefined } | undefined
}

/** A statement of a batch: its text, or its text and its values. */
export type BatchItem = string | { readonly sql: string; readonly params?: SqlParameters | undefined }

/** How far a checkpoint goes: {@link https://sqlite.org/c3ref/wal_checkpoint_v2.html}. */
export type CheckpointMode = 'passive' | 'full' | 'restart' | 'truncate'

/** What a checkpoint did. */
export interface CheckpointResult {
  /** Whether a reader or writer, of another process perhaps, kept it from moving everything. */
  readonly busy: boolean
  /** How many pages the write-ahead log holds; 0 without one. */
  readonly walPages: number
  /** How many of them are in the database file now. */
  readonly checkpointedPages: number
}

/** Options of one call that returns rows. What is left out is as it was said to `open`. */
export interface CallOptions extends ValueOptions {
  /** How a row is delivered. */
  readonly rowMode?: RowMode | undefined
}

/** Options of `close`. */
export interface CloseOptions {
  /**
   * How long to wait for calls in flight before they are interrupted, in milliseconds.
   * @defaultValue 10_000
   */
  readonly timeoutMs?: number | undefined
}

/** A column of a result: {@link https://sqlite.org/c3ref/column_database_name.html}. */
export interface Column {
  /** The name, from `AS` or as SQLite makes it. */
  readonly name: string
  /** The type in the column's declaration, such as `'VARCHAR(20)'`; `null` for an expression. */
  readonly declaredType: string | null
  /** The table the column comes from; `null` for an expression. */
  readonly table: string | null
  /** The column's name in that table; `null` for an expression. */
  readonly origin: string | null
}

/** Who ran a statement: a reader, or the writer. */
export type Route = 'read' | 'write'

/** What a statement changed. */
export interface RunResult {
  /** How many rows INSERT, UPDATE or DELETE changed; 0 for any other statement. */
  readonly changes: number
  /**
   * The rowid of the last row that this statement inserted, if it inserted one: a `number` when it is a safe integer, otherwise a
   * `bigint`; always a `bigint` with `integers: 'bigint'`.
   */
  readonly lastInsertRowid: number | bigint | undefined
}

/** What a statement returned and changed. */
export interface ExecuteResult<T = Row> extends RunResult {
  /** The columns, in order; frozen, and shared by all results of the same shape. Empty for a statement that returns no rows. */
  readonly columns: readonly Column[]
  /** The rows, in order. */
  readonly rows: T[]
  /** Who ran the statement. */
  readonly route: Route
}

/** A `Buffer` of Node. Where the types of Node are not installed: the `Uint8Array` that it is. */
export type NodeBuffer = typeof globalThis extends { Buffer: { alloc(size: number): infer B } } ? B : Uint8Array

/** The values of one column, in the order of the rows: {@link Database.columnar} says when it is which. */
export type ColumnVector = Float64Array | BigInt64Array | SqlValue[]

/** What a statement returned, column by column. */
export interface ColumnarResult<T = { [column: string]: ColumnVector }> {
  /** The columns, in order; frozen, and shared by all results of the same shape. Empty for a statement that returns no rows. */
  readonly columns: readonly Column[]
  /** How many rows there are, and so how long each vector is. */
  readonly rowCount: number
  /** The values of each column, in the order of `columns`. */
  readonly vectors: ColumnVector[]
  /** The same vectors, with a key per column. Of columns that share a name, the last one wins. */
  readonly byName: T
}

/** What the manager of a database is doing: numbers of this moment. */
export interface Status {
  /** Whether a write has the database for itself (`'write'`), or reads may run. */
  readonly mode: 'read' | 'write'
  /** Whether calls are admitted (`'open'`), only finished (`'draining'`), or neither. */
  readonly phase: 'open' | 'draining' | 'closed'
  /** Whether reads run beside the writer (`'wal'`) or take turns with it (`'exclusive'`). */
  readonly concurrency: 'wal' | 'exclusive'
  /** The connections that read. */
  readonly readers: {
    /** How many are open. */
    readonly open: number
    /** How many are running a statement. */
    readonly active: number
    /** How many are open and unused. */
    readonly idle: number
    /** How many reads wait to be admitted. */
    readonly waiting: number
    /** How many may be open at once. */
    readonly max: number
  }
  /** The one connection that writes. */
  readonly writer: {
    /** Whether a write is running. */
    readonly active: boolean
    /** How many writes wait to be admitted. */
    readonly waiting: number
    /**
     * What holds it, and for how long, in milliseconds: a statement, or a transaction, session or callback of `writeMode` since it began,
     * with the statement that it runs now, or words in parentheses while it runs none. `null` when nothing does.
     */
    readonly holder: { readonly sql: string; readonly forMs: number } | null
  }
  /** How many calls wait for anything at all. Writes that the open group has taken, up to 512, do not. */
  readonly queued: number
  /** How many handles in the process use these connections: those of `open`, `connect` and `handle()` that are not closed. */
  readonly handles: number
  /** The write-ahead log: {@link https://sqlite.org/wal.html}. */
  readonly wal: {
    /** Its size in bytes; 0 when there is none. */
    readonly bytes: number
    /**
     * How long the oldest read, callback of `db.read` or loop over `iterate` has kept it from being reset, in milliseconds, or a snapshot
     * that inline reads share; `null` when there is none.
     */
    readonly oldestReaderMs: number | null
    /**
     * What runs there, what the loop iterates over, or what first left the snapshot open; words in parentheses while a callback of `db.read`
     * runs nothing. `null` when there is none.
     */
    readonly oldestReaderSql: string | null
  }
  /** What has been counted since the database was opened, by name. */
  readonly counters: { readonly [name: string]: number }
  /** How many calls have failed since then, by code; a code with which none has is left out. */
  readonly errors: { readonly [code: string]: number }
}
