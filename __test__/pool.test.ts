import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { holdLock } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { failureOf, outcomeOf } from './support/failure.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openWithTable } from './support/scratch.js'
import { COUNTING_READ, COUNTING_WRITE, ENDLESS_READ } from './support/slow-sql.js'

const counter = (db: Database, name: string): number => db.status().counters[name] ?? Number.NaN

/** A database whose readers and writer know the slow statements, so that calls of them are admitted as what they are. */
async function openKnowing(options: { maxReaders: number; maxQueued?: number; acquireTimeoutMs?: number; path?: string }): Promise<Database> {
  const { path, ...rest } = options
  const db = path === undefined ? await openWithTable(rest) : await openForTest(path, rest)
  if (path !== undefined) await db.exec('CREATE TABLE t (x)')
  await db.all(COUNTING_READ, [1])
  await db.run(COUNTING_WRITE, [1])
  await untilQuiet(db)
  return db
}

describe('readers', () => {
  it('open lazily, as many as are needed and no more than maxReaders', async () => {
    const db = await openWithTable({ maxReaders: 3 })
    expect(db.status().readers).toEqual({ open: 0, active: 0, idle: 0, waiting: 0, max: 3 })
    for (let time = 0; time < 10; time++) await db.all('SELECT x FROM t')
    expect(db.status().readers).toMatchObject({ open: 1, idle: 1 })
    await Promise.all(Array.from({ length: 20 }, () => db.all(COUNTING_READ, [50_000])))
    await untilQuiet(db)
    expect(db.status().readers).toMatchObject({ open: 3, idle: 3, active: 0, waiting: 0 })
    expect(counter(db, 'readerOpens')).toBe(3)
  })

  it('are used last in, first out: a calm load is served by one', async () => {
    const db = await openWithTable({ maxReaders: 4, idleTtlMs: 1_000 })
    await Promise.all(Array.from({ length: 8 }, () => db.all(COUNTING_READ, [100_000])))
    expect(db.status().readers.open).toBe(4)
    // The one in use is never idle for long; the others are.
    await until(() => {
      const { active, open } = db.status().readers
      if (active === 0) db.all('SELECT x FROM t').catch(() => {})
      return open === 1
    }, 'the readers that are not needed are pruned')
    expect(counter(db, 'readerOpens') - counter(db, 'prunes')).toBe(1)
  })

  it('are pruned by a timer after idleTtlMs, with nothing else going on', async () => {
    const db = await openWithTable({ maxReaders: 2, idleTtlMs: 30 })
    await Promise.all([db.all(COUNTING_READ, [100_000]), db.all(COUNTING_READ, [100_000])])
    const opened = counter(db, 'readerOpens')
    expect(opened).toBeGreaterThanOrEqual(2)
    await until(() => db.status().readers.open === 0, 'the readers are pruned')
    expect(counter(db, 'prunes')).toBe(opened)
    expect(await db.all('SELECT x FROM t')).toEqual([])
    // It may have been pruned by now.
    expect(counter(db, 'readerOpens')).toBe(opened + 1)
  })

  it('I10: are not pruned while they read', async () => {
    const db = await openWithTable({ maxReaders: 2, idleTtlMs: 0 })
    expect(await Promise.all([1, 2, 3, 4].map(() => db.pluck(COUNTING_READ, [300_000])))).toEqual([1, 2, 3, 4].map(() => [300_000]))
  })

  it('L06: are neither lost nor used after their end when they are pruned as calls arrive', async () => {
    const db = await openWithTable({ maxReaders: 4, idleTtlMs: 0 })
    for (let round = 0; round < 300; round++) {
      const burst = Array.from({ length: 1 + (round % 5) }, () => db.pluck('SELECT 1'))
      expect((await Promise.all(burst)).flat()).toEqual(burst.map(() => 1))
    }
    expect(counter(db, 'prunes')).toBeGreaterThan(0)
    await until(() => db.status().readers.open === 0, 'the readers are pruned')
    await until(() => counter(db, 'readerOpens') === counter(db, 'readerCloses'), 'what was opened is closed')
  })

  it('maxReaders: 0 lets reads and writes follow each other on the writer', async () => {
    const db = await openWithTable({ maxReaders: 0 })
    const counts = Array.from({ length: 20 }, async (_, x) => {
      await db.run('INSERT INTO t VALUES (?)', [x])
      return (await db.pluck('SELECT count(*) FROM t'))[0]
    })
    expect(await Promise.all(counts)).toHaveLength(20)
    expect(counter(db, 'readerOpens')).toBe(0)
  })
})

