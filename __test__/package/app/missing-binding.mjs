// H16: an application installed without the package of its platform, whose name is the argument.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

const wanted = process.argv[2]

function check(error) {
  assert.equal(error.code, 'ERR_SLUICE_BINDING_MISSING')
  assert.ok(error.message.includes(wanted), error.message)
  assert.ok(!error.message.includes('\n'), 'one line')
  assert.ok(!/npm has a bug|node_modules directory/.test(error.message), 'not the text of the stock loader')
}

check(await import('sluice').then(() => assert.fail('the import succeeded'), (error) => error))
assert.throws(() => createRequire(import.meta.url)('sluice'), (error) => {
  check(error)
  return true
})
