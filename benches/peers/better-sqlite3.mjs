import { createRequire } from 'node:module'
import { applySettings } from '../settings.mjs'
import { callOf, callsInTurn } from '../statements.mjs'

const require = createRequire(import.meta.url)
const nodeMajor = Number(process.versions.node.split('.')[0])

/** Version 13 needs Node 22; version 12 is the last one for Node 20. */
export const packageName = nodeMajor >= 22 ? 'better-sqlite3' : 'better-sqlite3-12'

/** Loads the driver. */
export function load() {
  return require(packageName)
}

/** Opens a connection with the settings of the comparison. */
export function connect(path, settings) {
  const Database = load()
  const db = new Database(path)
  applySettings(settings, (pragma) => db.pragma(pragma))
  return db
}

/** Makes a function of the parameters, which runs `sql`. */
export function prepare(db, sql, take) {
  return callOf(db.prepare(sql), take)
}

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'better-sqlite3',
  packageName,
  leastNode: 20,
  synchronous: true,
  load,

  async open(path, settings) {
    const db = connect(path, settings)
    return {
      prepare: (sql, take) => prepare(db, sql, take),
      transaction: (steps) => db.transaction(callsInTurn((sql, take) => prepare(db, sql, take), steps)).immediate,
      close: () => db.close(),
    }
  },
}
