import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'

import { AbortError, RowIterator } from '../index.js'
import type { Database, IterateOptions } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { untilWaiting, watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'
import { ENDLESS_READ, ENDLESS_WRITE } from './support/slow-sql.js'

const COUNT_TO = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT n FROM c'
const ENDLESS_ROWS = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c'
const SELECT = 'SELECT x FROM t ORDER BY rowid'

async function openWithRows(count: number, options: Parameters<typeof openWithTable>[0] = {}): Promise<Database> {
  const db = await openWithTable(options)
  await db.run(`INSERT INTO t ${COUNT_TO}`, [count])
  await db.all(SELECT)
  await untilQuiet(db)
  return db
}

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const row of rows) all.push(row)
  return all
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

describe('iterate', () => {
  it.each([1, 2, 3, 7, 10, 11, 1_000])('delivers every row once, in order, %i at a time', async (chunkRows) => {
    const db = await openWithRows(10)
    const rows = await collect(db.iterate<{ x: number }>(SELECT, [], { chunkRows }))
    expect(rows.map(({ x }) => x)).toEqual(range(10))
    await untilQuiet(db)
  })

  it('delivers nothing where there is nothing', async () => {
    const db = await openWithTable()
    expect(await collect(db.iterate(SELECT))).toEqual([])
    expect(await collect(db.iterate('-- nothing'))).toEqual([])
    await untilQuiet(db)
  })

  it('delivers rows and integers as it is told', async () => {
    const db = await openWithRows(2)
    expect(await collect(db.iterate(SELECT, [], { rowMode: 'array', integers: 'bigint' }))).toEqual([[1n], [2n]])
    expect(await collect(db.prepare<[number], { x: number }>('SELECT x FROM t WHERE x > ?').iterate([1]))).toEqual([{ x: 2 }])
  })

  it('keeps texts, blobs and wide integers whole across chunks', async () => {
    const db = await openWithTable()
    const values = Array.from({ length: 50 }, (_, n) => [`${'é'.repeat(n)}\0`, new Uint8Array(n).fill(n), 2n ** 60n + BigInt(n), n / 3, null][n % 5])
    for (const value of values) await db.run('INSERT INTO t VALUES (?)', [value])
    expect((await collect(db.iterate<{ x: unknown }>(SELECT, [], { chunkRows: 3 }))).map(({ x }) => x)).toEqual(values)
  })

  it('is an iterator: next, at its end and beyond', async () => {
    const db = await openWithRows(2)
    const rows = db.iterate(SELECT)
    expect(rows).toBeInstanceOf(RowIterator)
    expect(rows[Symbol.asyncIterator]()).toBe(rows)
    expect(await rows.next()).toEqual({ done: false, value: { x: 1 } })
    expect(await rows.next()).toEqual({ done: false, value: { x: 2 } })
    expect(await rows.next()).toEqual({ done: true, value: undefined })
    expect(await rows.next()).toEqual({ done: true, value: undefined })
    expect(await rows.return()).toEqual({ done: true, value: undefined })
  })

  it('answers calls of next that are made at once in their order', async () => {
    const db = await openWithRows(5)
    const rows = db.iterate<{ x: number }>(SELECT, [], { chunkRows: 2 })
    const results = await Promise.all(Array.from({ length: 8 }, () => rows.next()))
    expect(results.map(({ value }) => value?.x)).toEqual([1, 2, 3, 4, 5, undefined, undefined, undefined])
    await untilQuiet(db)
  })

  it.each([
    ['chunkRows of 0', { chunkRows: 0 }],
    ['chunkRows that is no integer', { chunkRows: 1.5 }],
    ['an unknown option', { chunks: 1 }],
  ])('refuses %s', async (_name, options) => {
    const db = await openWithTable()
    expect(await codeOf((async () => collect(db.iterate(SELECT, [], options as IterateOptions)))())).toBe('ERR_SLUICE_INVALID_OPTION')
    await untilQuiet(db)
  })

  it('cannot be made by hand', () => {
    expect(() => new (RowIterator as unknown as new () => unknown)()).toThrow('db.iterate')
  })
})

