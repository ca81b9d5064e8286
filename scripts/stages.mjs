// What `npm test` runs, in order. A step is a command, its environment, and how to read what came of the tests in it.
import { cargoOutcome, checkOutcome, checksOutcome, vitestOutcome } from './outcomes.mjs'
import { inRoot } from './paths.mjs'
import { npm } from './run.mjs'

const node = process.execPath

/** A program that passes or fails as a whole. */
function check(...command) {
  return { command, outcome: checkOutcome }
}

/** A run of cargo's test runner. */
function cargoTest(...args) {
  return { command: ['cargo', 'test', '--no-fail-fast', ...args], outcome: cargoOutcome }
}

/** A run of vitest; its report is read from a file. */
function vitest(report, ...args) {
  const { file, outcome } = vitestOutcome(report)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  return { command: [node, 'node_modules/vitest/vitest.mjs', 'run', ...args, ...reporters], outcome }
}

/** The same with another setting of `inlineReads` in every process. */
function vitestWith(setting) {
  const NODE_OPTIONS = `--require ${JSON.stringify(inRoot('__test__/support/inline-setting.cjs'))}`
  return { ...vitest(`vitest-${setting}`), env: { NODE_OPTIONS, SLUICE_TEST_INLINE_READS: setting } }
}

export const stages = [
  { name: 'build', steps: [check(...npm('run', 'build'))] },
  {
    name: 'checks',
    steps: [
      check('cargo', 'fmt', '--all', '--check'),
      check('cargo', 'clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'),
      check('cargo', 'clippy', '-p', 'sluice-core', '--features', 'model-check', '--test', 'gate_model', '--', '-D', 'warnings'),
      { ...check('cargo', 'doc', '-p', 'sluice-core', '--no-deps'), env: { RUSTDOCFLAGS: '-D warnings' } },
      check(...npm('run', 'lint')),
      check(...npm('run', 'typecheck')),
    ],
  },
  { name: 'rust', steps: [cargoTest('-p', 'sluice-core')] },
  { name: 'model', steps: [cargoTest('-p', 'sluice-core', '--features', 'model-check', '--test', 'gate_model')] },
  { name: 'vitest', steps: [vitest('vitest')] },
  { name: 'vitest-off', steps: [vitestWith('off')] },
  { name: 'types', steps: [vitest('types', '--typecheck.only')] },
  { name: 'package', steps: [{ command: [node, 'scripts/package-test.mjs'], outcome: checksOutcome }] },
  { name: 'generated', steps: [check(node, 'scripts/check-generated.mjs')] },
]
