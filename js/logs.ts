import { performance } from 'node:perf_hooks'

import { binding } from './binding.js'
import type { BindingLog, BindingRecord } from './binding.js'
import { SluiceError } from './errors.js'
import { kindOf } from './kinds.js'
import { choice, complete } from './options.js'
import type { Rule, Rules } from './options.js'
import { nextTurn } from './turn.js'

/** How much a log tells: each level tells what those before it do, and more. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** Tells of one thing that happened. */
export interface LogRecord {
  /** How much it matters. */
  readonly level: LogLevel
  /** What it is about: `'statement'`, `'transaction'`, `'group'`, `'reader'`, `'writer'`, `'gate'`, `'checkpoint'`, `'open'`, `'close'` … */
  readonly target: string
  /** What happened, in words that do not change: `'ran'`, `'mode switched'`, `'opened'` … */
  readonly message: string
  /** The path of the database, as `db.path` has it; every in-memory database is `':memory:'`. `null` where nobody knows. */
  readonly database: string | null
  /** When, in milliseconds since 1970, with fractions. */
  readonly timeMs: number
  /** What there is to say of it, by name. Names that end in `Us` are in microseconds, in `Ms` in milliseconds. */
  readonly fields: { readonly [name: string]: string | number | boolean }
}

/** Options of `openLog`. Unknown keys, and values of the wrong kind, are errors (`ERR_SLUICE_INVALID_OPTION`). */
export interface LogOptions {
  /**
   * How much it tells at first.
   * @defaultValue 'info'
   */
  readonly level?: LogLevel | undefined
  /**
   * The one database it tells of, as its `path` has it. A file that is open already is known by any of its names.
   * @defaultValue all of the process
   */
  readonly database?: string | undefined
}

/** Is a log that was opened with {@link openLog}. */
export interface Log {
  /**
   * How much it tells. May be set at any time; what was recorded before is told all the same.
   *
   * @throws `ERR_SLUICE_INVALID_ARGUMENT` when it is set to anything else
   */
  level: LogLevel
  /** Counts the records that were dropped, because 65,536 were waiting to be told already. */
  readonly lost: number
  /** Tells what was recorded before, and then nothing any more. May be called more than once. */
  close(): void
}

const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace']
const LEVEL = choice<LogLevel>('info', LEVELS)
const DATABASE: Rule<string | undefined> = {
  initial: undefined,
  expected: 'the path of a database',
  accepts: (value) => typeof value === 'string',
}
const LOG_RULES: Rules<{ level: LogLevel; database: string | undefined }> = { level: LEVEL, database: DATABASE }

/** How many records are taken at once. */
const BATCH = 256
/** How long records are told in one turn of the event loop, in milliseconds. */
const TURN_BUDGET_MS = 4

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
export function openLog(listener: (record: LogRecord) => void, options?: LogOptions): Log {
  if (typeof listener !== 'function') throw invalid(`the listener must be a function, not ${kindOf(listener)}`)
  const { level, database } = complete(LOG_RULES, options)
  return new OpenLog(listener, level, database)
}

/** The logs that are open in this environment. */
const logs = new Set<OpenLog>()
let endsWithProcess = false

/** Node tells the addon nothing when the main thread calls `process.exit` or throws; and what was recorded last should be told. */
function endWithProcess(): void {
  if (endsWithProcess) return
  endsWithProcess = true
  process.once('exit', () => {
    for (const log of logs) log.endWithProcess()
  })
}

class OpenLog implements Log {
  readonly #binding: BindingLog
  readonly #listener: (record: LogRecord) => void
  #level: LogLevel
  /** Whether records are being told: a listener may close the log. */
  #telling = false
  /** The records that are being told, and how many of them have been. */
  #batch: BindingRecord[] = []
  #told = 0
  /** Whether the rest is left to a later turn. */
  #deferred = false
  #closed = false

  constructor(listener: (record: LogRecord) => void, level: LogLevel, database: string | undefined) {
    this.#listener = listener
    this.#level = level
    // In memory there are no paths: '' and ':memory:' are alike.
    this.#binding = new binding.BindingLog(() => this.#wake(), numberOf(level), database === '' ? ':memory:' : (database ?? null))
    logs.add(this)
    endWithProcess()
  }

  get level(): LogLevel {
    return this.#level
  }

  set level(level: LogLevel) {
    if (!LEVEL.accepts(level)) throw invalid(`level must be ${LEVEL.expected}`)
    this.#level = level
    this.#binding.setLevel(numberOf(level))
  }

  get lost(): number {
    return this.#binding.lost
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // Nothing more is recorded, so that there is an end to what is told.
    this.#binding.setLevel(0)
    if (!this.#telling) this.#tellAll()
  }

  /** Closes it as `close` does. A listener that ends the process does not come back to the records that are left. */
  endWithProcess(): void {
    this.close()
    if (this.#telling) this.#tellAll()
  }

  #wake(): void {
    if (!this.#deferred && !this.#closed) this.#tell()
  }

  /** Tells what is there, until there is no more or the turn has lasted long enough. */
  #tell(): void {
    const deadline = performance.now() + TURN_BUDGET_MS
    while (this.#tellBatch()) {
      if (this.#closed) return this.#tellAll()
      if (performance.now() > deadline) return this.#defer()
    }
    if (this.#closed) this.#end()
  }

  #tellAll(): void {
    while (this.#tellBatch());
    this.#end()
  }

  /** Tells some records. Returns whether there were any. */
  #tellBatch(): boolean {
    if (this.#told === this.#batch.length) [this.#batch, this.#told] = [this.#binding.take(BATCH), 0]
    const hasRecords = this.#told < this.#batch.length
    this.#telling = true
    while (this.#told < this.#batch.length) this.#tellOne(this.#batch[this.#told++]!)
    this.#telling = false
    return hasRecords
  }

  #tellOne(record: BindingRecord): void {
    try {
      this.#listener(recordOf(record))
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #defer(): void {
    this.#deferred = true
    nextTurn(() => {
      this.#deferred = false
      if (!this.#closed) this.#tell()
    })
  }

  #end(): void {
    logs.delete(this)
    this.#binding.close()
  }
}

function recordOf({ level, target, message, database, timeMs, names, values }: BindingRecord): LogRecord {
  const fields: { [name: string]: string | number | boolean } = {}
  for (const [index, name] of names.entries()) fields[name] = values[index] as string | number | boolean
  return { level, target, message, database: database ?? null, timeMs, fields }
}

/** The number by which the addon knows a level; 0 is none. */
function numberOf(level: LogLevel): number {
  return LEVELS.indexOf(level) + 1
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
