// Makes a million calls of each kind, and looks at what they leave: memory, threads, descriptors, and what SQLite holds.
// `npm run test:leaks`.
//
//   --calls 100000          how many calls of the fastest kinds; kinds that take longer make a share of them
//   --only get,run          some kinds, or faults that must be found
//   --at-once 1             how many kinds are measured at the same time, each in a process of its own; 2 if it is not said
//   --list                  names the kinds, and the faults that must be found
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
  options: {
    calls: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
    'at-once': { type: 'string', default: '2' },
  },
})
for (const name of ['calls', 'at-once']) if (!/^[1-9]\d*$/.test(values[name])) throw new Error(`--${name} takes a number of at least 1`)

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

/** What is asked for. */
function selected(known) {
  const names = values.only?.split(',') ?? known
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`no such kind: ${unknown.join(', ')}; there are ${known.join(', ')}`)
  return names
}

const mebibytes = (bytes) => (bytes / 1_048_576).toFixed(2)

function printLine(cells) {
  const [name, ...numbers] = cells
  console.log(String(name).padEnd(30) + numbers.map((number) => String(number).padStart(12)).join(''))
}

const [program, face] = await Promise.all(['child', 'measure'].map(bundle))
const { FAULT_NAMES, KIND_NAMES, WATCHED, callsOf, growth, growthFaults, lentFaults, measure, missed } = await import(pathToFileURL(face).href)

/** How many times as many calls a kind makes that grew. */
const SECOND_LOOK = 3

/** Measures one kind, prints its line, and returns what is wrong with it. Planted faults are too small to be found in fewer calls. */
async function run(kind, addon, times = 1) {
  const calls = times * callsOf(kind, FAULT_NAMES.includes(kind) ? 1_000_000 : Number(values.calls))
  const measured = await measure({ program, packagePath: inRoot('index.js'), addon }, kind, calls)
  const grown = WATCHED.map((of) => mebibytes(growth(measured.samples, of)))
  const lent = ['threads', 'descriptors'].map((of) => `${measured.before[of]} → ${measured.after[of]}`)
  printLine([kind, calls, ...grown, ...lent, measured.memoryUsed, measured.seconds.toFixed(1)])
  const faults = lentFaults(measured)
  if (measured.memoryUsed < 0) faults.push('SQLite does not count its memory')
  return { faults, grew: growthFaults(measured, times) }
}

/** Returns the faults of a kind. One that grew is looked at again: what fills once does not go on, a leak does. */
async function faultsOf(kind, addon) {
  const { faults, grew } = await run(kind, addon)
  if (faults.length > 0 || grew.length === 0) return faults
  const second = await run(kind, addon, SECOND_LOOK)
  return [...second.faults, ...second.grew]
}

/** Returns what is wrong: a kind that leaves something, or a fault that was planted and not found. */
async function judge(name, addon) {
  if (KIND_NAMES.includes(name)) return (await faultsOf(name, addon)).map((fault) => `${name}: ${fault}`)
  const { faults, grew } = await run(name, addon)
  return missed(name, [...faults, ...grew]).map((shown) => `${name}: was planted, and not found in ${shown}`)
}

/** Judges all that is asked for, some at once, and returns what is wrong. */
async function judgeAll(asked, addon) {
  const left = [...asked]
  const judgeSome = async () => {
    const wrong = []
    while (left.length > 0) wrong.push(...(await judge(left.shift(), addon)))
    return wrong
  }
  return (await Promise.all(Array.from({ length: Number(values['at-once']) }, judgeSome))).flat()
}

const names = [...KIND_NAMES, ...FAULT_NAMES]
if (values.list) {
  console.log(names.join('\n'))
} else {
  const asked = selected(names)
  const addon = await buildAddon()
  console.log('\nGrowth in MiB over all calls; what SQLite holds after the close, in bytes. The last lines are faults, planted to be found.')
  printLine(['', 'calls', 'RSS', 'heap', 'external', 'malloc', 'threads', 'descriptors', 'SQLite', 'seconds'])
  const wrong = await judgeAll(asked, addon)
  for (const fault of wrong) console.error(fault)
  const planted = asked.filter((name) => FAULT_NAMES.includes(name)).length
  console.log(`\n${asked.length - planted} kinds, ${planted} planted faults, ${wrong.length} wrong`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}
