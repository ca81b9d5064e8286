export { Database } from './database.js'
export { SluiceError, SqliteError, isSluiceError } from './errors.js'
export type { SluiceErrorCode, SluiceErrorDetails, SqliteErrorCode, SqliteErrorDetails } from './errors.js'
export { open } from './open.js'
export type { OpenOptions } from './options.js'
export { Statement } from './statement.js'
export type {
  CallOptions,
  CloseOptions,
  Column,
  DateMode,
  ExecuteResult,
  IntegerMode,
  Route,
  Row,
  RowMode,
  RunResult,
  SqlParameter,
  SqlParameters,
  SqlValue,
  Status,
  ValueOptions,
} from './types.js'
