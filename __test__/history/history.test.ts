import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from '../../index.js'
import type { Database, OpenOptions } from '../../index.js'
import { converse } from '../support/child-process.js'
import { openForTest, scratchFolder } from '../support/scratch.js'
import type { AnomalyKind, Entry, Transaction } from './checker.js'
import type { Access, Work } from './clients.js'
import { dirtyRead, lostAcknowledgement, staleRead } from './faults.js'
import type { Fault } from './faults.js'
import { Processes, accessTo, committedIn, examine, runHere } from './histories.js'
import type { Findings } from './histories.js'
import { now } from './plans.js'
import { SCHEMA } from './running.js'

/** Another one each time. Transactions overlap as they like all the same: a seed repeats what is asked for, not what happens. */
const SEED = Number(process.env['SLUICE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

const RESTLESS: OpenOptions = { durability: 'normal', idleTtlMs: 10, maxReaders: 4 }

function workOf(process: number, transactions: number, options: OpenOptions = {}): Work {
  return { process, seed: SEED + process, transactions, clients: 24, stopsOneIn: 6, options: { ...RESTLESS, ...options } }
}

async function makeDatabase(path: string): Promise<void> {
  const db = await open(path)
  await db.exec(SCHEMA)
  await db.close()
}

async function keptIn(path: string): Promise<Entry[]> {
  const db = await openForTest(path)
  expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  return committedIn(db)
}

/** Runs clients in this process on a new database. */
async function runAlone(work: Work, plant?: Fault): Promise<Findings> {
  const path = join(scratchFolder(), 'history.db')
  await makeDatabase(path)
  const access = accessTo(path)
  const history = await runHere(work, plant === undefined ? access : { ...access, plant })
  return examine(history, await keptIn(path))
}

/** Says what went wrong, with the seed. */
function report({ anomalies }: Findings): string[] {
  if (anomalies.length === 0) return []
  const shown = anomalies.slice(0, 10).map(({ kind, message }) => `${kind}: ${message}`)
  return [`${anomalies.length} anomalies with SLUICE_SEED=${SEED}`, ...shown]
}

/** Has a read that never ends stopped while it runs: one that is given up in the work may still be waiting, or be done, each time. */
async function interruptARead(db: Database): Promise<void> {
  const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'
  while (db.status().counters['interrupts'] === 0) await Promise.allSettled([db.all(endless, [], { timeoutMs: 50 })])
}

describe('the history of a database', () => {
  const killed = 'cancelled, pruned, checkpointed, in writeMode, and one process killed'
  it(`has no anomaly in 20,000 transactions of three processes: ${killed}`, { timeout: 300_000 }, async () => {
    const folder = scratchFolder()
    const path = join(folder, 'history.db')
    await makeDatabase(path)
    const processes = await Processes.prepare(folder)
    const killedAndReplaced = async (): Promise<Transaction[]> => {
      const before = await processes.run(path, workOf(3, 1_000_000), 2_000)
      return [...before, ...(await processes.run(path, workOf(4, 3_000)))]
    }
    const opened: Database[] = []
    let interrupting: Promise<void> | undefined
    const observed: Access = {
      ...accessTo(path),
      open: async (options) => {
        const db = await open(path, options)
        opened.push(db)
        if (opened.length === 1) interrupting = interruptARead(db)
        return db
      },
    }
    const histories = await Promise.all([
      runHere(workOf(1, 11_000), observed),
      processes.run(path, workOf(2, 5_000, { durability: 'full' })),
      killedAndReplaced(),
    ])
    await interrupting
    const findings = examine(histories.flat(), await keptIn(path))
    expect(report(findings)).toEqual([])
    expect(findings.ok + findings.failed).toBeGreaterThan(20_000)
    // Nothing is shown of what did not happen.
    expect(findings.failed).toBeGreaterThan(500)
    expect(findings.unknown).toBeGreaterThan(0)
    for (const counter of ['prunes', 'groups', 'groupRetries', 'interrupts', 'rollbacks', 'modeSwitches']) {
      expect(opened.map((db) => db.status().counters[counter] ?? 0), counter).toSatisfy((counts: number[]) => counts.some((count) => count > 0))
    }
  })

  it.each<[string, OpenOptions]>([
    ['without group commit', { groupCommit: false }],
    ['in groups of two', { groupCommit: { maxStatements: 2 } }],
    ['when everything runs on the writer', { maxReaders: 0 }],
    ['when reads and writes take turns', { concurrency: 'exclusive' }],
  ])('has no anomaly %s', { timeout: 120_000 }, async (_, options) => {
    expect(report(await runAlone(workOf(1, 2_000, options)))).toEqual([])
  })

  it('has no anomaly when every other transaction is given up', { timeout: 120_000 }, async () => {
    expect(report(await runAlone({ ...workOf(1, 4_000, { durability: 'full' }), stopsOneIn: 2 }))).toEqual([])
  })

  it('has no anomaly in memory', { timeout: 120_000 }, async () => {
    const db = await openForTest(':memory:', RESTLESS)
    await db.exec(SCHEMA)
    const history = await runHere(workOf(1, 2_000), { open: () => Promise.resolve(db.handle()), plant: (handle) => handle })
    expect(report(examine(history, await committedIn(db)))).toEqual([])
  })

  it.each<[string, () => Fault, AnomalyKind]>([
    ['an acknowledgement is lost', lostAcknowledgement, 'lost'],
    ['a read is stale', staleRead, 'stale'],
    ['a read is dirty', dirtyRead, 'dirty'],
  ])('shows an anomaly when %s', { timeout: 120_000 }, async (_, plant, kind) => {
    const { anomalies } = await runAlone(workOf(1, 2_000), plant())
    expect(new Set(anomalies.map((anomaly) => anomaly.kind))).toContain(kind)
  })
})

describe('the clock of a history', () => {
  it('is the same in every process', async () => {
    const child = converse(`process.stdin.on('data', () => {
      const [seconds, nanoseconds] = process.hrtime()
      console.log(seconds * 1e6 + nanoseconds / 1e3)
    })`, { bare: true })
    for (let round = 0; round < 5; round++) {
      const before = now()
      child.say('what time is it?')
      const there = Number(await child.line())
      expect(there).toBeGreaterThan(before)
      expect(there).toBeLessThan(now())
    }
  })
})
