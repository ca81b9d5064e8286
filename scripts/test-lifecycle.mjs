// Ends processes and worker threads in every way, with a database in every state: `npm run test:lifecycle`.
//
//   --times 20              how often each cell runs on each Node; 5 if left out
//   --only exit:reading     some cells: an ending, a state (`:reading`), or one of each; more with commas
//   --node running          only the Node that runs this, or only Node 24 (`newer`)
//   --update                writes the matrix into docs/LIFECYCLE.md
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { newerNode, newerNodeExists } from './newer-node.mjs'
import { cacheFolder, inRoot } from './paths.mjs'
import { capture } from './run.mjs'

/** How many children run at the same time. */
const AT_ONCE = 2
const DOCUMENT = inRoot('docs/LIFECYCLE.md')

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '5' },
    only: { type: 'string' },
    node: { type: 'string', default: 'both' },
    update: { type: 'boolean', default: false },
  },
})
if (!/^[1-9]\d*$/.test(values.times)) throw new Error('--times takes a number of at least 1')
if (values.update && values.only !== undefined) throw new Error('--update takes all cells')

/** Makes a plain program of a TypeScript file, and returns its path. */
async function bundle(name) {
  const outfile = join(cacheFolder, 'lifecycle', `${name}.mjs`)
  await build({ entryPoints: [inRoot(`__test__/lifecycle/${name}.ts`)], outfile, bundle: true, platform: 'node', target: 'node20', format: 'esm' })
  return outfile
}

/** Returns the binaries of Node that are asked for. */
function nodes() {
  const all = { running: [process.execPath], newer: newerNodeExists ? [newerNode()] : [] }
  all.both = [...all.running, ...all.newer]
  if (!Object.hasOwn(all, values.node)) throw new Error(`--node takes ${Object.keys(all).join(', ')}`)
  if (all[values.node].length === 0) throw new Error('there is no newer Node for this platform')
  return all[values.node]
}

const [program, face] = await Promise.all(['child', 'index'].map(bundle))
const { CELLS, Findings, cellsNamed, nameOf, runCell, runCells, withMatrix } = await import(pathToFileURL(face).href)

const cells = values.only === undefined ? CELLS : cellsNamed(values.only)
const findings = new Findings()
let runs = 0

/** Runs every cell once on one Node, and says what goes wrong as it does. */
async function runOn(node, version) {
  await runCells(cells, AT_ONCE, async (cell) => {
    const finding = await runCell({ node, program, packagePath: inRoot('index.js') }, cell)
    findings.add(cell, finding, version)
    runs++
    for (const fault of finding.faults) console.error(`${nameOf(cell)} on ${version}: ${fault}`)
  })
}

for (const node of nodes()) {
  const version = capture([node, '--version']).trim()
  const started = performance.now()
  for (let time = 1; time <= Number(values.times); time++) await runOn(node, version)
  console.log(`Node ${version}: ${cells.length} cells, ${values.times} times each, in ${((performance.now() - started) / 1000).toFixed(0)} s`)
}

console.log(`\n${findings.table()}\n`)
if (values.update) writeFileSync(DOCUMENT, withMatrix(readFileSync(DOCUMENT, 'utf8'), findings.table()))
console.log(`${runs} runs, ${findings.faults.length} faults`)
process.exitCode = findings.faults.length === 0 ? 0 : 1
