// Measures Sluice beside its peers: `npm run bench -- --help`.
import { rmSync } from 'node:fs'
import { measureCases } from './case-runs.mjs'
import { writeFiles } from './cities-file.mjs'
import { USAGE, readCommandLine } from './command-line.mjs'
import { buildFloor } from './floor.mjs'
import { installPackages, readyPeer } from './install.mjs'
import { measureMemory } from './memory-runs.mjs'
import { BASELINE, SUBJECT } from './peer.mjs'
import { progress } from './progress.mjs'
import { publish } from './publish.mjs'
import { measureScenarios } from './scenario-runs.mjs'
import { settingsFor } from './settings.mjs'
import { findNode, versionOf } from './versions.mjs'

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

/** Measures everything that is wanted on one version of Node. */
async function measureOn(node, wanted, files, floor) {
  progress(`Node ${node.version}`)
  const settings = settingsFor(wanted.profile)
  const { peers, missing } = await readyPeers(node, wanted.peers, files.small, settings)
  const cases = await measureCases(node, { ...wanted, settings, files, peers, floor, missing })
  const scenarios = await measureScenarios(node, { ...wanted, settings, files, peers })
  const memory = []
  for (const { name } of wanted.memory ? peers : []) {
    progress(`memory: ${name}`)
    memory.push(await measureMemory(name, node, files, settings))
  }
  return { node: node.version, baseline: BASELINE, peers, missing, cases, scenarios, memory }
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
