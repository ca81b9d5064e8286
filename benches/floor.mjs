// The floor: the same statements without JavaScript, by crates/core/examples/floor.rs. It is asked like the process of a peer.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../scripts/paths.mjs'
import { capture } from '../scripts/run.mjs'

const NANOSECONDS = 1e6

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

/** One process that runs one floor. */
export class FloorSession {
  #program
  #child = null
  #answers = null
  #stderr = ''

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
    return Number((await this.#tell(`run ${calls}`)).split(' ')[0]) / NANOSECONDS
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
        const { sql, take, params, inFlight } = request.work
        await this.#tell(`load ${take} ${inFlight} ${sql}`)
        return this.#tell(`params ${params.map((values) => values.join()).join(';')}`)
      }
      case 'warmUp': {
        await this.#timed(request.calls ?? 200)
        const perCall = (await this.#timed(200)) / 200
        return Math.max(200, Math.round(request.roundMs / perCall))
      }
      case 'round':
        return this.#timed(request.calls)
      default:
        return undefined
    }
  }

  /** Whether the program can run a workload: it knows single statements, and integers as their values. */
  canRun({ kind, params }) {
    return kind === 'statement' && params.every((values) => values.length > 0 && values.every(Number.isInteger))
  }

  /** Ends the process, if there is one. */
  end() {
    this.#child?.kill('SIGKILL')
  }
}
