import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { bundle } from '../support/bundle.js'
import { PACKAGE } from '../support/child-process.js'
import { scratchFolder } from '../support/scratch.js'
import { FAULTS } from './kinds.js'
import { KIND_NAMES, callsOf, growth, growthFaults, lentFaults, measure } from './measure.js'
import type { Setting } from './measure.js'
import { MAX_GROWTH } from './measured.js'
import type { Measured, Sample } from './measured.js'

/** So few that memory cannot be judged: that is for `npm run test:leaks`, which makes a million. */
const CALLS = 2_000

async function setting(): Promise<Setting> {
  const program = join(scratchFolder(), 'child.mjs')
  await bundle('leaks/child.ts', program)
  return { program, packagePath: PACKAGE }
}

describe('what calls leave', () => {
  it.concurrent.each(KIND_NAMES)('no thread and no descriptor: %s', { timeout: 120_000 }, async (kind) => {
    expect(lentFaults(await measure(await setting(), kind, callsOf(kind, CALLS), 2))).toEqual([])
  })

  it('is found out: a database that is not closed', { timeout: 60_000 }, async () => {
    const faults = lentFaults(await measure(await setting(), 'not closed', 100))
    expect(faults).toEqual([expect.stringMatching(/^\d+ threads, \d+ before$/), expect.stringMatching(/^\d+ descriptors, \d+ before$/)])
  })

  it('is found out: memory that is kept', { timeout: 60_000 }, async () => {
    const faults = growthFaults(await measure(await setting(), 'kept', 2_000))
    expect(faults).toContainEqual(expect.stringMatching(/^external grew by \d+\.\d+ MiB$/))
  })

  it('is told apart by kinds that have different names', () => {
    expect(KIND_NAMES.filter((name) => name in FAULTS)).toEqual([])
  })
})

describe('the growth of memory', () => {
  const samples = (bytesAt: (calls: number) => number): Sample[] =>
    Array.from({ length: 41 }, (_, n) => n * 25_000).map((calls) => ({ calls, rss: bytesAt(calls), heapUsed: 0, external: 0, allocated: -1 }))

  const measured = (of: Sample[]): Measured => {
    const lent = { threads: 12, descriptors: 19 }
    return { samples: of, before: lent, after: lent, memoryUsed: 0, seconds: 1 }
  }

  it('is that of a line through all samples', () => {
    expect(growth(samples((calls) => 5_000 + 3 * calls), 'rss')).toBeCloseTo(3_000_000)
    expect(growth(samples(() => 5_000), 'rss')).toBeCloseTo(0)
    // One sample that stands out does not make it.
    expect(growth(samples((calls) => (calls === 500_000 ? 1e9 : 0)), 'rss')).toBeCloseTo(0)
  })

  it('may be one MiB', () => {
    expect(growthFaults(measured(samples((calls) => (calls * MAX_GROWTH * 0.99) / 1e6)))).toEqual([])
    expect(growthFaults(measured(samples((calls) => (calls * MAX_GROWTH * 1.01) / 1e6)))).toEqual(['rss grew by 1.01 MiB'])
  })

  it('may be three MiB over three times as many calls', () => {
    const rising = measured(samples((calls) => (calls * MAX_GROWTH * 2.99) / 1e6))
    expect(growthFaults(rising, 3)).toEqual([])
    expect(growthFaults(rising, 2)).toEqual(['rss grew by 1.50 MiB'])
  })
})
