// Generated from js/ by `npm run build:js`; do not edit.
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
		/** What is running, and for how long, in milliseconds; `null` when nothing is. */
		readonly holder: {
			readonly sql: string;
			readonly forMs: number;
		} | null;
	};
	/** How many calls wait for anything at all. */
	readonly queued: number;
	/** How many handles use these connections; 1, as each `open` makes its own. */
	readonly handles: number;
	/** The write-ahead log: {@link https://sqlite.org/wal.html}. */
	readonly wal: {
		/** Its size in bytes; 0 when there is none. */
		readonly bytes: number;
		/** How long the oldest read has kept it from being reset, in milliseconds; `null` when no read is running. */
		readonly oldestReaderMs: number | null;
	};
	/** What has been counted since the database was opened, by name. */
	readonly counters: {
		readonly [name: string]: number;
	};
}
/**
 * Options of `open`. Unknown keys, and values of the wrong kind or out of range, are errors (`ERR_SLUICE_INVALID_OPTION`).
 */
export interface OpenOptions {
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
	 * a value 8, and texts and BLOBs as many as they have: about what they take in the heap.
	 * @defaultValue 1_073_741_824
	 */
	readonly maxResultBytes?: number | undefined;
	/**
	 * How many prepared statements each connection keeps, 1 to 65,536.
	 * @defaultValue 128
	 */
	readonly statementCacheSize?: number | undefined;
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
/**
 * Runs one text of SQL again and again, with other values each time. Made by {@link Database.prepare}.
 *
 * It belongs to its handle, not to a connection: each connection prepares it when it first runs there, and again when the schema
 * has changed. There is nothing to close.
 *
 * Its methods do what those of the same name on {@link Database} do, and fail with the same errors.
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
export declare class Statement<P extends SqlParameters = SqlParameters, T = Row> {
	#private;
	/** Holds the text. */
	readonly sql: string;
	private constructor();
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
	/** Runs the statement and returns what it changed. See {@link Database.run}. */
	run(params?: P, options?: ValueOptions): Promise<RunResult>;
	/**
	 * Returns the columns the statement would have if it were run now, without running it. Empty for one that returns no rows.
	 *
	 * @throws {@link SqliteError} for what SQLite cannot prepare, and errors of the driver as {@link Database.execute}
	 */
	columns(): Promise<readonly Column[]>;
}
/**
 * Gives access to one database. Made by {@link open}.
 *
 * Every call may be started at any time, also while others are under way: reads run in parallel, each on its own snapshot, and writes one
 * after another in the order of their calls. Values are those of the moment of the call. A resolved write is committed.
 *
 * Beside the errors named at each method, every call can be rejected with `ERR_SLUICE_CLOSED` once `close` has been called,
 * `ERR_SLUICE_OVERLOADED` when `maxQueued` calls are waiting, `ERR_SLUICE_ACQUIRE_TIMEOUT` when its turn did not come in time, and
 * `ERR_SLUICE_PANIC` after a fault in the driver; the database stays usable.
 */
