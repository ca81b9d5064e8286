import type { Call } from './call.js'
import type { ExecuteResult, RunResult } from './types.js'

/** Returns what a statement returned and changed. */
export function executeResult<T>(call: Call): ExecuteResult<T> {
  return {
    columns: call.shape.columns,
    rows: call.takeRows() as T[],
    changes: call.changes,
    lastInsertRowid: call.lastInsertRowid,
    route: call.wrote ? 'write' : 'read',
  }
}

/** Returns what a statement changed. */
export function runResult(call: Call): RunResult {
  return { changes: call.changes, lastInsertRowid: call.lastInsertRowid }
}
