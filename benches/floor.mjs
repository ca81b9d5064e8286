// The floor: the same statements without JavaScript, by crates/core/examples/floor.rs. It is asked like the process of a peer.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../scripts/paths.mjs'
import { capture } from '../scripts/run.mjs'

const NANOSECONDS = 1e6
/** How many calls a round has at least, if no more are in flight. */
const FIRST_CALLS = 20

/** The floor that is the driver without its JavaScript. */
export const CORE = 'floor: core'

/**
 * The floors by name: the manager of crates/core, one bare connection, and the same where as many calls as are in flight share one
 * transaction, as if all had been known beforehand.
 */
export const FLOORS = { [CORE]: 'core', 'floor: rusqlite': 'bare', 'floor: rusqlite, one transaction per flight': 'flights' }

/** Lists the floors that a plan has. */
export function floorsOf({ coreOnly }) {
  return coreOnly ? [CORE] : Object.keys(FLOORS)
}

/** Builds the program, in release mode, and returns its path. */
export function buildFloor() {
  capture(['cargo', 'build', '--release', '--package', 'sluice-core', '--example', 'floor'])
  return join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'release', 'examples', 'floor')
}

/** The statements that a workload may run. */
function stepsOf({ sql, take, steps }) {
  return steps ?? [{ sql, take }]
}

function keyOf({ sql, take }) {
  return `${take} ${sql}`
}

/** The statements of one call, with their values. */
function runsOf(work, params) {
  const steps = stepsOf(work)
  switch (work.kind) {
    case 'statement':
      return [[steps[0], params]]
    case 'mix':
      return [[steps[params.step], params.values]]
    case 'transaction':
      return steps.map((step, index) => [step, params[index]])
    default:
      throw new Error(`'${work.kind}' is not known`)
  }
}

/** A value as the program reads it. */
function wordOf(value) {
  if (value === null) return 'n'
  if (typeof value === 'string') return `t${Buffer.from(value).toString('hex')}`
  if (ArrayBuffer.isView(value)) return `b${Buffer.from(value).toString('hex')}`
  return Number.isInteger(value) ? String(value) : `r${value}`
}

/** One process that runs one floor. */
export class FloorSession {
  #program
  #child = null
  #answers = null
  #stderr = ''
  #reset = null
  #inFlight = 1

  constructor(name, program) {
    this.name = name
    this.#program = program
  }

  /** Starts the process; a new one for each file, since a manager lets go of its file only some time after it is dropped. */
  #start() {
    this.end()
    this.#child = spawn(this.#program, { stdio: 'pipe' })
    this.#child.stderr.on('data', (text) => (this.#stderr += text))
    // What it can no longer be told shows as its end.
    this.#child.stdin.on('error', () => {})
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async #tell(line) {
    this.#child.stdin.write(`${line}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error(`ended: ${this.#stderr.trim()}`)
    return value
  }

  async #timed(calls) {
    const ms = Number((await this.#tell(`run ${calls}`)).split(' ')[0]) / NANOSECONDS
    if (this.#reset !== null) await this.#tell(`exec ${this.#reset}`)
    return ms
  }

  /** Tells it the statements and the calls of a workload. */
  async #load(work) {
    const { kind, inFlight, params, writes } = work
    const steps = [...new Map(stepsOf(work).map((one) => [keyOf(one), one])).values()]
    const number = new Map(steps.map((one, index) => [keyOf(one), index]))
    await this.#tell(`load ${kind === 'transaction' ? 'transactions' : 'calls'} ${inFlight}`)
    for (const { sql, take } of steps) await this.#tell(`step ${take} ${sql.replaceAll(/\s+/g, ' ')}`)
    const runText = ([step, values]) => `${number.get(keyOf(step))}:${values.map(wordOf).join()}`
    const calls = params.map((one) => runsOf(work, one).map(runText).join('|'))
    this.#reset = writes?.reset ?? null
    this.#inFlight = inFlight
    return this.#tell(`params ${calls.join(';')}`)
  }

  /** Has the process do something, and returns what came of it: what a peer's process does, as far as it applies. */
  async ask(action, request = {}) {
    switch (action) {
      case 'open': {
        const { readers, cacheSize, durability } = request.settings
        this.#start()
        return this.#tell(`open ${FLOORS[this.name]} ${readers} ${cacheSize} ${durability} ${request.path}`)
      }
      case 'prepare': {
        return this.#load(request.work)
      }
      case 'warmUp': {
        const least = Math.max(FIRST_CALLS, this.#inFlight)
        const first = (await this.#timed(least)) / least
        const more = Math.max(least, Math.round(request.roundMs / first))
        const perCall = (await this.#timed(more)) / more
        return Math.max(least, Math.round(request.roundMs / perCall))
      }
      case 'round':
        return this.#timed(request.calls)
      default:
        return undefined
    }
  }

  /** Whether the program can run a workload: transactions cannot share one. */
  canRun({ kind }) {
    return kind !== 'transaction' || FLOORS[this.name] !== 'flights'
  }

  /** Ends the process, if there is one. */
  end() {
    this.#child?.kill('SIGKILL')
  }
}
