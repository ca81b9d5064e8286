import { applySettings } from '../settings.mjs'
import { callOf, callsInTurn } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'node-sqlite',
  packageName: null,
  leastNode: 22,
  synchronous: true,
  load: () => import('node:sqlite'),

  async open(path, settings) {
    const { DatabaseSync } = await this.load()
    const db = new DatabaseSync(path)
    applySettings(settings, (pragma) => db.exec(`PRAGMA ${pragma}`))
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
