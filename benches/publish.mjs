// Writes what was measured to a file, as figures and as a page, and prints the page.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inRoot } from '../scripts/paths.mjs'
import { markdownOf } from './report.mjs'
import { environment } from './versions.mjs'

/**
 * @param {object} wanted - the command, the settings and the plan, and what was named in it
 * @param {object[]} runs - what was measured on each Node
 */
export function publish(wanted, runs) {
  const date = new Date().toISOString().slice(0, 10)
  const { command, profile, plan } = wanted
  const result = { command, date, profile, ...plan, environment: environment(), runs }
  const folder = inRoot(wanted.publish ? 'docs/benchmarks' : 'benches/results')
  mkdirSync(folder, { recursive: true })
  const majors = new Set(runs.map(({ node }) => node.split('.')[0]))
  const nodes = `node${[...majors].join('-')}`
  const name = [date, profile, nodes, ...wanted.named].join('-')
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`)
  const page = markdownOf(result)
  writeFileSync(join(folder, `${name}.md`), page)
  console.log(page)
}
