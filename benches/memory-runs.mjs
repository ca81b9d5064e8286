// The memory section: each figure from a fresh process.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Session } from './session.mjs'

const IDLE_DATABASES = 200
/** Of a peer whose databases have threads of JavaScript each. */
const FEW_DATABASES = 10
const QUEUED_CALLS = 100_000

/** Measures what an idle database and a queued call of a peer cost, in bytes. */
export async function measureMemory(name, node, files, settings) {
  const idle = await inProcess(name, node, (session, { isThreaded }) => {
    return idleOf(session, files, settings, isThreaded ? FEW_DATABASES : IDLE_DATABASES)
  })
  const queued = await inProcess(name, node, async (session, { synchronous }) => {
    // A call of a synchronous peer never waits.
    return synchronous ? null : queuedOf(session, files, settings)
  })
  return { name, idle, queued }
}

async function inProcess(name, node, measure) {
  const session = new Session(name, node.binary)
  try {
    const peer = await session.ask('load', { name })
    return await measure(session, peer)
  } catch (error) {
    return { failure: error.message.split('\n')[0] }
  } finally {
    session.end()
  }
}

async function idleOf(session, files, settings, databases) {
  const folder = join(files.folder, 'idle')
  mkdirSync(folder)
  try {
    return await session.ask('idleMemory', { path: await files.path('small'), folder, settings, databases })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function queuedOf(session, files, settings) {
  await session.ask('open', { path: await files.path('cities'), settings })
  const params = Array.from({ length: 1_000 }, (_, number) => [1 + number * 100])
  const sql = 'SELECT id, name, country, latitude, population FROM cities WHERE id = ?'
  return session.ask('queuedMemory', { sql, params, calls: QUEUED_CALLS })
}
