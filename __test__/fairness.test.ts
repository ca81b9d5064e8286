import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { holdLock, runScript } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { holdWriter, untilWaiting, untilWriterRuns } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const SELECT = 'SELECT x FROM t'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** A table `t(x)` whose statements are known, so that each call waits as what it is. */
async function openKnowing(options: Parameters<typeof openWithTable>[0] = {}): Promise<Database> {
  const db = await openWithTable(options)
  await Promise.all([db.prepare(INSERT).columns(), db.all(SELECT)])
  await untilQuiet(db)
  return db
}

describe('the queue of writes', () => {
  it('is first in, first out, for every kind of write', async () => {
    const db = await openKnowing()
    const release = await holdWriter(db)
    const kinds: ((x: number) => Promise<unknown>)[] = [
      (x) => db.run(INSERT, [x]),
      (x) => db.transaction((tx) => tx.run(INSERT, [x])),
      (x) => db.exec(`INSERT INTO t VALUES (${x})`),
      (x) => db.batch([{ sql: INSERT, params: [x] }]),
      async (x) => { const tx = await db.begin(); await tx.run(INSERT, [x]); await tx.commit() },
    ]
    const calls = range(50).map((x) => kinds[x % kinds.length]?.(x))
    await untilWaiting(db, 50)
    await release()
    await within(Promise.all(calls), 'all writes')
    expect(await valuesOf(db)).toEqual(range(50))
  })

  it('nobody starves: a transaction among endless autocommit writes gets its turn', async () => {
    const db = await openKnowing({ durability: 'off' })
    const over = { is: false }
    const writers = range(20).map(async (x) => {
      while (!over.is) await db.run(INSERT, [x])
    })
    for (let time = 0; time < 20; time++) expect(await within(db.transaction((tx) => tx.run(INSERT, [time])), 'the transaction')).toMatchObject({ changes: 1 })
    over.is = true
    await Promise.all(writers)
  })

  it('L08: writes and reads of exclusive concurrency alternate, and neither starves', async () => {
    const db = await openKnowing({ concurrency: 'exclusive', durability: 'off', maxReaders: 2 })
    const over = { is: false }
    const spin = (call: () => Promise<unknown>) => async (): Promise<number> => {
      let count = 0
      for (; !over.is; count++) await call()
      return count
    }
    const writers = range(4).map(spin(() => db.run('UPDATE t SET x = x')))
    const readers = range(4).map(spin(() => db.all(SELECT)))
    for (let time = 0; time < 20; time++) {
      await within(db.transaction((tx) => tx.run(INSERT, [time])), 'the transaction')
      await within(db.read((r) => r.all(SELECT)), 'the read session')
    }
    over.is = true
    for (const count of await Promise.all([...writers, ...readers])) expect(count).toBeGreaterThan(0)
  })

  it.runIf(process.platform === 'linux')('parks no thread: a thousand that wait cost queue entries', async () => {
    const db = await openKnowing()
    const threads = (): number => readdirSync('/proc/self/task').length
    const release = await holdWriter(db)
    const before = threads()
    const calls = range(500).flatMap((x) => [db.run(INSERT, [x]), db.transaction((tx) => tx.run(INSERT, [x]))])
    await untilWaiting(db, 1_000)
    expect(threads()).toBeLessThanOrEqual(before)
    await release()
    await Promise.all(calls)
  })
})

