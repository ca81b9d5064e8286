import { Worker } from 'node:worker_threads'
import { refuseEach } from '../statements.mjs'
import { load, packageName } from './better-sqlite3.mjs'

/**
 * What users of better-sqlite3 do to get off the event loop: threads that each have a connection, and a message per call, which goes to
 * the thread with the fewest calls under way.
 *
 * @type {import('../peer.mjs').Peer}
 */
export default {
  name: 'better-sqlite3-threads',
  packageName,
  leastNode: 20,
  synchronous: false,
  isThreaded: true,
  load,

  async open(path, settings) {
    const threads = Array.from({ length: settings.readers }, () => new Thread(path, settings))
    return {
      prepare(sql, take) {
        refuseEach(take, 'no rows pass between threads one by one')
        return (params) => leastBusy(threads).call(sql, take, params)
      },
      close: () => Promise.all(threads.map((thread) => thread.end())),
    }
  },
}

function leastBusy(threads) {
  return threads.reduce((least, thread) => (thread.pending.size < least.pending.size ? thread : least))
}

class Thread {
  pending = new Map()
  #calls = 0
  #worker

  constructor(path, settings) {
    this.#worker = new Worker(new URL('better-sqlite3-thread.mjs', import.meta.url), { workerData: { path, settings } })
    this.#worker.on('message', ([number, error, result]) => {
      const { resolve, reject } = this.pending.get(number)
      this.pending.delete(number)
      if (error === null) resolve(result)
      else reject(new Error(error))
    })
  }

  call(sql, take, params) {
    const number = this.#calls++
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
    this.#worker.postMessage([number, sql, take, params])
    return new Promise((resolve, reject) => this.pending.set(number, { resolve, reject }))
  }

  end() {
    return this.#worker.terminate()
  }
}