describe('the snapshot of an iteration', () => {
  it('is its own: what is written meanwhile is not in it', async () => {
    const db = await openWithRows(100)
    const seen: number[] = []
    for await (const { x } of db.iterate<{ x: number }>(SELECT, [], { chunkRows: 10 })) {
      seen.push(x)
      if (x % 20 === 0) await db.exec(`DELETE FROM t WHERE x > ${x}; INSERT INTO t VALUES (1000)`)
    }
    expect(seen).toEqual(range(100))
  })

  it('D05: in memory, a write in the loop is done: the rows were fetched first', async () => {
    const db = await openForTest(':memory:')
    await db.exec('CREATE TABLE t (x)')
    await db.run(`INSERT INTO t ${COUNT_TO}`, [50])
    const seen: number[] = []
    for await (const { x } of db.iterate<{ x: number }>(SELECT, [], { chunkRows: 5 })) {
      seen.push(x)
      await within(db.run('INSERT INTO t VALUES (0)'), 'the write in the loop')
    }
    expect(seen).toEqual(range(50))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([100])
  })

  it('with exclusive concurrency a loop that is left alone holds nothing', async () => {
    const db = await openWithRows(5_000, { concurrency: 'exclusive' })
    const rows = db.iterate(SELECT, [], { chunkRows: 10 })
    expect(await rows.next()).toEqual({ done: false, value: { x: 1 } })
    await within(db.run('DELETE FROM t'), 'the write beside it')
    expect(await collect(rows)).toHaveLength(4_999)
  })

  it('a statement that writes has run to its end, and holds nothing, before the first row', async () => {
    const db = await openWithTable()
    const rows = db.iterate<{ x: number }>(`INSERT INTO t ${COUNT_TO} RETURNING x`, [3_000], { chunkRows: 10 })
    expect(await rows.next()).toEqual({ done: false, value: { x: 1 } })
    expect(await within(db.pluck('SELECT count(*) FROM t'), 'a read')).toEqual([3_000])
    await within(db.run('DELETE FROM t'), 'a write')
    expect((await collect(rows)).at(-1)).toEqual({ x: 3_000 })
  })
})

