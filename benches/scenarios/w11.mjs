import { setImmediate, setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { percentile, withLoopDelay } from '../latency.mjs'
import { PingServer } from '../ping-server.mjs'

const AGGREGATES = 8
/** About 100 ms of work for one core. */
const STEPS = 700_000
const LONG_STEPS = 2_000_000
const PINGS = 100
/** How long the event loop gets to come to rest, in milliseconds. */
const REST_MS = 50
const SQL = `WITH RECURSIVE steps (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM steps WHERE n < ?)
  SELECT count(*) AS counted, max(n) AS last FROM steps`

async function aggregates({ open, peer }) {
  const driver = await open()
  const aggregate = driver.prepare(SQL, 'first')
  await Promise.all(Array.from({ length: AGGREGATES }, () => aggregate([1_000])))
  await setTimeout(REST_MS)
  const { loop, ms } = await withLoopDelay(() => (peer.synchronous ? oneAfterAnother(aggregate) : allAtOnce(aggregate)))
  await driver.close()
  return { loopP99: loop.p99Ms, loopMax: loop.maxMs, wholeMs: ms }
}

async function allAtOnce(aggregate) {
  const answers = await Promise.all(Array.from({ length: AGGREGATES }, () => aggregate([STEPS])))
  answers.forEach(check)
}

/** The loop gets a turn after each. */
async function oneAfterAnother(aggregate) {
  for (let number = 0; number < AGGREGATES; number++) {
    check(aggregate([STEPS]))
    await setImmediate()
  }
}

function check({ last }) {
  if (last !== STEPS) throw new Error(`counted to ${last}`)
}

/** Serves pings and one long report; the clients are on a thread of their own. */
async function pings({ open }) {
  const driver = await open()
  const report = driver.prepare(SQL, 'first')
  await report([1_000])
  const server = new PingServer(async () => (await report([LONG_STEPS])).last)
  const port = await server.listen()
  const client = new Worker(new URL('../ping-client.mjs', import.meta.url), { workerData: { port, pings: PINGS } })
  const { reportMs, answer, before, pingMs } = await new Promise((resolve, reject) => {
    client.once('message', resolve)
    client.once('error', reject)
  })
  await client.terminate()
  await server.close()
  await driver.close()
  if (answer !== LONG_STEPS) throw new Error(`counted to ${answer}`)
  return { before, reportMs, pingP50: percentile(pingMs, 50), pingP99: percentile(pingMs, 99), pingMax: percentile(pingMs, 100) }
}

/** @type {import('../scenario.mjs').Scenario[]} */
export default [
  {
    id: 'W11',
    title: 'event loop beside 8 aggregates of about 100 ms',
    about: 'All are started at once; a synchronous peer runs them one after another, and gives the loop a turn after each.',
    durability: 'normal',
    processes: 1,
    seconds: 1.2,
    roles: { '*': aggregates },
    figures: {
      loopP99: { title: 'loop delay, p99', unit: 'ms', target: '<= 5' },
      loopMax: { title: 'loop delay, longest', unit: 'ms' },
      wholeMs: { title: 'all 8', unit: 'ms' },
    },
  },
  {
    id: 'W11',
    title: 'an HTTP server beside a query of 2,000,000 steps',
    about:
      'A client asks for the result of the query, and then for 100 pings on 10 connections, from a thread of its own. A server that is ' +
      'held by the query answers the pings after it.',
    durability: 'normal',
    processes: 1,
    seconds: 0.8,
    roles: { '*': pings },
    figures: {
      before: { title: `of ${PINGS} pings, answered before the result`, unit: '', target: `>= ${PINGS}` },
      pingP50: { title: 'ping, p50', unit: 'ms' },
      pingP99: { title: 'ping, p99', unit: 'ms' },
      pingMax: { title: 'ping, longest', unit: 'ms' },
      reportMs: { title: 'the result', unit: 'ms' },
    },
  },
]
