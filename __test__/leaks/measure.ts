import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { KINDS } from './kinds.js'
import type { Measured } from './measured.js'

export { growth, growthFaults, lentFaults } from './measured.js'
export type { Measured } from './measured.js'

/**
 * V8 lets the young generation grow from 1 to 16 MiB when it pleases, long after any warm-up: that step would be taken for a leak. So it has
 * its size from the beginning.
 */
const FLAGS = ['--expose-gc', '--min-semi-space-size=16', '--max-semi-space-size=16']

/** Where the programs are. */
export interface Setting {
  /** The bundled child. */
  readonly program: string
  /** The package's main file. */
  readonly packagePath: string
  /** The addon, if it is not that of the package: one whose SQLite counts its memory. */
  readonly addon?: string
}

/** Names every kind of call. */
export const KIND_NAMES: readonly string[] = Object.keys(KINDS)

/** Returns how many calls of a kind are made where `calls` of the fastest are. */
export function callsOf(kind: string, calls: number): number {
  return Math.max(40, Math.round(calls * (KINDS[kind]?.share ?? 1)))
}

/** Runs a child, and returns what it printed. */
async function output(node: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const [program = '', ...args] = node
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '', VITEST: undefined, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += String(text)))
  child.stderr.on('data', (text) => (stderr += String(text)))
  const ended = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? code))
  })
  if (ended !== 0) throw new Error(`the child ended with ${ended}: ${stderr}`)
  return stdout
}

/** Makes `calls` calls of one kind in a process of their own, and returns what they left; `looks` is how often memory is looked at. */
export async function measure({ program, packagePath, addon }: Setting, kind: string, calls: number, looks = 40): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  try {
    const command = [process.execPath, ...FLAGS, program, packagePath, folder, kind, String(calls), String(looks)]
    return JSON.parse(await output(command, addon === undefined ? {} : { NAPI_RS_NATIVE_LIBRARY_PATH: addon })) as Measured
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
