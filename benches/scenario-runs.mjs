// The workloads that are a scene of their own, on one version of Node: every run in fresh processes on a fresh copy of the file.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { failureOf } from './failure.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { progress, step } from './progress.mjs'
import { SCENARIOS } from './scenario.mjs'
import { Session } from './session.mjs'
import { ratiosOf, spreadOf } from './statistics.mjs'

/** How long processes that start together get to open the file, in milliseconds. */
const START_MS = 250

/** Measures all scenarios that are wanted, with every peer that has a role in them. */
export async function measureScenarios(node, { scenarios, peers, settings, files, plan }) {
  const results = []
  for (const scenario of SCENARIOS.filter(({ id }) => scenarios.includes(id))) {
    const names = peers.map(({ name }) => name).filter((name) => name in scenario.roles)
    results.push(await measureScenario(scenario, names, { node, settings, files, plan }))
  }
  return results
}

async function measureScenario(scenario, names, { node, settings, files, plan }) {
  const { id, title, about, durability } = scenario
  const played = new Map(names.map((name) => [name, []]))
  const failures = new Map()
  for (let round = 0; round < plan.scenarioRounds; round++) {
    step(`${id}: ${title}`, round, plan.scenarioRounds)
    for (const name of played.keys()) {
      try {
        const run = { name, node, settings: { ...settings, durability }, files, plan }
        played.get(name).push(await playOnce(scenario, run))
      } catch (error) {
        failures.set(name, error.message)
        played.delete(name)
      }
    }
  }
  progress(`${id}: ${title}: ${failures.has(SUBJECT) ? 'failed' : 'done'}`)
  for (const [name, reason] of failures) progress(`  ${name}: ${failureOf(reason)}`)
  return { id, title, about, figures: figuresOf(scenario, played), failures: Object.fromEntries(failures) }
}

/** Plays it once as one peer, and returns the figures. */
async function playOnce({ id, title, processes, combine = ([only]) => only }, { name, node, settings, files, plan }) {
  const folder = join(files.folder, 'scenario')
  mkdirSync(folder)
  const path = join(folder, 'cities.db')
  copyFileSync(files.cities, path)
  const sessions = Array.from({ length: processes }, () => new Session(name, node.binary))
  try {
    await Promise.all(sessions.map((session) => session.ask('load', { name })))
    const startAt = Date.now() + START_MS
    const request = { id, title, path, settings, plan, startAt }
    return combine(await Promise.all(sessions.map((session, process) => session.ask('scenario', { ...request, process }))))
  } finally {
    await Promise.all(sessions.map((session) => session.end()))
    rmSync(folder, { recursive: true })
  }
}

/**
 * Turns what was measured into one entry per figure: the spread for each peer, and the ratio of the subject to the baseline. A round in which
 * there was nothing to measure has no number.
 */
function figuresOf({ figures }, played) {
  return Object.entries(figures).map(([key, { title, unit, target }]) => {
    const measured = new Map([...played].map(([name, rounds]) => [name, rounds.map((one) => one[key])]))
    const peers = Object.fromEntries([...measured].map(([name, numbers]) => [name, spreadOrNone(numbers)]))
    return { key, title, unit, target, peers, ratio: ratioOrNone(measured.get(SUBJECT), measured.get(BASELINE)) }
  })
}

function spreadOrNone(numbers) {
  const there = numbers.filter((number) => number !== null)
  return there.length === 0 ? null : spreadOf(there)
}

function ratioOrNone(subject, base) {
  const comparable = subject?.every((number) => number !== null) && base?.every((number) => number > 0)
  return comparable ? ratiosOf(subject, base) : null
}
