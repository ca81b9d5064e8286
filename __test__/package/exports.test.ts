import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import * as esm from 'sluice'

const cjs = createRequire(import.meta.url)('../../index.js') as Record<string, unknown>

it('exports the same values, by the same names, to import and to require', () => {
  expect(Object.keys(esm).sort()).toEqual(Object.keys(cjs).sort())
  for (const [name, value] of Object.entries(esm)) expect(cjs[name], name).toBe(value)
})