describe('L03: a loop that ends early gives its lease back', () => {
  const ends: [string, (db: Database) => Promise<unknown>][] = [
    ['break', async (db) => { for await (const row of db.iterate(ENDLESS_ROWS)) if (row['n'] === 5_000) break }],
    ['break in the first row', async (db) => { for await (const row of db.iterate(ENDLESS_ROWS)) { void row; break } }],
    ['return from the function', async (db) => { for await (const row of db.iterate(ENDLESS_ROWS)) return row; return null }],
    ['an error in the loop', async (db) => { for await (const row of db.iterate(ENDLESS_ROWS)) throw new Error(`mine ${String(row['n'])}`) }],
    ['return()', async (db) => { const rows = db.iterate(ENDLESS_ROWS); await rows.next(); await rows.return() }],
    ['return() before the first row', async (db) => { await db.iterate(ENDLESS_ROWS).return() }],
    ['throw()', async (db) => { const rows = db.iterate(ENDLESS_ROWS); await rows.next(); await rows.throw(new Error('mine')) }],
    ['disposing', async (db) => { const rows = db.iterate(ENDLESS_ROWS); await rows.next(); await rows[Symbol.asyncDispose]() }],
    ['return() while next waits', async (db) => {
      const rows = db.iterate(ENDLESS_READ)
      const next = rows.next()
      await until(() => db.status().readers.active === 1, 'it runs')
      await rows.return()
      expect(await within(next, 'the next that waited')).toEqual({ done: true, value: undefined })
    }],
    ['return() while its text is prepared', async (db) => {
      // To read so long a text takes SQLite tens of milliseconds.
      const rows = db.iterate(`${ENDLESS_READ} WHERE n NOT IN (${'0,'.repeat(200_000)}0)`)
      const next = rows.next()
      await until(() => db.status().wal.oldestReaderSql?.includes('NOT IN') === true, 'it is prepared')
      await rows.return()
      expect(await within(next, 'the next that waited')).toEqual({ done: true, value: undefined })
    }],
  ]

  it.each(ends)('by %s', async (_name, end) => {
    const db = await openWithTable({ maxReaders: 1 })
    const outcome = await within(end(db).then(() => 'done', String), 'the loop ends')
    expect(outcome).toMatch(/^(?:done|Error: mine)/)
    await untilQuiet(db)
    expect(db.status().wal.oldestReaderMs).toBeNull()
    expect(await db.pluck('SELECT 1')).toEqual([1])
    expect(await within(collect(db.iterate('SELECT 1 AS x')), 'another loop')).toEqual([{ x: 1 }])
  })

  it.each([
    ['a read in memory', ENDLESS_READ],
    ['a write', ENDLESS_WRITE],
  ])('by return() while %s runs as a whole', async (_name, sql) => {
    const db = await openForTest(':memory:')
    await db.exec('CREATE TABLE t (x)')
    await untilQuiet(db)
    const rows = db.iterate(sql)
    const next = rows.next()
    await until(() => db.status().writer.active || db.status().readers.active === 1, 'it runs')
    await rows.return()
    expect(await within(next, 'the next that waited')).toEqual({ done: true, value: undefined })
    expect(await within(db.pluck('SELECT count(*) FROM t'), 'a read')).toEqual([0])
    await untilQuiet(db)
  })

  it.each<[string, (db: Database, work: (on: Pick<Database, 'iterate' | 'pluck'>) => Promise<void>) => Promise<unknown>]>([
    ['a transaction', async (db, work) => db.transaction(work)],
    ['db.read', async (db, work) => db.read(work)],
    ['writeMode', async (db, work) => db.writeMode(work)],
    ['a private handle', async (db, work) => {
      const own = await db.handle()
      await own.execute('BEGIN')
      await work(own)
      await own.execute('COMMIT')
      await own.close()
    }],
  ])('in %s, whose next call does not wait for rows that nobody wants', async (_name, begin) => {
    const db = await openWithRows(15)
    const isRunning = () => [db.status().wal.oldestReaderSql, db.status().writer.holder?.sql].some((sql) => sql?.includes('UNION ALL SELECT *'))
    await begin(db, async (on) => {
      for await (const row of on.iterate(`SELECT x FROM t UNION ALL SELECT * FROM (${ENDLESS_READ})`, [], { chunkRows: 10 })) {
        expect(row).toEqual({ x: 1 })
        await until(isRunning, 'the next rows are looked for')
        break
      }
      const rows = on.iterate(ENDLESS_READ)
      const next = rows.next()
      await rows.return()
      expect(await within(next, 'the next that waited')).toEqual({ done: true, value: undefined })
      expect(await within(on.pluck('SELECT count(*) FROM t'), 'the next call')).toEqual([15])
    })
    await untilQuiet(db)
  })

  it('by garbage collection, with a signal that lives on and keeps nothing of it', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    const { signal } = new AbortController()
    await (async () => {
      await db.iterate(ENDLESS_ROWS, [], { signal }).next()
    })()
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await collectUntil(() => getEventListeners(signal, 'abort').length === 0, 'the signal is let go')
    await collectUntil(() => db.status().readers.active === 0, 'the lease comes back')
  })

  it('is shown with its statement as long as it keeps the log', async () => {
    const db = await openWithRows(100)
    const rows = db.iterate(SELECT, [], { chunkRows: 10 })
    await rows.next()
    expect(db.status().wal).toMatchObject({ oldestReaderMs: expect.any(Number), oldestReaderSql: SELECT })
    await rows.return()
    await until(() => db.status().wal.oldestReaderSql === null, 'it is shown no more')
  })

  it('by garbage collection, read from or not', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    await (async () => {
      await db.iterate(ENDLESS_ROWS).next()
      db.iterate(ENDLESS_ROWS)
    })()
    await collectUntil(() => db.status().readers.active === 0 && db.status().queued === 0, 'the leases come back')
    expect(await within(collect(db.iterate('SELECT 1 AS x')), 'another loop')).toEqual([{ x: 1 }])
  })

  it('by maxReadLeaseMs, when it is neither read from nor ended', async () => {
    const db = await openWithTable({ maxReaders: 1, maxReadLeaseMs: 60 })
    const rows = db.iterate(ENDLESS_ROWS, [], { chunkRows: 1 })
    await rows.next()
    await until(() => db.status().readers.active === 0, 'the lease comes back')
    // What was fetched ahead may still be there.
    const error = await failureOf(collect(rows))
    expect(error.code).toBe('ERR_SLUICE_READ_LEASE_TIMEOUT')
    expect(await rows.next()).toEqual({ done: true, value: undefined })
  })
})

