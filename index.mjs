// Generated from js/ by `npm run build:js`; do not edit.
import loaded from './core.cjs'

if (loaded.error) throw loaded.error

export const {
  Database,
  SluiceError,
  SqliteError,
  Statement,
  isSluiceError,
  open,
} = loaded.core
