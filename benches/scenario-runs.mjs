// The workloads that are a scene of their own, on one version of Node: every run in fresh processes on a fresh copy of the file.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { failureOf } from './failure.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { progress, step } from './progress.mjs'
import { SCENARIOS, roleOf } from './scenario.mjs'
import { Session } from './session.mjs'
import { ratiosOf, spreadOf } from './statistics.mjs'

/** How long processes that start together get to open the file, in milliseconds. */
const START_MS = 250

/** Measures all scenarios of a workload, with every peer that has a role in them. */
export async function measureScenarios(node, id, context) {
  const results = []
  for (const scenario of SCENARIOS.filter((one) => one.id === id)) {
    const points = scenario.growth?.values(context.plan) ?? [null]
    const played = new Played(scenario, points)
    for (const point of points) await playRounds(scenario, point, played, { ...context, node })
    results.push(played.result())
  }
  return results
}

/** What came of the runs of a scenario: the figures of each round, by the point of growth and the peer. */
class Played {
  #scenario
  #rounds

  constructor(scenario, points) {
    this.#scenario = scenario
    this.#rounds = new Map(points.map((point) => [point, new Map()]))
    /** Why there are no figures, by peer. */
    this.failures = new Map()
  }

  /** Returns the figures of a peer's rounds, to be added to. */
  of(point, name) {
    const rounds = this.#rounds.get(point)
    if (!rounds.has(name)) rounds.set(name, [])
    return rounds.get(name)
  }

  /** Takes note that a peer has no part in it. */
  leftOut(name, reason) {
    this.failures.set(name, reason)
  }

  /** Takes note that a peer cannot go on. What grows has figures up to there. */
  failed(point, name, message) {
    const reason = failureOf(message)
    this.failures.set(name, point === null ? reason : `from ${point.toLocaleString('en')} on ${reason}`)
    this.#rounds.get(point).delete(name)
  }

  result() {
    const { id, title, about, figures, growth } = this.#scenario
    const shared = { id, title, about, failures: Object.fromEntries(this.failures) }
    if (growth === undefined) return { ...shared, figures: figuresOf(figures, this.#rounds.get(null)) }
    const points = [...this.#rounds].map(([point, rounds]) => ({ point, figures: figuresOf(figures, rounds) }))
    return { ...shared, growth: growth.title, points }
  }
}

async function playRounds(scenario, point, played, { node, peers, settings, files, plan }) {
  const { id, title, durability } = scenario
  const able = []
  for (const { name } of peers) {
    const role = roleOf(scenario, name)
    if (typeof role === 'string') played.leftOut(name, role)
    else if (role !== undefined && !played.failures.has(name)) able.push(name)
  }
  const what = point === null ? `${id}: ${title}` : `${id}: ${title}, ${point.toLocaleString('en')}`
  for (let round = 0; round < plan.scenarioRounds; round++) {
    step(what, round, plan.scenarioRounds)
    for (const name of able.filter((one) => !played.failures.has(one))) {
      try {
        const run = { name, node, settings: { ...settings, durability }, files, plan, point }
        played.of(point, name).push(await playOnce(scenario, run))
      } catch (error) {
        played.failed(point, name, error.message)
        progress(`  ${name}: ${failureOf(error.message)}`)
      }
    }
  }
  progress(`${what}: ${played.failures.has(SUBJECT) ? 'failed' : 'done'}`)
}

/** Plays it once as one peer, and returns the figures. */
async function playOnce(scenario, { name, node, settings, files, plan, point }) {
  const { id, title, file = 'cities', shared = false, processes, combine = ([only]) => only } = scenario
  const folder = join(files.folder, 'scenario')
  const original = await files.path(file)
  mkdirSync(folder)
  const path = shared ? original : join(folder, `${file}.db`)
  if (!shared) copyFileSync(original, path)
  const sessions = Array.from({ length: processes }, () => new Session(name, node.binary))
  try {
    await Promise.all(sessions.map((session) => session.ask('load', { name })))
    const startAt = Date.now() + START_MS
    const request = { id, title, path, folder, settings, plan, startAt, point }
    return combine(await Promise.all(sessions.map((session, process) => session.ask('scenario', { ...request, process }))))
  } finally {
    await Promise.all(sessions.map((session) => session.end()))
    rmSync(folder, { recursive: true })
  }
}

/**
 * Turns what was measured into one entry per figure: the spread for each peer, and the ratio of the subject to the baseline. A round in
 * which there was nothing to measure has no number.
 */
function figuresOf(figures, played) {
  return Object.entries(figures).map(([key, { title, unit, target = null, least = false }]) => {
    const measured = new Map([...played].map(([name, rounds]) => [name, rounds.map((one) => one[key] ?? null)]))
    const peers = Object.fromEntries([...measured].map(([name, numbers]) => [name, spreadOrNone(numbers)]))
    return { key, title, unit, target, least, peers, ratio: ratioOrNone(measured.get(SUBJECT), measured.get(BASELINE)) }
  })
}

function spreadOrNone(numbers) {
  const there = numbers.filter((number) => number !== null)
  return there.length === 0 ? null : spreadOf(there)
}

function ratioOrNone(subject, base) {
  const comparable = subject?.length === base?.length && subject?.every((number) => number !== null) && base?.every((number) => number > 0)
  return comparable ? ratiosOf(subject, base) : null
}
