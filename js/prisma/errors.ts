import { DriverAdapterError } from '@prisma/driver-adapter-utils'
import type { MappedError } from '@prisma/driver-adapter-utils'
import { SluiceError, SqliteError } from 'sluice'

/** How SQLite names what it says of a constraint, and of what is missing. In a script, the driver says first which statement it was. */
const FOREIGN_KEY = 'FOREIGN KEY constraint failed'
const NO_TABLE = 'no such table: '
const NO_COLUMN = 'no such column: '
const NO_NAMED_COLUMN = ' has no column named '

/**
 * Returns what Prisma is to be told of a failure: an error of a kind that it knows, with the code and message of the driver as
 * `originalCode` and `originalMessage`; or the failure itself, which Prisma hands on as it is.
 */
export function toPrismaError(error: unknown): unknown {
  const mapped = mappedError(error)
  if (mapped === undefined) return error
  const { code, message } = error as SluiceError
  return new DriverAdapterError({ originalCode: code, originalMessage: message, ...mapped })
}

/** Waits for `work`, and throws what {@link toPrismaError} makes of its failure. */
export async function withPrismaErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw toPrismaError(error)
  }
}

function mappedError(error: unknown): MappedError | undefined {
  if (error instanceof SqliteError) return sqliteError(error)
  if (error instanceof SluiceError) return driverError(error)
  return undefined
}

function sqliteError(error: SqliteError): MappedError {
  switch (error.code) {
    case 'SQLITE_CONSTRAINT_UNIQUE':
    case 'SQLITE_CONSTRAINT_PRIMARYKEY':
      return { kind: 'UniqueConstraintViolation', ...violated(error.constraint) }
    case 'SQLITE_CONSTRAINT_NOTNULL':
      return { kind: 'NullConstraintViolation', ...violated(error.constraint) }
    case 'SQLITE_CONSTRAINT_FOREIGNKEY':
      return foreignKeyError()
    case 'SQLITE_CONSTRAINT_TRIGGER':
      // ON DELETE RESTRICT is a trigger of SQLite's own. Those of the schema say something else.
      return error.message.endsWith(FOREIGN_KEY) ? foreignKeyError() : otherError(error)
    case 'SQLITE_BUSY_SNAPSHOT':
      return { kind: 'TransactionWriteConflict' }
    case 'SQLITE_ERROR':
      return missing(error.message) ?? otherError(error)
    default:
      return error.code.startsWith('SQLITE_BUSY') ? { kind: 'SocketTimeout' } : otherError(error)
  }
}

function driverError(error: SluiceError): MappedError | undefined {
  switch (error.code) {
    case 'ERR_SLUICE_ACQUIRE_TIMEOUT':
    case 'ERR_SLUICE_TIMEOUT':
      return { kind: 'SocketTimeout' }
    case 'ERR_SLUICE_OVERLOADED':
      return { kind: 'TooManyConnections', cause: error.message }
    case 'ERR_SLUICE_CLOSED':
      return { kind: 'ConnectionClosed' }
    case 'ERR_SLUICE_OUT_OF_RANGE':
      return { kind: 'ValueOutOfRange', cause: error.message }
    case 'ERR_SLUICE_TX_ABORTED':
    case 'ERR_SLUICE_TX_CLOSED':
    case 'ERR_SLUICE_TX_TIMEOUT':
    case 'ABORT_ERR':
      return { kind: 'TransactionAlreadyClosed', cause: error.message }
    default:
      return undefined
  }
}

/** Makes the error of a foreign key. SQLite does not say which. */
export function foreignKeyError(): MappedError {
  return { kind: 'ForeignKeyConstraintViolation', constraint: { foreignKey: {} } }
}

function otherError(error: SqliteError): MappedError {
  return { kind: 'sqlite', extendedCode: error.errno, message: error.message }
}

/** Reads what SQLite calls a constraint: `users.email, users.tenant` or `index 'name'`. */
function violated(constraint: string | undefined): { constraint?: { fields: string[] } | { index: string }; table?: string } {
  if (constraint === undefined) return {}
  if (constraint.startsWith("index '")) return { constraint: { index: constraint.slice("index '".length, -1) } }
  const columns = constraint.split(', ')
  const table = columns[0]!.slice(0, Math.max(0, columns[0]!.lastIndexOf('.')))
  return { constraint: { fields: columns.map((column) => column.slice(column.lastIndexOf('.') + 1)) }, table }
}

/** Reads which table or column there is not. */
function missing(message: string): MappedError | undefined {
  const table = textAfter(message, NO_TABLE)
  if (table !== undefined) return { kind: 'TableDoesNotExist', table }
  const column = textAfter(message, NO_COLUMN) ?? textAfter(message, NO_NAMED_COLUMN)
  return column === undefined ? undefined : { kind: 'ColumnNotFound', column }
}

function textAfter(message: string, words: string): string | undefined {
  const start = message.indexOf(words)
  return start < 0 ? undefined : message.slice(start + words.length)
}
