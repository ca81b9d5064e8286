// What the user asks for.
import { parseArgs } from 'node:util'
import { BASELINE, PEER_NAMES } from './peer.mjs'
import { SCENARIOS } from './scenario.mjs'
import { WORKLOADS } from './workload.mjs'

/** The fewest rounds a ratio may rest on. */
const LEAST_ROUNDS = 9
/** How long it is measured. */
export const KINDS = {
  quick: { rounds: 9, scenarioRounds: 9, roundMs: 120, warmUpMs: 400, loopDelayMs: 500, spanMs: 300, manyRows: 200_000 },
  full: { rounds: 21, scenarioRounds: 9, roundMs: 400, warmUpMs: 1_500, loopDelayMs: 2_000, spanMs: 5_000, manyRows: 1_000_000 },
}
/** All that can be named: some workloads are compared call by call, others are scenes of their own. */
const IDS = [...new Set([...WORKLOADS, ...SCENARIOS].map(({ id }) => id))].sort((a, b) => a.slice(1) - b.slice(1))

export const USAGE = `npm run bench -- [quick] [W1 …] [memory] [options]

  quick               short rounds; all workloads and memory, unless some are named
  W1 …, memory        only these: ${IDS.join(', ')}
  --peer <name>       only this peer beside ${BASELINE}; may be repeated: ${PEER_NAMES.join(', ')}
  --node <version>    on this Node: a major version or a path; may be repeated (default: the running one, and 24)
  --rounds <number>   at least ${LEAST_ROUNDS}
  --profile packaged  with the settings each peer is shipped with, instead of the same ones for all
  --no-floor          without the Rust program that shows how fast it can get
  --publish           writes to docs/benchmarks/ instead of benches/results/
`

const OPTIONS = {
  peer: { type: 'string', multiple: true },
  node: { type: 'string', multiple: true },
  rounds: { type: 'string' },
  profile: { type: 'string', default: 'equal' },
  floor: { type: 'boolean', default: true },
  publish: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

/** Reads the command line. Throws an error to be shown. */
export function readCommandLine(args) {
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true, allowNegative: true })
  const kind = positionals.includes('quick') ? 'quick' : 'full'
  const named = positionals.filter((word) => word !== 'quick')
  const known = [...IDS, 'memory']
  expectKnown('workload', named, known)
  expectKnown('--peer', values.peer ?? [], PEER_NAMES)
  expectKnown('--profile', [values.profile], ['equal', 'packaged'])
  const rounds = Number(values.rounds ?? KINDS[kind].rounds)
  const scenarioRounds = Number(values.rounds ?? KINDS[kind].scenarioRounds)
  if (!Number.isInteger(rounds) || rounds < LEAST_ROUNDS) throw new Error(`--rounds must be an integer from ${LEAST_ROUNDS}`)
  const wanted = named.length === 0 ? known : named
  return {
    ...values,
    command: ['npm run bench --', ...args].join(' '),
    plan: { ...KINDS[kind], rounds, scenarioRounds },
    named,
    workloads: WORKLOADS.map(({ id }) => id).filter((id) => wanted.includes(id)),
    scenarios: [...new Set(SCENARIOS.map(({ id }) => id))].filter((id) => wanted.includes(id)),
    memory: wanted.includes('memory'),
    peers: values.peer === undefined ? PEER_NAMES : [...new Set([BASELINE, ...values.peer])],
    nodes: values.node ?? [...new Set([process.versions.node.split('.')[0], '24'])],
  }
}

function expectKnown(what, words, known) {
  const unknown = words.find((word) => !known.includes(word))
  if (unknown !== undefined) throw new Error(`${what} '${unknown}' is not one of ${known.join(', ')}`)
}
