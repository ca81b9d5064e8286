// Generated from js/ by `npm run build:js`; do not edit.
/** How much a log tells: each level tells what those before it do, and more. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";
/** Tells of one thing that happened. */
export interface LogRecord {
	/** How much it matters. */
	readonly level: LogLevel;
	/** What it is about: `'statement'`, `'transaction'`, `'group'`, `'reader'`, `'writer'`, `'gate'`, `'checkpoint'`, `'open'`, `'close'` … */
	readonly target: string;
	/** What happened, in words that do not change: `'ran'`, `'mode switched'`, `'opened'` … */
	readonly message: string;
	/** The path of the database, as `db.path` has it; every in-memory database is `':memory:'`. `null` where nobody knows. */
	readonly database: string | null;
	/** When, in milliseconds since 1970, with fractions. */
	readonly timeMs: number;
	/** What there is to say of it, by name. Names that end in `Us` are in microseconds, in `Ms` in milliseconds. */
	readonly fields: {
		readonly [name: string]: string | number | boolean;
	};
}
/** Options of `openLog`. Unknown keys, and values of the wrong kind, are errors (`ERR_SLUICE_INVALID_OPTION`). */
export interface LogOptions {
	/**
	 * How much it tells at first.
	 * @defaultValue 'info'
	 */
	readonly level?: LogLevel | undefined;
	/**
	 * The one database it tells of, as its `path` has it. A file that is open already is known by any of its names.
	 * @defaultValue all of the process
	 */
	readonly database?: string | undefined;
}
/** Is a log that was opened with {@link openLog}. */
export interface Log {
	/**
	 * How much it tells. May be set at any time; what was recorded before is told all the same.
	 *
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` when it is set to anything else
	 */
	level: LogLevel;
	/** Counts the records that were dropped, because 65,536 were waiting to be told already. */
	readonly lost: number;
	/** Tells what was recorded before, and then nothing any more. May be called more than once. */
	close(): void;
}
/**
 * Has `listener` called with what happens in the databases of this process, in those of its worker threads too. Records come in order,
 * some time after what they tell of. A log does not keep the process alive; it ends with `close`, or with its thread.
 *
 * What `listener` throws becomes an uncaught exception, and disturbs nothing else. A level that no log wants costs nothing; `'trace'`
 * makes a record for each statement, which costs more than a short statement does.
 *
 * @throws `ERR_SLUICE_INVALID_ARGUMENT` for a listener that is no function; `ERR_SLUICE_INVALID_OPTION`
 *
 * @example
 * ```ts
 * const log = openLog(({ level, target, message, fields }) => console.error(level, target, message, fields), { level: 'warn' })
 * log.level = 'debug'
 * log.close()
 * ```
 */
export declare function openLog(listener: (record: LogRecord) => void, options?: LogOptions): Log;
/** A value as SQLite stores it: NULL, INTEGER or REAL, INTEGER, TEXT, BLOB. */
export type SqlValue = null | number | bigint | string | Uint8Array;
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
export type SqlParameter = SqlValue | undefined | boolean | ArrayBufferView | Date;
/**
 * The values of one call: an array for `?` and `?NNN`, or a plain object for `:name`, `@name` and `$name`. A key without a prefix fits
 * all three; a key with one fits only itself. Every parameter needs its value, and every value its parameter; two values for one
 * parameter are an error.
 */
export type SqlParameters = readonly SqlParameter[] | {
	readonly [name: string]: SqlParameter;
};
/** A row as an object: one own key per column. Of columns that share a name, the last one wins. */
export type Row = {
	[column: string]: SqlValue;
};
/**
 * How INTEGER values are delivered.
 *
 * - `'auto'`: as `number` when it is a safe integer, otherwise as `bigint`
 * - `'number'`: as `number`; one that is not safe fails the call before it commits (`ERR_SLUICE_OUT_OF_RANGE`)
 * - `'bigint'`: as `bigint`, all of them
 */
export type IntegerMode = "auto" | "number" | "bigint";
/**
 * How a `Date` is bound.
 *
 * - `'reject'`: it is an error
 * - `'iso'`: as TEXT in UTC, `'2026-01-31T12:00:00.000Z'`, which SQLite's date functions read
 * - `'ms'`: as INTEGER, milliseconds since 1970
 */
