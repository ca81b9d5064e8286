// One thread of the peer better-sqlite3-threads.
import { parentPort, workerData } from 'node:worker_threads'
import { connect, prepare } from './better-sqlite3.mjs'

const db = connect(workerData.path, workerData.settings)
const statements = new Map()

function statement(sql, take) {
  const key = `${take} ${sql}`
  let known = statements.get(key)
  if (known === undefined) statements.set(key, (known = prepare(db, sql, take)))
  return known
}

function answer(number, error, result) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
  parentPort.postMessage([number, error, result])
}

parentPort.on('message', ([number, sql, take, params]) => {
  try {
    answer(number, null, statement(sql, take)(params))
  } catch (error) {
    answer(number, error.message, undefined)
  }
})