describe('parallel reads', () => {
  it('run side by side, as the counters say', async () => {
    const db = await openWithTable({ maxReaders: 4 })
    await Promise.all(Array.from({ length: 4 }, () => db.all(COUNTING_READ, [3_000_000])))
    expect(counter(db, 'peakReaders')).toBe(4)
    expect(db.status().readers.open).toBe(4)
  })

  it('run beside a write', async () => {
    const db = await openKnowing({ maxReaders: 2 })
    const order: string[] = []
    const write = db.run(COUNTING_WRITE, [12_000_000]).then(() => order.push('write'))
    await Promise.all([1, 2].map(() => db.all(COUNTING_READ, [1_000_000]).then(() => order.push('read'))))
    await write
    expect(order).toEqual(['read', 'read', 'write'])
    expect(counter(db, 'peakReadersBesideWriter')).toBe(2)
    expect(counter(db, 'modeSwitches')).toBe(0)
  })

  it('see one state each while a write goes on', async () => {
    const db = await openWithTable({ maxReaders: 4 })
    await db.exec('DELETE FROM t; INSERT INTO t VALUES (0), (0)')
    const writes = Array.from({ length: 100 }, (_, x) => db.run('UPDATE t SET x = ?', [x]))
    const reads = await Promise.all(Array.from({ length: 200 }, () => db.pluck('SELECT x FROM t')))
    await Promise.all(writes)
    for (const [one, other] of reads) expect(one).toBe(other)
  })
})

describe('T12: read your writes', () => {
  it.each(['wal', 'exclusive'] as const)('a read after an acknowledged write sees it, on any reader, with %s', async (concurrency) => {
    const db = await openWithTable({ maxReaders: 4, concurrency, durability: 'off' })
    await db.run('INSERT INTO t VALUES (0)')
    await Promise.all(Array.from({ length: 8 }, () => db.all(COUNTING_READ, [50_000])))
    for (let x = 1; x <= 100; x++) {
      await db.run('UPDATE t SET x = ?', [x])
      const seen = await Promise.all(Array.from({ length: 6 }, () => db.pluck('SELECT x FROM t')))
      expect(new Set(seen.flat())).toEqual(new Set([x]))
    }
  })
})

describe('writes', () => {
  it('I3: happen in the order of their calls, new texts and known ones alike', async () => {
    const db = await openWithTable()
    await Promise.all(Array.from({ length: 200 }, (_, x) => (x % 3 === 0 ? db.run(`INSERT INTO t VALUES (${x})`) : x % 3 === 1 ? db.run('INSERT INTO t VALUES (?)', [x]) : db.exec(`INSERT INTO t VALUES (${x})`))))
    expect(await db.pluck('SELECT x FROM t ORDER BY rowid')).toEqual(Array.from({ length: 200 }, (_, x) => x))
  })

  it('do not wait for a read whose text is new, however long it takes', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    const endless = outcomeOf(db.all(ENDLESS_READ))
    for (let x = 0; x < 5; x++) await within(db.run('INSERT INTO t VALUES (?)', [x]), 'the write')
    await within(db.exec('DELETE FROM t'), 'the script')
    await db.close({ timeoutMs: 0 })
    expect(await endless).toBe('SQLITE_INTERRUPT')
  })

  it('do not wait for readers that are all busy, with a text that is new', async () => {
    const db = await openWithTable({ maxReaders: 1, acquireTimeoutMs: 500 })
    const endless = outcomeOf(db.all(ENDLESS_READ))
    await until(() => db.status().readers.active === 1, 'the read runs')
    expect(await outcomeOf(db.run('INSERT INTO t VALUES (1)'))).toBe('done')
    await db.close({ timeoutMs: 0 })
    expect(await endless).toBe('SQLITE_INTERRUPT')
  })

  it('I1: never meet SQLITE_BUSY among themselves', async () => {
    const db = await openWithTable({ busyTimeoutMs: 0 })
    await Promise.all(Array.from({ length: 300 }, (_, x) => (x % 2 === 0 ? db.run('INSERT INTO t VALUES (?)', [x]) : db.all('SELECT count(*) FROM t'))))
    expect(counter(db, 'errors')).toBe(0)
  })
})