export type DateMode = "reject" | "iso" | "ms";
/** How a row is delivered: `'object'` with a key per column, or `'array'`, which keeps columns that share a name apart. */
export type RowMode = "object" | "array";
/** Options of one call that returns values. What is left out is as it was said to `open`. */
export interface ValueOptions {
	/** How INTEGER values are delivered. */
	readonly integers?: IntegerMode | undefined;
	/** How a `Date` is bound. */
	readonly dates?: DateMode | undefined;
	/** Gives the call up when it is aborted (`AbortError`). While it waits it leaves no trace; while it runs it is stopped, and no other. */
	readonly signal?: AbortSignal | undefined;
	/** How long the call may take in all, its wait included, in milliseconds, before it is stopped (`ERR_SLUICE_TIMEOUT`). No limit if left out. */
	readonly timeoutMs?: number | undefined;
	/**
	 * Lets the call wait although it is made in a callback of `transaction`, `read` or `writeMode` on the same database: for work that
	 * the callback does not wait for.
	 * @defaultValue false
	 */
	readonly detached?: boolean | undefined;
}
/** Options of `exec`. */
export type ExecOptions = Pick<ValueOptions, "signal" | "timeoutMs" | "detached">;
/** Options of `iterate`. */
export interface IterateOptions extends CallOptions {
	/**
	 * How many rows are fetched at a time, 1 to 1,000,000.
	 * @defaultValue 1_000
	 */
	readonly chunkRows?: number | undefined;
}
/** How a transaction begins: {@link https://sqlite.org/lang_transaction.html}. */
export type TransactionBehavior = "immediate" | "exclusive" | "deferred";
/** Options of `read` and `writeMode`. */
export interface SessionOptions {
	/** Ends the session when it is aborted, and rejects with an `AbortError`. */
	readonly signal?: AbortSignal | undefined;
	/** How long it may take in all, the wait for its turn included, in milliseconds. No limit if left out. */
	readonly timeoutMs?: number | undefined;
	/**
	 * Lets it wait although it is begun in a callback of `transaction`, `read` or `writeMode` on the same database.
	 * @defaultValue false
	 */
	readonly detached?: boolean | undefined;
}
/** Options of `begin`. */
export interface BeginOptions extends SessionOptions {
	/**
	 * When it takes the right to write: at its beginning (`'immediate'`), at its beginning and, without a write-ahead log, keeping other
	 * processes from reading too (`'exclusive'`), or with its first write (`'deferred'`), which fails with `SQLITE_BUSY_SNAPSHOT` if
	 * another process has written meanwhile.
	 * @defaultValue 'immediate'
	 */
	readonly behavior?: TransactionBehavior | undefined;
	/**
	 * Whether foreign keys are enforced in it. `false` is for rebuilding a table that others refer to, which dropping it would empty
	 * otherwise: {@link https://sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes}. `PRAGMA foreign_key_check` tells
	 * what is broken before the commit, which does not look.
	 * @defaultValue true, unless the database was opened with `foreignKeys: false`
	 */
	readonly foreignKeys?: boolean | undefined;
}
/** Options of `transaction`. */
export interface TransactionOptions extends BeginOptions {
	/**
	 * Runs the whole callback again, in a new transaction, when another process was in the way (`SQLITE_BUSY…`): `attempts` times in all,
	 * with `delayMs` milliseconds (50 if left out) in between. What the callback did outside the database is done again too. `timeoutMs` and
	 * `signal` are for all attempts together.
	 * @defaultValue none
	 */
	readonly retry?: {
		readonly attempts: number;
		readonly delayMs?: number | undefined;
	} | undefined;
}
/** A statement of a batch: its text, or its text and its values. */
export type BatchItem = string | {
	readonly sql: string;
	readonly params?: SqlParameters | undefined;
};
/** How far a checkpoint goes: {@link https://sqlite.org/c3ref/wal_checkpoint_v2.html}. */
export type CheckpointMode = "passive" | "full" | "restart" | "truncate";
/** What a checkpoint did. */
export interface CheckpointResult {
	/** Whether a reader or writer, of another process perhaps, kept it from moving everything. */
	readonly busy: boolean;
	/** How many pages the write-ahead log holds; 0 without one. */
	readonly walPages: number;
	/** How many of them are in the database file now. */
	readonly checkpointedPages: number;
}
/** Options of one call that returns rows. What is left out is as it was said to `open`. */
export interface CallOptions extends ValueOptions {
	/** How a row is delivered. */
	readonly rowMode?: RowMode | undefined;
}
/** Options of `close`. */
export interface CloseOptions {
	/**
	 * How long to wait for calls in flight before they are interrupted, in milliseconds.
	 * @defaultValue 10_000
	 */
	readonly timeoutMs?: number | undefined;
}
/** A column of a result: {@link https://sqlite.org/c3ref/column_database_name.html}. */
export interface Column {
	/** The name, from `AS` or as SQLite makes it. */
	readonly name: string;
	/** The type in the column's declaration, such as `'VARCHAR(20)'`; `null` for an expression. */
	readonly declaredType: string | null;
	/** The table the column comes from; `null` for an expression. */
	readonly table: string | null;
	/** The column's name in that table; `null` for an expression. */
	readonly origin: string | null;
}
/** Who ran a statement: a reader, or the writer. */
export type Route = "read" | "write";
/** What a statement changed. */
export interface RunResult {
	/** How many rows INSERT, UPDATE or DELETE changed; 0 for any other statement. */
	readonly changes: number;
	/**
	 * The rowid of the last row that this statement inserted, if it inserted one: a `number` when it is a safe integer, otherwise a
	 * `bigint`; always a `bigint` with `integers: 'bigint'`.
	 */
	readonly lastInsertRowid: number | bigint | undefined;
}
/** What a statement returned and changed. */
export interface ExecuteResult<T = Row> extends RunResult {
	/** The columns, in order; frozen, and shared by all results of the same shape. Empty for a statement that returns no rows. */
	readonly columns: readonly Column[];
	/** The rows, in order. */
	readonly rows: T[];
	/** Who ran the statement. */
	readonly route: Route;
}
/** A `Buffer` of Node. Where the types of Node are not installed: the `Uint8Array` that it is. */
export type NodeBuffer = typeof globalThis extends {
	Buffer: {
		alloc(size: number): infer B;
	};
} ? B : Uint8Array;
/** The values of one column, in the order of the rows: {@link Database.columnar} says when it is which. */
export type ColumnVector = Float64Array | BigInt64Array | SqlValue[];
/** What a statement returned, column by column. */
export interface ColumnarResult<T = {
	[column: string]: ColumnVector;
}> {
	/** The columns, in order; frozen, and shared by all results of the same shape. Empty for a statement that returns no rows. */
	readonly columns: readonly Column[];
	/** How many rows there are, and so how long each vector is. */
	readonly rowCount: number;
	/** The values of each column, in the order of `columns`. */
	readonly vectors: ColumnVector[];
	/** The same vectors, with a key per column. Of columns that share a name, the last one wins. */
	readonly byName: T;
}
/** What the manager of a database is doing: numbers of this moment. */
export interface Status {
	/** Whether a write has the database for itself (`'write'`), or reads may run. */
	readonly mode: "read" | "write";
	/** Whether calls are admitted (`'open'`), only finished (`'draining'`), or neither. */
	readonly phase: "open" | "draining" | "closed";
	/** Whether reads run beside the writer (`'wal'`) or take turns with it (`'exclusive'`). */
	readonly concurrency: "wal" | "exclusive";
	/** The connections that read. */
	readonly readers: {
		/** How many are open. */
		readonly open: number;
		/** How many are running a statement. */
		readonly active: number;
		/** How many are open and unused. */
		readonly idle: number;
		/** How many reads wait to be admitted. */
		readonly waiting: number;
		/** How many may be open at once. */
		readonly max: number;
	};
	/** The one connection that writes. */
	readonly writer: {
		/** Whether a write is running. */
		readonly active: boolean;
		/** How many writes wait to be admitted. */
		readonly waiting: number;
		/**
		 * What holds it, and for how long, in milliseconds: a statement, or a transaction, session or callback of `writeMode` since it began,
		 * with the statement that it runs now, or words in parentheses while it runs none. `null` when nothing does.
		 */
		readonly holder: {
			readonly sql: string;
			readonly forMs: number;
		} | null;
	};
	/** How many calls wait for anything at all. Writes that the open group has taken, up to 512, do not. */
	readonly queued: number;
	/** How many handles in the process use these connections: those of `open`, `connect` and `handle()` that are not closed. */
	readonly handles: number;
	/** The write-ahead log: {@link https://sqlite.org/wal.html}. */
	readonly wal: {
		/** Its size in bytes; 0 when there is none. */
		readonly bytes: number;
		/**
		 * How long the oldest read, callback of `db.read` or loop over `iterate` has kept it from being reset, in milliseconds, or a snapshot
		 * that inline reads share; `null` when there is none.
		 */
		readonly oldestReaderMs: number | null;
		/**
		 * What runs there, what the loop iterates over, or what first left the snapshot open; words in parentheses while a callback of `db.read`
		 * runs nothing. `null` when there is none.
		 */
		readonly oldestReaderSql: string | null;
	};
	/** What has been counted since the database was opened, by name. */
	readonly counters: {
		readonly [name: string]: number;
	};
	/** How many calls have failed since then, by code; a code with which none has is left out. */
	readonly errors: {
		readonly [code: string]: number;
	};
}
/** The method by which SQL was run. */
export type QueryOperation = "execute" | "all" | "get" | "values" | "pluck" | "columnar" | "executeJson" | "sql" | "run" | "exec" | "batch" | "iterate" | "pragma" | "columns";
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
	readonly sql: string;
	/** The path of the database, as `db.path` has it. */
	readonly database: string;
	/** The method that was called. */
	readonly operation: QueryOperation;
	/** How many statements a `batch` has. */
	readonly batchSize?: number;
	/** The values of the call, copied; of a `batch`, those of each item. Only with the option `traceParameters`. */
	readonly parameters?: SqlParameters | ReadonlyArray<SqlParameters | undefined>;
	/** How long it took, in milliseconds, to the moment when its caller is told. Of `iterate`: the fetching, without what the loop does. */
	readonly duration?: number;
	/** How many rows were delivered. Not there after a failure, but for `iterate`. */
	readonly rows?: number;
	/** How many rows it changed. Not there after a failure, nor for `exec` and `pragma`. */
	readonly changes?: number;
	/** Who ran it. Not there after a failure, nor for `pragma`. Of an iterator that only reads: always `'read'`. */
	readonly route?: Route;
	/** How long it waited for a connection, in milliseconds. Not there for `iterate` and `pragma`, nor for what never came to one. */
	readonly queueMs?: number;
	/** How long it ran there, in milliseconds. Where `queueMs` is. */
	readonly runMs?: number;
	/** What its caller gets as a rejection. Only there after a failure. */
	readonly error?: unknown;
}
/** What subscribers of the tracing channel `sluice:transaction` get: one object per transaction or session, the same one at each event. */
export interface TracedTransaction {
	/** The path of the database, as `db.path` has it. */
	readonly database: string;
	/** The method that began it. */
	readonly operation: "transaction" | "begin" | "read" | "writeMode";
	/** How many transactions it is in: 0, or more for a savepoint. */
	readonly depth: number;
	/** How long it waited until it had begun, in milliseconds. Not there when it never did. */
	readonly queueMs?: number;
	/** How it ended. Not there for `read` and `writeMode`, nor when it never began, nor when nobody can tell (`ERR_SLUICE_OUTCOME_UNKNOWN`). */
	readonly outcome?: "commit" | "rollback";
	/** How long it took in all, in milliseconds. */
	readonly duration?: number;
	/** What its holder gets as a rejection. Only there after a failure. */
	readonly error?: unknown;
}
/** What subscribers of the tracing channel `sluice:connect` get: one object per `open` or `connect`, the same one at each event. */
export interface TracedConnect {
	/** The path of the database, as `db.path` has it. */
	readonly database: string;
	/** How long it took, in milliseconds. */
	readonly duration?: number;
	/** Why it could not be opened. Only there after a failure. */
	readonly error?: unknown;
}
/** What {@link TracingOptions.onSlowQuery} is told. A key that {@link TracedQuery} has under the same name means the same. */
export interface SlowQuery extends Pick<TracedQuery, "sql" | "database" | "operation" | "parameters" | "queueMs" | "runMs" | "rows" | "changes" | "route" | "error"> {
	/** How long it took, in milliseconds, to the moment when its caller is told. Of `iterate`: the fetching, without what the loop does. */
	readonly durationMs: number;
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
	readonly traceParameters?: boolean | undefined;
	/**
	 * Is called with each call of the handle that took `slowQueryMs` or longer, whether it succeeded or failed: after its caller was told,
	 * in the async context in which the database was opened. What it throws is an uncaught error, and disturbs no call.
	 * @defaultValue none
	 */
	readonly onSlowQuery?: ((query: SlowQuery) => unknown) | undefined;
	/**
	 * From how long on a call is slow, in milliseconds. 0: every call is. Needs `onSlowQuery`.
	 * @defaultValue 200
	 */
	readonly slowQueryMs?: number | undefined;
}
/**
 * Names every error of the driver itself. `docs/ERRORS.md` explains each.
 */
