import { pragmasOf } from '../settings.mjs'
import { METHODS, lastOfAsync } from '../statements.mjs'

/** Loads the driver. */
async function load() {
  const { default: sluice } = await import('../../index.js')
  return sluice
}

/** Opens a database with the settings of the comparison, and `options` beside them. */
export async function connect(path, settings, options = {}) {
  const sluice = await load()
  const { profile, durability, readers } = settings
  const equal = profile === 'equal' ? { durability, maxReaders: readers, pragmas: pragmasOf(settings) } : {}
  return sluice.open(path, { ...equal, ...options })
}

/** Makes a function of the parameters, which runs `sql`. */
export function prepare(db, sql, take) {
  const statement = db.prepare(sql)
  if (take === 'each') return (params) => lastOfAsync(statement.iterate(params))
  const method = METHODS[take]
  return (params) => statement[method](params)
}

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'sluice',
  packageName: null,
  leastNode: 20,
  synchronous: false,
  load,

  async open(path, settings) {
    const db = await connect(path, settings)
    return {
      prepare: (sql, take) => prepare(db, sql, take),
      transaction: (steps, manner) => transaction(db, steps, manner),
      close: () => db.close(),
    }
  },
}

function transaction(db, steps, manner) {
  const call = (tx, step, params) => tx[METHODS[steps[step].take]](steps[step].sql, params[step])
  switch (manner) {
    case 'awaited':
      return (params) =>
        db.transaction(async (tx) => {
          let last
          for (let step = 0; step < steps.length; step++) last = await call(tx, step, params)
          return last
        })
    case 'submitted':
      return (params) => db.transaction((tx) => Promise.all(steps.map((_, step) => call(tx, step, params))))
    case 'batch':
      return (params) => db.batch(steps.map(({ sql }, step) => ({ sql, params: params[step] })))
    default:
      throw new Error(`'${manner}' is not known`)
  }
}
