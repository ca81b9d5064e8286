// Makes a million calls of each kind, and looks at what they leave: memory, threads, descriptors, and what SQLite holds.
// `npm run test:leaks`.
//
//   --calls 100000          how many calls of the fastest kinds; kinds that take longer make a share of them
//   --only get,run          some kinds
//   --list                  names the kinds
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { cacheFolder, inRoot } from './paths.mjs'
import { tee } from './run.mjs'

const FOLDER = join(cacheFolder, 'leaks')
const LIBRARIES = { linux: 'libsluice.so', darwin: 'libsluice.dylib', win32: 'sluice.dll' }

const { values } = parseArgs({
  options: { calls: { type: 'string', default: '1000000' }, only: { type: 'string' }, list: { type: 'boolean', default: false } },
})
if (!/^[1-9]\d*$/.test(values.calls)) throw new Error('--calls takes a number of at least 1')

/** Makes a plain program of a TypeScript file, and returns its path. */
async function bundle(name) {
  const outfile = join(FOLDER, `${name}.mjs`)
  await build({ entryPoints: [inRoot(`__test__/leaks/${name}.ts`)], outfile, bundle: true, platform: 'node', target: 'node20', format: 'esm' })
  return outfile
}

/** Builds the addon with a SQLite that counts its memory, and returns its path. */
async function buildAddon() {
  const [, flags] = /LIBSQLITE3_FLAGS = """([^"]*)"""/.exec(readFileSync(inRoot('.cargo/config.toml'), 'utf8'))
  const counting = flags.replace('-DSQLITE_DEFAULT_MEMSTATUS=0', '-DSQLITE_DEFAULT_MEMSTATUS=1').trim().replaceAll('\n', ' ')
  const target = inRoot('target/leaks')
  const command = ['cargo', 'build', '--release', '--features', 'memory-statistics', '--target-dir', target]
  const { code } = await tee(command, { env: { ...process.env, LIBSQLITE3_FLAGS: counting } })
  if (code !== 0) throw new Error('the addon that counts its memory could not be built')
  const addon = join(FOLDER, 'sluice-leaks.node')
  mkdirSync(FOLDER, { recursive: true })
  copyFileSync(join(target, 'release', LIBRARIES[process.platform]), addon)
  return addon
}

/** The kinds that are asked for. */
function selected(kinds) {
  const names = values.only?.split(',') ?? kinds
  const unknown = names.filter((name) => !kinds.includes(name))
  if (unknown.length > 0) throw new Error(`no such kind: ${unknown.join(', ')}; there are ${kinds.join(', ')}`)
  return names
}

const mebibytes = (bytes) => (bytes / 1_048_576).toFixed(2)

function printLine(cells) {
  const [name, ...numbers] = cells
  console.log(String(name).padEnd(30) + numbers.map((number) => String(number).padStart(12)).join(''))
}

const [program, face] = await Promise.all(['child', 'measure'].map(bundle))
const { KIND_NAMES, callsOf, growth, growthFaults, lentFaults, measure } = await import(pathToFileURL(face).href)

/** Measures one kind, prints its line, and returns what is wrong with it. */
async function run(kind, addon) {
  const calls = callsOf(kind, Number(values.calls))
  const measured = await measure({ program, packagePath: inRoot('index.js'), addon }, kind, calls)
  const grown = ['rss', 'heapUsed', 'external'].map((of) => mebibytes(growth(measured.samples, of)))
  const lent = ['threads', 'descriptors'].map((of) => `${measured.before[of]} → ${measured.after[of]}`)
  printLine([kind, calls, ...grown, ...lent, measured.memoryUsed, measured.seconds.toFixed(1)])
  const faults = [...lentFaults(measured), ...growthFaults(measured)]
  if (measured.memoryUsed < 0) faults.push('SQLite does not count its memory')
  return faults.map((fault) => `${kind}: ${fault}`)
}

if (values.list) {
  console.log(KIND_NAMES.join('\n'))
} else {
  const kinds = selected(KIND_NAMES)
  const addon = await buildAddon()
  console.log('\nGrowth in MiB over all calls; what SQLite holds after the close, in bytes.')
  printLine(['', 'calls', 'RSS', 'heap', 'external', 'threads', 'descriptors', 'SQLite', 'seconds'])
  const faults = []
  for (const kind of kinds) faults.push(...(await run(kind, addon)))
  for (const fault of faults) console.error(fault)
  console.log(`\n${kinds.length} kinds, ${faults.length} faults`)
  process.exitCode = faults.length === 0 ? 0 : 1
}
