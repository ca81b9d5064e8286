import { bufferFromBytes, castToText, dateFromStoredMilliseconds, dateFromStoredSeconds, refineSqliteCodecs } from 'drizzle-orm/sqlite-core'
import type { SQLiteCodecs } from 'drizzle-orm/sqlite-core'
import { sql } from 'drizzle-orm/sql'
import type { SQLChunk } from 'drizzle-orm/sql'

/** How SQLite writes an INTEGER as text, */
const INTEGER_TEXT = /^(?:0|-?[1-9]\d*)$/
/** and a REAL, which has a point in any case: `1.0e+20`. */
const REAL_TEXT = /^-?\d+\.\d+(?:e[+-]\d+)?$/

/**
 * Says how values of each kind of column come out of the driver. What differs from the other drivers of drizzle:
 *
 * - an `integer` inside a relational query is exact: a `number` when it is a safe integer, otherwise a `bigint`, as in every other query.
 *   In JSON it would be rounded.
 * - a `blob` that is NULL is `null` inside a relational query too, not an empty `Buffer`.
 * - booleans and timestamps are what they are also when the database was opened with `integers: 'bigint'`.
 *
 * @example
 * ```ts
 * import { drizzle, sluiceCodecs } from 'sluice/drizzle-v1'
 *
 * const db = drizzle('app.db', { codecs: { ...sluiceCodecs, 'text:json': { normalize: parseCarefully } } })
 * ```
 */
export const sluiceCodecs: SQLiteCodecs = refineSqliteCodecs({
  integer: { castInJson: castToText, normalizeInJson: exactInteger },
  'integer:boolean': { normalize: (value: number | bigint) => Number(value) === 1 },
  'integer:timestamp': { normalize: (value: number | bigint | string) => dateFromStoredSeconds(withoutBigInt(value)) },
  'integer:timestamp_ms': { normalize: (value: number | bigint | string) => dateFromStoredMilliseconds(withoutBigInt(value)) },
  'text:json': { normalize: JSON.parse },
  blob: { normalize: bufferFromBytes, castInJson: hexOrNull },
  'blob:json': { cast: castToText, normalize: JSON.parse },
  'blob:bigint': { cast: castToText, normalize: BigInt },
  numeric: { cast: castToText, normalize: String },
  'numeric:number': { normalize: Number },
  'numeric:bigint': { cast: castToText, normalize: BigInt },
})

/** Writes bytes as JSON can hold them; `hex` alone makes an empty text of NULL. */
function hexOrNull(column: SQLChunk): SQLChunk {
  return sql`iif(${column} is null, null, hex(${column}))`
}

/**
 * Reads the text of a value of an INTEGER column, which SQLite lets hold anything: only what SQLite itself writes for a number is one.
 * It keeps other text as it is, also what JavaScript would take for a number, such as `''` and `'0x10'`.
 */
function exactInteger(text: string): number | bigint | string {
  if (INTEGER_TEXT.test(text)) return exactWhole(text)
  return REAL_TEXT.test(text) ? Number(text) : text
}

function exactWhole(digits: string): number | bigint {
  const value = Number(digits)
  return Number.isSafeInteger(value) ? value : BigInt(digits)
}

/** Makes a time, which is far from 2^53, a number whatever `integers` says. */
function withoutBigInt(value: number | bigint | string): number | string {
  return typeof value === 'bigint' ? Number(value) : value
}
