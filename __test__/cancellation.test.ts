import { describe, expect, it } from 'vitest'

import { AbortError, SluiceError } from '../index.js'
import type { Database } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate, holdWriter, untilWaiting, untilWriterRuns } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openScratch, openWithTable } from './support/scratch.js'
import { COUNTING_READ, ENDLESS_READ, ENDLESS_WRITE } from './support/slow-sql.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')

interface Limits {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** Every call that takes limits, of a read and of a write. */
const READS: { readonly [name: string]: (db: Database, sql: string, limits: Limits) => Promise<unknown> } = {
  execute: (db, sql, limits) => db.execute(sql, [], limits),
  all: (db, sql, limits) => db.all(sql, [], limits),
  get: (db, sql, limits) => db.get(sql, [], limits),
  values: (db, sql, limits) => db.values(sql, [], limits),
  pluck: (db, sql, limits) => db.pluck(sql, [], limits),
  'statement.all': (db, sql, limits) => db.prepare(sql).all([], limits),
  iterate: async (db, sql, limits) => { for await (const row of db.iterate(sql, [], limits)) void row },
  'r.all': (db, sql, limits) => db.read((r) => r.all(sql, [], limits)),
  read: (db, sql, limits) => db.read((r) => r.all(sql), limits),
}
const WRITES: typeof READS = {
  run: (db, sql, limits) => db.run(sql, [], limits),
  'execute of a write': (db, sql, limits) => db.execute(sql, [], limits),
  'statement.run': (db, sql, limits) => db.prepare(sql).run([], limits),
  exec: (db, sql, limits) => db.exec(sql, limits),
  batch: (db, sql, limits) => db.batch([sql], limits),
  'tx.run': (db, sql, limits) => db.transaction((tx) => tx.run(sql, [], limits)),
  'tx.exec': (db, sql, limits) => db.transaction((tx) => tx.exec(sql, limits)),
  transaction: (db, sql, limits) => db.transaction((tx) => tx.run(sql), limits),
  begin: async (db, sql, limits) => { const tx = await db.begin(limits); await tx.run(sql); await tx.commit() },
  writeMode: (db, sql, limits) => db.writeMode((w) => w.run(sql), limits),
  'w.run': (db, sql, limits) => db.writeMode((w) => w.run(sql, [], limits)),
}
/** Those whose limits are of one statement in a session, which waits for its turn without them. */
const IN_SESSIONS: ReadonlySet<string> = new Set(['r.all', 'tx.run', 'tx.exec', 'w.run'])
/** What ends a transaction says so in its own words. */
const timeoutOf = (name: string): string => (['transaction', 'begin', 'writeMode'].includes(name) ? 'ERR_SLUICE_TX_TIMEOUT' : 'ERR_SLUICE_TIMEOUT')

const reason = new Error('the reason')

async function expectUsable(db: Database): Promise<void> {
  await untilQuiet(db)
  expect(db.status()).toMatchObject({ queued: 0, readers: { active: 0, waiting: 0 }, writer: { active: false, waiting: 0, holder: null } })
  await db.run(INSERT, [7])
  expect(await valuesOf(db)).toEqual([7])
}

const CALLS = [
  ...Object.entries(READS).map(([name, call]) => ['reads', name, call] as const),
  ...Object.entries(WRITES).map(([name, call]) => ['writes', name, call] as const),
]

describe.each(CALLS)('L02: a call that %s: %s', (kind, name, call) => {
  const endless = kind === 'reads' ? ENDLESS_READ : ENDLESS_WRITE
  const isRunning = (db: Database) => (): boolean => {
    const { wal, writer } = db.status()
    return (kind === 'reads' ? wal.oldestReaderSql : writer.holder?.sql)?.includes('RECURSIVE') === true
  }

  it('with a signal that is aborted already is rejected, and nothing runs', async () => {
    const db = await openWithTable()
    const error = await failureOf(call(db, kind === 'reads' ? 'SELECT 1' : 'INSERT INTO t VALUES (1)', { signal: AbortSignal.abort(reason) }))
    expect(error).toBeInstanceOf(AbortError)
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    await expectUsable(db)
  })

  it('is stopped by its signal while it runs, with an AbortError, and leaves nothing', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    const failure = failureOf(call(db, endless, { signal: stop.signal }))
    await until(isRunning(db), 'it runs')
    stop.abort(reason)
    const error = await within(failure, 'it is stopped')
    expect(error).toBeInstanceOf(AbortError)
    // The signal is not that of the statement, but of what `begin` began.
    expect(error).toMatchObject(name === 'begin' ? { code: 'ABORT_ERR' } : { code: 'ABORT_ERR', cause: reason })
    await expectUsable(db)
  })

  it('is stopped by its timeoutMs while it runs, and leaves nothing', async () => {
    const db = await openWithTable()
    const error = await within(failureOf(call(db, endless, { timeoutMs: 30 })), 'it is stopped')
    expect(error).toBeInstanceOf(SluiceError)
    expect(error.code).toBe(timeoutOf(name))
    await expectUsable(db)
  })

  it('is done when its signal is aborted after it, and nothing comes of that', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    const limits = { signal: stop.signal, timeoutMs: 60_000 }
    expect(await outcomeOf(call(db, 'SELECT 1', limits))).toBe('done')
    stop.abort()
    await expectUsable(db)
  })
})

