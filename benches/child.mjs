// The process of one peer. It is told what to do message by message, so that the runner can interleave the rounds of several.
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { idleMemory, queuedMemory } from './memory.mjs'
import { loadPeer } from './peer.mjs'

/** How many calls of a workload are compared with those of the other peers. */
const COMPARED_CALLS = 20
/** How often the event loop's delay is sampled, in milliseconds. */
const SAMPLE_MS = 1

let peer
let driver
let work

/** What the runner may ask for. */
const actions = {
  /** Returns what depends on this version of Node. */
  async load({ name }) {
    peer = await loadPeer(name)
    const { packageName, synchronous, locksFile = false } = peer
    return { packageName, synchronous, locksFile }
  },

  async open({ path, settings }) {
    driver = await peer.open(path, settings)
  },

  prepare({ sql, take, params, inFlight }) {
    work = { run: driver.prepare(sql, take), params, inFlight }
  },

  /** Returns a digest of some results, which must be the same for every peer. */
  async digest() {
    const hash = createHash('sha256')
    for (const params of work.params.slice(0, COMPARED_CALLS)) hash.update(JSON.stringify(await work.run(params), withoutMetadata))
    return hash.digest('hex')
  },

  /** Runs for so many milliseconds, and returns how many calls a round of `roundMs` should have. */
  async warmUp({ warmUpMs, roundMs }) {
    const start = performance.now()
    let calls = work.inFlight
    for (;;) {
      const perCall = (await timed(calls)) / calls
      if (performance.now() - start > warmUpMs) return Math.max(work.inFlight, Math.round(roundMs / perCall))
      calls = Math.ceil(Math.min(calls * 2, warmUpMs / 4 / perCall))
    }
  },

  /** Returns how many milliseconds so many calls take. */
  round: ({ calls }) => timed(calls),

  /**
   * Returns how late the event loop ran, in milliseconds, while each of its turns started as many calls as are to be in flight.
   *
   * Apart from the rounds: a synchronous peer never gives the loop a turn in those.
   */
  async loopDelay({ durationMs }) {
    const histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS })
    await timed(work.inFlight)
    histogram.enable()
    const end = performance.now() + durationMs
    while (performance.now() < end) {
      await timed(work.inFlight)
      await setImmediate()
    }
    histogram.disable()
    const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - SAMPLE_MS)
    return { p99Ms: late(histogram.percentile(99)), maxMs: late(histogram.max) }
  },

  idleMemory: (request) => idleMemory(peer, request),
  queuedMemory: (request) => queuedMemory(driver, request),

  async close() {
    await driver.close()
  },
}

/** libsql adds a `_metadata` to its rows. */
function withoutMetadata(key, value) {
  return key === '_metadata' ? undefined : value
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

process.on('message', async ({ action, ...request }) => {
  try {
    process.send({ result: await actions[action](request) })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
