/**
 * Makes calls of one kind, and says what they left: `child.mjs <package> <folder> <kind> <calls> <samples>`, with `--expose-gc`. Prints
 * a {@link Measured}.
 */
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'

import type { Database, open as Open } from '../../index.js'
import type { Binding } from '../../js/binding.js'
import { FAULTS, KINDS, makeCalls } from './kinds.js'
import type { Kind, Subject } from './kinds.js'
import type { Lent, Measured, Sample } from './measured.js'

/** In how many rounds the warm-up is made, each with a look that does not count: what looking needs is there by then. */
const WARM_UP_ROUNDS = 10
/** How long to wait for threads to end, in milliseconds. */
const PATIENCE_MS = 5_000

const [, , packagePath = '', folder = '', kindName = '', callsText = '', samplesText = ''] = process.argv
const calls = Number(callsText)
/** How often the memory is looked at. */
const looks = Number(samplesText)
const kind = KINDS[kindName] ?? FAULTS[kindName]
if (kind === undefined) throw new Error(`no such kind: ${kindName}`)

const require = createRequire(packagePath)
const { open } = require(packagePath) as { open: typeof Open }
const { memoryUsed, trimMemory } = require(join(dirname(packagePath), 'binding.cjs')) as Pick<Binding, 'memoryUsed' | 'trimMemory'>

async function openSubject(): Promise<Database> {
  const db = await open(join(folder, 'test.db'), { durability: 'off', maxReaders: 2 })
  await db.exec(`CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x, u UNIQUE); DELETE FROM t;
    WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100) INSERT INTO t SELECT n, 'row ' || n, n FROM c`)
  return db
}

/** What the system has lent to this process. */
function lent(): Lent {
  const count = (list: string): number => (process.platform === 'linux' ? readdirSync(`/proc/self/${list}`).length : 0)
  return { threads: count('task'), descriptors: count('fd') }
}

async function collectGarbage(): Promise<void> {
  for (let time = 0; time < 3; time++) {
    globalThis.gc?.()
    await turn()
  }
}

async function sample(calls: number): Promise<Sample> {
  await collectGarbage()
  const allocated = trimMemory()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { calls, rss, heapUsed, external, allocated }
}

/** Waits until what was lent before has been given back; a thread takes a moment to end. */
async function lentUntil(before: Lent): Promise<Lent> {
  const deadline = performance.now() + PATIENCE_MS
  const isBack = ({ threads, descriptors }: Lent): boolean => threads <= before.threads && descriptors <= before.descriptors
  while (!isBack(lent()) && performance.now() < deadline) await collectGarbage()
  return lent()
}

/** How many calls are made before the first look that counts: what is kept once, such as caches, is filled by then. */
function warmUpCalls(): number {
  return Math.min(calls / 4, Math.max(calls / 10, 25_000))
}

async function warmUp(subject: Subject, of: Kind): Promise<void> {
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    await makeCalls(subject, of, Math.ceil(warmUpCalls() / WARM_UP_ROUNDS))
    await sample(0)
  }
}

async function main(): Promise<void> {
  if (kind === undefined) return
  await (await openSubject()).close()
  await collectGarbage()
  const before = lent()
  const db = await openSubject()
  const subject: Subject = { open, db, folder }
  await warmUp(subject, kind)
  const samples = [await sample(0)]
  const started = performance.now()
  for (let round = 1; round <= looks; round++) {
    const share = Math.ceil(calls / looks)
    await makeCalls(subject, kind, share)
    samples.push(await sample(round * share))
  }
  const seconds = (performance.now() - started) / 1_000
  await db.close()
  const measured: Measured = { samples, before, after: await lentUntil(before), memoryUsed: memoryUsed(), seconds }
  console.log(JSON.stringify(measured))
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 70
})
