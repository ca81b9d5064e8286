// The peers, and the one interface that the benchmarks drive them through.

/**
 * Runs a statement: the row, or the rows, of the given values; a promise of them unless the peer is synchronous.
 *
 * @typedef {(params: unknown[]) => unknown} Run
 */

/**
 * What a call takes from its statement: the first row, all rows, all rows one by one of which it returns the last, or none, because it
 * writes.
 *
 * @typedef {'first' | 'all' | 'each' | 'run'} Take
 */

/**
 * One statement of a transaction.
 *
 * @typedef {{ sql: string, take: Take }} Step
 */

/**
 * How the statements of a transaction are handed over: each after the answer to the one before, all without waiting, or as one call. A
 * synchronous peer knows only one way.
 *
 * @typedef {'awaited' | 'submitted' | 'batch'} Manner
 */

/**
 * @typedef {object} Driver
 * @property {(sql: string, take: Take) => Run} prepare
 * @property {(steps: Step[], manner: Manner) => (params: unknown[][]) => unknown} [transaction] - makes a function of the values of all
 * steps
 * @property {() => unknown} close
 */

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string | null} packageName - the package under benches/node_modules; `null` for what needs none
 * @property {number} leastNode - the oldest major version of Node it runs on
 * @property {boolean} synchronous - whether calls return their result instead of a promise
 * @property {boolean} [isThreaded] - whether each database has threads of JavaScript of its own
 * @property {boolean} [locksFile] - whether it keeps other processes from the file, and so needs a copy of its own
 * @property {() => unknown} [load] - loads its package; an ORM comes with its module
 * @property {(path: string, settings: import('./settings.mjs').Settings) => Promise<Driver>} open
 */

/** What a driver does not offer, or the benchmark does not know how to ask of it. */
export class NotOffered extends Error {
  name = 'NotOffered'
}

/** The files under peers/, by the peer's name. */
const FILES = {
  sluice: 'sluice',
  'better-sqlite3': 'better-sqlite3',
  'better-sqlite3-threads': 'better-sqlite3-threads',
  'node-sqlite': 'node-sqlite',
  sqlite3: 'sqlite3',
  libsql: 'libsql',
  '@libsql/client': 'libsql-client',
  '@photostructure/sqlite': 'photostructure',
  '@tursodatabase/database': 'turso',
}

/** An ORM on one driver: a peer whose `prepare` knows calls by name beside SQL. The same ORM on the other driver is its baseline. */
const ORM_FILES = {
  'drizzle on sluice': 'drizzle-on-sluice',
  'drizzle on better-sqlite3': 'drizzle-on-better-sqlite3',
  'kysely on sluice': 'kysely-on-sluice',
  'kysely on better-sqlite3': 'kysely-on-better-sqlite3',
  'prisma on sluice': 'prisma-on-sluice',
  'prisma on better-sqlite3': 'prisma-on-better-sqlite3',
}

/** The ORMs that are measured on both drivers. */
export const ORMS = ['drizzle', 'kysely', 'prisma']

/** The program under test. */
export const SUBJECT = 'sluice'
/** Whom the ratios are relative to. */
export const BASELINE = 'better-sqlite3'
/** The peers that are addons of their own. */
const ADDONS = new Set([SUBJECT, BASELINE, 'sqlite3', 'libsql', '@libsql/client', '@photostructure/sqlite', '@tursodatabase/database'])

/** Whether a peer is an addon that runs SQL in the process itself, without further threads of JavaScript. */
export function isAddon(name) {
  return ADDONS.has(name)
}

/** All others. */
export const PEER_NAMES = Object.keys(FILES).filter((name) => name !== SUBJECT)
/** Those that a quick run is content with. */
export const QUICK_PEERS = [BASELINE, 'better-sqlite3-threads', '@photostructure/sqlite']

/**
 * Imports a peer; its package is loaded by its `load`, which its `open` calls.
 *
 * @param {string} name
 * @returns {Promise<Peer>}
 */
export async function loadPeer(name) {
  const { default: peer } = await importPeer(name)
  return peer
}

/** Imports the module of a peer. Of some it has more than the peer: `connect(path, settings, options)` opens what their users open. */
export function importPeer(name) {
  return import(`./peers/${FILES[name] ?? ORM_FILES[name]}.mjs`)
}
