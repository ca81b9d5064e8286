import { setImmediate as turn } from 'node:timers/promises'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { WATCHED_CROWDED, WATCHED_NOTHING } from '../js/layout.js'
import type * as Turns from '../js/turn.js'
import { Vigil } from '../js/vigil.js'
import { until } from './support/deadline.js'

const ARRIVED = 1

/** The vigil's clock stands still where a test has set it. */
const time = vi.hoisted(() => ({ now: null as number | null }))

vi.mock('../js/turn.js', async (original) => ({
  ...(await original<typeof Turns>()),
  clock: () => time.now ?? performance.now(),
}))

afterEach(() => {
  time.now = null
})

/** A vigil over results that come as `finds` says, each of which `elapsesMs` after the one before; after them none come. */
function watched(finds: number[], elapsesMs = 0) {
  const seen = { watches: 0, receives: 0, isWaitedFor: true }
  const vigil: Vigil = new Vigil({
    isWaitedFor: () => seen.isWaitedFor,
    watch: () => {
      seen.watches++
      if (time.now !== null) time.now += elapsesMs
      return finds.shift() ?? WATCHED_NOTHING
    },
    receive: () => {
      seen.receives++
      vigil.begin()
    },
  })
  /** The event loop is woken for results so many milliseconds after it had nothing to do, and takes them. */
  const wake = (afterMs: number): void => {
    vigil.begin()
    vigil.woken((time.now ?? performance.now()) + afterMs)
    vigil.begin()
  }
  return { vigil, seen, wake }
}

describe('the vigil for results', () => {
  it('is kept after results that came soon, and not after results that came late', async () => {
    const { vigil, seen, wake } = watched([])
    wake(1_000)
    await turn()
    expect([vigil.comesAgain, seen.watches]).toEqual([false, 0])
    wake(0)
    expect(vigil.comesAgain).toBe(true)
    await turn()
    expect(seen.watches).toBe(1)
  })

  it('goes on as long as results arrive, and ends some time after the last', async () => {
    const { vigil, seen, wake } = watched([ARRIVED, ARRIVED])
    wake(0)
    await until(() => !vigil.comesAgain, 'the vigil ends')
    expect(seen.watches).toBeGreaterThan(2)
    expect(seen.receives).toBe(3)
    const { watches } = seen
    await turn()
    expect(seen.watches, 'from here on a wake-up is needed').toBe(watches)
  })

  it('looks again in the turn in which results came, until that has lasted long enough', async () => {
    time.now = 0
    const finds = Array.from({ length: 100 }, () => ARRIVED)
    const { vigil, seen, wake } = watched(finds, 0.1)
    const watches: number[] = []
    wake(0)
    for (let turns = 0; turns < 3; turns++) {
      await turn()
      watches.push(seen.watches)
    }
    expect(watches, 'three tenths of a millisecond are long enough').toEqual([3, 6, 9])
    finds.length = 0
    time.now = null
    await until(() => !vigil.comesAgain, 'the vigil ends')
  })

  it('ends at once when nobody waits for anything', async () => {
    const { vigil, seen, wake } = watched([ARRIVED])
    seen.isWaitedFor = false
    wake(0)
    await turn()
    expect([vigil.comesAgain, seen.watches, seen.receives]).toEqual([false, 0, 1])
  })

  it('is not kept for a while where every core has work', async () => {
    const { vigil, seen, wake } = watched([WATCHED_CROWDED])
    wake(0)
    await turn()
    expect([vigil.comesAgain, seen.watches]).toEqual([false, 1])
    wake(0)
    await turn()
    expect(seen.watches).toBe(1)
    for (let wakeUp = 0; wakeUp < 64; wakeUp++) wake(0)
    await turn()
    expect(seen.watches, 'later it is tried again').toBeGreaterThan(1)
  })

  it('ends for good after some that were kept in vain, until results come soon again', async () => {
    const { vigil, seen, wake } = watched([])
    wake(0)
    await until(() => !vigil.comesAgain, 'the vigil ends')
    for (let late = 0; late < 4; late++) {
      wake(1_000)
      await until(() => !vigil.comesAgain, 'the vigil ends')
    }
    const { watches } = seen
    wake(1_000)
    await turn()
    expect(seen.watches).toBe(watches)
    wake(0)
    await turn()
    expect(seen.watches).toBeGreaterThan(watches)
  })
})
