import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { bundle } from '../support/bundle.js'
import { PACKAGE } from '../support/child-process.js'
import { scratchFolder } from '../support/scratch.js'
import { CELLS, runCell, runCells } from './cells.js'
import type { Setting } from './cells.js'
import { Findings, withMatrix } from './matrix.js'

/** How many children run at the same time. */
const AT_ONCE = 2

async function setting(): Promise<Setting> {
  const program = join(scratchFolder(), 'child.mjs')
  await bundle('lifecycle/child.ts', program)
  return { node: process.execPath, program, packagePath: PACKAGE }
}

describe('the life cycle: H01, H02, H03, H05, T20', () => {
  it('ends as docs/LIFECYCLE.md says, in every state, and nothing acknowledged is lost', { timeout: 180_000 }, async () => {
    const findings = new Findings()
    const children = await setting()
    await runCells(CELLS, AT_ONCE, async (cell) => findings.add(cell, await runCell(children, cell), process.version))
    expect(findings.faults).toEqual([])
    // `npm run test:lifecycle -- --update` writes it.
    const document = readFileSync(join(__dirname, '..', '..', 'docs', 'LIFECYCLE.md'), 'utf8')
    expect(document).toBe(withMatrix(document, findings.table()))
  })

  it.each([
    ['lost', /^lost of 6: 9999$/],
    ['half', /^half transactions: 9999$/],
    ['hung', /^the process ends: not within \d+ ms$/],
    ['said', /^it said: a word too many/],
    ['code', /^it ended with 9, not with 0/],
  ] as const)('is found out when something is wrong: %s', async (planted, expected) => {
    const { faults } = await runCell({ ...(await setting()), planted }, { ending: 'natural', state: 'idle' })
    expect(faults).toEqual([expect.stringMatching(expected)])
  })
})
