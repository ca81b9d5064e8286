import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

import { open } from '../../index.js'
import type { Database } from '../../index.js'
import { bundle } from '../support/bundle.js'
import { PACKAGE } from '../support/child-process.js'
import { within } from '../support/deadline.js'
import type { Random } from '../support/random-values.js'
import { HALVES, SCHEMA } from './ledger.js'

/** What a child does after a transaction was acknowledged, or before: that is the planted fault. */
export type Honesty = 'honest' | 'early'

/** What was found after a number of cycles. */
export interface Findings {
  readonly cycles: number
  /** How many transactions were acknowledged. */
  acknowledged: number
  /** Which of them were not there, by cycle. */
  readonly lost: string[]
  /** Of which transactions only a part was there. */
  readonly halves: string[]
  /** How many were there without having been acknowledged: the child was killed after the commit. */
  unacknowledged: number
}

/** How long a child may work, in milliseconds. */
const LIFE_MS = 150
/** One in so many children is killed while it starts. */
const STILLBORN_ONE_IN = 10

/** Makes the program of the children. Returns its path. */
export async function makeProgram(folder: string): Promise<string> {
  const program = join(folder, 'child.mjs')
  await bundle('crash/child.ts', program)
  return program
}

/** Starts a child on one file, kills it, looks at what is left, and so on. */
export async function runCycles(folder: string, program: string, name: string, cycles: number, honesty: Honesty, random: Random): Promise<Findings> {
  const findings: Findings = { cycles, acknowledged: 0, lost: [], halves: [], unacknowledged: 0 }
  const path = join(folder, `${name}.db`)
  const first = await open(path)
  await first.exec(SCHEMA)
  await first.close()
  for (let cycle = 0; cycle < cycles; cycle++) {
    const acknowledgements = join(folder, `${name}.acknowledged`)
    await runAndKill([program, PACKAGE, path, acknowledgements, String(cycle), honesty], random)
    const acknowledged = numbersIn(acknowledgements)
    rmSync(acknowledgements, { force: true })
    const db = await open(path)
    try {
      await inspect(db, cycle, acknowledged, findings)
    } finally {
      await db.close()
    }
  }
  return findings
}

/** Runs a child until it is killed, at a random moment. It must not end by itself. */
async function runAndKill(args: readonly string[], random: Random): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (text) => (stderr += String(text)))
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(String(code ?? signal)))
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const underLoad = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  if (random.below(STILLBORN_ONE_IN) === 0) await delay(random.below(LIFE_MS))
  else await within(Promise.race([underLoad.then(() => delay(random.below(LIFE_MS))), ended]), 'the child is under load')
  child.kill('SIGKILL')
  const end = await within(ended, 'the child ends')
  if (end !== 'SIGKILL') throw new Error(`the child ended with ${end}: ${stderr}`)
}

/** Reads which transactions were acknowledged. A number is written in one piece. */
function numbersIn(path: string): number[] {
  return readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1).map(Number)
}

/** Looks at what a child left, and removes what an earlier one had left. */
async function inspect(db: Database, cycle: number, acknowledged: readonly number[], findings: Findings): Promise<void> {
  const integrity = await db.pluck<string>('PRAGMA integrity_check')
  if (integrity.join() !== 'ok') throw new Error(`the file is damaged after cycle ${cycle}: ${integrity.join('; ')}`)
  const kept = new Set(await db.pluck<number>('SELECT DISTINCT number FROM ledger WHERE cycle = ?', [cycle]))
  const lost = acknowledged.filter((number) => !kept.has(number))
  const halves = await db.pluck<number>(HALVES, [cycle])
  findings.acknowledged += acknowledged.length
  findings.unacknowledged += kept.size - (acknowledged.length - lost.length)
  findings.lost.push(...lost.map((number) => `${cycle}/${number}`))
  findings.halves.push(...halves.map((number) => `${cycle}/${number}`))
  await db.run('DELETE FROM ledger WHERE cycle < ?', [cycle])
}
