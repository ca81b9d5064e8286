import { applySettings } from '../settings.mjs'
import { callOf, callsInTurn } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'libsql',
  packageName: 'libsql',
  leastNode: 20,
  synchronous: true,
  load: () => import('libsql'),

  async open(path, settings) {
    const { default: Database } = await this.load()
    const db = new Database(path)
    applySettings(settings, (pragma) => db.exec(`PRAGMA ${pragma}`))
    const prepare = (sql, take) => callOf(db.prepare(sql), take)
    return { prepare, transaction: (steps) => db.transaction(callsInTurn(prepare, steps)).immediate, close: () => db.close() }
  },
}
