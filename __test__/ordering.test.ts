import { AsyncResource } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'

import type { Database, OpenOptions } from '../index.js'
import { within } from './support/deadline.js'
import { codeOf } from './support/failure.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'

const COUNT = 'SELECT count(*) AS n FROM t'

/** Starts a write that takes long enough for any read on a reader to be over before it. */
function longWrite(db: Database): Promise<unknown> {
  const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)'
  return db.run(`INSERT INTO t ${rows} SELECT i FROM n`)
}

/** Makes a call as if from outside any callback. */
const outside = AsyncResource.bind(<R>(call: () => R): R => call())

/** Returns the first row that is iterated. */
async function firstOf(rows: AsyncIterable<unknown>): Promise<unknown> {
  for await (const row of rows) return row
  return undefined
}

async function openSubmitted(options?: OpenOptions): Promise<Database> {
  return openWithTable({ ordering: 'submitted', ...options })
}

describe.each(['wal', 'exclusive'] as const)("ordering: 'submitted' with %s", (concurrency) => {
  it('lets every kind of read see a write that was submitted before it and not awaited', async () => {
    const db = await openSubmitted({ concurrency })
    await db.get(COUNT)
    const write = longWrite(db)
    const seen = await Promise.all([
      db.get(COUNT),
      db.all(COUNT).then(([row]) => row),
      db.pluck(COUNT).then(([n]) => ({ n })),
      db.read((r) => r.get(COUNT)),
      db.prepare(COUNT).get(),
      firstOf(db.iterate(COUNT)),
      db.execute('SELECT count(*) AS n, 1 AS never_seen FROM t').then(({ rows }) => ({ n: rows[0]?.['n'] })),
    ])
    await write
    expect(seen).toEqual(Array.from({ length: 7 }, () => ({ n: 200_000 })))
  })

  it('lets a read behind a write make reads on the database in its callback', async () => {
    const db = await openSubmitted({ concurrency })
    await db.get(COUNT)
    const write = longWrite(db)
    const nested = db.read(async (r) => [await r.get(COUNT), await db.get(COUNT), await db.all(COUNT).then(([row]) => row)])
    expect(await within(nested, 'reads in a read')).toEqual(Array.from({ length: 3 }, () => ({ n: 200_000 })))
    await write
  })

  it('lets a read session that waits behind a write be given up', async () => {
    const db = await openSubmitted({ concurrency })
    const tx = await db.begin()
    const write = db.run('INSERT INTO t VALUES (1)')
    const read = codeOf(db.read((r) => r.get(COUNT), { signal: AbortSignal.timeout(1) }))
    expect(await within(read, 'a read that nobody wants')).toBe('ABORT_ERR')
    await tx.rollback()
    await write
    expect(await within(db.read((r) => r.get(COUNT)), 'the next')).toEqual({ n: 1 })
  })

  it('lets a read see a script and a batch, and a text that nobody knew yet', async () => {
    const db = await openSubmitted({ concurrency })
    for (let round = 0; round < 20; round++) {
      const writes = [db.exec(`INSERT INTO t VALUES (${round}); INSERT INTO t VALUES (${round})`), db.batch([`INSERT INTO t VALUES (${round})`])]
      const unknown = db.run(`INSERT INTO t VALUES (${round}), (${round}) -- ${round}`)
      expect(await db.get(`SELECT count(*) AS n FROM t -- ${round}`)).toEqual({ n: 5 * (round + 1) })
      await Promise.all([...writes, unknown])
    }
  })

  it('lets a read see every write before it, made together with hundreds of others', async () => {
    const db = await openSubmitted({ concurrency })
    const reads: Promise<number | undefined>[] = []
    const writes: Promise<unknown>[] = []
    for (let i = 1; i <= 500; i++) {
      writes.push(db.run('INSERT INTO t VALUES (?)', [i]))
      reads.push(db.pluck<number>(COUNT).then(([n]) => n))
    }
    const seen = await Promise.all(reads)
    await Promise.all(writes)
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => Math.max(i + 1, seen[i] ?? 0)))
  })

  it('never lets a read see less than one that was answered before it was made', async () => {
    const db = await openSubmitted({ concurrency })
    const writes: Promise<unknown>[] = []
    const seen: number[] = []
    for (let i = 1; i <= 500; i++) {
      writes.push(db.run('INSERT INTO t VALUES (?)', [i]))
      if (i % 3 === 0) seen.push(...(await db.pluck<number>(COUNT)))
    }
    await Promise.all(writes)
    expect(seen).toHaveLength(166)
    expect([...seen].sort((a, b) => a - b)).toEqual(seen)
  })
})

