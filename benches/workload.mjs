// The workloads that are compared call by call, by their number in the list of what is measured, each in a file of its own.
import W1 from './workloads/w1.mjs'
import W10 from './workloads/w10.mjs'
import W17 from './workloads/w17.mjs'
import W19 from './workloads/w19.mjs'
import W2 from './workloads/w2.mjs'
import W3 from './workloads/w3.mjs'
import W4 from './workloads/w4.mjs'
import W5 from './workloads/w5.mjs'
import W6 from './workloads/w6.mjs'
import W7 from './workloads/w7.mjs'
import W8 from './workloads/w8.mjs'
import W9 from './workloads/w9.mjs'
import { integers } from './random.mjs'

/**
 * What one call is:
 *
 * - `'statement'`, which is what is left out: `sql` with the values that `params` draws
 * - `'mix'`: the one of `steps` that `params` draws, `{ step, values }`
 * - `'transaction'`: all `steps` in one transaction, with the values that `params` draws for each
 *
 * @typedef {'statement' | 'mix' | 'transaction'} Kind
 */

/**
 * @typedef {object} Workload
 * @property {string} id
 * @property {string} title
 * @property {Kind} [kind]
 * @property {string} [sql]
 * @property {import('./peer.mjs').Take} [take]
 * @property {import('./peer.mjs').Step[]} [steps]
 * @property {number} [calls] - how many different calls there are, which are made in turn
 * @property {(draw: (limit: number) => number, one: Case, call: number) => unknown} params - draws the values of one call
 * @property {string} [file] - which of the files it works on; the cities if left out
 * @property {string} [baseline] - whom its ratios are relative to, if not the baseline of all
 * @property {string[]} [peers] - who takes part beside the subject and the baseline; all if left out
 * @property {number} [brevity] - by what its rounds are shorter than those of others
 * @property {'all' | 'core'} [floors] - which floors take part; all if left out
 * @property {{ check: string, reset?: string }} [writes] - it changes the file: every peer gets its own, `check` reads what must be the same
 * for all, and `reset` runs between the rounds
 * @property {boolean} [latency] - whether single calls are timed too
 * @property {'normal' | 'full'} [durability] - PRAGMA synchronous; NORMAL if left out
 * @property {Case[]} cases
 */

/**
 * One way to run it, which may also say `durability`.
 *
 * @typedef {object} Case
 * @property {number} inFlight
 * @property {number} [readers] - connections of a peer that has several, if not as many as there are cores
 * @property {boolean} [long] - whether `quick` leaves it out unless the workload is named
 * @property {number} [among] - how many rows its calls are spread over
 * @property {import('./peer.mjs').Manner} [manner]
 * @property {Record<number, number>} target - ratios to the baseline, by Node version
 */

/** @type {Workload[]} */
export const WORKLOADS = [W1, W2, W3, W4, W5, W6, W7, W8, W9, W10, W17, ...W19]

/** Of these there are so many cases that they share a table. */
export const THROUGHPUT_SETS = ['W19']

const DEFAULTS = { kind: 'statement', file: 'cities', durability: 'normal', latency: false, writes: null, brevity: 1, floors: 'all' }
const CALLS = 4_096
const SEED = 20_260_101
const MANNERS = { awaited: 'each statement awaited', submitted: 'no statement awaited', batch: 'as one batch' }

/**
 * Spreads the workloads into what is measured: one entry per case.
 *
 * @param {string[]} ids - none stands for all
 * @param {Workload[]} workloads - those to choose from
 */
export function casesOf(ids, workloads = WORKLOADS) {
  return workloads.filter(({ id }) => ids.length === 0 || ids.includes(id)).flatMap(spread)
}

function spread({ params, cases, calls = CALLS, ...workload }) {
  return cases.map((one) => {
    const draw = integers(SEED)
    const drawn = Array.from({ length: calls }, (_, call) => params(draw, one, call))
    const work = { ...DEFAULTS, ...workload, ...one, params: drawn }
    return { ...work, title: titleOf(work) }
  })
}

function titleOf({ title, manner, among, readers, inFlight, kind, durability }) {
  const flight = inFlight === 1 ? 'one by one' : `${inFlight.toLocaleString('en')} in flight`
  const synchronous = kind === 'transaction' ? [`synchronous=${durability.toUpperCase()}`] : []
  const connections = readers === undefined ? [] : [readers === 1 ? '1 reader' : `${readers} readers`]
  const rows = among === undefined ? [] : [`${among.toLocaleString('en')} rows`]
  return [title, ...rows, ...connections, ...(manner === undefined ? [] : [MANNERS[manner]]), ...synchronous, flight].join(', ')
}
