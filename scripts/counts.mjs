// How the tests that ran are counted, for each kind of runner.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cacheFolder } from './paths.mjs'

/** Counts a whole program as one test. */
export function checkCounts(code) {
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

/** Adds up the `test result:` lines of cargo's test runner. */
export function cargoCounts(_code, output) {
  return addUp(output, /^test result: .*? (\d+) passed; (\d+) failed;/gm)
}

/** Reads the last line of a runner that ends as ours do. */
export function summaryCounts(_code, output) {
  return addUp(output, /^(\d+) passed, (\d+) failed$/gm)
}

/** Reads vitest's JSON report; a file that could not be loaded counts as one failure. */
export function vitestCounts(report) {
  const file = join(cacheFolder, `${report}.json`)
  mkdirSync(dirname(file), { recursive: true })
  rmSync(file, { force: true })
  return { file, count: () => (existsSync(file) ? countReport(JSON.parse(readFileSync(file, 'utf8'))) : { passed: 0, failed: 1 }) }
}

function countReport({ numPassedTests, numFailedTests, testResults }) {
  const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  return { passed: numPassedTests, failed: numFailedTests + unloaded.length }
}

function addUp(output, pattern) {
  const counts = { passed: 0, failed: 0 }
  for (const [, passed, failed] of output.matchAll(pattern)) {
    counts.passed += Number(passed)
    counts.failed += Number(failed)
  }
  return counts
}
