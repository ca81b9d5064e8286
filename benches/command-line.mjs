// What the user asks for.
import { parseArgs } from 'node:util'
import { BASELINE, PEER_NAMES, QUICK_PEERS } from './peer.mjs'
import { SCENARIOS } from './scenario.mjs'
import { WORKLOADS } from './workload.mjs'

/** The fewest rounds a ratio may rest on. */
export const LEAST_ROUNDS = 9
/** The Node that the figures are for, unless others are wanted. */
const REFERENCE_NODE = '24'

/**
 * How long it is measured.
 *
 * @typedef {object} Plan
 * @property {boolean} quick
 * @property {boolean} coreOnly - whether the core is the only floor
 * @property {number} rounds
 * @property {number} scenarioRounds - rounds of the workloads that are a scene of their own
 * @property {number} roundMs
 * @property {number} warmUpMs
 * @property {number} loopDelayMs
 * @property {number} spanMs - of most scenes
 * @property {number} longMs - of the write transaction that readers meet
 * @property {number} manyRows - to iterate over
 * @property {number} mostRows - of one result
 * @property {number} warmMs - for which something that grows is repeated before it is timed
 * @property {number} timedMs - for which it is timed
 */

/** @type {Record<'quick' | 'full', Plan>} */
export const KINDS = {
  quick: {
    quick: true,
    coreOnly: true,
    rounds: 9,
    scenarioRounds: 9,
    roundMs: 30,
    warmUpMs: 100,
    loopDelayMs: 100,
    spanMs: 200,
    longMs: 300,
    manyRows: 200_000,
    mostRows: 1_000_000,
    warmMs: 20,
    timedMs: 30,
  },
  full: {
    quick: false,
    coreOnly: false,
    rounds: 9,
    scenarioRounds: 9,
    roundMs: 100,
    warmUpMs: 250,
    loopDelayMs: 400,
    spanMs: 1_500,
    longMs: 5_000,
    manyRows: 1_000_000,
    mostRows: 10_000_000,
    warmMs: 50,
    timedMs: 80,
  },
}

/** All that can be named: some workloads are compared call by call, others are scenes of their own. */
const IDS = [...new Set([...WORKLOADS, ...SCENARIOS].map(({ id }) => id))].sort((a, b) => a.slice(1) - b.slice(1))

export const USAGE = `npm run bench -- [quick] [W1 …] [memory] [options]

  quick               short rounds, and few peers; all workloads and memory, unless some are named
  W1 …, memory        only these: ${IDS.join(', ')}
  --peer <name>       only this peer beside ${BASELINE}; may be repeated: ${PEER_NAMES.join(', ')}
                      (default: all; quick: ${QUICK_PEERS.join(', ')})
  --node <version>    on this Node: a major version or a path; may be repeated
                      (default: the running one, and ${REFERENCE_NODE}; quick: ${REFERENCE_NODE})
  --rounds <number>   default ${KINDS.full.rounds}; a page of fewer than ${LEAST_ROUNDS} says that it is a trial
  --profile packaged  with the settings each peer is shipped with, instead of the same ones for all
  --no-floor          without the Rust program that shows how fast it can get
  --resume            goes on with the same command where it was interrupted
  --pages             measures nothing, and writes the pages in docs/benchmarks/ anew from their figures
  --help

What measures all workloads with all peers is written to docs/benchmarks/, all else to benches/results/.
`

const OPTIONS = {
  peer: { type: 'string', multiple: true },
  node: { type: 'string', multiple: true },
  rounds: { type: 'string' },
  profile: { type: 'string', default: 'equal' },
  floor: { type: 'boolean', default: true },
  resume: { type: 'boolean', default: false },
  pages: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

/**
 * Reads the command line. Throws an error to be shown.
 *
 * @param {string[]} args
 */
export function readCommandLine(args) {
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true, allowNegative: true })
  const kind = positionals.includes('quick') ? 'quick' : 'full'
  const named = positionals.filter((word) => word !== 'quick')
  const known = [...IDS, 'memory']
  expectKnown('workload', named, known)
  expectKnown('--peer', values.peer ?? [], PEER_NAMES)
  expectKnown('--profile', [values.profile], ['equal', 'packaged'])
  const plan = planOf(kind, values.rounds)
  const wanted = named.length === 0 ? known : named
  return {
    ...values,
    command: commandOf(args),
    plan,
    named,
    ids: IDS.filter((id) => wanted.includes(id)),
    memory: wanted.includes('memory'),
    peers: peersOf(kind, values.peer),
    nodes: values.node ?? nodesOf(kind),
    isComplete: kind === 'full' && named.length === 0 && values.peer === undefined && values.floor && plan.rounds >= LEAST_ROUNDS,
  }
}

/** What to write beside the figures; whether it was interrupted makes no difference. */
function commandOf(args) {
  const kept = args.filter((word) => word !== '--resume')
  return ['npm run bench', ...(kept.length === 0 ? [] : ['--', ...kept])].join(' ')
}

function planOf(kind, said) {
  if (said === undefined) return KINDS[kind]
  const rounds = Number(said)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be an integer from 1')
  return { ...KINDS[kind], rounds, scenarioRounds: rounds }
}

function peersOf(kind, said) {
  if (said !== undefined) return [...new Set([BASELINE, ...said])]
  return kind === 'quick' ? QUICK_PEERS : PEER_NAMES
}

function nodesOf(kind) {
  return kind === 'quick' ? [REFERENCE_NODE] : [...new Set([process.versions.node.split('.')[0], REFERENCE_NODE])]
}

function expectKnown(what, words, known) {
  const unknown = words.find((word) => !known.includes(word))
  if (unknown !== undefined) throw new Error(`${what} '${unknown}' is not one of ${known.join(', ')}`)
}
