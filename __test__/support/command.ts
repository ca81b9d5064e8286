import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

import { within } from './deadline.js'

/** The command of the package, as npm installs it. */
const COMMAND = fileURLToPath(new URL('../../dist/cli/main.mjs', import.meta.url))

/** How a command ended, and what it printed. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that is running. */
export interface RunningCommand {
  readonly child: ChildProcessWithoutNullStreams
  /** Waits for the next line that it prints. */
  readonly line: () => Promise<string>
  readonly ended: Promise<Outcome>
}

/** Starts `sluice` with arguments. It ends with the test. */
export function startCommand(args: readonly string[], cwd?: string): RunningCommand {
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: 'pipe', cwd, env: { ...process.env, NODE_OPTIONS: '' } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += String(text)))
  child.stderr.on('data', (text) => (stderr += String(text)))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<Outcome>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const line = async (): Promise<string> => {
    const { done, value } = await within(lines.next(), 'the command prints something')
    if (done === true) throw new Error(`the command ended: ${JSON.stringify(await ended)}`)
    return value
  }
  return { child, line, ended }
}

/** Runs `sluice` with arguments until it ends by itself. */
export async function runCommand(args: readonly string[], cwd?: string): Promise<Outcome> {
  const { child, ended } = startCommand(args, cwd)
  child.stdin.end()
  return within(ended, 'the command ends')
}