export declare class Database {
	#private;
	private constructor();
	/** Holds the absolute path that was fixed at `open`; `':memory:'` and `''` stand for themselves. */
	get path(): string;
	/** Tells whether `close` has been called. */
	get closed(): boolean;
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
	 * `changes()`; `ERR_SLUICE_TOO_LARGE` past `maxResultBytes`
	 * @throws {@link SluiceError}: `ERR_SLUICE_DECODE` when the rows could not be made, for want of memory perhaps; a write has
	 * committed then
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
	 * @throws as {@link Database.execute}
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
	 * @throws as {@link Database.execute}
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
	 * @throws as {@link Database.execute}
	 */
	values(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<SqlValue[][]>;
	/**
	 * Runs one statement and returns the first column of all rows.
	 *
	 * @typeParam V - a value of that column; nothing checks that it is one
	 * @throws as {@link Database.execute}
	 *
	 * @example
	 * ```ts
	 * const names = await db.pluck<string>('SELECT name FROM users ORDER BY name')
	 * ```
	 */
	pluck<V = SqlValue>(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<V[]>;
	/**
	 * Runs one statement and returns what it changed. Rows it may return are not carried over.
	 *
	 * @throws as {@link Database.execute}
	 *
	 * @example
	 * ```ts
	 * const { lastInsertRowid } = await db.run('INSERT INTO users (name) VALUES (?)', ['Ada'])
	 * ```
	 */
	run(sql: string, params?: SqlParameters, options?: ValueOptions): Promise<RunResult>;
	/**
	 * Runs the statement of a template literal and returns all rows. Values become parameters, never text: an array is no list of
	 * values, but an error.
	 *
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` when called as a plain function; otherwise as {@link Database.execute}
	 *
	 * @example
	 * ```ts
	 * const users = await db.sql<{ id: number }>`SELECT id FROM users WHERE name = ${name} AND age > ${age}`
	 * ```
	 */
	sql<T = Row>(strings: TemplateStringsArray, ...values: SqlParameter[]): Promise<T[]>;
	/**
	 * Runs a script of any number of statements, in order, on the writer; rows are not carried over. It stops at the first error,
	 * whose `statementIndex` says which statement it was. Without a BEGIN of the script's own, each statement commits by itself;
	 * a transaction that the script leaves open is rolled back, and `ERR_SLUICE_MANUAL_TRANSACTION` says so.
	 *
	 * @throws {@link SqliteError} and {@link SluiceError} as {@link Database.execute}, but for those on several statements; among them
	 * `ERR_SLUICE_INVALID_PARAMETER` for a script with parameters, and for values beside it: a script takes none
	 *
	 * @example
	 * ```ts
	 * await db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)')
	 * ```
	 */
	exec(script: string): Promise<void>;
	/**
	 * Prepares a statement to be run many times. Nothing is sent yet: errors in the text come with its first call.
	 *
	 * @typeParam P - the values it takes
	 * @typeParam T - a row; nothing checks that it is one
	 * @throws `ERR_SLUICE_INVALID_ARGUMENT` at once if `sql` is no string
	 */
	prepare<P extends SqlParameters = SqlParameters, T = Row>(sql: string): Statement<P, T>;
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
	 * Closes the handle, and the database with its last handle. Nothing new is admitted from now on, and what waits for its turn is rejected
	 * with `ERR_SLUICE_CLOSED`; what is under way finishes, or is interrupted after `timeoutMs`.
	 *
	 * May be called more than once: every caller gets the same outcome.
	 *
	 * @throws {@link SqliteError} when the file could not be closed in order
	 */
	close(options?: CloseOptions): Promise<void>;
	/** Closes the handle at the end of an `await using` block. */
	[Symbol.asyncDispose](): Promise<void>;
}
/**
 * Names every error of the driver itself. `docs/ERRORS.md` explains each.
 */
export type SluiceErrorCode = "ERR_SLUICE_ACQUIRE_TIMEOUT" | "ERR_SLUICE_BINDING_MISSING" | "ERR_SLUICE_CLOSED" | "ERR_SLUICE_CONNECTION_STATE" | "ERR_SLUICE_DATABASE_REPLACED" | "ERR_SLUICE_DECODE" | "ERR_SLUICE_INVALID_ARGUMENT" | "ERR_SLUICE_INVALID_OPTION" | "ERR_SLUICE_INVALID_PARAMETER" | "ERR_SLUICE_MANUAL_TRANSACTION" | "ERR_SLUICE_MULTIPLE_STATEMENTS" | "ERR_SLUICE_NETWORK_FILE_SYSTEM" | "ERR_SLUICE_NOT_AUTHORIZED" | "ERR_SLUICE_OUT_OF_RANGE" | "ERR_SLUICE_OVERLOADED" | "ERR_SLUICE_PANIC" | "ERR_SLUICE_PRAGMA" | "ERR_SLUICE_SQLITE_BUILD" | "ERR_SLUICE_TOO_LARGE" | "ERR_SLUICE_WAL_GONE";
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
 * Tells whether `value` is an error of the driver, from whichever copy of the package or realm: the same as
 * `value instanceof SluiceError`, for those who narrow types with functions.
 */
export declare function isSluiceError(value: unknown): value is SluiceError;
/**
 * Opens a database. The file is created if there is none, and gets a write-ahead log if it is new.
 *
 * Each call opens connections of its own, also on a file that is open already: open a file once, and share the handle. Close
 * every handle when it is no longer needed.
 *
 * @param path - the file: a path, a `file:` URL, or the raw bytes of a path; `':memory:'` and `''` stand for a private database in
 * memory. A relative path is made absolute at once.
 * @param options - what to do differently from the defaults
 * @throws `SluiceError` before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION`
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

export {};
