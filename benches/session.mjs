// The runner's side of a peer's process.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))
/** After this long without an answer a peer counts as hung, in milliseconds. */
const PATIENCE_MS = 120_000

/** One process that runs one peer. */
export class Session {
  #child
  #waiting = null
  #asked = 0
  #stderr = ''

  /** @param {string} node - the Node binary to run it with */
  constructor(name, node) {
    this.name = name
    this.#child = fork(CHILD, [], {
      execPath: node,
      execArgv: ['--expose-gc', '--no-warnings'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // BLOBs are no JSON.
      serialization: 'advanced',
    })
    this.#child.stderr.on('data', (text) => (this.#stderr += text))
    this.#child.on('message', ({ number, error, result }) => {
      // An answer that came too late is not that to the question after it.
      if (number === this.#asked) this.#settle(error === undefined ? null : new Error(error), result)
    })
    this.#child.on('error', (error) => this.#settle(error))
    this.#child.on('exit', (code, signal) => this.#settle(new Error(`ended with ${signal ?? code}\n${this.#stderr}`)))
  }

  #settle(error, result) {
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting === null) return
    clearTimeout(waiting.timer)
    if (error === null) waiting.resolve(result)
    else waiting.reject(error)
  }

  /** Has the process do something, one thing at a time, and returns what came of it. */
  ask(action, request = {}) {
    if (!this.#child.connected) return Promise.reject(new Error(`ended\n${this.#stderr}`))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(new Error(`no answer to ${action} within ${PATIENCE_MS} ms`)), PATIENCE_MS)
      this.#waiting = { resolve, reject, timer }
      this.#child.send({ number: ++this.#asked, action, ...request })
    })
  }

  /** Whether the process can run a workload at all. */
  canRun() {
    return true
  }

  /** Ends the process, whatever it does, and resolves when it has ended. */
  end() {
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return Promise.resolve()
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    return ended
  }
}
