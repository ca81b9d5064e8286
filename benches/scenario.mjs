// The workloads that are a scene of their own, with figures of their own, each in a file of its own.
import { importPeer } from './peer.mjs'
import W11 from './scenarios/w11.mjs'
import W12 from './scenarios/w12.mjs'
import W13 from './scenarios/w13.mjs'
import W14 from './scenarios/w14.mjs'
import W15 from './scenarios/w15.mjs'
import W16 from './scenarios/w16.mjs'
import W18 from './scenarios/w18.mjs'
import W20 from './scenarios/w20.mjs'

/**
 * What a role is given.
 *
 * @typedef {object} Stage
 * @property {(options?: object) => unknown} connect - opens the file, which is a copy for this run alone, as users of the peer do
 * @property {(changed?: { path?: string, readers?: number }) => Promise<import('./peer.mjs').Driver>} open - opens it, or another file, by
 * the interface that all peers have
 * @property {import('./peer.mjs').Peer} peer
 * @property {string} path - the file
 * @property {string} folder - where it is; goes with it
 * @property {{ spanMs: number, longMs: number, manyRows: number }} plan
 * @property {number} process - the number of this process, from 0
 * @property {number} startAt - when the processes start together, in milliseconds of `Date.now()`
 * @property {number | null} point - how much of what grows
 */

/**
 * One figure: what its number is, in which unit, and what it should be: a number, or the least of all peers that are addons.
 *
 * @typedef {'µs' | 'ms' | 'MiB' | 'KiB' | 'B' | 'per second' | 'times' | ''} Unit
 * @typedef {{ title: string, unit: Unit, target?: string, least?: boolean }} Figure
 */

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title - tells it from others of the same id
 * @property {string} about - what happens, and what the figures mean
 * @property {'normal' | 'full'} durability - PRAGMA synchronous
 * @property {number} processes - how many run it at once on the same file
 * @property {string} [file] - which of the files it works on; the cities if left out
 * @property {boolean} [shared] - whether all work on one file, which nobody changes, instead of a copy for each run
 * @property {Record<string, (stage: Stage) => Promise<Record<string, number | null>>>} roles - how a peer plays it; `*` stands for all
 * others, and a text for why a peer is left out. Peers without a role are left out.
 * @property {(figures: Record<string, number>[]) => Record<string, number>} [combine] - makes one set of figures of those of all processes
 * @property {Record<string, Figure>} figures
 * @property {{ title: string, values: (plan: object) => number[] }} [growth] - what grows, for which it is played each time
 * @property {number | ((plan: object) => number)} seconds - about how long one run takes
 */

/** @type {Scenario[]} */
export const SCENARIOS = [...W11, W12, W13, ...W14, ...W15, ...W16, ...W18, W20]

/** Returns how a peer plays a scenario: a function, or a text that says why it cannot; `undefined` where it is left out. */
export function roleOf({ roles }, name) {
  return roles[name] ?? roles['*']
}

/** Plays a scenario in this process, as one peer. */
export async function runScenario(name, { id, title, path, settings, ...stage }) {
  const scenario = SCENARIOS.find((one) => one.id === id && one.title === title)
  const { connect, default: peer } = await importPeer(name)
  return roleOf(scenario, name)({
    ...stage,
    peer,
    path,
    connect: (options) => connect(path, settings, options),
    open: ({ path: other = path, ...changed } = {}) => peer.open(other, { ...settings, ...changed }),
  })
}
