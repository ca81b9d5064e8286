import type { Call, Settlers } from './call.js'
import { columnarResult } from './columnar.js'
import { jsonResult, jsonTake } from './json.js'
import { rowCallMode, valueCallMode } from './options.js'
import type { CallMode } from './options.js'
import { executeResult, runResult } from './results.js'
import { copyParams } from './params.js'
import type { RowForm } from './rows.js'
import type { Runner } from './runner.js'
import type { QueryOperation } from './tracing.js'
import type { CallOptions, Column, NodeBuffer, RunResult } from './types.js'
import { later, withLimits } from './when-free.js'
import { DESCRIBE, TAKE_ALL, TAKE_FIRST, TAKE_NONE } from './layout.js'

/** A public method that runs one statement: what it asks for, and what it makes of the answer. */
export interface Method<R> {
  readonly operation: QueryOperation
  /** Checks the options of its caller. */
  readonly modeOf: (options: CallOptions | undefined, mode: CallMode) => CallMode
  /** How rows are made; `null`: as the options say. */
  readonly form: RowForm | null
  /** Which rows are wanted. */
  readonly take: (mode: CallMode) => number
  readonly resultOf: (call: Call) => R
}

const takeAll = (): number => TAKE_ALL
const takeFirst = (): number => TAKE_FIRST
const takeNone = (): number => TAKE_NONE
const describe = (): number => DESCRIBE
export const rowsOf = (call: Call): unknown[] => call.takeRows()
const firstOf = (call: Call): unknown => call.takeFirst()
const columnsOf = (call: Call): readonly Column[] => call.shape.columns

export const EXECUTE: Method<unknown> = { operation: 'execute', modeOf: rowCallMode, form: null, take: takeAll, resultOf: executeResult }
export const ALL: Method<unknown[]> = { operation: 'all', modeOf: rowCallMode, form: null, take: takeAll, resultOf: rowsOf }
export const GET: Method<unknown> = { operation: 'get', modeOf: rowCallMode, form: null, take: takeFirst, resultOf: firstOf }
export const VALUES: Method<unknown[]> = { operation: 'values', modeOf: valueCallMode, form: 'array', take: takeAll, resultOf: rowsOf }
export const PLUCK: Method<unknown[]> = { operation: 'pluck', modeOf: valueCallMode, form: 'pluck', take: takeAll, resultOf: rowsOf }
export const COLUMNAR: Method<unknown> = { operation: 'columnar', modeOf: valueCallMode, form: 'columnar', take: takeAll, resultOf: columnarResult }
export const EXECUTE_JSON: Method<NodeBuffer> = {
  operation: 'executeJson',
  modeOf: rowCallMode,
  form: 'json',
  take: (mode) => jsonTake(mode.rowMode),
  resultOf: jsonResult,
}
export const SQL: Method<unknown[]> = { operation: 'sql', modeOf: rowCallMode, form: null, take: takeAll, resultOf: rowsOf }
export const RUN: Method<RunResult> = { operation: 'run', modeOf: valueCallMode, form: 'array', take: takeNone, resultOf: runResult }
export const COLUMNS: Method<readonly Column[]> = { operation: 'columns', modeOf: valueCallMode, form: 'array', take: describe, resultOf: columnsOf }

/**
 * Runs a statement for a public method. Never throws: what is wrong with its arguments rejects, too.
 *
 * No `async` function, which would be a promise, a place to go on at, and a turn of the queue of microtasks more for each call.
 */
export function run<R>(method: Method<R>, runner: Runner, sql: string, params: unknown, options?: CallOptions): Promise<R> {
  try {
    if (runner.busy === null) return start(method, runner, sql, params, method.modeOf(options, runner.mode), null)
    const mode = method.modeOf(options, runner.mode)
    const kept = copyParams(params)
    return later(runner, mode.limits, (outer, limits) => start(method, runner, sql, kept, withLimits(mode, limits), outer))
  } catch (error) {
    return Promise.reject(error as Error)
  }
}

/** Starts a statement for a public method, on what is free. `outer` as {@link Call.into} takes them. */
function start<R>(method: Method<R>, runner: Runner, sql: string, params: unknown, mode: CallMode, outer: Settlers | null): Promise<R> {
  const call = runner.statement(sql, params, mode, method.form ?? mode.rowMode, method.take(mode), method.operation)
  return call.into(method.resultOf, outer)
}
