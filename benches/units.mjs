// What is measured in one go, and kept when it is done: a workload.
import { measureCases } from './case-runs.mjs'
import { floorsOf } from './floor.mjs'
import { measureMemory } from './memory-runs.mjs'
import { progress } from './progress.mjs'
import { measureScenarios } from './scenario-runs.mjs'
import { SCENARIOS, roleOf } from './scenario.mjs'
import { WORKLOADS, casesOf } from './workload.mjs'

/** What a case takes beside its rounds, for each who takes part, in seconds: to open, to prepare, to compare. */
const CASE_SECONDS = 0.1
/** By how much a warm-up and rounds take longer than planned, where a single lot of calls is longer than a round. */
const OVERRUN = 1.3
/** Starting the processes of a workload, and one for a scene. */
const START_SECONDS = 2
const PROCESS_SECONDS = 0.15
const MEMORY_SECONDS = 5

/**
 * @typedef {object} Unit
 * @property {string} id
 * @property {'cases' | 'scenarios' | 'memory'} kind
 */

/**
 * Lists what is wanted, in order.
 *
 * @returns {Unit[]}
 */
export function unitsOf({ ids, memory }) {
  const kinds = { cases: WORKLOADS, scenarios: SCENARIOS }
  const units = ids.flatMap((id) => {
    return Object.keys(kinds).filter((kind) => kinds[kind].some((one) => one.id === id)).map((kind) => ({ id, kind }))
  })
  return memory ? [...units, { id: 'memory', kind: 'memory' }] : units
}

/** Returns the cases of a workload: `quick` leaves the long ones out, unless the workload is named. */
function casesWanted(id, { plan, named }) {
  return casesOf([id]).filter(({ long }) => !plan.quick || named.includes(id) || !long)
}

/** Measures one unit on one version of Node, and returns a list of results. */
export async function measureUnit({ id, kind }, node, wanted) {
  switch (kind) {
    case 'cases':
      return measureCases(node, { ...wanted, cases: casesWanted(id, wanted) })
    case 'scenarios':
      return measureScenarios(node, id, wanted)
    case 'memory':
      return memoryOf(node, wanted)
    default:
      throw new Error(`'${kind}' is not known`)
  }
}

async function memoryOf(node, { peers, files, settings }) {
  const measured = []
  for (const { name } of peers) {
    progress(`memory: ${name}`)
    measured.push(await measureMemory(name, node, files, settings))
  }
  return measured
}

/** Returns about how many seconds a unit takes. */
export function secondsOf({ id, kind }, wanted) {
  const names = wanted.peers.map(({ name }) => name)
  switch (kind) {
    case 'cases':
      return START_SECONDS + casesWanted(id, wanted).reduce((sum, work) => sum + caseSeconds(work, names, wanted), 0)
    case 'scenarios':
      return SCENARIOS.filter((one) => one.id === id).reduce((sum, scenario) => sum + scenarioSeconds(scenario, names, wanted.plan), 0)
    case 'memory':
      return names.length * MEMORY_SECONDS
    default:
      throw new Error(`'${kind}' is not known`)
  }
}

function caseSeconds({ peers, floors, brevity }, names, { plan, floor }) {
  const floorCount = floor === null ? 0 : floors === 'core' ? 1 : floorsOf(plan).length
  const count = (peers === undefined ? names.length : names.filter((name) => peers.includes(name)).length + 2) + floorCount
  const { rounds, roundMs, warmUpMs, loopDelayMs } = plan
  return count * (CASE_SECONDS + (OVERRUN * (rounds * roundMs + warmUpMs) + loopDelayMs) / brevity / 1_000)
}

function scenarioSeconds(scenario, names, plan) {
  const players = names.filter((name) => typeof roleOf(scenario, name) === 'function').length
  const { seconds, growth } = scenario
  const once = PROCESS_SECONDS + (typeof seconds === 'function' ? seconds(plan) : seconds)
  return players * plan.scenarioRounds * (growth?.values(plan).length ?? 1) * once
}
