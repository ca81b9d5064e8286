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
  if (declared === ColumnTypeEnum.Int32) return rows.some((row) => isWide(row[index]!)) ? ColumnTypeEnum.Int64 : declared
  return declared ?? inferredType(rows.find((row) => row[index] !== null)?.[index])
}

/** Tells whether Prisma would round the value if the column were one of 32 bits: it makes numbers of those. */
function isWide(value: SqlValue): boolean {
  return typeof value === 'bigint' && !Number.isSafeInteger(Number(value))
}

/** Returns the type of the first value that is not NULL. */
function inferredType(value: SqlValue | undefined): ColumnType {
  switch (typeof value) {
    case 'bigint':
      return ColumnTypeEnum.Int64
    case 'number':
      return ColumnTypeEnum.UnknownNumber
    case 'string':
      return ColumnTypeEnum.Text
    case 'object':
      return ColumnTypeEnum.Bytes
    default:
      return ColumnTypeEnum.Int32
  }
}

function toValue(value: SqlValue, type: ColumnType): SqlValue {
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

function toNumber(value: bigint | number, type: ColumnType): number | string {
  if (type === ColumnTypeEnum.DateTime) return toTimestamp(Number(value))
  // JSON that is one number is stored as that: the declaration JSONB has the affinity NUMERIC.
  if (type === ColumnTypeEnum.Json) return String(value)
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
