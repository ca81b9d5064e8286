export { Database } from './database.js'
export { AbortError, SluiceError, SqliteError, isSluiceError } from './errors.js'
export type { SluiceErrorCode, SluiceErrorDetails, SqliteErrorCode, SqliteErrorDetails } from './errors.js'
export { openLog } from './logs.js'
export type { Log, LogLevel, LogOptions, LogRecord } from './logs.js'
export type { MetricLabels } from './metrics.js'
export { Mirror, Snapshot } from './mirror.js'
export type { MirrorOptions, MirrorStatus, ReloadOptions } from './mirror-options.js'
export { connect, open } from './open.js'
export type { GroupCommitOptions, OpenOptions } from './options.js'
export { ReadSession } from './read-session.js'
export { RowIterator } from './row-iterator.js'
export { ReadStatement, Statement } from './statement.js'
export type { QueryOperation, SlowQuery, TracedConnect, TracedQuery, TracedTransaction, TracingOptions } from './tracing.js'
export { Transaction } from './transaction.js'
export type {
  BatchItem,
  BeginOptions,
  CallOptions,
  CheckpointMode,
  CheckpointResult,
  CloseOptions,
  Column,
  ColumnVector,
  ColumnarResult,
  DateMode,
  ExecOptions,
  ExecuteResult,
  IntegerMode,
  IterateOptions,
  NodeBuffer,
  Route,
  Row,
  RowMode,
  RunResult,
  SessionOptions,
  SqlParameter,
  SqlParameters,
  SqlValue,
  Status,
  TransactionBehavior,
  TransactionOptions,
  ValueOptions,
} from './types.js'
export { WriteMode } from './write-mode.js'
