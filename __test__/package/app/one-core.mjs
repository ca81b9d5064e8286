// An application whose dependencies use the package both as an ES module and through `require`.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as esm from 'sluice'

const cjs = createRequire(import.meta.url)('sluice')

assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort())
for (const [name, value] of Object.entries(esm)) assert.equal(cjs[name], value, name)
