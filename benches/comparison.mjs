// One comparison: every peer in a process of its own, rounds in turn (A B C A B C …), and what came of it.
import { setTimeout } from 'node:timers/promises'
import { CORE } from './floor.mjs'
import { PERCENTILES } from './latency.mjs'
import { ratiosOf, spreadOf } from './statistics.mjs'

/** How long the file of a peer that writes gets to come to rest, in milliseconds: a checkpoint in the background is not the next peer's. */
const REST_MS = 50

/**
 * @typedef {object} Measured
 * @property {number[]} microseconds - per call, round by round
 * @property {Record<string, number>[]} latencies - percentiles of single calls, round by round, where the workload asks for them
 * @property {{ p99Ms: number, maxMs: number } | null} loopDelay
 */

/**
 * Measures one case on all sessions, which are open.
 *
 * @param {(round: number) => void} tell - is told how many rounds are done
 * @returns {Promise<{ measured: Map<string, Measured>, failures: Map<string, string> }>}
 */
export async function measureCase(sessions, work, plan, tell) {
  const failures = new Map()
  const running = await prepare(sessions, work, plan, failures)
  const measured = new Map([...running.keys()].map(({ name }) => [name, { microseconds: [], latencies: [], loopDelay: null }]))
  const attempt = async (session, measure) => {
    try {
      await measure(measured.get(session.name))
    } catch (error) {
      failures.set(session.name, error.message)
      measured.delete(session.name)
      running.delete(session)
    }
  }
  for (let round = 0; round < plan.rounds; round++) {
    tell(round)
    for (const [session, calls] of running) await attempt(session, (figures) => measureRound(session, work, calls, figures))
  }
  for (const session of running.keys()) {
    await attempt(session, async (figures) => {
      figures.loopDelay = (await session.ask('loopDelay', { durationMs: plan.loopDelayMs })) ?? null
    })
  }
  return { measured, failures }
}

async function measureRound(session, { latency, writes }, calls, figures) {
  const ms = await session.ask('round', { calls })
  figures.microseconds.push((ms * 1_000) / calls)
  const taken = latency ? await session.ask('latencies', { calls }) : undefined
  // A floor knows none.
  if (taken !== undefined) figures.latencies.push(taken)
  if (writes !== null) await setTimeout(REST_MS)
}

/** Prepares and warms up every session, and compares their results. Returns how many calls a round of each has. */
async function prepare(sessions, work, plan, failures) {
  const running = new Map()
  let expected
  for (const session of sessions) {
    try {
      await session.ask('prepare', { work })
      const digest = await session.ask('digest')
      expected ??= digest
      if (digest !== undefined && digest !== expected) throw new Error('its results differ from those of the first peer')
      running.set(session, await session.ask('warmUp', plan))
    } catch (error) {
      failures.set(session.name, error.message)
    }
  }
  return running
}

/**
 * Turns what was measured into figures: time per call, its ratio to `baseline` in the same round, and which part of it the core would take
 * by itself.
 */
export function figuresOf(measured, baseline) {
  const base = measured.get(baseline)
  const core = measured.get(CORE)
  return [...measured].map(([name, { microseconds, latencies, loopDelay }]) => ({
    name,
    microseconds: spreadOf(microseconds),
    ratio: base === undefined ? null : ratiosOf(microseconds, base.microseconds),
    coreShare: core === undefined ? null : ratiosOf(core.microseconds, microseconds),
    latency: latencies.length === 0 ? null : latencyFigures(latencies, base?.latencies),
    loopDelay,
  }))
}

function latencyFigures(latencies, base) {
  const figure = (key) => {
    const times = latencies.map((one) => one[key])
    const ratio = base === undefined ? null : ratiosOf(times, base.map((one) => one[key]))
    return { ms: spreadOf(times), ratio }
  }
  return Object.fromEntries(PERCENTILES.map((percent) => [`p${percent}`, figure(`p${percent}Ms`)]))
}
