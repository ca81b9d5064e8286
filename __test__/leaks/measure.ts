import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { FAULTS, KINDS } from './kinds.js'
import type { Measured } from './measured.js'

export { WATCHED, growth, growthFaults, lentFaults } from './measured.js'
export type { Measured } from './measured.js'

/**
 * V8 lets the young generation grow from 1 to 16 MiB when it pleases, long after any warm-up, and compiles in the background: what a
 * compilation needs, up to 5 MiB, would be there at some looks and not at others. So the young generation keeps its first size, and a
 * function is compiled before the program goes on. What is kept is kept all the same.
 */
const FLAGS = ['--expose-gc', '--min-semi-space-size=1', '--max-semi-space-size=1', '--no-concurrent-recompilation']

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

/** Names every fault that must be found. */
export const FAULT_NAMES: readonly string[] = Object.keys(FAULTS)

/** Returns what a planted fault must show and is not among the faults that were found. */
export function missed(fault: string, found: readonly string[]): string[] {
  return (FAULTS[fault]?.shows ?? []).filter((shown) => !found.some((text) => text.includes(shown)))
}

/** Returns how many calls of a kind are made where `calls` of the fastest are. */
export function callsOf(kind: string, calls: number): number {
  return Math.max(40, Math.round(calls * ((KINDS[kind] ?? FAULTS[kind])?.share ?? 1)))
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
