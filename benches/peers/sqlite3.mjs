import { promisify } from 'node:util'
import { pragmaTexts } from '../settings.mjs'
import { METHODS, refuseEach } from '../statements.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'sqlite3',
  packageName: 'sqlite3',
  leastNode: 20,
  synchronous: false,
  load: () => import('sqlite3'),

  async open(path, settings) {
    const { default: sqlite3 } = await this.load()
    const db = await new Promise((resolve, reject) => {
      const opened = new sqlite3.Database(path, (error) => (error === null ? resolve(opened) : reject(error)))
    })
    await promisify(db.exec.bind(db))(pragmaTexts(settings).join(';'))
    return {
      prepare(sql, take) {
        refuseEach(take, 'has callbacks for single rows, but does not wait for them')
        const statement = db.prepare(sql)
        const method = statement[METHODS[take]]
        return (params) =>
          new Promise((resolve, reject) => {
            method.call(statement, params, (error, result) => {
              if (error !== null) reject(error)
              // A statement that was not stepped to its end holds a lock on the file.
              else if (take === 'first') statement.reset(() => resolve(result))
              else resolve(result)
            })
          })
      },
      // Statements that were not finalized make `close` fail; the process ends anyway.
      close: () => {},
    }
  },
}
