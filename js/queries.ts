import type { BindingDatabase } from './binding.js'
import { SluiceError } from './errors.js'
import { kindOf } from './kinds.js'
import type { Shape } from './shape.js'

/** How many texts a generation holds; two generations are kept. */
const GENERATION_SIZE = 512
/** How long the texts of a generation may be together, in UTF-16 units. */
const GENERATION_LENGTH = 4_194_304
/** A longer text, in UTF-16 units, is known only for its call. */
const MAX_KEPT_LENGTH = 1_048_576
/** One more than the addon keeps per query, and some for results that are still under way. */
const MAX_SHAPES = 16

/** A text of SQL that the addon knows by number, and the shapes its results have had. */
export class Query {
  readonly id: number
  readonly sql: string
  readonly #shapes: Shape[] = []
  #latest: Shape | null = null

  constructor(id: number, sql: string) {
    this.id = id
    this.sql = sql
  }

  /** Keeps a shape that the addon tells once. */
  learn(shape: Shape): void {
    if (this.#shapes.length === MAX_SHAPES) this.#shapes.shift()
    this.#shapes.push(shape)
    this.#latest = shape
  }

  /** Returns the shape with this number. */
  shape(id: number): Shape | undefined {
    if (this.#latest?.id === id) return this.#latest
    const known = this.#shapes.find((shape) => shape.id === id)
    if (known !== undefined) this.#latest = known
    return known
  }
}

/**
 * Keeps the queries of one handle that were used lately: at most twice {@link GENERATION_SIZE}.
 *
 * Two generations instead of a list by last use: a text in use costs one `Map.get`. When the young generation is full, it
 * becomes the old one, and what the old one still holds, unused for a whole generation, is forgotten.
 */
export class QueryCache {
  readonly #binding: BindingDatabase
  readonly #flush: () => void
  #young = new Map<string, Query>()
  #old = new Map<string, Query>()
  /** How long the texts of the young generation are together. */
  #length = 0

  /** `flush` hands over the requests that still name a query. */
  constructor(binding: BindingDatabase, flush: () => void) {
    this.#binding = binding
    this.#flush = flush
  }

  /** Returns the query for `sql`, to be given back. Throws `ERR_SLUICE_INVALID_ARGUMENT` for what is no text. */
  lookup(sql: string): Query {
    return this.#young.get(sql) ?? this.#lookupSlowly(sql)
  }

  /** Takes `query` back from a call that was submitted, and forgets it if it is of those that are not kept. */
  giveBack(query: Query): void {
    if (query.sql.length > MAX_KEPT_LENGTH) this.#forget(query)
  }

  #lookupSlowly(sql: string): Query {
    const old = this.#old.get(sql)
    if (old !== undefined) {
      this.#old.delete(sql)
      this.#keep(old)
      return old
    }
    expectSql(sql)
    const query = new Query(this.#binding.intern(sql), sql)
    if (sql.length <= MAX_KEPT_LENGTH) this.#keep(query)
    return query
  }

  #keep(query: Query): void {
    if (this.#young.size === GENERATION_SIZE || this.#length > GENERATION_LENGTH) this.#turnGeneration()
    this.#young.set(query.sql, query)
    this.#length += query.sql.length
  }

  #turnGeneration(): void {
    for (const unused of this.#old.values()) this.#forget(unused)
    this.#old = this.#young
    this.#young = new Map()
    this.#length = 0
  }

  #forget(query: Query): void {
    this.#flush()
    this.#binding.forget(query.id)
  }
}

/** Throws `ERR_SLUICE_INVALID_ARGUMENT` unless `sql` is a text that SQLite reads to its end. */
export function expectSql(sql: unknown): asserts sql is string {
  if (typeof sql !== 'string') throw invalid(`SQL must be a string, not ${kindOf(sql)}`)
  if (sql.includes('\0')) throw invalid('SQL must not hold a NUL character: SQLite would stop reading there')
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