describe("ordering: 'submitted'", () => {
  it('runs reads on readers again once the writes are answered', async () => {
    const db = await openSubmitted()
    const write = db.run('INSERT INTO t VALUES (1)')
    expect((await db.execute(COUNT)).route).toBe('write')
    await write
    await db.get(COUNT)
    expect((await db.execute(COUNT)).route).toBe('read')
  })

  it('runs reads on readers again once the writes are answered, although reads overlap without a gap', async () => {
    const db = await openSubmitted()
    // Long enough for one of them to run whenever another begins.
    const slow = (rows: number): string => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${rows}) SELECT count(*) AS n FROM n, t`
    for (const rows of [100_000, 130_000]) await db.execute(slow(rows))
    const write = db.run('INSERT INTO t VALUES (1)')
    const lane = async (rows: number): Promise<void> => {
      while ((await db.execute(slow(rows))).route === 'write');
    }
    const lanes = Promise.all([lane(100_000), lane(130_000)])
    await write
    expect(await within(lanes, 'a read on a reader')).toHaveLength(2)
  })

  it('goes by the handle: a sibling does not wait for the writes of another', async () => {
    const db = await openSubmitted()
    const sibling = db.handle()
    await sibling.get(COUNT)
    await sibling.get(COUNT)
    const tx = await db.begin()
    const write = db.run('INSERT INTO t VALUES (1)')
    expect((await within(sibling.execute(COUNT), 'the read of the sibling')).route).toBe('read')
    const own = sibling.run('INSERT INTO t VALUES (2)')
    const behind = sibling.get(COUNT)
    await tx.commit()
    expect(await within(behind, 'the read behind its own write')).toEqual({ n: 2 })
    await Promise.all([write, own])
    await sibling.close()
  })

  it('lets a failed write go', async () => {
    const db = await openSubmitted()
    await db.exec('CREATE UNIQUE INDEX one ON t (x)')
    await db.run('INSERT INTO t VALUES (1)')
    const failing = codeOf(db.run('INSERT INTO t VALUES (1)'))
    expect(await db.get(COUNT)).toEqual({ n: 1 })
    expect(await failing).toBe('SQLITE_CONSTRAINT_UNIQUE')
    const abort = new AbortController()
    const tx = await db.begin()
    const aborted = codeOf(db.run('INSERT INTO t VALUES (2)', [], { signal: abort.signal }))
    abort.abort()
    expect(await aborted).toBe('ABORT_ERR')
    expect((await within(db.execute(COUNT), 'a read beside the transaction')).rows).toEqual([{ n: 1 }])
    await tx.rollback()
  })

  it('D18: does not let a read in the callback of a transaction wait for that, nor for writes that do', async () => {
    const db = await openSubmitted()
    let write: Promise<unknown> = Promise.resolve()
    await db.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      // Made by somebody who is not in the callback, and waits for the transaction.
      write = outside(() => db.run('INSERT INTO t VALUES (2)'))
      const reads = [db.get(COUNT), db.read((r) => r.get(COUNT)), firstOf(db.iterate(COUNT))]
      expect(await within(Promise.all(reads), 'reads beside the transaction')).toEqual([{ n: 0 }, { n: 0 }, { n: 0 }])
    })
    await write
    expect(await db.get(COUNT)).toEqual({ n: 2 })
  })
})

describe("ordering: 'acknowledged'", () => {
  it('is what is left out: a read does not wait for a write that waits', async () => {
    const db = await openForTest(scratchPath())
    await db.exec('CREATE TABLE t (x)')
    await db.get(COUNT)
    const tx = await db.begin()
    const write = db.run('INSERT INTO t VALUES (1)')
    expect(await within(db.get(COUNT), 'the read')).toEqual({ n: 0 })
    await tx.commit()
    await write
    expect(await db.get(COUNT)).toEqual({ n: 1 })
  })

  it('is one of two', async () => {
    expect(await codeOf(openForTest(':memory:', { ordering: 'none' as never }))).toBe('ERR_SLUICE_INVALID_OPTION')
  })
})
