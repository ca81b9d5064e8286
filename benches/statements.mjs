// Functions of prepared statements, for the drivers that have the interface of better-sqlite3.

import { NotOffered } from './peer.mjs'

/** The methods that driver interfaces agree on, by what a call takes from its statement. */
export const METHODS = { first: 'get', all: 'all', run: 'run', each: 'iterate' }

/**
 * Makes a function of the parameters, which runs the statement.
 *
 * @param {import('./peer.mjs').Take} take
 */
export function callOf(statement, take) {
  switch (take) {
    case 'first':
      return (params) => statement.get(...params)
    case 'all':
      return (params) => statement.all(...params)
    case 'run':
      return (params) => statement.run(...params)
    case 'each':
      return (params) => lastOf(statement.iterate(...params))
    default:
      throw new Error(`'${take}' is not known`)
  }
}

function lastOf(rows) {
  let last
  for (const row of rows) last = row
  return last
}

/** Returns the last row of those that come one by one, each of which is looked at. */
export async function lastOfAsync(rows) {
  let last
  for await (const row of rows) last = row
  return last
}

/** Throws for what takes rows one by one. */
export function refuseEach(take, reason) {
  if (take === 'each') throw new NotOffered(reason)
}

/**
 * Makes a function of the parameters of all steps, which runs them in turn; statements that occur more than once are prepared once.
 *
 * @param {(sql: string, take: import('./peer.mjs').Take) => import('./peer.mjs').Run} prepare
 * @param {import('./peer.mjs').Step[]} steps
 */
export function callsInTurn(prepare, steps) {
  const prepared = new Map()
  const runs = steps.map(({ sql, take }) => {
    if (!prepared.has(sql)) prepared.set(sql, prepare(sql, take))
    return prepared.get(sql)
  })
  return (params) => {
    let last
    for (let step = 0; step < runs.length; step++) last = runs[step](params[step])
    return last
  }
}
