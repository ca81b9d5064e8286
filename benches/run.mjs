// Measures Sluice beside its peers: `npm run bench -- --help`.
import { performance } from 'node:perf_hooks'
import { USAGE, readCommandLine } from './command-line.mjs'
import { Files } from './files.mjs'
import { buildFloor } from './floor.mjs'
import { installPackages, readyPeer } from './install.mjs'
import { Parts } from './parts.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { minutes, progress } from './progress.mjs'
import { publish, publishAgain } from './publish.mjs'
import { settingsFor } from './settings.mjs'
import { measureUnit, secondsOf, unitsOf } from './units.mjs'
import { findNode, versionOf } from './versions.mjs'

/** What interrupts a run, and how a shell expects it to end. */
const INTERRUPTIONS = { SIGINT: 130, SIGTERM: 143 }

async function main() {
  const wanted = readCommandLine(process.argv.slice(2))
  if (wanted.help) return console.log(USAGE)
  if (wanted.pages) return publishAgain()
  progress('installing the peers')
  installPackages()
  const floor = wanted.floor && wanted.ids.length > 0 ? buildFloorOrNot() : null
  const files = new Files()
  for (const [signal, code] of Object.entries(INTERRUPTIONS)) {
    process.once(signal, () => {
      files.remove()
      progress('interrupted; the same command goes on with --resume')
      process.exit(code)
    })
  }
  try {
    for (const said of wanted.nodes) await publish(wanted, await measureOn(findNode(said), { ...wanted, files, floor }))
  } finally {
    files.remove()
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

/** Measures everything that is wanted on one version of Node. */
async function measureOn(node, wanted) {
  progress(`Node ${node.version}`)
  const settings = settingsFor(wanted.profile)
  const { peers, missing } = await readyPeers(node, wanted.peers, await wanted.files.path('small'), settings)
  const context = { ...wanted, settings, peers, missing }
  const parts = new Parts(node, context)
  const results = { cases: [], scenarios: [], memory: [] }
  const left = unitsOf(wanted).filter((unit) => {
    const kept = wanted.resume ? parts.read(unit) : null
    results[unit.kind].push(...(kept ?? []))
    return kept === null
  })
  const start = performance.now()
  for (const [index, unit] of left.entries()) {
    const seconds = left.slice(index).reduce((sum, one) => sum + secondsOf(one, context), 0)
    const passed = minutes((performance.now() - start) / 1_000)
    progress(`${unit.id}: begins after ${passed}; about ${minutes(seconds)} are left for Node ${node.major}`)
    const measured = await measureUnit(unit, node, context)
    parts.write(unit, measured)
    results[unit.kind].push(...measured)
  }
  for (const list of [results.cases, results.scenarios]) list.sort((a, b) => a.id.slice(1) - b.id.slice(1))
  return { node: node.version, baseline: BASELINE, peers, missing, ...results }
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

try {
  await main()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
