// One comparison: every peer in a process of its own, rounds in turn (A B C A B C …), and what came of it.
import { ratiosOf, spreadOf } from './statistics.mjs'

/**
 * @typedef {object} Measured
 * @property {number[]} microseconds - per call, round by round
 * @property {{ p99Ms: number, maxMs: number } | null} loopDelay
 */

/**
 * Measures one case on all sessions, which are open.
 *
 * @returns {Promise<{ measured: Map<string, Measured>, failures: Map<string, string> }>}
 */
export async function measureCase(sessions, work, plan) {
  const failures = new Map()
  const running = await prepare(sessions, work, plan, failures)
  const measured = new Map([...running.keys()].map(({ name }) => [name, { microseconds: [], loopDelay: null }]))
  for (let round = 0; round < plan.rounds; round++) {
    for (const [session, calls] of running) {
      const ms = await session.ask('round', { calls })
      measured.get(session.name).microseconds.push((ms * 1_000) / calls)
    }
  }
  for (const session of running.keys()) {
    measured.get(session.name).loopDelay = (await session.ask('loopDelay', { durationMs: plan.loopDelayMs })) ?? null
  }
  return { measured, failures }
}

/** Prepares and warms up every session, and compares their results. Returns how many calls a round of each has. */
async function prepare(sessions, { sql, take, params, inFlight }, plan, failures) {
  const running = new Map()
  let expected
  for (const session of sessions) {
    try {
      await session.ask('prepare', { sql, take, params, inFlight })
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

/** Turns what was measured into figures: time per call, and its ratio to `baseline` in the same round. */
export function figuresOf(measured, baseline) {
  const base = measured.get(baseline)
  return [...measured].map(([name, { microseconds, loopDelay }]) => ({
    name,
    microseconds: spreadOf(microseconds),
    ratio: base === undefined ? null : ratiosOf(microseconds, base.microseconds),
    loopDelay,
  }))
}
