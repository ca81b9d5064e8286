import { binding } from './binding.js'
import type { BindingConfig, BindingDatabase } from './binding.js'
import { Call } from './call.js'
import { environmentChannel } from './channel.js'
import type { Channel } from './channel.js'
import { SluiceError } from './errors.js'
import { kindOf } from './kinds.js'
import { locationText } from './location.js'
import type { Location } from './location.js'
import { isPragmaName } from './options.js'
import type { CallMode } from './options.js'
import { QueryCache, expectSql } from './queries.js'
import type { RowForm } from './rows.js'
import type { Status } from './types.js'
import { INTEGERS_BIGINT } from './layout.js'

/** Starts the calls of one handle on a database. What a call came to is for the public method to say, after its `await`. */
export class Handle {
  /** The path that was fixed when the handle was made. */
  readonly path: string
  /** What calls do that say nothing else. */
  readonly mode: CallMode
  readonly #binding: BindingDatabase
  readonly #channel: Channel
  readonly #queries: QueryCache
  /** The one closing call, once there is one: nothing is admitted after it. */
  #closing: Call | null = null

  constructor(location: Location, config: BindingConfig, mode: CallMode) {
    this.path = locationText(location)
    this.mode = mode
    this.#channel = environmentChannel()
    this.#binding = new binding.BindingDatabase(this.#channel.binding, location, config)
    this.#queries = new QueryCache(this.#binding)
  }

  /** Whether `close` has been called. */
  get closed(): boolean {
    return this.#closing !== null
  }

  open(): Call {
    return this.#command(undefined, (number) => this.#binding.open(number))
  }

  /** Starts a statement. `take` says which rows are wanted, and `form` how they are made. */
  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, take: number): Call {
    this.#expectOpen()
    const { packer } = this.#channel
    const byteLength = packer.pack(mode.integers | take, params, mode.dates)
    const query = this.#queries.lookup(sql)
    const call = new Call(this, query, sql, form, mode.integers === INTEGERS_BIGINT)
    const number = this.#channel.enter(call)
    packer.address(number, query.id)
    try {
      this.#binding.submit(byteLength, packer.takeExtras())
    } catch (error) {
      this.#channel.leave(number)
      throw error
    } finally {
      this.#queries.giveBack(query)
    }
    return call
  }

  script(sql: string): Call {
    this.#expectOpen()
    expectSql(sql)
    return this.#command(sql, (number) => this.#binding.script(number, sql))
  }

  pragma(name: string, value: unknown): Call {
    this.#expectOpen()
    if (!isPragmaName(name)) throw invalid('name must be the name of a PRAGMA, with or without a schema')
    const argument = pragmaArgument(value)
    return this.#command(`PRAGMA ${name}`, (number) => this.#binding.pragma(number, name, argument))
  }

  /** Starts to close, or returns the call that has started already. */
  close(timeoutMs: number): Call {
    this.#closing ??= this.#command(undefined, (number) => this.#binding.close(number, timeoutMs))
    return this.#closing
  }

  status(): Status {
    const status = this.#binding.status()
    if (status === null) throw new Error('BUG: the status of a database that has not been opened')
    const { writer, wal, counters } = status
    return {
      ...status,
      writer: { ...writer, holder: writer.holder ?? null },
      wal: { ...wal, oldestReaderMs: wal.oldestReaderMs ?? null },
      counters: Object.fromEntries(counters.map(({ name, value }) => [name, value])),
    }
  }

  #command(sql: string | undefined, send: (number: number) => void): Call {
    const call = new Call(this, null, sql, 'object', false)
    const number = this.#channel.enter(call)
    try {
      send(number)
    } catch (error) {
      this.#channel.leave(number)
      throw error
    }
    return call
  }

  #expectOpen(): void {
    if (this.#closing !== null) throw new SluiceError('ERR_SLUICE_CLOSED', `the database '${this.path}' has been closed`)
  }
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
