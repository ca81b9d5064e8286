import { describe, expect, it } from 'vitest'

import { Random } from '../support/random-values.js'
import { scratchFolder } from '../support/scratch.js'
import { makeProgram, runCycles } from './cycles.js'
import type { Findings, Honesty } from './cycles.js'

/** How often a child is killed: `npm run test:crash -- --cycles 10000` for more. */
const CYCLES = Number(process.env['SLUICE_CRASH_CYCLES'] ?? 200)
const SEED = Number(process.env['SLUICE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** Files that are worked on at the same time. */
const FILES = 2

/** Kills children on several files at once, and adds up what was found. */
async function crash(cycles: number, honesty: Honesty): Promise<Findings> {
  const folder = scratchFolder()
  const program = await makeProgram(folder)
  const each = Array.from({ length: FILES }, (_, file) =>
    runCycles(folder, program, `crash-${file}`, Math.ceil(cycles / FILES), honesty, new Random(SEED + file)),
  )
  const all = await Promise.all(each)
  const sum = (count: (findings: Findings) => number): number => all.reduce((total, findings) => total + count(findings), 0)
  return {
    cycles: sum((findings) => findings.cycles),
    acknowledged: sum((findings) => findings.acknowledged),
    lost: all.flatMap((findings) => findings.lost),
    halves: all.flatMap((findings) => findings.halves),
    unacknowledged: sum((findings) => findings.unacknowledged),
  }
}

describe('a process that is killed under load', () => {
  it(`T08: loses nothing that was acknowledged, and leaves no half transaction, ${CYCLES} times`, { timeout: 60_000 + CYCLES * 3_000 }, async () => {
    const findings = await crash(CYCLES, 'honest')
    expect(findings.cycles).toBeGreaterThanOrEqual(CYCLES)
    expect(findings.lost.slice(0, 10), `${findings.lost.length} acknowledged transactions were lost, with SLUICE_SEED=${SEED}`).toEqual([])
    expect(findings.halves.slice(0, 10), `${findings.halves.length} transactions were halved, with SLUICE_SEED=${SEED}`).toEqual([])
    // They were killed at work, and some between a commit and its acknowledgement.
    expect(findings.acknowledged).toBeGreaterThan(CYCLES)
    expect(findings.unacknowledged).toBeGreaterThan(0)
  })

  it('is found out when it acknowledges what is not committed yet', { timeout: 90_000 }, async () => {
    const findings = await crash(20, 'early')
    expect(findings.lost.length).toBeGreaterThan(0)
    expect(findings.halves).toEqual([])
  })
})
