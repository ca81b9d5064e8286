// The clients of a ping server, on a thread of their own: one asks for a report, the others ping.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

const CONNECTIONS = 10
/** How long the report is under way before the pings begin, in milliseconds. */
const HEAD_START_MS = 5

const { port, pings } = workerData
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })

/** Asks for something, and returns the answer and when it came. */
async function ask(path, options) {
  const asked = request({ host: '127.0.0.1', port, path, ...options })
  asked.end()
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const part of response.setEncoding('utf8')) text += part
  if (response.statusCode !== 200) throw new Error(text)
  return { answer: JSON.parse(text), at: performance.now() }
}

async function ping() {
  const start = performance.now()
  const { at } = await ask('/ping', { agent })
  return { ms: at - start, at }
}

// The connections are made before.
await Promise.all(Array.from({ length: CONNECTIONS }, ping))
const start = performance.now()
const reporting = ask('/report', { agent: false })
await setTimeout(HEAD_START_MS)
const answered = await Promise.all(Array.from({ length: pings }, ping))
const report = await reporting
agent.destroy()
const before = answered.filter(({ at }) => at < report.at).length
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
parentPort.postMessage({ reportMs: report.at - start, answer: report.answer, before, pingMs: answered.map(({ ms }) => ms) })