export type SluiceErrorCode = "ABORT_ERR" | "ERR_SLUICE_ACQUIRE_TIMEOUT" | "ERR_SLUICE_BINDING_MISSING" | "ERR_SLUICE_CLOSED" | "ERR_SLUICE_CONNECTION_STATE" | "ERR_SLUICE_DATABASE_REPLACED" | "ERR_SLUICE_DECODE" | "ERR_SLUICE_INVALID_ARGUMENT" | "ERR_SLUICE_INVALID_OPTION" | "ERR_SLUICE_INVALID_PARAMETER" | "ERR_SLUICE_MANUAL_TRANSACTION" | "ERR_SLUICE_MULTIPLE_STATEMENTS" | "ERR_SLUICE_NETWORK_FILE_SYSTEM" | "ERR_SLUICE_NOT_AUTHORIZED" | "ERR_SLUICE_OUTCOME_UNKNOWN" | "ERR_SLUICE_OUT_OF_RANGE" | "ERR_SLUICE_OVERLOADED" | "ERR_SLUICE_PANIC" | "ERR_SLUICE_PRAGMA" | "ERR_SLUICE_READ_LEASE_TIMEOUT" | "ERR_SLUICE_REENTRANT" | "ERR_SLUICE_SQLITE_BUILD" | "ERR_SLUICE_TIMEOUT" | "ERR_SLUICE_TOO_LARGE" | "ERR_SLUICE_TX_ABORTED" | "ERR_SLUICE_TX_CLOSED" | "ERR_SLUICE_TX_TIMEOUT" | "ERR_SLUICE_WAL_GONE";
/**
 * Names an error of SQLite by its extended result code, such as `'SQLITE_CONSTRAINT_UNIQUE'`:
 * {@link https://sqlite.org/rescode.html}.
 */
