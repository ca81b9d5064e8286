// The workloads that are compared call by call, on one version of Node.
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { figuresOf, measureCase } from './comparison.mjs'
import { failureOf } from './failure.mjs'
import { FLOORS, FloorSession, floorsOf } from './floor.mjs'
import { ratioOf } from './numbers.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { progress, step } from './progress.mjs'
import { Session } from './session.mjs'

/** Whom the figures compare, unless others are wanted. */
const PEERS = { subject: SUBJECT, baseline: BASELINE }

/**
 * Measures some cases.
 *
 * @param {{ version: string, major: number, binary: string }} node
 * @param {object} wanted - with `cases`, what to measure, and `against`, `subject` relative to `baseline`
 */
export async function measureCases(node, { cases, peers, settings, files, floor, plan, missing, against = PEERS }) {
  if (cases.length === 0) return []
  const sessions = [
    ...peers.map(({ name }) => new Session(name, node.binary)),
    ...(floor === null ? [] : floorsOf(plan).map((name) => new FloorSession(name, floor))),
  ]
  try {
    const loaded = await loadAll(sessions, missing)
    const results = []
    let shared = null
    for (const work of cases) {
      const able = loaded.filter((session) => takesPart(session, work, against))
      shared = await openedFor(work, able, shared, files, settings)
      results.push(await measureOne(work, shared.opened, plan, node, against))
    }
    return results
  } finally {
    for (const session of sessions) session.end()
  }
}

/** Whether a peer, or a floor, has a place in a workload. */
function takesPart(session, work, { subject, baseline }) {
  const { name } = session
  if (name in FLOORS) return session.canRun(work) && (work.floors === 'all' || FLOORS[name] === work.floors)
  return work.peers === undefined || [subject, baseline, work.baseline, ...work.peers].includes(name)
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

/** Opens the file of a workload in every process that takes part, unless they have it open. */
async function openedFor({ file, writes, durability, readers, peers, floors }, sessions, shared, files, settings) {
  const original = await files.path(file)
  if (writes !== null) {
    // What is written to one file by several would be checkpointed by whoever comes next.
    const path = (session) => ownCopy(session, original, files)
    const before = copies.splice(0)
    const opened = await openAll(sessions, path, { ...settings, durability })
    before.forEach(removeCopy)
    return { key: null, opened }
  }
  const key = JSON.stringify([file, readers, peers, floors])
  if (shared?.key === key) return shared
  const path = (session) => (session.locksFile ? ownCopy(session, original, files) : original)
  return { key, opened: await openAll(sessions, path, { ...settings, readers: readers ?? settings.readers }) }
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

/** Those that are in use, and how many there were. */
const copies = []
let copied = 0

/** Copies the file for a peer; a new copy each time, since not every driver lets go of the one before. */
function ownCopy({ name }, original, { folder }) {
  const copy = join(folder, `${name.replaceAll(/\W+/g, '-')}-${copied++}.db`)
  copyFileSync(original, copy)
  copies.push(copy)
  return copy
}

/** Removes a copy that nobody uses any more, as far as the system lets it. */
function removeCopy(copy) {
  for (const suffix of ['', '-wal', '-shm', '-log']) {
    try {
      rmSync(copy + suffix, { force: true })
    } catch {
      // It goes with the folder.
    }
  }
}

async function measureOne(work, { open, failures: unopened }, plan, node, against) {
  const { id, title, inFlight, readers = null } = work
  const baseline = work.baseline ?? against.baseline
  const tell = (round) => step(`${id}: ${title}`, round, plan.rounds)
  const { measured, failures } = await measureCase(open, work, shortened(plan, work), tell)
  const figures = figuresOf(measured, baseline)
  const ratio = figures.find(({ name }) => name === against.subject)?.ratio
  progress(`${id}: ${title}: ${ratio === null || ratio === undefined ? 'no ratio' : ratioOf(ratio)}`)
  for (const [name, reason] of failures) progress(`  ${name}: ${failureOf(reason)}`)
  const target = work.target[node.major] ?? null
  return { id, title, inFlight, readers, baseline, target, figures, failures: Object.fromEntries([...unopened, ...failures]) }
}

/** Returns the plan for a workload whose rounds are shorter. */
function shortened(plan, { brevity }) {
  const { roundMs, warmUpMs, loopDelayMs } = plan
  return { ...plan, roundMs: roundMs / brevity, warmUpMs: warmUpMs / brevity, loopDelayMs: loopDelayMs / brevity }
}
