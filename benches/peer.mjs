// The peers, and the one interface that the benchmarks drive them through.

/**
 * Runs a statement: the row, or the rows, of the given values; a promise of them unless the peer is synchronous.
 *
 * @typedef {(params: number[]) => unknown} Run
 */

/**
 * @typedef {object} Driver
 * @property {(sql: string, take: 'first' | 'all') => Run} prepare
 * @property {() => unknown} close
 */

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string | null} packageName - the package under benches/node_modules; `null` for what needs none
 * @property {number} leastNode - the oldest major version of Node it runs on
 * @property {boolean} synchronous - whether calls return their result instead of a promise
 * @property {boolean} [locksFile] - whether it keeps other processes from the file, and so needs a copy of its own
 * @property {(path: string, settings: import('./settings.mjs').Settings) => Promise<Driver>} open
 */

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

/** The program under test. */
export const SUBJECT = 'sluice'
/** Whom the ratios are relative to. */
export const BASELINE = 'better-sqlite3'
/** All others. */
export const PEER_NAMES = Object.keys(FILES).filter((name) => name !== SUBJECT)

/**
 * Loads a peer; what it needs from its package is loaded by its `open`.
 *
 * @param {string} name
 * @returns {Promise<Peer>}
 */
export async function loadPeer(name) {
  const { default: peer } = await import(`./peers/${FILES[name]}.mjs`)
  return peer
}
