import type { Status } from 'sluice'

/** One event of the driver's log, as it is sent to a page. `id` counts up, without gaps, from 1. */
export interface Entry {
  readonly id: number
  readonly level: string
  readonly target: string
  readonly message: string
  /** When it happened, in milliseconds since 1970. */
  readonly timeMs: number
  readonly fields: { readonly [name: string]: string | number | boolean }
}

/** What a page is told first. */
export interface Greeting {
  /** The path of the database. */
  readonly database: string
  /** From how many milliseconds on a statement is slow. */
  readonly slowMs: number
  /** How many events are kept. */
  readonly history: number
  /** The clock of the process, in milliseconds since 1970. */
  readonly nowMs: number
}

/** What happened since the last one. */
export interface Batch {
  readonly entries: readonly Entry[]
  /** How many events of this time are not among them: the page is shown a sample when there are more than it can follow. */
  readonly leftOut: number
}

/** The numbers of a moment. */
export interface Sample {
  /** When they were taken, in milliseconds since 1970. */
  readonly nowMs: number
  readonly status: Status
  /** How many events the log itself has had to drop. */
  readonly lost: number
}

/** One step of a query plan: {@link https://sqlite.org/eqp.html}. */
export interface PlanStep {
  readonly id: number
  readonly parent: number
  readonly detail: string
}

/** What there is to say about the plan of a statement. */
export type Plan = { readonly steps: readonly PlanStep[] } | { readonly error: string }
