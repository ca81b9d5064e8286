// Generated from js/ by `npm run build:js`; do not edit.
import loaded from './core.cjs'

if (loaded.error) throw loaded.error

export const {
  AbortError,
  Database,
  Mirror,
  ReadSession,
  ReadStatement,
  RowIterator,
  SluiceError,
  Snapshot,
  SqliteError,
  Statement,
  Transaction,
  WriteMode,
  connect,
  isSluiceError,
  open,
  openLog,
} = loaded.core
