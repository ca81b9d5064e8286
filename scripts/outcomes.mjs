// What came of the tests that ran, for each kind of runner: how many passed and failed, and what is to be read about those that failed.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { cacheFolder, root } from './paths.mjs'

/** How much of the end of an output is shown where nothing better is known of a failure, in lines. */
const TAIL_LINES = 40

/** How much of one failure is shown, in characters. */
const MOST_OF_A_FAILURE = 2_000

/** Takes a whole program as one test. */
export function checkOutcome(code) {
  return code === 0 ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [] }
}

/** Adds up the `test result:` lines of cargo's test runner, and picks what its failing tests printed. */
export function cargoOutcome(_code, output) {
  const counts = addUp(output, /^test result: .*? (\d+) passed; (\d+) failed;/gm)
  return { ...counts, failures: [...output.matchAll(/^---- .+? stdout ----\n[^]*?(?=^---- |^failures:$)/gm)].map(([text]) => text) }
}

/** Reads the checks of a runner that prints as `runChecks` does. */
export function checksOutcome(_code, output) {
  const counts = addUp(output, /^(\d+) passed, (\d+) failed$/gm)
  return { ...counts, failures: [...output.matchAll(/^FAILED [^]*?(?=^ok |^FAILED |^\d+ passed,)/gm)].map(([text]) => text) }
}

/** Reads vitest's JSON report; a file that could not be loaded counts as one failure. */
export function vitestOutcome(report) {
  const file = join(cacheFolder, `${report}.json`)
  mkdirSync(dirname(file), { recursive: true })
  rmSync(file, { force: true })
  const none = { passed: 0, failed: 1, failures: [] }
  return { file, outcome: () => (existsSync(file) ? readReport(JSON.parse(readFileSync(file, 'utf8'))) : none) }
}

function readReport({ numPassedTests, numFailedTests, testResults }) {
  const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  const failures = [
    ...unloaded.map((file) => `${relative(root, file.name)}\n${file.message}`),
    ...testResults.flatMap((file) => failuresIn(file)),
  ]
  return { passed: numPassedTests, failed: numFailedTests + unloaded.length, failures }
}

function failuresIn({ name, assertionResults }) {
  return assertionResults
    .filter((test) => test.status === 'failed')
    .map((test) => `${relative(root, name)} > ${test.fullName}\n${test.failureMessages.join('\n')}`)
}

/**
 * What to tell of a step that ended with an exit code: its outcome, with one failure at least when it failed.
 * A step that fails without having counted a failure counts as one.
 */
export function stepOutcome(read, code, output) {
  const plain = stripVTControlCharacters(output)
  const { passed, failed, failures } = read(code, plain)
  if (code === 0 && failed === 0) return { passed, failed, failures: [] }
  const told = failures.length > 0 ? failures : [plain.trimEnd().split('\n').slice(-TAIL_LINES).join('\n')]
  return { passed, failed: Math.max(failed, 1), failures: told.map(shortened) }
}

/** Leaves out the test runner's own part of a stack. */
function shortened(text) {
  const trimmed = text.replaceAll(/^ +at .*node_modules.*\n?/gm, '').trim()
  return trimmed.length <= MOST_OF_A_FAILURE ? trimmed : `${trimmed.slice(0, MOST_OF_A_FAILURE)} ...`
}

function addUp(output, pattern) {
  const counts = { passed: 0, failed: 0 }
  for (const [, passed, failed] of output.matchAll(pattern)) {
    counts.passed += Number(passed)
    counts.failed += Number(failed)
  }
  return counts
}
