import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

import { within } from './deadline.js'

/** Where the package is: scripts of child processes `require` it from here. */
export const PACKAGE: string = fileURLToPath(new URL('../../index.js', import.meta.url))

/** How a child process ended, and what it said. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** How to run a script. */
export interface ScriptOptions {
  /** Options of Node itself. */
  readonly flags?: readonly string[]
  /** What the script finds in `process.argv`, from index 1. */
  readonly args?: readonly string[]
  readonly patienceMs?: number
  /** How many descriptors it may have open, and no more. */
  readonly descriptors?: number
  /** Whether the script loads the package by itself, if at all. */
  readonly bare?: boolean
}

/** A script begins with these names; `main` runs what it is given, and ends the process with 70 if that fails. */
const PRELUDE = `'use strict'
const sluice = require(${JSON.stringify(PACKAGE)})
const { open } = sluice
const main = (body) => body().catch((error) => { console.error(error); process.exit(70) })
`

/** Runs a script in a Node of its own until it ends. */
export async function runScript(script: string, options: ScriptOptions = {}): Promise<Ended> {
  const child = start(script, options)
  return within(ending(child), 'the child process ends', options.patienceMs ?? 20_000)
}

/** A script that is running, and talks in lines. */
export interface Conversation {
  /** Waits for the next line that it prints. */
  readonly line: () => Promise<string>
  /** Sends it a line. */
  readonly say: (line: string) => void
  /** Waits for its end. */
  readonly ended: Promise<Ended>
  readonly kill: (signal: NodeJS.Signals) => void
}

/** Starts a script to talk with. It ends with the test. */
export function converse(script: string, options: ScriptOptions = {}): Conversation {
  const child = start(script, options)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = ending(child)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    line: async () => {
      const { done, value } = await within(lines.next(), 'the child process says something')
      if (done === true) throw new Error(`the child process ended: ${JSON.stringify(await ended)}`)
      return value
    },
    say: (line) => child.stdin.write(`${line}\n`),
    ended,
    kill: (signal) => child.kill(signal),
  }
}

/** Holds a lock from within a statement that never ends, until it is told something. */
const HOLDER = `main(async () => {
  const [, path, begin] = process.argv
  // With this option the file keeps its journal mode.
  const db = await open(path, { concurrency: 'exclusive' })
  db.exec(begin + '; WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c').catch(() => {})
  await new Promise((resolve) => process.stdin.once('data', resolve))
  await db.close({ timeoutMs: 0 })
  process.exit()
})`

/** Ends once the file is locked. */
const PROBE = `main(async () => {
  const [, path] = process.argv
  const isFree = () => open(path, { concurrency: 'exclusive', busyTimeoutMs: 0 }).then(async (db) => {
    await db.run('PRAGMA user_version = 0')
    await db.close()
    return true
  })
  while (await isFree().catch((error) => { if (error.code.startsWith('SQLITE_BUSY')) return false; throw error }));
  process.exit()
})`

/**
 * Starts a process that holds a lock on the file at `path`, as another program would. Returns how to make it let go.
 */
export async function holdLock(path: string, begin: 'BEGIN IMMEDIATE' | 'BEGIN EXCLUSIVE'): Promise<() => Promise<void>> {
  const holder = converse(HOLDER, { args: [path, begin] })
  const { code, stderr } = await runScript(PROBE, { args: [path] })
  if (code !== 0) throw new Error(`the lock was not seen: ${stderr}`)
  return async () => {
    holder.say('let go')
    await within(holder.ended, 'the other process lets go')
  }
}

function start(script: string, { flags = [], args = [], descriptors, bare = false }: ScriptOptions): ChildProcessWithoutNullStreams {
  const command = [process.execPath, ...flags, '--eval', (bare ? '' : PRELUDE) + script, '--', ...args]
  const limited = descriptors === undefined ? command : ['/bin/sh', '-c', `ulimit -n ${descriptors}; exec "$@"`, 'sh', ...command]
  const [program = '', ...rest] = limited
  return spawn(program, rest, {
    stdio: 'pipe',
    env: { ...process.env, NODE_OPTIONS: '', VITEST: undefined },
  })
}

function ending(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += String(text)))
  child.stderr.on('data', (text) => (stderr += String(text)))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
