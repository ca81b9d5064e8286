// The workloads by their number in the list of what is measured, each in a file of its own.
import W1 from './workloads/w1.mjs'
import W2 from './workloads/w2.mjs'
import W3 from './workloads/w3.mjs'
import W4 from './workloads/w4.mjs'
import W5 from './workloads/w5.mjs'
import { integers } from './random.mjs'

/**
 * @typedef {object} Workload
 * @property {string} id
 * @property {string} title
 * @property {string} sql
 * @property {'first' | 'all'} take
 * @property {(draw: (limit: number) => number) => number[]} params - draws the values of one call
 * @property {{ inFlight: number, target: Record<number, number> }[]} cases - the targets are ratios to the baseline, by Node version
 */

/** @type {Workload[]} */
export const WORKLOADS = [W1, W2, W3, W4, W5]

/** How many different calls a workload has; they are made in turn. */
const CALLS = 4_096
const SEED = 20_260_101

/**
 * Spreads the workloads into what is measured: one entry per number of calls in flight.
 *
 * @param {string[]} ids - none stands for all
 */
export function casesOf(ids) {
  return WORKLOADS.filter(({ id }) => ids.length === 0 || ids.includes(id)).flatMap(spread)
}

function spread({ id, title, sql, take, params, cases }) {
  const draw = integers(SEED)
  const calls = Array.from({ length: CALLS }, () => params(draw))
  return cases.map(({ inFlight, target }) => ({ id, title, sql, take, params: calls, inFlight, target }))
}
