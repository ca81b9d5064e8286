import { setImmediate as turn } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { WATCHED_ARRIVED, WATCHED_CROWDED, WATCHED_NOTHING } from '../js/layout.js'
import { Vigil } from '../js/vigil.js'
import { until } from './support/deadline.js'

/** A vigil over results that come as `finds` says; after them none come. */
function watched(finds: number[]) {
  const seen = { watches: 0, receives: 0, isWaitedFor: true }
  const vigil: Vigil = new Vigil({
    isWaitedFor: () => seen.isWaitedFor,
    watch: () => {
      seen.watches++
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
    vigil.woken(performance.now() + afterMs)
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
    const { vigil, seen, wake } = watched([WATCHED_ARRIVED, WATCHED_ARRIVED])
    wake(0)
    await until(() => !vigil.comesAgain, 'the vigil ends')
    expect(seen.watches).toBeGreaterThan(2)
    expect(seen.receives).toBe(3)
    const { watches } = seen
    await turn()
    expect(seen.watches, 'from here on a wake-up is needed').toBe(watches)
  })

  it('ends at once when nobody waits for anything', async () => {
    const { vigil, seen, wake } = watched([WATCHED_ARRIVED])
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
