// The workloads that are compared call by call, on one version of Node.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { figuresOf, measureCase } from './comparison.mjs'
import { failureOf } from './failure.mjs'
import { FLOORS, FloorSession } from './floor.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { progress, step } from './progress.mjs'
import { ratioOf } from './report.mjs'
import { Session } from './session.mjs'
import { casesOf } from './workload.mjs'

/** Whom the figures compare, unless others are wanted. */
const PEERS = { subject: SUBJECT, baseline: BASELINE }

/**
 * Measures the cases of all workloads that are wanted.
 *
 * @param {object} wanted - with `cases`, what to measure, and `against`, `subject` relative to `baseline`
 */
export async function measureCases(node, { workloads, peers, settings, files, floor, plan, missing, cases, against = PEERS }) {
  const all = cases ?? (workloads.length === 0 ? [] : casesOf(workloads))
  if (all.length === 0) return []
  const sessions = [
    ...peers.map(({ name }) => new Session(name, node.binary)),
    ...(floor === null ? [] : Object.keys(FLOORS).map((name) => new FloorSession(name, floor))),
  ]
  try {
    const loaded = await loadAll(sessions, missing)
    const results = []
    let shared = null
    for (const work of all) {
      // Readers share a file; what is written to one file by several would be checkpointed by whoever comes next.
      if (work.writes === null) shared ??= await openAll(loaded, (session) => readPath(session, files), settings)
      else shared = null
      const opened = shared ?? (await openAll(loaded, (session) => ownCopy(session, files), { ...settings, durability: work.durability }))
      results.push(await measureOne(work, opened, plan, node, against))
    }
    return results
  } finally {
    for (const session of sessions) session.end()
  }
}

/** Loads every peer; one that cannot be loaded is reported as missing. */
async function loadAll(sessions, missing) {
  const loaded = []
  for (const session of sessions) {
    try {
      const { locksFile = false } = (await session.ask('load', { name: session.name })) ?? {}
      loaded.push(Object.assign(session, { locksFile }))
    } catch (error) {
      missing.push({ name: session.name, reason: error.message.split('\n')[0] })
    }
  }
  return loaded
}

/** Opens a file in every process. */
async function openAll(sessions, pathFor, settings) {
  const open = []
  const failures = new Map()
  for (const session of sessions) {
    try {
      await session.ask('open', { path: pathFor(session), settings })
      open.push(session)
    } catch (error) {
      failures.set(session.name, error.message)
    }
  }
  return { open, failures }
}

function readPath(session, files) {
  return session.locksFile ? ownCopy(session, files) : files.cities
}

let copies = 0

/** Copies the file for a peer; a new copy each time, since not every driver lets go of the one before. */
function ownCopy({ name }, files) {
  const copy = join(files.folder, `${name.replaceAll(/\W+/g, '-')}-${copies++}.db`)
  copyFileSync(files.cities, copy)
  return copy
}

async function measureOne(work, { open, failures: unopened }, plan, node, { subject, baseline }) {
  const { id, title } = work
  const able = open.filter((session) => session.canRun(work))
  const { measured, failures } = await measureCase(able, work, plan, (round) => step(`${id}: ${title}`, round, plan.rounds))
  const figures = figuresOf(measured, baseline)
  const ratio = figures.find(({ name }) => name === subject)?.ratio
  progress(`${id}: ${title}: ${ratio === null || ratio === undefined ? 'failed' : ratioOf(ratio)}`)
  for (const [name, reason] of failures) progress(`  ${name}: ${failureOf(reason)}`)
  return { id, title, target: work.target[node.major], figures, failures: Object.fromEntries([...unopened, ...failures]) }
}