describe('L01: acquireTimeoutMs', () => {
  it('of a write names the transaction that holds the writer, for how long, and how many wait', async () => {
    const db = await openKnowing({ acquireTimeoutMs: 80 })
    const tx = await db.begin()
    const calls = range(5).map((x) => failureOf(db.run(INSERT, [x])))
    for (const { code, message } of await within(Promise.all(calls), 'the waits end')) {
      expect(code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
      expect(message).toMatch(/acquireTimeoutMs \(80\).*\d+ calls queued; the writer has been held for \d+ ms by "\(a transaction/)
    }
    expect(db.status()).toMatchObject({ queued: 0, writer: { active: true, waiting: 0 } })
    await tx.run(INSERT, [9])
    await tx.commit()
    expect(await valuesOf(db)).toEqual([9])
  })

  it('names what the transaction runs, without its values', async () => {
    const db = await openKnowing({ acquireTimeoutMs: 50 })
    const stop = new AbortController()
    const transaction = outcomeOf(db.transaction((tx) => tx.run(`INSERT INTO t ${ENDLESS_READ} WHERE n <> ?`, ['a secret']), { signal: stop.signal }))
    await untilWriterRuns(db, 'RECURSIVE')
    const { message } = await failureOf(db.run(INSERT, [1]))
    expect(message).toContain('INSERT INTO t WITH RECURSIVE')
    expect(message).not.toContain('secret')
    stop.abort()
    expect(await transaction).toBe('ABORT_ERR')
  })

  it.each([
    ['transaction', (db: Database) => db.transaction(() => 1)],
    ['begin', (db: Database) => db.begin()],
    ['writeMode', (db: Database) => db.writeMode(() => 1)],
    ['batch', (db: Database) => db.batch(['SELECT 1'])],
    ['exec', (db: Database) => db.exec('SELECT 1')],
    ['BEGIN as text', (db: Database) => db.handle().run('BEGIN')],
  ])('ends the wait of %s, which then holds nothing', async (_name, call) => {
    const db = await openKnowing({ acquireTimeoutMs: 40 })
    const tx = await db.begin()
    expect(await within(codeOf(call(db)), 'the wait ends')).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    expect(db.status().queued).toBe(0)
    await tx.rollback()
    await db.run(INSERT, [1])
    expect(await valuesOf(db)).toEqual([1])
  })

  it('ends the wait of read sessions and iterations for a reader', async () => {
    const db = await openKnowing({ acquireTimeoutMs: 40, maxReaders: 1 })
    await db.read(async () => {
      const other = { detached: true }
      expect(await within(codeOf(db.read(() => 1, other)), 'the session')).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
      expect(await within(codeOf(db.iterate(SELECT, [], other).next()), 'the iteration')).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
      // A short read never waits for a session.
      expect(await db.all(SELECT, [], other)).toEqual([])
    })
    await untilQuiet(db)
  })

  it('does not count once the call runs', async () => {
    const db = await openKnowing({ acquireTimeoutMs: 50 })
    const tx = await db.begin()
    await new Promise((resolve) => setTimeout(resolve, 150))
    await tx.run(INSERT, [1])
    await tx.commit()
    expect(await valuesOf(db)).toEqual([1])
  })
})

describe('maxQueued', () => {
  it('refuses further writes and transactions at once, and those that wait go on', async () => {
    const db = await openKnowing({ maxQueued: 4 })
    const release = await holdWriter(db)
    const calls = range(4).map((x) => outcomeOf(x % 2 === 0 ? db.run(INSERT, [x]) : db.transaction((tx) => tx.run(INSERT, [x]))))
    await untilWaiting(db, 4)
    for (const call of [() => db.run(INSERT, [9]), () => db.transaction(() => 1), () => db.begin(), () => db.batch(['SELECT 1']), () => db.writeMode(() => 1), () => db.exec('SELECT 1')]) {
      const { code, message } = await failureOf(call())
      expect(code).toBe('ERR_SLUICE_OVERLOADED')
      expect(message).toContain('maxQueued')
    }
    expect(await db.all(SELECT)).toEqual([])
    await release()
    expect(await Promise.all(calls)).toEqual(['done', 'done', 'done', 'done'])
    expect(await valuesOf(db)).toEqual([0, 1, 2, 3])
  })

  it('does not count calls within a transaction, which wait for nobody else', async () => {
    const db = await openWithTable({ maxQueued: 1 })
    await db.transaction((tx) => Promise.all(range(100).map((x) => tx.run(INSERT, [x]))))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([100])
  })
})

describe('L13: a writer that another process blocks', () => {
  it('fails with SQLITE_BUSY after busyTimeoutMs, reads go on, and the queue drains after', async () => {
    const db = await openKnowing({ busyTimeoutMs: 150 })
    await db.run(INSERT, [0])
    const letGo = await holdLock(db.path, 'BEGIN IMMEDIATE')
    const began = performance.now()
    const calls = [db.run(INSERT, [1]), db.transaction((tx) => tx.run(INSERT, [2])), db.batch([{ sql: INSERT, params: [3] }]), db.exec('INSERT INTO t VALUES (4)')].map(outcomeOf)
    const order: string[] = []
    const first = calls[0]?.then(() => order.push('write'))
    for (let time = 0; time < 10; time++) expect(await within(db.pluck(SELECT), 'a read')).toEqual([0])
    order.push('reads')
    await first
    expect(performance.now() - began).toBeGreaterThan(100)
    expect(order).toEqual(['reads', 'write'])
    for (const outcome of await within(Promise.all(calls), 'the writes')) expect(outcome).toMatch(/^SQLITE_BUSY/)
    const waiting = range(5).map((x) => outcomeOf(db.run(INSERT, [10 + x])))
    await letGo()
    await within(Promise.all(waiting), 'the queue')
    await db.run(INSERT, [20])
    expect((await valuesOf(db)).at(-1)).toBe(20)
  })

  it('goes on as soon as the other lets go, within busyTimeoutMs', async () => {
    const db = await openKnowing({ busyTimeoutMs: 20_000 })
    const letGo = await holdLock(db.path, 'BEGIN IMMEDIATE')
    const calls = [db.run(INSERT, [1]), db.transaction((tx) => tx.run(INSERT, [2])), db.run(INSERT, [3])]
    await db.all(SELECT)
    await letGo()
    await within(Promise.all(calls), 'the writes')
    expect(await valuesOf(db)).toEqual([1, 2, 3])
  })

  it.each([
    ['a write', (db: Database) => db.run(INSERT, [3])],
    ['a transaction', (db: Database) => db.transaction((tx) => tx.run(INSERT, [3]))],
  ])('can be given up while it waits for the other, with %s behind it', async (_name, behind) => {
    const db = await openKnowing({ busyTimeoutMs: 20_000 })
    const letGo = await holdLock(db.path, 'BEGIN IMMEDIATE')
    const stop = new AbortController()
    const given = [outcomeOf(db.run(INSERT, [1], { signal: stop.signal })), outcomeOf(db.transaction((tx) => tx.run(INSERT, [2]), { signal: stop.signal }))]
    const call = behind(db)
    await until(() => db.status().writer.active, 'it waits for the other')
    stop.abort()
    expect(await within(Promise.all(given), 'they are given up')).toEqual(['ABORT_ERR', 'ABORT_ERR'])
    await letGo()
    await within(call, 'the one behind')
    expect(await valuesOf(db)).toEqual([3])
  })
})

describe('T13: an upgrade', () => {
  it('never meets BUSY_SNAPSHOT: a transaction that reads first and then writes is not overtaken', async () => {
    const db = await openKnowing({ durability: 'off' })
    await db.run(INSERT, [0])
    await Promise.all(range(50).map(() => db.transaction(async (tx) => {
      const [x] = await tx.pluck<number>(SELECT)
      await tx.run('UPDATE t SET x = ?', [(x ?? 0) + 1])
    })))
    expect(await valuesOf(db)).toEqual([50])
  })

  it('of a deferred transaction is refused when another process has written in between, and retry repeats it', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (0)')
    const seen: unknown[] = []
    // Another manager in this process would share the connections: only another process is another.
    const overtake = async (): Promise<void> => {
      const { code, stderr } = await runScript(`main(async () => { const db = await open(process.argv[1]); await db.run('UPDATE t SET x = x + 10'); await db.close() })`, { args: [db.path] })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    }
    const upgrade = (retry?: { attempts: number }): Promise<unknown> => {
      let attempts = 0
      return db.transaction(async (tx) => {
        const [x] = await tx.pluck<number>(SELECT)
        seen.push(x)
        if (attempts++ === 0) await overtake()
        return tx.run('UPDATE t SET x = ?', [(x ?? 0) + 1])
      }, { behavior: 'deferred', ...(retry === undefined ? {} : { retry }) })
    }
    expect(await codeOf(upgrade())).toBe('SQLITE_BUSY_SNAPSHOT')
    await upgrade({ attempts: 2 })
    expect(seen).toEqual([0, 10, 20])
    expect(await valuesOf(await openForTest(db.path))).toEqual([21])
    expect(db.status().counters['transactionRetries']).toBe(1)
  })
})