describe('waiting', () => {
  it('L01: is first in, first out for reads', async () => {
    const db = await openKnowing({ maxReaders: 1 })
    const order: number[] = []
    await Promise.all(Array.from({ length: 20 }, (_, n) => db.all(COUNTING_READ, [10]).then(() => order.push(n))))
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('L01: ends after acquireTimeoutMs, with the numbers in the message', async () => {
    const db = await openKnowing({ maxReaders: 1, acquireTimeoutMs: 30 })
    const endless = outcomeOf(db.all(ENDLESS_READ))
    await until(() => db.status().readers.active === 1, 'the read runs')
    const { code, message } = await within(failureOf(db.all(COUNTING_READ, [1])), 'the wait ends')
    expect(code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    expect(message).toMatch(/acquireTimeoutMs.*\b30\b.*1 readers? active/)
    expect(db.status()).toMatchObject({ queued: 0, readers: { waiting: 0, active: 1 } })
    await db.run(COUNTING_WRITE, [1])
    await db.close({ timeoutMs: 0 })
    expect(await endless).toBe('SQLITE_INTERRUPT')
  })

  it('L01: names who holds the writer when a write waited too long', async () => {
    const db = await openKnowing({ maxReaders: 1, acquireTimeoutMs: 30 })
    const holding = `INSERT INTO t ${ENDLESS_READ}`
    const endless = outcomeOf(db.run(holding))
    await until(() => db.status().writer.holder !== null, 'the write runs')
    expect(db.status().writer).toMatchObject({ active: true, holder: { sql: holding } })
    const { code, message } = await failureOf(db.run(COUNTING_WRITE, [1]))
    expect(code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    expect(message).toContain('INSERT INTO t WITH RECURSIVE')
    await db.close({ timeoutMs: 0 })
    expect(await endless).toBe('SQLITE_INTERRUPT')
  })

  it('is refused to more than maxQueued, who do not disturb those that wait', async () => {
    const db = await openKnowing({ maxReaders: 1, maxQueued: 3 })
    const calls = Array.from({ length: 10 }, () => outcomeOf(db.all(COUNTING_READ, [200_000])))
    expect(db.status()).toMatchObject({ queued: 3, readers: { active: 1, waiting: 3 } })
    const { code, message } = await failureOf(db.all(COUNTING_READ, [1]))
    expect(code).toBe('ERR_SLUICE_OVERLOADED')
    expect(message).toContain('maxQueued')
    const outcomes = await Promise.all(calls)
    expect(outcomes).toEqual([...Array.from({ length: 4 }, () => 'done'), ...Array.from({ length: 6 }, () => 'ERR_SLUICE_OVERLOADED')])
    expect(await db.pluck(COUNTING_READ, [5])).toEqual([5])
    await untilQuiet(db)
  })

  it('shows in the status, and I4: leaves no trace there', async () => {
    const db = await openKnowing({ maxReaders: 2 })
    const calls = [...Array.from({ length: 5 }, () => db.all(COUNTING_READ, [2_000_000])), ...Array.from({ length: 3 }, () => db.run(COUNTING_WRITE, [2_000_000]))]
    expect(db.status()).toMatchObject({ mode: 'read', phase: 'open', readers: { active: 2, waiting: 3 }, writer: { active: true, waiting: 2 }, queued: 5 })
    await Promise.all(calls)
    await untilQuiet(db)
    expect(db.status()).toMatchObject({ readers: { active: 0, waiting: 0 }, writer: { active: false, waiting: 0, holder: null }, queued: 0, wal: { oldestReaderMs: null } })
  })

  it('for another process does not hold up reads', async () => {
    const db = await openWithTable({ maxReaders: 1 })
    const letGo = await holdLock(db.path, 'BEGIN IMMEDIATE')
    const order: string[] = []
    const write = db.run('INSERT INTO t VALUES (1)').then(() => order.push('write'))
    await db.all('SELECT x FROM t').then(() => order.push('read'))
    await letGo()
    await write
    expect(order).toEqual(['read', 'write'])
  })
})

describe.each([
  ['in memory', ':memory:'],
  ['by option', undefined],
] as const)('exclusive concurrency, %s', (_name, path) => {
  const openExclusive = async (maxReaders: number): Promise<Database> => {
    if (path !== undefined) return openKnowing({ maxReaders, path })
    const db = await openWithTable({ maxReaders, concurrency: 'exclusive' })
    await Promise.all([db.all(COUNTING_READ, [1]), db.run(COUNTING_WRITE, [1])])
    await untilQuiet(db)
    return db
  }

  it('never lets a read run beside a write', async () => {
    const db = await openExclusive(3)
    expect(db.status().concurrency).toBe('exclusive')
    await Promise.all(Array.from({ length: 60 }, (_, n) => (n % 3 === 0 ? db.run(COUNTING_WRITE, [2_000]) : db.all(COUNTING_READ, [2_000]))))
    expect(counter(db, 'peakReadersBesideWriter')).toBe(0)
    expect(counter(db, 'peakReaders')).toBeGreaterThan(1)
    expect(counter(db, 'errors')).toBe(0)
  })

  it('L08: makes a read wait for one write turn, and a write for the reads before it', async () => {
    const db = await openExclusive(2)
    const order: string[] = []
    const note = (name: string) => (): number => order.push(name)
    const calls = [
      db.run(COUNTING_WRITE, [100_000]).then(note('write 1')),
      db.run(COUNTING_WRITE, [10]).then(note('write 2')),
      db.all(COUNTING_READ, [10]).then(note('read 1')),
      db.run(COUNTING_WRITE, [10]).then(note('write 3')),
    ]
    expect(db.status()).toMatchObject({ mode: 'write', readers: { active: 0, waiting: 1 }, writer: { active: true, waiting: 2 } })
    await Promise.all(calls)
    expect(order).toEqual(['write 1', 'read 1', 'write 2', 'write 3'])
  })

  it('L08: lets a waiting write go before later reads', async () => {
    const db = await openExclusive(2)
    const order: string[] = []
    const note = (name: string) => (): number => order.push(name)
    const calls = [
      db.all(COUNTING_READ, [100_000]).then(note('read 1')),
      db.run(COUNTING_WRITE, [10]).then(note('write')),
      db.all(COUNTING_READ, [10]).then(note('read 2')),
    ]
    expect(db.status()).toMatchObject({ mode: 'read', readers: { active: 1, waiting: 1 }, writer: { active: false, waiting: 1 } })
    await Promise.all(calls)
    expect(order).toEqual(['read 1', 'write', 'read 2'])
  })

  it('reads what was written, and switches back and forth without end', async () => {
    const db = await openExclusive(2)
    await db.exec('DELETE FROM t')
    for (let n = 1; n <= 200; n++) {
      await db.run('INSERT INTO t VALUES (?)', [n])
      expect(await db.pluck('SELECT count(*) FROM t')).toEqual([n])
    }
    expect(db.status().mode).toBe('read')
    expect(counter(db, 'modeSwitches')).toBeGreaterThanOrEqual(200)
  })
})
