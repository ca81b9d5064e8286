'use strict'

// Has every test run under another setting of `inlineReads`. Each process of the suite loads it first:
//
//   NODE_OPTIONS='--require ./__test__/support/inline-setting.cjs' SLUICE_TEST_INLINE_READS=off npx vitest run
//
// 'off' makes that the default. 'eager' has a statement run inline after its first short run instead of its fourth, which far more
// statements of the suite come to.
const AFTER = { off: undefined, eager: 1 }

const setting = process.env.SLUICE_TEST_INLINE_READS
if (!Object.hasOwn(AFTER, setting)) throw new Error('SLUICE_TEST_INLINE_READS must be off or eager')

// Every copy of the package's code in the process asks this module for the class.
const binding = require('../../binding.cjs')
const { BindingDatabase } = binding
binding.BindingDatabase = function (channel, location, config) {
  // What a test says itself stays.
  const inlineAfter = config.leftOut.includes('inlineReads') ? AFTER[setting] : config.inlineAfter
  return new BindingDatabase(channel, location, { ...config, inlineAfter })
}
