// The process of one peer. It is told what to do message by message, so that the runner can interleave the rounds of several.
import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { makeCall } from './calls.mjs'
import { PERCENTILES, percentile, withLoopDelay } from './latency.mjs'
import { idleMemory, queuedMemory } from './memory.mjs'
import { loadPeer } from './peer.mjs'
import { runScenario } from './scenario.mjs'

/** How many calls of a workload are compared with those of the other peers. */
const COMPARED_CALLS = 20

let peer
let driver = null
let work

/** What the runner may ask for. */
const actions = {
  /** Returns what depends on this version of Node. */
  async load({ name }) {
    peer = await loadPeer(name)
    const { packageName, synchronous, locksFile = false, isThreaded = false } = peer
    return { packageName, synchronous, locksFile, isThreaded }
  },

  /** Opens a file instead of the one that is open. */
  async open({ path, settings }) {
    await actions.close()
    driver = await peer.open(path, settings)
  },

  prepare({ work: wanted }) {
    const { check, reset } = wanted.writes ?? {}
    work = {
      ...wanted,
      run: makeCall(driver, wanted),
      check: check === undefined ? null : driver.prepare(check, 'all'),
      reset: reset === undefined ? null : driver.prepare(reset, 'run'),
    }
  },

  /** Returns a digest of some results, or of what the calls left in the file, which must be the same for every peer. */
  async digest() {
    const hash = createHash('sha256')
    for (const params of work.params.slice(0, COMPARED_CALLS)) {
      const result = await work.run(params)
      if (work.check === null) hash.update(JSON.stringify(result, comparable))
    }
    if (work.check !== null) hash.update(JSON.stringify(await work.check([]), comparable))
    await clear()
    return hash.digest('hex')
  },

  /** Runs for so many milliseconds, and returns how many calls a round of `roundMs` should have. */
  async warmUp({ warmUpMs, roundMs }) {
    const start = performance.now()
    // Nothing is in flight in a synchronous peer.
    const least = peer.synchronous ? 1 : work.inFlight
    let calls = least
    for (;;) {
      const perCall = (await timed(calls)) / calls
      await clear()
      if (performance.now() - start > warmUpMs) return Math.max(least, Math.round(roundMs / perCall))
      calls = Math.max(least, Math.ceil(Math.min(calls * 2, warmUpMs / 4 / perCall)))
    }
  },

  /** Returns how many milliseconds so many calls take. */
  async round({ calls }) {
    const ms = await timed(calls)
    await clear()
    return ms
  },

  /**
   * Returns how long single calls take, in milliseconds, for clients that each make their next call when they have the result of the one
   * before: from that result to the next.
   */
  async latencies({ calls }) {
    const { run, params, inFlight } = work
    const taken = []
    let next = 0
    async function client() {
      let wanted = performance.now()
      while (next < calls) {
        last = await run(params[next++ % params.length])
        const answered = performance.now()
        taken.push(answered - wanted)
        wanted = answered
      }
    }
    await Promise.all(Array.from({ length: inFlight }, client))
    await clear()
    return Object.fromEntries(PERCENTILES.map((percent) => [`p${percent}Ms`, percentile(taken, percent)]))
  },

  /**
   * Returns how late the event loop ran, in milliseconds, while each of its turns started as many calls as are to be in flight.
   *
   * Apart from the rounds: a synchronous peer never gives the loop a turn in those.
   */
  async loopDelay({ durationMs }) {
    await timed(work.inFlight)
    const { loop } = await withLoopDelay(async () => {
      const end = performance.now() + durationMs
      while (performance.now() < end) {
        await timed(work.inFlight)
        await setImmediate()
      }
    })
    await clear()
    return loop
  },

  idleMemory: (request) => idleMemory(peer, request),
  queuedMemory: (request) => queuedMemory(driver, request),
  scenario: (request) => runScenario(peer.name, request),

  async close() {
    await driver?.close()
    driver = null
  },
}

/** Makes JSON the same for all peers: libsql adds a `_metadata` to its rows, and a BLOB has several types. */
function comparable(key, value) {
  if (key === '_metadata') return undefined
  const own = this[key]
  if (own instanceof ArrayBuffer) return Buffer.from(own).toString('base64')
  return ArrayBuffer.isView(own) ? Buffer.from(own.buffer, own.byteOffset, own.byteLength).toString('base64') : value
}

/** Takes away what the calls added to the file, if the workload says so. */
function clear() {
  return work.reset?.([])
}

async function timed(calls) {
  const start = performance.now()
  if (peer.synchronous) runInTurn(calls)
  else await runInFlight(calls)
  return performance.now() - start
}

/** What a call returned last: results must be used, or the compiler may leave them out. */
export let last

function runInTurn(calls) {
  const { run, params } = work
  for (let call = 0; call < calls; call++) last = run(params[call % params.length])
}

/** Keeps as many calls under way as the workload says: each lane starts its next call when it has the result of the one before. */
async function runInFlight(calls) {
  const { run, params, inFlight } = work
  let next = 0
  async function lane() {
    while (next < calls) last = await run(params[next++ % params.length])
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, calls) }, lane))
}

process.on('message', async ({ number, action, ...request }) => {
  try {
    process.send({ number, result: await actions[action](request) })
  } catch (error) {
    process.send({ number, error: error.stack })
  }
})

// The threads of a peer would outlive a runner that was interrupted.
process.on('disconnect', () => process.exit())
