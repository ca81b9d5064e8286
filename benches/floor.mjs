// The floor: the same statements without JavaScript, by crates/core/examples/floor.rs. It is asked like the process of a peer.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../scripts/paths.mjs'
import { capture } from '../scripts/run.mjs'

const NANOSECONDS = 1e6

/**
 * The floors by name: the manager of crates/core, one bare connection, and the same where as many calls as are in flight share one
 * transaction, as if all had been known beforehand.
 */
export const FLOORS = { 'floor: core': 'core', 'floor: rusqlite': 'bare', 'floor: rusqlite, one transaction per flight': 'flights' }

/** Builds the program, in release mode, and returns its path. */
export function buildFloor() {
  capture(['cargo', 'build', '--release', '--package', 'sluice-core', '--example', 'floor'])
  return join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'release', 'examples', 'floor')
}

/** One process that runs one floor. */
export class FloorSession {
  #child
  #answers

  constructor(name, program) {
    this.name = name
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async #tell(line) {
    this.#child.stdin.write(`${line}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('the floor ended')
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

  /** Whether the program can run a workload: it knows single statements. */
  canRun({ kind }) {
    return kind === 'statement'
  }

  /** Ends the process. */
  end() {
    this.#child.kill('SIGKILL')
  }
}
