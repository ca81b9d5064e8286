// The workloads that are a scene of their own, with figures of their own, each in a file of its own.
import { importPeer } from './peer.mjs'
import W12 from './scenarios/w12.mjs'
import W14 from './scenarios/w14.mjs'
import W15 from './scenarios/w15.mjs'
import W16 from './scenarios/w16.mjs'

/**
 * What a role is given.
 *
 * @typedef {object} Stage
 * @property {(options?: object) => unknown} connect - opens the file, which is a copy for this run alone
 * @property {{ spanMs: number, manyRows: number }} plan
 * @property {number} process - the number of this process, from 0
 * @property {number} startAt - when the processes start together, in milliseconds of `Date.now()`
 */

/**
 * One figure: what its number is, in which unit, and what it should be.
 *
 * @typedef {{ title: string, unit: 'µs' | 'ms' | 'MiB' | 'per second' | 'times' | '', target?: string }} Figure
 */

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title - tells it from others of the same id
 * @property {string} about - what happens, and what the figures mean
 * @property {'normal' | 'full'} durability - PRAGMA synchronous
 * @property {number} processes - how many run it at once on the same file
 * @property {Record<string, (stage: Stage) => Promise<Record<string, number>>>} roles - how a peer plays it; peers without a role do not
 * @property {(figures: Record<string, number>[]) => Record<string, number>} [combine] - makes one set of figures of those of all processes
 * @property {Record<string, Figure>} figures
 */

/** @type {Scenario[]} */
export const SCENARIOS = [W12, ...W14, ...W15, ...W16]

/** Plays a scenario in this process, as one peer. */
export async function runScenario(name, { id, title, path, settings, ...stage }) {
  const { roles } = SCENARIOS.find((one) => one.id === id && one.title === title)
  const { connect } = await importPeer(name)
  return roles[name]({ ...stage, connect: (options) => connect(path, settings, options) })
}
