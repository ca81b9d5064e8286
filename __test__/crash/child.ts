/**
 * The program that is killed: `child.js <package> <file> <acknowledgements> <cycle> <honest or early>`. It writes with 64 calls in flight,
 * and puts down the number of each transaction as soon as it was acknowledged: in a file, because what was written to that stays.
 */
import { openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'

import type { BatchItem, CheckpointMode, open as Open } from '../../index.js'
import { ADD, HALVES, rowOf } from './ledger.js'

const [, , packagePath = '', path = '', acknowledgementsPath = '', cycleText = '', honesty = ''] = process.argv
const { open } = createRequire(import.meta.url)(packagePath) as { open: typeof Open }
const cycle = Number(cycleText)
const acknowledgements = openSync(acknowledgementsPath, 'a')
const db = await open(path, { idleTtlMs: 50, maxReaders: 4 })
let last = 0

/** Writes one transaction after another, in one of three ways. */
async function write(way: (number: number, parts: number) => Promise<unknown>): Promise<never> {
  for (;;) {
    const number = ++last
    const done = way(number, 1 + (number % 4))
    // This is what the test must be able to find.
    if (honesty === 'early') acknowledge(number)
    await done
    if (honesty === 'honest') acknowledge(number)
  }
}

function acknowledge(number: number): void {
  writeSync(acknowledgements, `${number}\n`)
}

function rowsOf(number: number, parts: number): number[][] {
  return Array.from({ length: parts }, (_, part) => rowOf(cycle, number, part, parts))
}

const statement = (number: number): Promise<unknown> => db.run(ADD, rowOf(cycle, number, 0, 1))

const manyRows = (number: number, parts: number): Promise<unknown> =>
  db.run(ADD + ', (?, ?, ?, ?, ?)'.repeat(parts - 1), rowsOf(number, parts).flat())

const batch = (number: number, parts: number): Promise<unknown> =>
  db.batch(rowsOf(number, parts).map((params): BatchItem => ({ sql: ADD, params })))

const transaction = (number: number, parts: number): Promise<unknown> =>
  db.transaction(async (tx) => {
    for (const params of rowsOf(number, parts)) await tx.run(ADD, params)
  })

/** Reads in bursts, so that readers are pruned in between. */
async function read(): Promise<never> {
  for (;;) {
    const halves = await Promise.all(Array.from({ length: 4 }, () => db.pluck(HALVES, [cycle])))
    if (halves.flat().length > 0) throw new Error(`half transactions were read: ${halves.flat().join(', ')}`)
    await delay(80)
  }
}

async function checkpoint(): Promise<never> {
  const modes: CheckpointMode[] = ['passive', 'full', 'restart', 'truncate']
  for (let turn = 0; ; turn++) {
    await delay(7)
    await db.checkpoint(modes[turn % modes.length] as CheckpointMode)
  }
}

process.stdout.write('under load\n')
await Promise.all([
  ...Array.from({ length: 40 }, () => write(statement)),
  ...Array.from({ length: 8 }, () => write(manyRows)),
  ...Array.from({ length: 8 }, () => write(batch)),
  ...Array.from({ length: 8 }, () => write(transaction)),
  read(),
  checkpoint(),
])
