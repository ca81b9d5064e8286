// An application with a plugin that brought its own copy of the package, each with a database of its own.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { open, SluiceError } from 'sluice'
import { exercise } from './exercise.mjs'

const warned = new Promise((resolve) => process.once('warning', resolve))
const plugin = createRequire(new URL('./plugin/index.cjs', import.meta.url))('sluice')
assert.notEqual(plugin.open, open)
assert.equal((await warned).code, 'SLUICE_SECOND_COPY')

const path = process.argv[2]
await Promise.all([exercise(open, path), exercise(plugin.open, `${path}.plugin`)])

const error = await plugin.open(42).catch((reason) => reason)
assert.ok(error instanceof SluiceError, 'the error of one copy is recognised by the other')