export type SqliteErrorCode = `SQLITE_${string}`;
/** Says where an error comes from, as far as that is known. */
export interface SluiceErrorDetails {
	/** The parameter at fault: its name, or its index from 1. */
	readonly parameter?: string | number | undefined;
	/** The option at fault. */
	readonly option?: string | undefined;
	/** Which statement of a script failed, from 0. */
	readonly statementIndex?: number | undefined;
	/** What led to it. */
	readonly cause?: unknown;
}
/** Says what SQLite said. */
export interface SqliteErrorDetails extends SluiceErrorDetails {
	/** The extended result code as a number. */
	readonly errno: number;
	/** Where in `sql` SQLite saw the error, in UTF-16 units. */
	readonly offset?: number | undefined;
	/** The text of the statement or script. */
	readonly sql?: string | undefined;
	/** The constraint, as SQLite names it: `'users.email'`, or the constraint's own name. */
	readonly constraint?: string | undefined;
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
export declare class SluiceError extends Error {
	/** Names the kind of error; never changes between releases. */
	readonly code: SluiceErrorCode | SqliteErrorCode;
	/** Holds the parameter at fault: its name, or its index from 1. */
	readonly parameter?: string | number;
	/** Holds the option at fault. */
	readonly option?: string;
	/** Holds which statement of a script failed, from 0. */
	readonly statementIndex?: number;
	constructor(code: SluiceErrorCode | SqliteErrorCode, message: string, details?: SluiceErrorDetails);
	static [Symbol.hasInstance](value: unknown): boolean;
}
/** Reports that SQLite answered with a result code: {@link https://sqlite.org/rescode.html}. */
export declare class SqliteError extends SluiceError {
	readonly code: SqliteErrorCode;
	/** Holds the extended result code as a number. */
	readonly errno: number;
	/** Holds the extended result code as a number: the same as `errno`, under the name other drivers use. */
	readonly extendedCode: number;
	/** Holds where in `sql` SQLite saw the error, in UTF-16 units. */
	readonly offset?: number;
	/** Holds the text of the statement or script. */
	readonly sql?: string;
	/** Holds the constraint, as SQLite names it: `'users.email'`, or the constraint's own name. */
	readonly constraint?: string;
	constructor(code: SqliteErrorCode, message: string, details: SqliteErrorDetails);
}
/**
 * Reports that a call was given up through its `signal`. Its `code` is `'ABORT_ERR'` and its `cause` the reason of the signal, as with
 * Node's own functions.
 */
export declare class AbortError extends SluiceError {
	readonly code: "ABORT_ERR";
	constructor(reason: unknown);
}
/**
 * Tells whether `value` is an error of the driver, from whichever copy of the package or realm: the same as
 * `value instanceof SluiceError`, for those who narrow types with functions.
 */
export declare function isSluiceError(value: unknown): value is SluiceError;
/** Options of {@link Database.mirror}. */
export interface MirrorOptions {
	/**
	 * Whether a commit leads to a new copy: one of this process at once, one of another when the file is looked at next (`pollMs`).
	 * @defaultValue false
	 */
	readonly watch?: boolean | undefined;
	/**
	 * How often the file is looked at for commits of other processes, in milliseconds, at least 1. A database in memory has no others.
	 * @defaultValue 250
	 */
	readonly pollMs?: number | undefined;
	/**
	 * How long to wait after a change, in milliseconds, so that the next copy has what is committed meanwhile too.
	 * @defaultValue 20
	 */
	readonly debounceMs?: number | undefined;
	/**
	 * For how long a copy is kept at least after there is a newer one, in milliseconds. It is always kept until its last reader is done.
	 * @defaultValue 0
	 */
	readonly graceMs?: number | undefined;
	/**
	 * The largest database that is copied, in bytes, up to 1 GiB. A larger one fails the reload with `ERR_SLUICE_TOO_LARGE`.
	 * @defaultValue 1_073_741_824
	 */
	readonly maxBytes?: number | undefined;
	/**
	 * Is given each new copy before anyone can see it, and may write to it: indexes, tables of results. When it is done the copy is closed for
	 * writes and made the current one; if it throws, the copy before it stays. What it began and did not wait for is rolled back.
	 * @defaultValue none
	 */
	readonly onReload?: ((copy: Database) => unknown) | undefined;
	/**
	 * Is given the error of each reload that failed.
	 * @defaultValue none: a reload that nobody called for and that failed is a warning of the process (`SLUICE_MIRROR_RELOAD`)
	 */
	readonly onError?: ((error: unknown) => void) | undefined;
}
/** Options of {@link Mirror.reload}. */
export interface ReloadOptions {
	/** A write to wait for, so that the copy has what it wrote. When it is rejected, so is the reload, and nothing is copied. */
	readonly after?: PromiseLike<unknown> | undefined;
}
/** What a mirror is doing, and has done. */
export interface MirrorStatus {
	/** Counts the copies that were made current: 1 is the first. */
	readonly generation: number;
	/** Whether another copy is being made. */
	readonly reloading: boolean;
	/** What the last reload failed with; `null` when it did not. */
	readonly lastError: unknown;
	/** How long the reload took that made the current copy, in milliseconds, `onReload` included. */
	readonly lastReloadMs: number;
	/** The size of the current copy in bytes. */
	readonly bytes: number;
	/** How many copies that are not current any more are kept, for `graceMs` or for their readers. */
	readonly superseded: number;
}
/** Says which samples of a metric are meant: those that have all of these labels. */
export interface MetricLabels {
	readonly [label: string]: string | undefined;
}
type InlineReads = "auto" | "off";
/** Options of `open`. Unknown keys, and values of the wrong kind or out of range, are errors (`ERR_SLUICE_INVALID_OPTION`). */
export interface OpenOptions extends TracingOptions {
	/**
	 * Whether to open without the right to write: {@link https://sqlite.org/c3ref/open.html}.
	 * @defaultValue false
	 */
	readonly readonly?: boolean | undefined;
	/**
	 * Whether to create the file if there is none. With `false`, a missing file is an error (`SQLITE_CANTOPEN`).
	 * @defaultValue true
	 */
	readonly create?: boolean | undefined;
	/**
	 * Whether a path that begins with `file:` is a URI with parameters: {@link https://sqlite.org/uri.html}. Without it, a path is
	 * always the literal name of a file.
	 * @defaultValue false
	 */
	readonly uri?: boolean | undefined;
	/**
	 * Whether symbolic links are followed. With `false`, one in any part of the path is an error: `SQLITE_CANTOPEN_SYMLINK`.
	 * @defaultValue true
	 */
	readonly followLinks?: boolean | undefined;
	/**
	 * Whether reads run beside the writer (`'wal'`) or take turns with it (`'exclusive'`).
	 * @defaultValue `'wal'` for files whose journal mode is WAL, otherwise `'exclusive'`
	 */
	readonly concurrency?: "wal" | "exclusive" | undefined;
	/**
	 * How many connections may read at once, 0 to 1,024. With 0, everything runs on the writer.
	 * @defaultValue the number of cores, at least 2 and at most 8
	 */
	readonly maxReaders?: number | undefined;
	/**
	 * After how long without use a reader is closed, in milliseconds.
	 * @defaultValue 60_000
	 */
	readonly idleTtlMs?: number | undefined;
	/**
	 * What a resolved write has survived: power loss (`'full'`), a crash of the process (`'normal'`), or neither (`'off'`):
	 * {@link https://sqlite.org/pragma.html#pragma_synchronous}.
	 * @defaultValue 'full'
	 */
	readonly durability?: "full" | "normal" | "off" | undefined;
	/**
	 * Whether writes that wait at the same time share one commit: none can tell but by the time it takes. `false`: each commits by itself.
	 * A group is committed when nobody waits, and at the latest after `maxStatements` statements, `maxMs` milliseconds of work, or
	 * `maxBytes` bytes of results.
	 * @defaultValue true: 512 statements, 5 ms, 1 MiB
	 */
	readonly groupCommit?: boolean | GroupCommitOptions | undefined;
	/**
	 * Which writes a read sees for sure: those that were acknowledged (`'acknowledged'`), or also those that were submitted on the same handle
	 * before it and not awaited (`'submitted'`). For that a read runs on the writer, behind them, while there are such; not so in a callback of
	 * `transaction`, `read` or `writeMode`, which they may be waiting for.
	 * @defaultValue 'acknowledged'
	 */
	readonly ordering?: "acknowledged" | "submitted" | undefined;
	/**
	 * How long a transaction may last, in milliseconds; then it is rolled back, and its owner told (`ERR_SLUICE_TX_TIMEOUT`). 0 is no limit.
	 * @defaultValue 0
	 */
	readonly transactionTimeoutMs?: number | undefined;
	/**
	 * How long a transaction may be idle, in milliseconds; then it is rolled back, and its owner told (`ERR_SLUICE_TX_TIMEOUT`). Keep it
	 * below `acquireTimeoutMs`, so that the culprit fails before those who wait for it. 0 is no limit.
	 * @defaultValue 10_000
	 */
	readonly transactionIdleTimeoutMs?: number | undefined;
	/**
	 * How long a read session or an iterator may last, in milliseconds, because it keeps the write-ahead log from being reset; then it is
	 * ended (`ERR_SLUICE_READ_LEASE_TIMEOUT`). 0 is no limit.
	 * @defaultValue 0
	 */
	readonly maxReadLeaseMs?: number | undefined;
	/**
	 * How long a call waits for its turn, in milliseconds; then it is rejected with `ERR_SLUICE_ACQUIRE_TIMEOUT`.
	 * @defaultValue 30_000
	 */
	readonly acquireTimeoutMs?: number | undefined;
	/**
	 * How long to wait for other processes that hold the file locked, in milliseconds; then the call is rejected with `SQLITE_BUSY`:
	 * {@link https://sqlite.org/c3ref/busy_timeout.html}.
	 * @defaultValue 5_000
	 */
	readonly busyTimeoutMs?: number | undefined;
	/**
	 * How many calls may wait at once; further ones are rejected with `ERR_SLUICE_OVERLOADED`.
	 * @defaultValue 262_144
	 */
	readonly maxQueued?: number | undefined;
	/**
	 * How large the result of one call may be, in bytes; a larger one is rejected with `ERR_SLUICE_TOO_LARGE`. A row counts 56 bytes,
	 * a value 8, and texts and BLOBs as many as they have: about what they take in the heap. Of `executeJson` the bytes of the text count.
	 * @defaultValue 1_073_741_824
	 */
	readonly maxResultBytes?: number | undefined;
	/**
	 * How many prepared statements each connection keeps, 1 to 65,536. It keeps none whose text is longer than 1 MiB.
	 * @defaultValue 128
	 */
	readonly statementCacheSize?: number | undefined;
	/**
	 * Whether reads that have proved short run on the JavaScript thread (`'auto'`), or all on threads of the driver (`'off'`).
	 * @defaultValue 'auto'
	 */
	readonly inlineReads?: InlineReads | undefined;
	/**
	 * How INTEGER values are delivered.
	 * @defaultValue 'auto'
	 */
	readonly integers?: IntegerMode | undefined;
	/**
	 * How a `Date` is bound.
	 * @defaultValue 'reject'
	 */
	readonly dates?: DateMode | undefined;
	/**
	 * How a row is delivered.
	 * @defaultValue 'object'
	 */
	readonly rowMode?: RowMode | undefined;
	/**
	 * Whether foreign keys are enforced: {@link https://sqlite.org/pragma.html#pragma_foreign_keys}.
	 * @defaultValue true
	 */
	readonly foreignKeys?: boolean | undefined;
	/**
	 * PRAGMAs to set on every connection, present and future, checked against a list: {@link https://sqlite.org/pragma.html}.
	 * @defaultValue none
	 */
	readonly pragmas?: {
		readonly [name: string]: string | number | boolean;
	} | undefined;
}
/** When a group of writes is committed, at the latest. */
export interface GroupCommitOptions {
	/**
	 * After how many statements, 1 to 65,536.
	 * @defaultValue 512
	 */
	readonly maxStatements?: number | undefined;
	/**
	 * After how much work, in milliseconds.
	 * @defaultValue 5
	 */
	readonly maxMs?: number | undefined;
	/**
	 * After how many bytes of results.
	 * @defaultValue 1_048_576
	 */
	readonly maxBytes?: number | undefined;
}
/**
 * Delivers the rows of one statement one after another, and holds few of them at a time. Made by `iterate`.
 *
 * Ending the loop in any way (its end, `break`, `return`, an error) gives back what it holds; so do `return()`, disposing of it, the
 * option `signal`, and the garbage collector. A statement that still waits or runs then is stopped, and what it wrote is
 * undone. One that has begun to write in a transaction or a callback of `writeMode` only `signal` and `timeoutMs` stop: SQLite undoes the whole
 * transaction then.
 *
 * @typeParam T - a row
 */
export declare class RowIterator<T> implements AsyncIterableIterator<T> {
	#private;
	private constructor();
	[Symbol.asyncIterator](): this;
	/**
	 * Returns the next row.
	 *
	 * @throws as the call that made the iterator; afterwards it is at its end
	 */
	next(): Promise<IteratorResult<T, undefined>>;
	/** Ends it, and gives back what it holds. */
	return(): Promise<IteratorResult<T, undefined>>;
	/** Ends it, and throws `error`. */
	throw(error?: unknown): Promise<IteratorResult<T, undefined>>;
	/** Ends it at the end of an `await using` block. */
	[Symbol.asyncDispose](): Promise<void>;
}
declare abstract class Reads {
	#private;
	/**
	 * Runs one statement and returns everything about it: columns, rows, changes, and who ran it.
	 *
	 * A statement that returns no rows has none, and no columns; a text without a statement (empty, or only a comment) likewise.
	 *
	 * @typeParam T - a row; nothing checks that it is one
	 * @param sql - one statement; a comment may follow
	 * @param params - the values of its parameters
	 * @param options - what to do differently from what was said to `open`
	 * @throws {@link SqliteError} for what SQLite refuses
	 * @throws {@link SluiceError}, with nothing changed: `ERR_SLUICE_INVALID_ARGUMENT`; `ERR_SLUICE_INVALID_OPTION`;
	 * `ERR_SLUICE_INVALID_PARAMETER` for values that do not fit the statement; `ERR_SLUICE_OUT_OF_RANGE` for an integer that cannot be
	 * carried exactly; `ERR_SLUICE_MULTIPLE_STATEMENTS`; `ERR_SLUICE_MANUAL_TRANSACTION` for BEGIN, COMMIT and the like;
	 * `ERR_SLUICE_PRAGMA` and `ERR_SLUICE_NOT_AUTHORIZED` for what must not run here; `ERR_SLUICE_CONNECTION_STATE` for functions such as
	 * `changes()`; `ERR_SLUICE_TOO_LARGE` past `maxResultBytes`; `ERR_SLUICE_REENTRANT` for a call that would wait for the callback in
	 * which it is made; `ERR_SLUICE_TIMEOUT` past its `timeoutMs`; {@link AbortError} when its `signal` is aborted
	 * @throws {@link SluiceError}: `ERR_SLUICE_DECODE` when the rows could not be made, for want of memory perhaps; a write has
	 * committed then. `ERR_SLUICE_OUTCOME_UNKNOWN` when an I/O error during the commit of a write leaves that open
	 *
	 * @example
	 * ```ts
	 * const { rows, columns, route } = await db.execute('SELECT name FROM users WHERE age > :age', { age: 30 })
	 * ```
	 */
	execute<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<ExecuteResult<T>>;
	/**
	 * Runs one statement and returns all rows.
	 *
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws as `execute`
	 *
	 * @example
	 * ```ts
	 * const users = await db.all<{ id: number; name: string }>('SELECT id, name FROM users')
	 * ```
	 */
	all<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<T[]>;
	/**
	 * Runs one statement and returns the first row, or `undefined` if there is none. A read stops there; a write runs to its end.
	 *
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws as `execute`
	 *
	 * @example
	 * ```ts
	 * const user = await db.get<{ name: string }>('SELECT name FROM users WHERE id = ?', [7])
	 * ```
	 */
	get<T = Row>(sql: string, params?: SqlParameters, options?: CallOptions): Promise<T | undefined>;
	/**
	 * Runs one statement and returns all rows as arrays, whatever `rowMode` says.
	 *
	 * @throws as `execute`
	 */
	values(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<SqlValue[][]>;
	/**
	 * Runs one statement and returns the first column of all rows.
	 *
	 * @typeParam V - a value of that column; nothing checks that it is one
	 * @throws as `execute`
	 *
	 * @example
	 * ```ts
	 * const names = await db.pluck<string>('SELECT name FROM users ORDER BY name')
	 * ```
	 */
	pluck<V = SqlValue>(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<V[]>;
	/**
	 * Runs one statement and returns all values, column by column: for sums, charts and other work on whole columns.
	 *
	 * A column is a `Float64Array` if all of its values are numbers, and a `BigInt64Array` if all are bigints: with `integers: 'bigint'`
	 * those are its INTEGERs. In all other cases it is an array of the values that `values` gives: as soon as it has a NULL, a TEXT, a
	 * BLOB, or both numbers and bigints, and when there is no row.
	 *
	 * @typeParam T - the columns by name; nothing checks that they are like that
	 * @throws as `execute`
	 *
	 * @example
	 * ```ts
	 * const { rowCount, byName } = await db.columnar<{ amount: Float64Array }>('SELECT amount FROM orders')
	 * const mean = byName.amount.reduce((sum, amount) => sum + amount, 0) / rowCount
	 * ```
	 */
	columnar<T = {
		[column: string]: ColumnVector;
	}>(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<ColumnarResult<T>>;
	/**
	 * Runs one statement and returns all rows as the bytes of one JSON text, ready for an HTTP response: what
	 * `Buffer.from(JSON.stringify(await db.all(sql, params, options)))` returns, but for two kinds of values. The text is written by the
	 * thread that runs the statement, and the event loop makes no rows.
	 *
	 * - An INTEGER beyond 2^53 is written with all its digits; with `integers: 'number'` it is an error, as everywhere.
	 * - A BLOB is a string in base64.
	 *
	 * NULL and infinite numbers are `null`. `rowMode: 'array'` makes arrays of the rows. A text without a single row is `[]`.
	 * `maxResultBytes` limits the bytes.
	 *
	 * @throws as `execute`
	 *
	 * @example
	 * ```ts
	 * response.setHeader('content-type', 'application/json')
	 * response.end(await db.executeJson('SELECT id, name FROM users WHERE age > ?', [30]))
	 * ```
	 */
	executeJson(sql: string, params?: SqlParameters, options?: CallOptions): Promise<NodeBuffer>;
	/**
	 * Runs the statement of a template literal and returns all rows. Values become parameters, never text: an array is no list of
	 * values, but an error.
	 *
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` when called as a plain function; otherwise as `execute`
	 *
	 * @example
	 * ```ts
	 * const users = await db.sql<{ id: number }>`SELECT id FROM users WHERE name = ${name} AND age > ${age}`
	 * ```
	 */
	sql<T = Row>(strings: TemplateStringsArray, ...values: SqlParameter[]): Promise<T[]>;
	/**
	 * Runs one statement and delivers its rows one after another, of which few are held at a time.
	 *
	 * On a database it sees one state of it, on a read connection that is its own until the loop ends: in any way. It begins at once.
	 * Two kinds of statements cannot be stepped like that, and have all their rows fetched first: those that write, and, where reads and
	 * writes take turns (`concurrency: 'exclusive'`), all. In a transaction or session it uses the connection of that, and other calls may
	 * be made in the loop.
	 *
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws at once: `ERR_SLUICE_INVALID_ARGUMENT`, `ERR_SLUICE_INVALID_OPTION`, `ERR_SLUICE_INVALID_PARAMETER`, `ERR_SLUICE_CLOSED`,
	 * `ERR_SLUICE_REENTRANT`
	 * @throws from the iterator: everything else, as `execute`; `ERR_SLUICE_READ_LEASE_TIMEOUT` past `maxReadLeaseMs`
	 *
	 * @example
	 * ```ts
	 * for await (const { name } of db.iterate<{ name: string }>('SELECT name FROM users')) console.log(name)
	 * ```
	 */
	iterate<T = Row>(sql: string, params?: SqlParameters, options?: IterateOptions): RowIterator<T>;
}
/**
 * Runs one text of SQL that reads again and again, with other values each time. Made by {@link ReadSession.prepare}.
 *
 * It belongs to what prepared it, not to a connection: each connection prepares it when it first runs there, and again when the
 * schema has changed. There is nothing to close.
 *
 * Its methods do what those of the same name on {@link Database} do, and fail with the same errors.
 *
 * @typeParam P - the values it takes
 * @typeParam T - a row
 */
export declare class ReadStatement<P extends SqlParameters = SqlParameters, T = Row> {
	#private;
	/** Holds the text. */
	readonly sql: string;
	protected constructor(maker: symbol, runner: object, sql: string);
	/** Runs the statement and returns everything about it. See {@link Database.execute}. */
	execute(params?: P, options?: CallOptions): Promise<ExecuteResult<T>>;
	/** Runs the statement and returns all rows. See {@link Database.all}. */
	all(params?: P, options?: CallOptions): Promise<T[]>;
	/** Runs the statement and returns the first row, or `undefined` if there is none. See {@link Database.get}. */
	get(params?: P, options?: CallOptions): Promise<T | undefined>;
	/** Runs the statement and returns all rows as arrays. See {@link Database.values}. */
	values(params?: P, options?: ValueOptions): Promise<SqlValue[][]>;
	/** Runs the statement and returns the first column of all rows. See {@link Database.pluck}. */
	pluck<V = SqlValue>(params?: P, options?: ValueOptions): Promise<V[]>;
	/** Runs the statement and returns all values, column by column. See {@link Database.columnar}. */
	columnar<C = {
		[column: string]: ColumnVector;
	}>(params?: P, options?: ValueOptions): Promise<ColumnarResult<C>>;
	/** Runs the statement and returns all rows as the bytes of one JSON text. See {@link Database.executeJson}. */
	executeJson(params?: P, options?: CallOptions): Promise<NodeBuffer>;
	/** Runs the statement and delivers its rows one after another. See {@link Database.iterate}. */
	iterate(params?: P, options?: IterateOptions): RowIterator<T>;
	/**
	 * Returns the columns the statement would have if it were run now, without running it. Empty for one that returns no rows.
	 *
	 * @throws {@link SqliteError} for what SQLite cannot prepare, and errors of the driver as {@link Database.execute}
	 */
	columns(): Promise<readonly Column[]>;
}
/**
 * Runs one text of SQL again and again, with other values each time. Made by {@link Database.prepare}.
 *
 * @example
 * ```ts
 * const byEmail = db.prepare<[string], { id: number; name: string }>('SELECT id, name FROM users WHERE email = ?')
 * const user = await byEmail.get(['ada@example.com'])
 * ```
 *
 * @typeParam P - the values it takes
 * @typeParam T - a row
 */
export declare class Statement<P extends SqlParameters = SqlParameters, T = Row> extends ReadStatement<P, T> {
	#private;
	private constructor();
	/** Runs the statement and returns what it changed. See {@link Database.run}. */
	run(params?: P, options?: ValueOptions): Promise<RunResult>;
}
/**
 * Reads one state of a database over many statements. Made by {@link Database.read}.
 *
 * It has no way to write, and its connection refuses one.
 */
export declare class ReadSession extends Reads {
	#private;
	private constructor();
	/**
	 * Prepares a statement that reads, to be run many times in this session. Nothing is sent yet: errors in the text come with its
	 * first call.
	 *
	 * @typeParam P - the values it takes
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
	 */
	prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): ReadStatement<P, T>;
}
declare abstract class MirrorReads extends Reads {
	#private;
	/**
	 * Prepares a statement that reads, to be run many times. Nothing is sent yet: errors in the text come with its first call.
	 *
	 * @typeParam P - the values it takes
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
	 */
	prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): ReadStatement<P, T>;
	/**
	 * Runs `callback` on one copy, on a connection of its own: all its statements see the copy that is current when this is called.
	 *
	 * @throws as {@link Database.read}
	 */
	read<R>(callback: (r: ReadSession) => Promise<R> | R, options?: SessionOptions): Promise<R>;
}
/**
 * Reads a copy of a database that is in memory, and is replaced by newer ones. Made by {@link Database.mirror}.
 *
 * Each call reads the copy that is current when it is made, beside any number of others, and never waits for a reload or for the database
 * itself. A copy is one state of the database; the current one is as old as the last reload. It cannot be written to: a statement that
 * would is rejected by SQLite (`SQLITE_READONLY`).
 *
 * Close it when it is no longer needed; it is closed with the handle of the database that it was made from. One that watches keeps its
 * database, but no process, alive.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_CLOSED` once either has been closed, and with the
 * other errors that every call on a {@link Database} can be rejected with.
 */
export declare class Mirror extends MirrorReads {
	#private;
	private constructor();
	/** Counts the copies that were made current: 1 is the first. */
	get generation(): number;
	/** Tells whether the mirror or its database has been closed. */
	get closed(): boolean;
	/**
	 * Makes a new copy, lets `onReload` write to it, and makes it the current one. It has everything that was committed before the call.
	 *
	 * Reloads run one after another, so that a copy is never replaced by an older one. Calls that come while one runs share the next. When
	 * one fails, the current copy stays.
	 *
	 * @throws what `onReload` throws, and what `after` is rejected with
	 * @throws {@link SqliteError} for what SQLite says: `SQLITE_BUSY`, `SQLITE_IOERR`
	 * @throws {@link SluiceError}: `ERR_SLUICE_TOO_LARGE` past `maxBytes`; `ERR_SLUICE_ACQUIRE_TIMEOUT` when no reader was free in time;
	 * `ERR_SLUICE_INVALID_OPTION`; `ERR_SLUICE_CLOSED`; `ERR_SLUICE_REENTRANT` in a callback of the database that it would wait for
	 *
	 * @example
	 * ```ts
	 * await prices.reload({ after: db.run('UPDATE prices SET amount = amount + 1') })
	 * ```
	 */
	reload(options?: ReloadOptions): Promise<void>;
	/**
	 * Returns the current copy, to be read for as long as one likes, whatever is reloaded meanwhile. It is kept until it is released or
	 * collected.
	 *
	 * @throws `ERR_SLUICE_CLOSED` at once
	 *
	 * @example
	 * ```ts
	 * const snapshot = prices.snapshot()
	 * try {
	 *   const total = await snapshot.get('SELECT sum(amount) AS total FROM prices')
	 *   const all = await snapshot.all('SELECT * FROM prices')
	 * } finally {
	 *   snapshot.release()
	 * }
	 * ```
	 */
	snapshot(): Snapshot;
	/** Returns what the mirror is doing. It costs no wait, and works after `close` too. */
	status(): MirrorStatus;
	/**
	 * Closes the mirror and its copies. Nothing new is admitted from now on. What is being read finishes, or is interrupted after `timeoutMs`;
	 * a reload that is under way is rejected with `ERR_SLUICE_CLOSED`. The database stays open. May be called more than once.
	 *
	 * @throws `ERR_SLUICE_REENTRANT` in a `read` callback of its own
	 */
	close(options?: CloseOptions): Promise<void>;
	/** Closes the mirror at the end of an `await using` block. */
	[Symbol.asyncDispose](): Promise<void>;
}
/**
 * Reads one copy of a database that is in memory. Made by {@link Mirror.snapshot}.
 *
 * Its calls are rejected with `ERR_SLUICE_CLOSED` once it has been released, or the mirror closed.
 */
export declare class Snapshot extends MirrorReads {
	#private;
	private constructor();
	/** Holds the number of the copy: see {@link Mirror.generation}. */
	get generation(): number;
	/** Lets the copy go. What is being read finishes. May be called more than once. */
	release(): void;
	/** Lets the copy go at the end of a `using` block. */
	[Symbol.dispose](): void;
}
declare abstract class Writes extends Reads {
	#private;
	/**
	 * Runs one statement and returns what it changed. Rows it may return are not carried over.
	 *
	 * @throws as `execute`
	 *
	 * @example
	 * ```ts
	 * const { lastInsertRowid } = await db.run('INSERT INTO users (name) VALUES (?)', ['Ada'])
	 * ```
	 */
	run(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<RunResult>;
	/**
	 * Runs a script of any number of statements, in order, on the writer; rows are not carried over. It stops at the first error,
	 * whose `statementIndex` says which statement it was. On a database and without a BEGIN of the script's own, each statement
	 * commits by itself; a transaction that the script leaves open is rolled back, and `ERR_SLUICE_MANUAL_TRANSACTION` says so. In a
	 * transaction it takes part in that.
	 *
	 * @throws {@link SqliteError} and {@link SluiceError} as `execute`, but for those on several statements; among them
	 * `ERR_SLUICE_INVALID_PARAMETER` for a script with parameters, and for values beside it: a script takes none
	 *
	 * @example
	 * ```ts
	 * await db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)')
	 * ```
	 */
	exec(script: string, options?: ExecOptions): Promise<void>;
	/**
	 * Prepares a statement to be run many times. Nothing is sent yet: errors in the text come with its first call.
	 *
	 * @typeParam P - the values it takes
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
	 */
	prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): Statement<P, T>;
}
/**
 * Gives access to one transaction. Made by {@link Database.transaction} and {@link Database.begin}.
 *
 * Its calls run in the order in which they are made, on a connection that is its own; nobody else's statement lands in between. BEGIN,
 * COMMIT and the like as text are refused.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_TX_CLOSED` once it has ended,
 * `ERR_SLUICE_TX_ABORTED` once SQLite has rolled it back by itself, and `ERR_SLUICE_TX_TIMEOUT` once it was rolled back because it was
 * idle, or lasted, for too long.
 */
export declare class Transaction extends Writes {
	#private;
	private constructor();
	/** Tells whether it can be used: it has not been committed or rolled back, by its holder or for taking too long. */
	get open(): boolean;
	/**
	 * Runs `callback` in a transaction within this one: a savepoint ({@link https://sqlite.org/lang_savepoint.html}). It is kept when the
	 * callback returns, as part of this one, and undone when it throws. Several run one after another. Calls on this transaction wait
	 * until it has ended; made in the callback itself they are rejected (`ERR_SLUICE_REENTRANT`): use its own `tx`.
	 *
	 * @throws what the callback throws; as `commit`
	 */
	transaction<R>(callback: (tx: Transaction) => Promise<R> | R): Promise<R>;
	/**
	 * Begins a transaction within this one that ends with its own `commit()`, `rollback()` or the end of an `await using` block: a savepoint,
	 * for code that cannot be a callback. Until then calls on this transaction are rejected (`ERR_SLUICE_REENTRANT`), but for `rollback`,
	 * which undoes both.
	 *
	 * @throws as {@link Transaction.transaction}, but for its callback
	 */
	begin(): Promise<Transaction>;
	/**
	 * Calls `callback` after the commit, before `commit` or `transaction` returns. Of a nested transaction: after the commit of the
	 * outermost one. It is not called after a rollback. What it throws does not change that the transaction is committed: it is an
	 * uncaught error.
	 */
	afterCommit(callback: () => unknown): void;
	/**
	 * Commits. What was called before and not awaited is part of it.
	 *
	 * @throws {@link SqliteError}: a deferred foreign key or a lock of another process that refuses the commit leaves the transaction open
	 * @throws {@link SluiceError}: `ERR_SLUICE_TX_ABORTED` when SQLite has rolled back; `ERR_SLUICE_TX_CLOSED`; `ERR_SLUICE_TX_TIMEOUT`;
	 * `ERR_SLUICE_OUTCOME_UNKNOWN` after an I/O error, when it may have taken effect or not
	 */
	commit(): Promise<void>;
	/**
	 * Rolls back. Succeeds too when SQLite has done so by itself.
	 *
	 * @throws `ERR_SLUICE_TX_CLOSED`; `ERR_SLUICE_TX_TIMEOUT`
	 */
	rollback(): Promise<void>;
	/** Rolls back at the end of an `await using` block, unless it was committed. */
	[Symbol.asyncDispose](): Promise<void>;
}
/**
 * Has a database for itself: no other connection of this process is open. Made by {@link Database.writeMode}.
 *
 * There is no transaction but those that are begun here; BEGIN and COMMIT as text are allowed.
 */
export declare class WriteMode extends Writes {
	#private;
	private constructor();
	/**
	 * Runs `callback` in a transaction, which is committed when it returns and rolled back when it throws. Several run one after another.
	 *
	 * @throws what the callback throws; as {@link Transaction.commit}
	 */
	transaction<R>(callback: (tx: Transaction) => Promise<R> | R, options?: Pick<BeginOptions, "behavior">): Promise<R>;
}
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
export declare class Database extends Writes {
	#private;
	private constructor();
	/** Holds the absolute path that was fixed at `open`; `':memory:'` and `''` stand for themselves. */
	get path(): string;
	/** Tells whether `close` has been called. */
	get closed(): boolean;
	/**
	 * Counts the handles on this database in the process that are not closed: those of `open` and `connect`, by any name of the file and in any
	 * worker thread, and those of `handle()`.
	 */
	get handleCount(): number;
	/**
	 * Waits until the database is open. Only a database made by {@link connect} is not open from its beginning.
	 *
	 * @throws what {@link open} throws; `ERR_SLUICE_CLOSED` when it has been closed
	 */
	ready(): Promise<void>;
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
	transaction<R>(callback: (tx: Transaction) => Promise<R> | R, options?: TransactionOptions): Promise<R>;
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
	begin(options?: BeginOptions): Promise<Transaction>;
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
	read<R>(callback: (r: ReadSession) => Promise<R> | R, options?: SessionOptions): Promise<R>;
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
	writeMode<R>(callback: (w: WriteMode) => Promise<R> | R, options?: SessionOptions): Promise<R>;
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
	batch(items: readonly BatchItem[], options?: CallOptions): Promise<ExecuteResult[]>;
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
	handle(): Database;
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
	checkpoint(mode?: CheckpointMode): Promise<CheckpointResult>;
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
	mirror(options?: MirrorOptions): Promise<Mirror>;
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
	pragma<T = Row>(name: string, value?: string | number | boolean): Promise<T[]>;
	/** Returns what the manager of this database is doing. It costs no wait, and works after `close` too. */
	status(): Status;
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
	metrics(): string;
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
	metric(name: string, labels?: MetricLabels): number;
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
	close(options?: CloseOptions): Promise<void>;
	/** Closes the handle at the end of an `await using` block. */
	[Symbol.asyncDispose](): Promise<void>;
}
/**
 * Opens a database. The file is created if there is none, and gets a write-ahead log if it is new.
 *
 * A file that is open in this process already, under any name and in any worker thread, is not opened again: the handles share its
 * connections, its queue and its status. `integers`, `dates`, `rowMode`, `ordering` and the limits of transactions and read sessions belong to
 * the handle; other options must be those it was opened with, or be left out. Handles that are `readonly`, and those opened by a URI, have
 * connections of their own, and meet the others as another process would. Close every handle when it is no longer needed: the file is closed
 * with the last one.
 *
 * @param path - the file: a path, a `file:` URL, or the raw bytes of a path; `':memory:'` and `''` stand for a private database in
 * memory. A relative path is made absolute at once.
 * @param options - what to do differently from the defaults
 * @throws `SluiceError` before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION` also
 * where the file is open with other options
 * @throws `SqliteError`: `SQLITE_CANTOPEN` for a file that is missing, a directory or out of bounds; `SQLITE_NOTADB`; `SQLITE_BUSY`
 * when another process has it for itself
 * @throws `SluiceError`: `ERR_SLUICE_NETWORK_FILE_SYSTEM` where a write-ahead log cannot work
 *
 * @example
 * ```ts
 * import { open } from 'sluice'
 *
 * const db = await open('app.db')
 * try {
 *   await db.exec('CREATE TABLE IF NOT EXISTS visits (at TEXT NOT NULL)')
 *   await db.run('INSERT INTO visits (at) VALUES (?)', [new Date().toISOString()])
 *   console.log(await db.get('SELECT count(*) AS visits FROM visits'))
 * } finally {
 *   await db.close()
 * }
 * ```
 */
export declare function open(path: string | URL | Uint8Array, options?: OpenOptions): Promise<Database>;
/**
 * Starts to open a database, and returns it at once: for where nothing can be awaited, such as the top of a CommonJS module. Otherwise it
 * is {@link open}.
 *
 * Calls wait until the database is open; each is rejected with the reason if it cannot be opened, and so is {@link Database.ready}. Until
 * then `iterate`, `handle` and `status`, which cannot wait, throw `ERR_SLUICE_INVALID_ARGUMENT`.
 *
 * @throws at once, before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION`
 *
 * @example
 * ```ts
 * const db = connect('app.db')
 *
 * export async function countUsers() {
 *   const [n] = await db.pluck<number>('SELECT count(*) FROM users')
 *   return n
 * }
 * ```
 */
export declare function connect(path: string | URL | Uint8Array, options?: OpenOptions): Database;

export {};
