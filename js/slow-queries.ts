import { AsyncResource } from 'node:async_hooks'

import type { SlowQuery, TracedQuery } from './tracing.js'

/** Tells a function of the application about calls that took long. */
export class SlowQueries {
  readonly #leastMs: number
  readonly #listener: (query: SlowQuery) => unknown
  /** The async context in which the listener was given. */
  readonly #scope = new AsyncResource('SLUICE_SLOW_QUERY')

  constructor(leastMs: number, listener: (query: SlowQuery) => unknown) {
    this.#leastMs = leastMs
    this.#listener = listener
  }

  /** Takes a call that has come to its end, and tells the listener if it took long enough. */
  consider(query: Readonly<TracedQuery>): void {
    if (query.duration === undefined || query.duration < this.#leastMs) return
    const slow = slowQuery(query, query.duration)
    // What awaits the call goes first, and what the listener throws is an uncaught error of nobody's call.
    process.nextTick(() => this.#scope.runInAsyncScope(this.#listener, undefined, slow))
  }
}

/** Makes an object of its own: that of the channel may be gone, or have got more keys from its subscribers. */
function slowQuery(query: Readonly<TracedQuery>, durationMs: number): SlowQuery {
  const { sql, database, operation, parameters, queueMs, runMs, rows, changes, route, error } = query
  return {
    sql,
    database,
    operation,
    durationMs,
    ...(parameters !== undefined && { parameters }),
    ...(queueMs !== undefined && { queueMs }),
    ...(runMs !== undefined && { runMs }),
    ...(rows !== undefined && { rows }),
    ...(changes !== undefined && { changes }),
    ...(route !== undefined && { route }),
    ...('error' in query && { error }),
  }
}