describe.each(CALLS.filter(([, name]) => !IN_SESSIONS.has(name)))('L02: a call that %s and waits: %s', (kind, _name, call) => {
  it('is taken out of the queue by its signal, and leaves no trace', async () => {
    const db = await openWithTable({ maxReaders: 1 })
    const leave = gate()
    const entered = gate()
    const holding = db.writeMode(async () => {
      entered.open()
      await leave.opened
    })
    await entered.opened
    const stop = new AbortController()
    const failure = failureOf(call(db, kind === 'reads' ? 'SELECT x FROM t' : 'INSERT INTO t VALUES (1)', { signal: stop.signal }))
    await until(() => db.status().queued > 0, 'it waits')
    stop.abort(reason)
    expect(await within(failure, 'it is given up')).toMatchObject({ code: 'ABORT_ERR', cause: reason })
    expect(db.status()).toMatchObject({ queued: 0, readers: { waiting: 0 }, writer: { waiting: 0 } })
    leave.open()
    await holding
    await expectUsable(db)
  })
})

describe('L02: a call that is aborted at any moment', () => {
  it('settles once, and either took effect or did not', async () => {
    const db = await openWithTable({ durability: 'off' })
    const outcomes: string[] = []
    for (let x = 0; x < 400; x++) {
      const stop = new AbortController()
      const call = outcomeOf(x % 2 === 0 ? db.run(INSERT, [x], { signal: stop.signal }) : db.transaction((tx) => tx.run(INSERT, [x]), { signal: stop.signal }))
      for (let turn = 0; turn < x % 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      stop.abort()
      outcomes.push(await within(call, 'the call'))
    }
    expect(new Set(outcomes)).toEqual(new Set(['done', 'ABORT_ERR']))
    const done = outcomes.flatMap((outcome, x) => (outcome === 'done' ? [x] : []))
    expect(await valuesOf(db)).toEqual(done)
    await untilQuiet(db)
  })

  it('disturbs none of those beside it', async () => {
    const db = await openWithTable({ maxReaders: 2, durability: 'off' })
    const calls = Array.from({ length: 300 }, async (_, x) => {
      const stop = new AbortController()
      const limits = { signal: stop.signal }
      const call = outcomeOf(x % 2 === 0 ? db.run(INSERT, [x], limits) : db.all(COUNTING_READ, [50_000], limits))
      if (x % 3 === 0) setTimeout(() => stop.abort(), x % 20)
      return call
    })
    const outcomes = await within(Promise.all(calls), 'all calls')
    expect(new Set(outcomes.filter((_, x) => x % 3 !== 0))).toEqual(new Set(['done']))
    expect(new Set(outcomes)).toEqual(new Set(['done', 'ABORT_ERR']))
    const kept = outcomes.flatMap((outcome, x) => (x % 2 === 0 && outcome === 'done' ? [x] : []))
    expect(await valuesOf(db)).toEqual(kept)
    await untilQuiet(db)
  })
})

describe('a timeoutMs that was not needed', () => {
  it('stops nothing that comes after its call', async () => {
    const db = await openWithTable({ maxReaders: 1 })
    await Promise.all(Array.from({ length: 64 }, () => db.pluck('SELECT 1', [], { timeoutMs: 100 })))
    const stop = new AbortController()
    const calls = Array.from({ length: 64 }, () => outcomeOf(db.all(ENDLESS_READ, [], { signal: stop.signal })))
    await new Promise((resolve) => setTimeout(resolve, 200))
    stop.abort()
    expect(new Set(await within(Promise.all(calls), 'all calls'))).toEqual(new Set(['ABORT_ERR']))
  })
})

describe('T04: a member of a group that is aborted', () => {
  it('while it runs is rejected alone: the other 63 commit once, in order', async () => {
    const db = await openWithTable({ groupCommit: { maxMs: 60_000 } })
    await db.run(INSERT, [-1])
    const release = await holdWriter(db)
    const stop = new AbortController()
    const order: number[] = []
    const calls = Array.from({ length: 64 }, (_, x) => outcomeOf(x === 40 ? db.run(ENDLESS_WRITE, [], { signal: stop.signal }) : db.run(INSERT, [x])).finally(() => order.push(x)))
    await until(() => db.status().queued >= 64, 'all wait')
    await release()
    await untilWriterRuns(db, 'RECURSIVE')
    stop.abort()
    expect(await within(Promise.all(calls), 'the group')).toEqual(calls.map((_, x) => (x === 40 ? 'ABORT_ERR' : 'done')))
    expect(order.filter((x) => x !== 40)).toEqual(Array.from({ length: 64 }, (_, x) => x).filter((x) => x !== 40))
    expect(await valuesOf(db)).toEqual([-1, ...Array.from({ length: 64 }, (_, x) => x).filter((x) => x !== 40)])
  })

  it('while it waits does not run, and the others are as they would be', async () => {
    const db = await openWithTable()
    await db.run(INSERT, [-1])
    const release = await holdWriter(db)
    const stop = new AbortController()
    const calls = Array.from({ length: 64 }, (_, x) => outcomeOf(db.run(INSERT, [x], x % 4 === 0 ? { signal: stop.signal } : {})))
    await untilWaiting(db, 64)
    stop.abort()
    await untilWaiting(db, 48)
    await release()
    expect(await Promise.all(calls)).toEqual(calls.map((_, x) => (x % 4 === 0 ? 'ABORT_ERR' : 'done')))
    expect(await valuesOf(db)).toEqual([-1, ...Array.from({ length: 64 }, (_, x) => x).filter((x) => x % 4 !== 0)])
  })
})

describe('V21: a runaway statement', () => {
  it.each([
    ['a read', ENDLESS_READ],
    ['a write', ENDLESS_WRITE],
  ])('%s is stopped within 50 ms of its abort, while other calls go on', async (_name, sql) => {
    const db = await openWithTable({ maxReaders: 2 })
    const took: number[] = []
    // The fastest counts: a loaded machine makes any one late.
    for (let time = 0; time < 5; time++) {
      const stop = new AbortController()
      const call = outcomeOf(db.all(sql, [], { signal: stop.signal }))
      await until(() => db.status().readers.active + Number(db.status().writer.active) > 0, 'it runs')
      expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
      const began = performance.now()
      stop.abort()
      expect(await within(call, 'it is stopped')).toBe('ABORT_ERR')
      took.push(performance.now() - began)
      await untilQuiet(db)
    }
    expect(Math.min(...took)).toBeLessThan(50)
  })

  it('D07: a count over many rows, where the progress handler is never called, is stopped too', async () => {
    const db = await openScratch({ durability: 'off', maxReaders: 2 })
    await db.exec('CREATE TABLE t (x INTEGER PRIMARY KEY)')
    await db.run('INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000) SELECT n FROM c')
    await db.get('SELECT x FROM t')
    const took: number[] = []
    for (let time = 0; time < 5; time++) {
      const stop = new AbortController()
      const call = outcomeOf(db.all('SELECT count(*) FROM t AS a, t AS b', [], { signal: stop.signal }))
      await until(() => db.status().readers.active === 1, 'it runs')
      const began = performance.now()
      stop.abort()
      expect(await within(call, 'it is stopped')).toBe('ABORT_ERR')
      took.push(performance.now() - began)
      await untilQuiet(db)
    }
    expect(Math.min(...took)).toBeLessThan(50)
  })
})

describe('D14: one signal for many calls', () => {
  it('20,000 calls with one AbortSignal: no warning, and no listener is left', { timeout: 60_000 }, async () => {
    const db = await openWithTable({ durability: 'off' })
    const warnings: Error[] = []
    const listen = (warning: Error): number => warnings.push(warning)
    process.on('warning', listen)
    const stop = new AbortController()
    let [added, removed] = [0, 0]
    const { addEventListener, removeEventListener } = stop.signal
    stop.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => { added++; addEventListener.apply(stop.signal, args) }
    stop.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => { removed++; removeEventListener.apply(stop.signal, args) }
    try {
      const calls = Array.from({ length: 20_000 }, (_, x) => (x % 2 === 0 ? db.run(INSERT, [x], { signal: stop.signal }) : db.pluck('SELECT 1', [], { signal: stop.signal })))
      expect(added).toBeLessThanOrEqual(1)
      await within(Promise.all(calls), 'all calls', 50_000)
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings).toEqual([])
      expect(added).toBeLessThan(50)
      expect(removed).toBe(added)
    } finally {
      process.off('warning', listen)
    }
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([10_000])
  })

  it('takes time in proportion to the calls', { timeout: 60_000 }, async () => {
    const db = await openWithTable({ durability: 'off' })
    const measure = async (count: number): Promise<number> => {
      const { signal } = new AbortController()
      const began = performance.now()
      await Promise.all(Array.from({ length: count }, () => db.pluck('SELECT 1', [], { signal })))
      return performance.now() - began
    }
    await measure(2_000)
    const short = Math.min(await measure(2_500), await measure(2_500), await measure(2_500))
    const long = Math.min(await measure(20_000), await measure(20_000))
    expect(long / short).toBeLessThan(32)
  })

  it('one abort gives up all that wait', async () => {
    const db = await openWithTable()
    const release = await holdWriter(db)
    const stop = new AbortController()
    await db.run('SELECT 1')
    const calls = Array.from({ length: 1_000 }, (_, x) => outcomeOf(db.run(INSERT, [x], { signal: stop.signal })))
    await until(() => db.status().queued >= 1_000, 'all wait')
    stop.abort()
    expect(new Set(await within(Promise.all(calls), 'all calls'))).toEqual(new Set(['ABORT_ERR']))
    expect(db.status().queued).toBe(0)
    await release()
    expect(await valuesOf(db)).toEqual([])
  })
})

