import { applySettings } from '../settings.mjs'
import { callOf, callsInTurn } from '../statements.mjs'

/** Opens a connection with the settings of the comparison. */
export async function connect(path, settings) {
  const { DatabaseSync } = await load()
  const db = new DatabaseSync(path)
  applySettings(settings, (pragma) => db.exec(`PRAGMA ${pragma}`))
  return db
}

function load() {
  return import('node:sqlite')
}

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'node-sqlite',
  packageName: null,
  leastNode: 22,
  synchronous: true,
  load,

  async open(path, settings) {
    const db = await connect(path, settings)
    const prepare = (sql, take) => callOf(db.prepare(sql), take)
    return { prepare, transaction: (steps) => transaction(db, callsInTurn(prepare, steps)), close: () => db.close() }
  },
}

/** It leaves transactions to SQL. */
function transaction(db, calls) {
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  return (params) => {
    begin.run()
    const last = calls(params)
    commit.run()
    return last
  }
}
