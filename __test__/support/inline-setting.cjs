'use strict'

// Has every test run under another setting of `inlineReads`. Each process of the suite loads it first:
//
//   NODE_OPTIONS='--require ./__test__/support/inline-setting.cjs' SLUICE_TEST_INLINE_READS=off npx vitest run
//
// 'off' makes that the default. 'eager' has a statement run inline after its first short run instead of its fourth, which far more
// statements of the suite come to.
const settings = require('../../dist/inline-reads.js')

switch (process.env.SLUICE_TEST_INLINE_READS) {
  case 'off':
    settings.INLINE_READS.initial = 'off'
    break
  case 'eager':
    settings.INLINE_AFTER.auto = 1
    break
  default:
    throw new Error('SLUICE_TEST_INLINE_READS must be off or eager')
}
