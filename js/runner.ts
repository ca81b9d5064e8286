import type { Call } from './call.js'
import type { CallMode } from './options.js'
import type { RowForm } from './rows.js'
import type { RowSource } from './row-source.js'
import type { QueryOperation } from './tracing.js'

/** Runs statements somewhere: wherever they belong in a database, or on the connection of a session. */
export interface Runner {
  /** What calls do that say nothing else. */
  readonly mode: CallMode
  /** What calls have to wait for before they may start, or `null`: a nested transaction that is under way. */
  readonly busy: Promise<void> | null
  /** Starts a statement for the method `operation`. `take` says which rows are wanted, and `form` how they are made. */
  statement(sql: string, params: unknown, mode: CallMode, form: RowForm, take: number, operation: QueryOperation): Call
  script(sql: string, mode: CallMode): Call
  /** Starts a statement whose rows are fetched bit by bit. */
  iterate(sql: string, params: unknown, mode: CallMode, form: RowForm, rows: number): RowSource
}
