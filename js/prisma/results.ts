import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils'
import type { ColumnType, SqlResultSet } from '@prisma/driver-adapter-utils'
import type { Column, ExecuteResult, SqlValue } from 'sluice'

/** A result whose INTEGER values are all `bigint`, which tells them from REAL ones. */
export type ExactResult = ExecuteResult<SqlValue[]>

/** The types that a column may be declared with, as Prisma's own adapters know them. */
const DECLARED: ReadonlyMap<string, ColumnType> = new Map<string, ColumnType>([
  ...named(ColumnTypeEnum.Int32, 'TINYINT', 'SMALLINT', 'MEDIUMINT', 'INT', 'INTEGER', 'SERIAL', 'INT2'),
  ...named(ColumnTypeEnum.Int64, 'BIGINT', 'UNSIGNED BIG INT', 'INT8'),
  ...named(ColumnTypeEnum.Float, 'FLOAT'),
  ...named(ColumnTypeEnum.Double, 'DOUBLE', 'DOUBLE PRECISION', 'NUMERIC', 'REAL'),
  ...named(ColumnTypeEnum.Numeric, 'DECIMAL'),
  ...named(ColumnTypeEnum.Boolean, 'BOOLEAN'),
  ...named(ColumnTypeEnum.DateTime, 'DATETIME', 'TIMESTAMP'),
  ...named(ColumnTypeEnum.Date, 'DATE'),
  ...named(ColumnTypeEnum.Time, 'TIME'),
  ...named(ColumnTypeEnum.Text, 'TEXT', 'CLOB', 'CHARACTER', 'VARCHAR', 'VARYING CHARACTER', 'NCHAR', 'NATIVE CHARACTER', 'NVARCHAR'),
  ...named(ColumnTypeEnum.Bytes, 'BLOB'),
  ...named(ColumnTypeEnum.Json, 'JSONB'),
])

/** What SQLite's own functions make, which is in UTC and does not say so. */
const TIMESTAMP_OF_SQLITE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?$/

/** A DateTime as it is stored as text. */
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?$/

/** The kinds of values, of which a column without a declaration may hold several. */
const INTEGER = 1
const REAL = 2
const TEXT = 4
const BLOB = 8

/** The declared types of results that had these columns, of which the driver makes one for all results of a shape. */
const declaredTypes = new WeakMap<readonly Column[], readonly (ColumnType | undefined)[]>()

function named(type: ColumnType, ...names: string[]): [string, ColumnType][] {
  return names.map((name) => [name, type])
}

/** Turns a result of the driver into one of Prisma, in place. */
export function toResultSet({ columns, rows, lastInsertRowid }: ExactResult): SqlResultSet {
  const columnTypes = declaredOf(columns).map((declared, index) => columnType(declared, rows, index))
  for (const row of rows) {
    for (let index = 0; index < row.length; index++) row[index] = toValue(row[index]!, columnTypes[index]!)
  }
  const result: SqlResultSet = { columnNames: columns.map(({ name }) => name), columnTypes, rows }
  if (lastInsertRowid !== undefined) result.lastInsertId = String(lastInsertRowid)
  return result
}

function declaredOf(columns: readonly Column[]): readonly (ColumnType | undefined)[] {
  const known = declaredTypes.get(columns)
  if (known !== undefined) return known
  const types = columns.map(({ declaredType }) => (declaredType === null ? undefined : DECLARED.get(nameOf(declaredType))))
  declaredTypes.set(columns, types)
  return types
}

/** Takes the name out of `VARCHAR(20)`. */
function nameOf(declaredType: string): string {
  const arguments_ = declaredType.indexOf('(')
  return (arguments_ < 0 ? declaredType : declaredType.slice(0, arguments_)).trim().toUpperCase()
}

function columnType(declared: ColumnType | undefined, rows: readonly SqlValue[][], index: number): ColumnType {
  if (declared === undefined) return inferredType(rows, index)
  return declared === ColumnTypeEnum.Int32 && hasWide(rows, index) ? ColumnTypeEnum.Int64 : declared
}

function hasWide(rows: readonly SqlValue[][], index: number): boolean {
  return rows.some((row) => isWide(row[index]!))
}

/** Tells whether Prisma would round the value if the column were one of 32 bits: it makes numbers of those. */
function isWide(value: SqlValue): boolean {
  return typeof value === 'bigint' && !Number.isSafeInteger(Number(value))
}

/** Returns a type that can hold every value of the column. */
function inferredType(rows: readonly SqlValue[][], index: number): ColumnType {
  const kinds = kindsOf(rows, index)
  if ((kinds & BLOB) !== 0) return ColumnTypeEnum.Bytes
  if ((kinds & TEXT) !== 0) return kinds !== TEXT && holdsTimes(rows, index) ? ColumnTypeEnum.UnknownNumber : ColumnTypeEnum.Text
  if ((kinds & REAL) !== 0) return kinds !== REAL && hasWide(rows, index) ? ColumnTypeEnum.Numeric : ColumnTypeEnum.UnknownNumber
  return kinds === INTEGER ? ColumnTypeEnum.Int64 : ColumnTypeEnum.Int32
}

/** Returns the kinds of the values that are not NULL, as a set of bits. */
function kindsOf(rows: readonly SqlValue[][], index: number): number {
  let kinds = 0
  for (const row of rows) kinds |= kindOf(row[index]!)
  return kinds
}

function kindOf(value: SqlValue): number {
  switch (typeof value) {
    case 'bigint':
      return INTEGER
    case 'number':
      return REAL
    case 'string':
      return TEXT
    default:
      return value === null ? 0 : BLOB
  }
}

/**
 * Tells whether every text of the column is a time. Beside numbers, those are what `max` and the like find where both formats of a
 * DateTime are stored, and the client reads each by itself.
 */
function holdsTimes(rows: readonly SqlValue[][], index: number): boolean {
  return rows.every((row) => typeof row[index] !== 'string' || TIME.test(row[index]))
}

function toValue(value: SqlValue, type: ColumnType): SqlValue {
  if (type === ColumnTypeEnum.Bytes) return toBytes(value)
  switch (typeof value) {
    case 'bigint':
    case 'number':
      return toNumber(value, type)
    case 'string':
      return type === ColumnTypeEnum.DateTime ? toUtc(value) : value
    default:
      return value
  }
}

/** Beside blobs, texts and numbers are the bytes that SQLite would make of them: as texts, Prisma would take them for base64. */
function toBytes(value: SqlValue): SqlValue {
  return value === null || typeof value === 'object' ? value : Buffer.from(String(value))
}

function toNumber(value: bigint | number, type: ColumnType): number | string {
  if (type === ColumnTypeEnum.DateTime) return toTimestamp(Number(value))
  // JSON that is one number is stored as that: the declaration JSONB has the affinity NUMERIC. Texts have numbers beside them in
  // columns without a declaration.
  if (type === ColumnTypeEnum.Json || type === ColumnTypeEnum.Text) return String(value)
  if (typeof value === 'bigint') return isWide(value) ? String(value) : Number(value)
  return type === ColumnTypeEnum.Int32 || type === ColumnTypeEnum.Int64 ? Math.trunc(value) : value
}

function toTimestamp(milliseconds: number): string {
  const date = new Date(milliseconds)
  if (!Number.isNaN(date.getTime())) return date.toISOString()
  throw new DriverAdapterError({ kind: 'InconsistentColumnData', cause: `${milliseconds} is no time in milliseconds since 1970` })
}

function toUtc(text: string): string {
  return TIMESTAMP_OF_SQLITE.test(text) ? `${text.replace(' ', 'T')}Z` : text
}
