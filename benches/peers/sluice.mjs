import sluice from '../../index.js'
import { pragmasOf } from '../settings.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'sluice',
  packageName: null,
  leastNode: 20,
  synchronous: false,

  async open(path, settings) {
    const equal = settings.profile === 'equal' ? { durability: 'normal', maxReaders: settings.readers, pragmas: pragmasOf(settings) } : {}
    const db = await sluice.open(path, equal)
    return {
      prepare(sql, take) {
        const statement = db.prepare(sql)
        return take === 'first' ? (params) => statement.get(params) : (params) => statement.all(params)
      },
      close: () => db.close(),
    }
  },
}