describe('an iteration that is given up', () => {
  it('by its signal rejects the next that waits, with an AbortError, and is at its end then', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    const rows = db.iterate(ENDLESS_READ, [], { signal: stop.signal })
    const next = rows.next()
    await until(() => db.status().readers.active === 1, 'it runs')
    stop.abort('enough')
    const error = await within(failureOf(next), 'the next that waited')
    expect(error).toBeInstanceOf(AbortError)
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
    expect(await rows.next()).toEqual({ done: true, value: undefined })
    await untilQuiet(db)
  })

  it('by its signal between two rows ends the loop with that, and gives the lease back at once', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    let last = 0
    const loop = (async () => {
      for await (const { n } of db.iterate<{ n: number }>(ENDLESS_ROWS, [], { signal: stop.signal, chunkRows: 10 })) {
        last = n
        if (n === 25) stop.abort()
      }
    })()
    expect(await within(codeOf(loop), 'the loop')).toBe('ABORT_ERR')
    expect(last).toBeLessThanOrEqual(50)
    await untilQuiet(db)
  })

  it('by a signal that was aborted before holds nothing', async () => {
    const db = await openWithTable()
    expect(await codeOf((async () => collect(db.iterate(ENDLESS_ROWS, [], { signal: AbortSignal.abort() })))())).toBe('ABORT_ERR')
    expect(db.status()).toMatchObject({ queued: 0, readers: { active: 0 } })
  })

  it('by its signal while it waits for its turn leaves no trace', async () => {
    const db = await openWithRows(1, { maxReaders: 1 })
    const holding = db.iterate(ENDLESS_ROWS)
    await holding.next()
    const stop = new AbortController()
    const waiting = db.iterate(SELECT, [], { signal: stop.signal }).next()
    await untilWaiting(db, 1)
    stop.abort()
    expect(await within(codeOf(waiting), 'the one that waits')).toBe('ABORT_ERR')
    expect(db.status().queued).toBe(0)
    await holding.return()
    await untilQuiet(db)
  })

  it('by its timeoutMs, for all of it', async () => {
    const db = await openWithTable()
    const loop = async (): Promise<void> => {
      for await (const row of db.iterate(ENDLESS_ROWS, [], { timeoutMs: 50, chunkRows: 10 })) void row
    }
    expect(await within(codeOf(loop()), 'the loop')).toBe('ERR_SLUICE_TIMEOUT')
    await untilQuiet(db)
  })

  it('after its end nothing happens any more', async () => {
    const db = await openWithRows(3)
    const stop = new AbortController()
    expect(await collect(db.iterate(SELECT, [], { signal: stop.signal }))).toHaveLength(3)
    stop.abort()
    expect(await db.all(SELECT)).toHaveLength(3)
  })

  it('by a failure: it comes from next, and then the iteration is at its end', async () => {
    const db = await openWithTable()
    const rows = db.iterate('SELECT nonsense')
    expect(await codeOf(rows.next())).toBe('SQLITE_ERROR')
    expect(await rows.next()).toEqual({ done: true, value: undefined })
    const late = db.iterate("SELECT CASE WHEN n < 5000 THEN n ELSE abs(-9223372036854775808) END FROM (" + COUNT_TO + ")", [10_000])
    expect(await codeOf(collect(late))).toBe('SQLITE_ERROR')
    await untilQuiet(db)
  })

  it('by close of the database', async () => {
    const db = await openWithTable()
    const rows = db.iterate(ENDLESS_ROWS, [], { chunkRows: 1 })
    await rows.next()
    await within(db.close({ timeoutMs: 0 }), 'the database closes')
    expect(await outcomeOf(collect(rows))).not.toBe('done')
  })
})

