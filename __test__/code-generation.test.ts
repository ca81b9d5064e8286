import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

import { runScript } from './support/child-process.js'

const FLAG = '--disallow-code-generation-from-strings'
const HERE = dirname(fileURLToPath(import.meta.url))
/** What concerns values on their way in and out. */
const DATA_PLANE = /^(?:decoding|limits|parameters|results|scripts|statement-caches|statements|template|values)\.test\.ts$/

interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[] }[]
}

describe('D12: where code generation from strings is disallowed', () => {
  it('rows are the same as elsewhere', async () => {
    const script = `
      let allowed = true
      try { new Function('return 1') } catch { allowed = false }
      main(async () => {
        const db = await open(':memory:')
        const sql = "SELECT value AS v, 'x' || value AS \\"__proto__\\", -0.0 AS \\"a'b\\", zeroblob(2) AS b FROM json_each(?)"
        const params = [JSON.stringify(Array.from({ length: 500 }, (_, n) => n / 2))]
        const results = []
        for (let time = 0; time < 6; time++) results.push(await db.all(sql, params), await db.values(sql, params), await db.get(sql, params))
        console.log(allowed)
        console.log(JSON.stringify(results.map((result) => [result].flat().map((row) => Object.entries(row)))))
        await db.close()
      })`
    const [there, elsewhere] = await Promise.all([runScript(script, { flags: [FLAG] }), runScript(script)])
    expect(there).toMatchObject({ code: 0, stderr: '' })
    expect(elsewhere).toMatchObject({ code: 0, stderr: '' })
    const [isAllowedThere, rowsThere] = there.stdout.split('\n')
    const [isAllowedElsewhere, rowsElsewhere] = elsewhere.stdout.split('\n')
    expect([isAllowedThere, isAllowedElsewhere]).toEqual(['false', 'true'])
    expect(rowsThere).toBe(rowsElsewhere)
  })

  it('every test of the data plane passes', { timeout: 180_000 }, async () => {
    const files = readdirSync(HERE).filter((name) => DATA_PLANE.test(name)).map((name) => join('__test__', name))
    expect(files.length).toBeGreaterThanOrEqual(6)
    const root = dirname(HERE)
    const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', '--maxWorkers=1', ...files]
    const env = { ...process.env, NODE_OPTIONS: FLAG, VITEST: undefined, VITEST_POOL_ID: undefined, VITEST_WORKER_ID: undefined }
    const options = { cwd: root, env, maxBuffer: 64 * 1024 * 1024, timeout: 170_000 }
    const { stdout } = await promisify(execFile)(process.execPath, args, options).catch((error: { stdout: string }) => error)
    const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Report
    const failed = report.testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status !== 'passed')
    expect(failed.map(({ fullName }) => fullName)).toEqual([])
    expect(report).toMatchObject({ success: true, numFailedTests: 0 })
    expect(report.testResults).toHaveLength(files.length)
    expect(report.numPassedTests).toBeGreaterThan(200)
  })
})
