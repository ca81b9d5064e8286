// Measures each adapter beside the same ORM on better-sqlite3.
//
//   npm run bench:adapters                 on Node 24
//   npm run bench:adapters -- quick        with short rounds
import { measureCases } from './case-runs.mjs'
import { Files } from './files.mjs'
import { KINDS } from './command-line.mjs'
import { installPackages, readyPeer } from './install.mjs'
import { ORMS } from './peer.mjs'
import { progress } from './progress.mjs'
import { publishAll } from './publish.mjs'
import { settingsFor } from './settings.mjs'
import { findNode } from './versions.mjs'
import { casesOf } from './workload.mjs'
import { ORM_WORKLOADS } from './workloads/orm.mjs'

const NODE = '24'

/** Measures one ORM on both drivers. */
async function measureOrm(orm, node, plan, files, settings) {
  const against = { subject: `${orm} on sluice`, baseline: `${orm} on better-sqlite3` }
  const missing = []
  const peers = []
  for (const name of [against.subject, against.baseline]) {
    const { reason } = await readyPeer(name, node, await files.path('small'), settings)
    if (reason === null) peers.push({ name, version: null })
    else missing.push({ name, reason })
  }
  progress(`${orm}: ${missing.map(({ name, reason }) => `not measured: ${name} (${reason})`).join('; ')}`)
  const cases = await measureCases(node, { cases: casesOf([], ORM_WORKLOADS), peers, settings, files, floor: null, plan, missing, against })
  return { node: `${node.version}, ${orm}`, baseline: against.baseline, peers, missing, cases, scenarios: [], memory: [] }
}

async function main(kind) {
  const plan = KINDS[kind]
  progress('installing the peers')
  installPackages()
  const node = findNode(NODE)
  const settings = settingsFor('equal')
  const files = new Files()
  try {
    const runs = []
    for (const orm of ORMS) runs.push(await measureOrm(orm, node, plan, files, settings))
    const command = ['npm run bench:adapters', ...(kind === 'full' ? [] : ['--', kind])].join(' ')
    publishAll({ command, profile: 'equal', plan, named: ['adapters'] }, runs)
  } finally {
    files.remove()
  }
}

const [kind = 'full', ...rest] = process.argv.slice(2)
if (!(kind in KINDS) || rest.length > 0) {
  console.error('usage: npm run bench:adapters [-- quick]')
  process.exitCode = 2
} else {
  await main(kind)
}