describe('in a transaction or session', () => {
  it('is a cursor beside which other calls run', async () => {
    const db = await openWithRows(30)
    await db.transaction(async (tx) => {
      const seen: number[] = []
      for await (const { x } of tx.iterate<{ x: number }>('SELECT x FROM t WHERE x <= 30 ORDER BY rowid', [], { chunkRows: 3 })) {
        seen.push(x)
        await tx.run('UPDATE t SET x = x WHERE x = ?', [x])
      }
      expect(seen).toEqual(range(30))
      const [one, other] = [tx.iterate(SELECT, [], { chunkRows: 1 }), tx.iterate(SELECT, [], { chunkRows: 1 })]
      for (const x of [1, 2, 3]) {
        expect(await one.next()).toEqual({ done: false, value: { x } })
        expect(await other.next()).toEqual({ done: false, value: { x } })
      }
      await one.return()
      expect(await other.next()).toEqual({ done: false, value: { x: 4 } })
    })
    await untilQuiet(db)
  })

  it('ends with it, however it ends', async () => {
    const db = await openWithRows(5_000)
    const left: RowIterator<unknown>[] = []
    const begin = (rows: RowIterator<unknown>): Promise<unknown> => {
      left.push(rows)
      return rows.next()
    }
    await db.transaction((tx) => begin(tx.iterate(SELECT, [], { chunkRows: 1 })))
    await db.read((r) => begin(r.iterate(SELECT, [], { chunkRows: 1 })))
    await db.writeMode((w) => begin(w.iterate(SELECT, [], { chunkRows: 1 })))
    await outcomeOf(db.transaction((tx) => begin(tx.iterate(SELECT, [], { chunkRows: 1 })).then(() => tx.run('nonsense'))))
    for (const rows of left) expect(await outcomeOf(collect(rows))).toBe('ERR_SLUICE_TX_CLOSED')
    await untilQuiet(db)
    await db.run('DELETE FROM t')
  })

  it('its break leaves the transaction open', async () => {
    const db = await openWithRows(5_000)
    await db.transaction(async (tx) => {
      for await (const row of tx.iterate(SELECT)) if (row['x'] === 3) break
      await tx.run('DELETE FROM t')
    })
    expect(await db.all(SELECT)).toEqual([])
  })
})

describe('backpressure', () => {
  it('fetches no further than one chunk ahead of the loop', async () => {
    const db = await openScratch({ maxReaders: 1 })
    const rows = db.iterate(ENDLESS_ROWS, [], { chunkRows: 100 })
    await rows.next()
    // Were it to run on, its reader would never come to rest, and nothing would end this wait.
    await until(() => db.status().wal.oldestReaderMs !== null, 'it holds its reader')
    const cpu = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 200))
    const { user, system } = process.cpuUsage(cpu)
    expect((user + system) / 1_000, 'milliseconds of work while the loop does nothing').toBeLessThan(150)
    await rows.return()
  })

  it('memory stays flat over 1,000,000 rows', async () => {
    const db = await openScratch({ maxReaders: 1 })
    const text = 'x'.repeat(100)
    const measure = (): number => { const { heapUsed, external } = process.memoryUsage(); return heapUsed + external }
    let [count, base, peak] = [0, 0, 0]
    for await (const { n } of db.iterate<{ n: number }>(`SELECT n, '${text}' || n AS x FROM (${COUNT_TO})`, [1_000_000])) {
      count++
      if (n === 100_000) base = measure()
      if (n % 50_000 === 0 && n > 100_000) peak = Math.max(peak, measure())
    }
    expect(count).toBe(1_000_000)
    // All rows at once would take more than 150 MB.
    expect((peak - base) / 2 ** 20).toBeLessThan(80)
  })
})

describe('D04: short reads beside loops', () => {
  it('as many loops as there are readers, each awaiting db.get, all end, with a writeMode queued too', async () => {
    const db = await openWithRows(40, { maxReaders: 2 })
    const loops = Array.from({ length: 5 }, async () => {
      let sum = 0
      for await (const { x } of db.iterate<{ x: number }>(SELECT, [], { chunkRows: 4 })) {
        sum += (await db.get<{ x: number }>('SELECT x FROM t WHERE x = ?', [x]))?.x ?? Number.NaN
      }
      return sum
    })
    const mode = db.writeMode((w) => w.pluck('SELECT count(*) FROM t'))
    const state = watch(mode)
    expect(await within(Promise.all(loops), 'the loops')).toEqual(loops.map(() => 820))
    expect(await within(mode, 'the write mode')).toEqual([40])
    expect(state.settled).toBe(true)
    await untilQuiet(db)
  })
})