describe('a transaction that is aborted', () => {
  it('while its callback does something else: it is rolled back, its calls say so, and transaction() does not wait for the callback', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    const [entered, leave] = [gate(), gate()]
    let late: Promise<string> | undefined
    const call = failureOf(db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      entered.open()
      await leave.opened
      late = outcomeOf(tx.run(INSERT, [2]))
      await late
    }, { signal: stop.signal }))
    await entered.opened
    stop.abort(reason)
    const error = await within(call, 'it is rejected')
    expect(error).toBeInstanceOf(AbortError)
    expect(error.cause).toBe(reason)
    await within(db.run(INSERT, [3]), 'the next write')
    leave.open()
    await until(() => late !== undefined, 'the callback goes on')
    expect(await late).toMatch(/^(?:ABORT_ERR|ERR_SLUICE_TX_CLOSED)$/)
    expect(await valuesOf(db)).toEqual([3])
  })

  it('by a call in it: a write ends the transaction, which says so', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      const write = outcomeOf(tx.run(ENDLESS_WRITE, [], { signal: stop.signal }))
      await untilWriterRuns(db, 'RECURSIVE')
      stop.abort()
      expect(await write).toBe('ABORT_ERR')
      expect(await codeOf(tx.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_ABORTED')
    })
    expect(await codeOf(call)).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await valuesOf(db)).toEqual([])
  })

  it('by a call in it that waits behind another: that one alone is given up', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    await db.transaction(async (tx) => {
      const read = tx.all(COUNTING_READ, [2_000_000])
      const waiting = outcomeOf(tx.run(INSERT, [1], { signal: stop.signal }))
      stop.abort()
      expect(await waiting).toBe('ABORT_ERR')
      await read
      await tx.run(INSERT, [2])
    })
    expect(await valuesOf(db)).toEqual([2])
  })
})

describe('limits that cannot be', () => {
  it.each([
    ['a signal that is none', { signal: {} }],
    ['a timeout below 0', { timeoutMs: -1 }],
    ['a timeout that is no number', { timeoutMs: '5' }],
    ['a timeout that is too long', { timeoutMs: 2 ** 31 }],
  ])('%s is refused', async (_name, limits) => {
    const db = await openWithTable()
    for (const call of [...Object.values(READS).slice(0, 6), WRITES['exec'], WRITES['batch'], WRITES['transaction']]) {
      expect(await codeOf((call as (typeof READS)[string])(db, 'SELECT 1', limits as Limits))).toBe('ERR_SLUICE_INVALID_OPTION')
    }
  })
})
