// Measures Sluice beside its peers: `npm run bench -- --help`.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inRoot } from '../scripts/paths.mjs'
import { writeCities, writeItems } from './cities-file.mjs'
import { USAGE, readCommandLine } from './command-line.mjs'
import { figuresOf, measureCase } from './comparison.mjs'
import { FLOORS, FloorSession, buildFloor } from './floor.mjs'
import { installPackages, readyPeer } from './install.mjs'
import { measureMemory } from './memory-runs.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { markdownOf, ratioOf } from './report.mjs'
import { Session } from './session.mjs'
import { settingsFor } from './settings.mjs'
import { environment, findNode, versionOf } from './versions.mjs'
import { casesOf } from './workload.mjs'

function progress(text) {
  process.stderr.write(`${text}\n`)
}

async function main() {
  const wanted = readCommandLine(process.argv.slice(2))
  if (wanted.help) return console.log(USAGE)
  progress('installing the peers')
  installPackages()
  const floor = wanted.floor && wanted.workloads.length > 0 ? buildFloorOrNot() : null
  const files = await writeFiles()
  try {
    const runs = []
    for (const said of wanted.nodes) runs.push(await measureOn(findNode(said), wanted, files, floor))
    publish(wanted, runs)
  } finally {
    rmSync(files.folder, { recursive: true })
  }
}

/** A machine without a Rust toolchain can still measure the rest. */
function buildFloorOrNot() {
  progress('building the floor')
  try {
    return buildFloor()
  } catch (error) {
    progress(`without the floor: ${error.message.split('\n')[0]}`)
    return null
  }
}

/** Writes the databases that all peers read. */
async function writeFiles() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const files = { folder, cities: join(folder, 'cities.db'), small: join(folder, 'small.db') }
  await writeCities(files.cities)
  await writeItems(files.small)
  return files
}

/** Measures everything that is wanted on one version of Node. */
async function measureOn(node, wanted, files, floor) {
  progress(`Node ${node.version}`)
  const settings = settingsFor(wanted.profile)
  const { peers, missing } = await readyPeers(node, wanted.peers, files.small, settings)
  const cases = await measureCases(node, { ...wanted, settings, files, peers, floor, missing })
  const memory = []
  for (const { name } of wanted.memory ? peers : []) {
    progress(`memory: ${name}`)
    memory.push(await measureMemory(name, node, files, settings))
  }
  return { node: node.version, baseline: BASELINE, peers, missing, cases, memory }
}

async function readyPeers(node, names, path, settings) {
  const peers = []
  const missing = []
  for (const name of [SUBJECT, ...names]) {
    const { reason, packageName } = await readyPeer(name, node, path, settings)
    if (reason === null) peers.push({ name, version: versionOf(name, packageName) })
    else missing.push({ name, reason })
  }
  for (const { name, reason } of missing) progress(`not measured: ${name} (${reason})`)
  return { peers, missing }
}

async function measureCases(node, { workloads, peers, settings, files, floor, plan, missing }) {
  if (workloads.length === 0) return []
  const sessions = [
    ...peers.map(({ name }) => new Session(name, node.binary)),
    ...(floor === null ? [] : Object.keys(FLOORS).map((name) => new FloorSession(name, floor))),
  ]
  try {
    const open = await openAll(sessions, files.cities, settings, missing)
    const results = []
    for (const work of casesOf(workloads)) results.push(await measureOne(work, open, plan, node))
    return results
  } finally {
    for (const session of sessions) session.end()
  }
}

/** Opens the file in every process; one that cannot is reported as missing. */
async function openAll(sessions, path, settings, missing) {
  const open = []
  for (const session of sessions) {
    try {
      const { locksFile } = (await session.ask('load', { name: session.name })) ?? {}
      await session.ask('open', { path: locksFile ? copyOf(path) : path, settings })
      open.push(session)
    } catch (error) {
      missing.push({ name: session.name, reason: error.message.split('\n')[0] })
    }
  }
  return open
}

function copyOf(path) {
  const copy = `${path}-locked.db`
  copyFileSync(path, copy)
  return copy
}

async function measureOne(work, sessions, plan, node) {
  const { measured, failures } = await measureCase(sessions, work, plan)
  const figures = figuresOf(measured, BASELINE)
  const ratio = figures.find(({ name }) => name === SUBJECT)?.ratio
  progress(`${work.id}, ${work.inFlight} in flight: ${ratio === null || ratio === undefined ? 'failed' : ratioOf(ratio)}`)
  const { id, title, inFlight, target } = work
  return { id, title, inFlight, target: target[node.major], figures, failures: Object.fromEntries(failures) }
}

function publish(wanted, runs) {
  const date = new Date().toISOString().slice(0, 10)
  const { command, profile, plan } = wanted
  const result = { command, date, profile, ...plan, environment: environment(), runs }
  const folder = inRoot(wanted.publish ? 'docs/benchmarks' : 'benches/results')
  mkdirSync(folder, { recursive: true })
  const name = `${date}-${profile}-node${runs.map(({ node }) => node.split('.')[0]).join('-')}`
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`)
  const page = markdownOf(result)
  writeFileSync(join(folder, `${name}.md`), page)
  console.log(page)
}

try {
  await main()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
