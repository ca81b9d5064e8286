// Runs other programs, for every script.
import { spawn, spawnSync } from 'node:child_process'
import { root } from './paths.mjs'

const NPM_CLI = process.env.npm_execpath

/** Turns an npm command line into one that needs no shell when a script of package.json runs this. */
export function npm(...args) {
  return NPM_CLI?.endsWith('.js') ? [process.execPath, NPM_CLI, ...args] : ['npm', ...args]
}

/**
 * Runs a program to its end and returns what it printed.
 * Throws with all of its output when it fails.
 */
export function capture([program, ...args], options = {}) {
  const result = spawnSync(program, args, { cwd: root, encoding: 'utf8', ...options })
  if (result.error) throw result.error
  if (result.status !== 0) {
    throw new Error(`${[program, ...args].join(' ')} ended with ${result.signal ?? result.status}\n${result.stdout}${result.stderr}`)
  }
  return result.stdout
}

/**
 * Runs a program, hands its output on as it comes, and resolves to its exit code and whole output.
 * A program that cannot be started counts as one that failed.
 * `show` takes each piece, and the stream that it would go to; without it the output goes there.
 */
export function tee([program, ...args], { show = echo, ...options } = {}) {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const chunks = []
  for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
    from.on('data', (chunk) => {
      chunks.push(chunk)
      show(chunk, to)
    })
  }
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(error.message)
      resolve({ code: 127, output: error.message })
    })
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString('utf8') }))
  })
}

function echo(chunk, to) {
  to.write(chunk)
}
