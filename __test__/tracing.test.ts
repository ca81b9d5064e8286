import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'

import { connect, open } from '../index.js'
import type { Database, TracedConnect, TracedQuery } from '../index.js'
import { PACKAGE, runScript } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { failureOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { collect, openWithRows } from './support/rows.js'
import { openForTest, scratchPath } from './support/scratch.js'
import { COUNTING_READ, COUNTING_WRITE, ENDLESS_READ, ENDLESS_WRITE } from './support/slow-sql.js'
import { FAILURE, SUCCESS, endsOf, eventsOf, record } from './support/traces.js'

const QUERY = 'sluice:query'
const INSERT = 'INSERT INTO t VALUES (?)'
const SELECT = 'SELECT x FROM t ORDER BY x'

describe('sluice:query', () => {
  it('tells of a call at its start and, completed, at its end, by one object', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    const call = db.all(SELECT)
    expect(eventsOf(told)).toEqual(['start', 'end'])
    expect(told[0]?.copy).toEqual({ sql: SELECT, database: db.path, operation: 'all' })
    await call
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(new Set(told.map(({ context }) => context)).size).toBe(1)
    expect(told[3]?.copy).toMatchObject({ sql: SELECT, database: db.path, operation: 'all', rows: 3, changes: 0, route: 'read' })
    expect(told[3]?.copy.duration).toBeGreaterThan(0)
    expect(told[2]?.copy).toEqual(told[3]?.copy)
  })

  const methods: ReadonlyArray<[string, (db: Database) => Promise<unknown>, Partial<TracedQuery>]> = [
    ['execute', (db) => db.execute(SELECT), { sql: SELECT, rows: 3, changes: 0, route: 'read' }],
    ['all', (db) => db.all(SELECT), { sql: SELECT, rows: 3, route: 'read' }],
    ['get', (db) => db.get(SELECT), { sql: SELECT, rows: 1, route: 'read' }],
    ['values', (db) => db.values(SELECT), { sql: SELECT, rows: 3, route: 'read' }],
    ['pluck', (db) => db.pluck(SELECT), { sql: SELECT, rows: 3, route: 'read' }],
    ['sql', (db) => db.sql`SELECT x FROM t WHERE x > ${1}`, { sql: 'SELECT x FROM t WHERE x > ?', rows: 2, route: 'read' }],
    ['run', (db) => db.run('UPDATE t SET x = x + 1'), { sql: 'UPDATE t SET x = x + 1', rows: 0, changes: 3, route: 'write' }],
    ['exec', (db) => db.exec('DELETE FROM t; VACUUM'), { sql: 'DELETE FROM t; VACUUM', rows: 0, route: 'write' }],
    ['pragma', (db) => db.pragma('user_version', 7), { sql: 'PRAGMA user_version' }],
    ['columns', (db) => db.prepare(SELECT).columns(), { sql: SELECT, rows: 0 }],
    ['batch', (db) => db.batch([{ sql: INSERT, params: [4] }, SELECT]), { sql: `${INSERT}; ${SELECT}`, batchSize: 2, rows: 4, changes: 1, route: 'write' }],
    ['iterate', (db) => collect(db.iterate(SELECT, [], { chunkRows: 1 })), { sql: SELECT, rows: 3, changes: 0, route: 'read' }],
  ]
  it.each(methods)('tells of %s', async (operation, call, expected) => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    await call(db)
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(endsOf(told)).toEqual([expect.objectContaining({ operation, database: db.path, duration: expect.any(Number), ...expected })])
  })

  it.each(['execute', 'all', 'get', 'values', 'pluck', 'run'] as const)('tells of %s on a prepared statement', async (operation) => {
    const db = await openWithRows()
    const statement = db.prepare(SELECT)
    const told = record<TracedQuery>(QUERY)
    await statement[operation]()
    expect(endsOf(told)).toEqual([expect.objectContaining({ operation, sql: SELECT })])
  })

  it('tells of calls in transactions, sessions and exclusive write mode, on handles and prepared statements', async () => {
    const db = await openWithRows()
    const handle = db.handle()
    const told = record<TracedQuery>(QUERY)
    await db.transaction(async (tx) => {
      await tx.run(INSERT, [4])
      await tx.transaction((nested) => nested.exec('DELETE FROM t WHERE x = 4'))
      await collect(tx.iterate('DELETE FROM t RETURNING x'))
    })
    await db.read((r) => r.get(SELECT))
    await db.read((r) => r.prepare(SELECT).pluck())
    await db.writeMode((w) => w.values(SELECT))
    await handle.run('BEGIN')
    await handle.run('ROLLBACK')
    await collect(db.prepare(SELECT).iterate())
    expect(endsOf(told).map(({ operation, route }) => [operation, route])).toEqual([
      ['run', 'write'],
      ['exec', 'write'],
      ['iterate', 'write'],
      ['get', 'read'],
      ['pluck', 'read'],
      ['values', 'write'],
      ['run', 'write'],
      ['run', 'write'],
      ['iterate', 'read'],
    ])
    expect(endsOf(told).every(({ database }) => database === db.path)).toBe(true)
  })

  it('joins the texts of a batch, unless they are all the same', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    await db.batch([{ sql: INSERT, params: [4] }, { sql: INSERT, params: [5] }])
    await db.batch([])
    expect(endsOf(told).map(({ sql, batchSize, changes }) => [sql, batchSize, changes])).toEqual([
      [INSERT, 2, 2],
      ['', 0, undefined],
    ])
  })

  it('publishes nothing when nobody has subscribed, and no end to whom it has told no beginning', async () => {
    const db = await openWithRows()
    const early = db.all(COUNTING_READ, [100_000])
    const told = record<TracedQuery>(QUERY)
    await early
    expect(told).toEqual([])
  })

  const timed: ReadonlyArray<[string, (db: Database) => Promise<unknown>]> = [
    ['a read', (db) => db.get(COUNTING_READ, [300_000])],
    ['a write', (db) => db.run(COUNTING_WRITE, [300_000])],
    ['a script', (db) => db.exec(COUNTING_READ.replace('?', '300000'))],
    ['a batch', (db) => db.batch(['SELECT 1', { sql: COUNTING_READ, params: [300_000] }])],
    ['a call in a transaction', (db) => db.transaction((tx) => tx.get(COUNTING_READ, [300_000]))],
    ['a call on a handle', (db) => db.handle().get(COUNTING_READ, [300_000])],
  ]
  it.each(timed)('tells how long %s waited for a connection, and how long it ran there', async (_, call) => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    await call(db)
    const { queueMs = Number.NaN, runMs = Number.NaN, duration = Number.NaN } = endsOf(told)[0] as TracedQuery
    expect(queueMs).toBeGreaterThan(0)
    expect(runMs).toBeGreaterThan(1)
    // They come as floats of 32 bits.
    expect((queueMs + runMs) * 0.999).toBeLessThan(duration)
  })

  it('tells of the wait for the writer', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    const tx = await db.begin()
    const waiting = db.run(INSERT, [4])
    await until(() => db.status().writer.waiting === 1, 'the write waits')
    const before = performance.now()
    await until(() => performance.now() - before > 30, 'time passes')
    await tx.rollback()
    await waiting
    expect(endsOf(told)[0]?.queueMs).toBeGreaterThan(29)
  })

  it('tells nobody who has unsubscribed meanwhile', async () => {
    const db = await openWithRows()
    const channel = tracingChannel(QUERY)
    const names: string[] = []
    const subscribers = { start: () => names.push('start'), asyncEnd: () => names.push('asyncEnd') }
    channel.subscribe(subscribers as never)
    const call = db.all(SELECT)
    channel.unsubscribe(subscribers as never)
    await call
    await db.all(SELECT)
    expect(names).toEqual(['start'])
  })

  it('publishes for a call that waits for its database to be open, once that is so', async () => {
    const told = record<TracedQuery>(QUERY)
    const db = connect(scratchPath())
    onTestFinished(() => db.close())
    const call = db.get('SELECT 1 AS x')
    expect(told).toEqual([])
    expect(await call).toEqual({ x: 1 })
    expect(eventsOf(told)).toEqual(SUCCESS)
  })
})

describe('a failure', () => {
  /** Returns the code of the error that a call was rejected with, and what was told at its end: that very error, after these events. */
  async function failing(call: () => Promise<unknown>): Promise<{ code: string; end: TracedQuery }> {
    const told = record<TracedQuery>(QUERY)
    const error = await failureOf(call())
    expect(eventsOf(told)).toEqual(FAILURE)
    for (const { copy } of told.slice(2)) expect(copy.error).toBe(error)
    const [end] = endsOf(told)
    expect(end?.duration).toBeGreaterThan(0)
    return { code: error.code, end: end as TracedQuery }
  }

  it('of SQLite is told with the error that the caller gets, and without what there is not', async () => {
    const db = await openWithRows()
    const { code, end } = await failing(() => db.run('INSERT INTO nowhere VALUES (1)'))
    expect(code).toBe('SQLITE_ERROR')
    expect(Object.keys(end).sort()).toEqual(['database', 'duration', 'error', 'operation', 'queueMs', 'runMs', 'sql'])
  })

  it('at once is told after end', async () => {
    const db = await openWithRows()
    expect((await failing(() => db.run(INSERT, [Symbol('x') as never]))).code).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })

  it('of an aborted call is told', async () => {
    const db = await openWithRows()
    const stop = new AbortController()
    const aborted = await failing(() => {
      const call = db.all(ENDLESS_READ, [], { signal: stop.signal })
      stop.abort()
      return call
    })
    expect(aborted.code).toBe('ABORT_ERR')
    expect((await failing(() => db.all(SELECT, [], { signal: stop.signal }))).code).toBe('ABORT_ERR')
  })

  it('of a call whose time is up is told', async () => {
    const db = await openWithRows()
    const { code, end } = await failing(() => db.run(ENDLESS_WRITE, [], { timeoutMs: 20 }))
    expect(code).toBe('ERR_SLUICE_TIMEOUT')
    expect(end.duration).toBeGreaterThanOrEqual(15)
  })

  it('of a script is told', async () => {
    const db = await openWithRows()
    expect((await failing(() => db.exec('SELECT 1; SELECT nothing'))).code).toBe('SQLITE_ERROR')
  })

  it('of a batch is told, at once or later', async () => {
    const db = await openWithRows()
    expect((await failing(() => db.batch(['SELECT 1', 'INSERT INTO nowhere VALUES (1)']))).code).toBe('SQLITE_ERROR')
    expect((await failing(() => db.batch(['SELECT 1', { sql: INSERT, params: [Symbol('x') as never] }]))).code).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })

  it('of an iterator is told where its loop fails', async () => {
    const db = await openWithRows()
    const limit = 'SELECT abs(x) FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT -9223372036854775808)'
    const { code, end } = await failing(() => collect(db.iterate(limit, [], { chunkRows: 2 })))
    expect(code).toBe('SQLITE_ERROR')
    expect(end).toMatchObject({ operation: 'iterate', rows: 2 })
    expect((await failing(() => collect(db.iterate('SELECT nothing')))).code).toBe('SQLITE_ERROR')
  })

  it('of a call on a closed handle is not told: it was never sent', async () => {
    const db = await openWithRows()
    await db.close()
    const told = record<TracedQuery>(QUERY)
    expect(await failureOf(db.all(SELECT))).toMatchObject({ code: 'ERR_SLUICE_CLOSED' })
    expect(told).toEqual([])
  })
})

describe('iterate', () => {
  it('ends where its loop breaks', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    for await (const _ of db.iterate(SELECT, [], { chunkRows: 1 })) break
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(endsOf(told)).toEqual([expect.objectContaining({ operation: 'iterate', rows: 1 })])
  })

  it('ends without an error where its loop throws: that is not the database', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    const loop = async (): Promise<void> => {
      for await (const _ of db.iterate(SELECT)) throw new RangeError('not the database')
    }
    await expect(loop()).rejects.toThrow(RangeError)
    expect(eventsOf(told)).toEqual(SUCCESS)
  })

  it('ends when its signal is aborted, with what the loop throws', async () => {
    const db = await openWithRows()
    const stop = new AbortController()
    const told = record<TracedQuery>(QUERY)
    const loop = async (): Promise<void> => {
      for await (const _ of db.iterate(SELECT, [], { chunkRows: 1, signal: stop.signal })) stop.abort()
    }
    const error = await failureOf(loop())
    expect(eventsOf(told)).toEqual(FAILURE)
    expect(endsOf(told)[0]?.error).toBe(error)
  })

  it('counts into its duration the fetching alone, and not the loop', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    const begun = performance.now()
    for await (const _ of db.iterate(SELECT, [], { chunkRows: 1 })) {
      const pause = performance.now() + 500
      while (performance.now() < pause) await turn()
    }
    const all = performance.now() - begun
    // The fetching goes on beside the loop, and takes no time to speak of.
    expect(endsOf(told)[0]?.duration).toBeLessThan(all / 2)
  })

  it('ends when nobody has the iterator any more', async () => {
    const db = await openWithRows()
    const told = record<TracedQuery>(QUERY)
    await (async () => {
      const rows = db.iterate(SELECT, [], { chunkRows: 1 })
      await rows.next()
    })()
    await collectUntil(() => told.length === 4, 'the end is told')
    expect(eventsOf(told)).toEqual(SUCCESS)
  })
})

describe('the async context', () => {
  it('of start is that of the caller, also after a wait', async () => {
    const storage = new AsyncLocalStorage<string>()
    const db = await openWithRows()
    const seen: Array<[string, string | undefined]> = []
    record<TracedQuery>(QUERY, ({ event }) => seen.push([event, storage.getStore()]))
    await Promise.all([storage.run('one', () => db.all(SELECT)), storage.run('two', () => db.run(INSERT, [4]))])
    const of = (event: string) => seen.filter(([name]) => name === event).map(([, store]) => store)
    for (const event of SUCCESS) expect(of(event).sort(), event).toEqual(['one', 'two'])
  })

  it('that is bound to start holds until the end of the call, and not beyond it', async () => {
    const storage = new AsyncLocalStorage<object>()
    const { start } = tracingChannel(QUERY)
    start.bindStore(storage, (context) => context as object)
    onTestFinished(() => {
      start.unbindStore(storage)
    })
    const db = await openWithRows()
    const held: boolean[] = []
    const told = record<TracedQuery>(QUERY, ({ event, context }) => {
      if (event !== 'start') held.push(storage.getStore() === context)
    })
    await db.all(SELECT)
    expect(storage.getStore()).toBeUndefined()
    await failureOf(db.all('SELECT nothing'))
    await failureOf(db.run(INSERT, [Symbol('x') as never]))
    for await (const _ of db.iterate(SELECT, [], { chunkRows: 1 })) expect(storage.getStore()).toBeUndefined()
    await db.batch([SELECT, SELECT])
    expect(told.length).toBe(4 + 5 + 5 + 4 + 4)
    expect(held).toEqual(held.map(() => true))
  })

  it('lets a subscriber make calls, at any event', async () => {
    const db = await openWithRows()
    const inner: Promise<unknown>[] = []
    record<TracedQuery>(QUERY, ({ context }) => {
      if (context.sql === SELECT) inner.push(db.get('SELECT count(*) AS n FROM t'))
    })
    expect(await db.pluck(SELECT)).toEqual([1, 2, 3])
    expect(await within(Promise.all(inner), 'the calls of the subscribers')).toEqual([{ n: 3 }, { n: 3 }, { n: 3 }, { n: 3 }])
  })
})

describe('sluice:connect', () => {
  it('tells of opening, with its failure', async () => {
    const path = scratchPath()
    const told = record<TracedConnect>('sluice:connect')
    await openForTest(path)
    expect(eventsOf(told)).toEqual(SUCCESS)
    expect(endsOf(told)).toEqual([{ database: path, duration: expect.any(Number) }])
    const error = await failureOf(open(`${path}.missing`, { create: false }))
    expect(eventsOf(told).slice(4)).toEqual(FAILURE)
    expect(endsOf(told)[1]?.error).toMatchObject({ code: error.code, message: error.message })
  })
})

describe('a subscriber that throws', () => {
  const SUBSCRIBER = `
    const { tracingChannel } = require('node:diagnostics_channel')
    const uncaught = []
    process.on('uncaughtException', (error) => uncaught.push(error.message))
    const fail = (event) => () => { throw new Error(event) }
    for (const name of ['sluice:query', 'sluice:transaction', 'sluice:connect']) {
      const channel = tracingChannel(name)
      channel.subscribe({ start: fail('start'), end: fail('end'), asyncStart: fail('asyncStart'), asyncEnd: fail('asyncEnd'), error: fail('error') })
    }`

  it('gets an uncaught error, and disturbs no call', async () => {
    const { stdout, stderr, code } = await runScript(`${SUBSCRIBER}
      main(async () => {
        const db = await open(':memory:')
        await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)')
        const failed = await db.all('SELECT nothing').catch((error) => error.code)
        const seen = []
        for await (const { x } of db.iterate('SELECT x FROM t', [], { chunkRows: 1 })) seen.push(x)
        const many = await Promise.all(Array.from({ length: 100 }, (_, n) => db.pluck('SELECT ?', [n])))
        await db.transaction((tx) => tx.run('DELETE FROM t'))
        await db.close()
        await new Promise((resolve) => setImmediate(resolve))
        console.log(JSON.stringify({ failed, seen, many: many.flat().length, uncaught: [...new Set(uncaught)].sort() }))
      })`)
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
    expect(JSON.parse(stdout)).toEqual({
      failed: 'SQLITE_ERROR',
      seen: [1, 2],
      many: 100,
      uncaught: ['asyncEnd', 'asyncStart', 'end', 'error', 'start'],
    })
  })
})

describe('worker threads', () => {
  it('have channels of their own, each for the calls made in it', async () => {
    const { stdout, stderr } = await runScript(`
      const { Worker } = require('node:worker_threads')
      const { tracingChannel } = require('node:diagnostics_channel')
      const source = "const { open } = require(" + JSON.stringify(${JSON.stringify(PACKAGE)}) + ");" + \`
        const { tracingChannel } = require('node:diagnostics_channel')
        const { parentPort } = require('node:worker_threads')
        const told = []
        tracingChannel('sluice:query').subscribe({ asyncEnd: ({ sql, route }) => told.push([sql, route]) })
        open(':memory:').then(async (db) => {
          await db.get('SELECT 2')
          await db.close()
          parentPort.postMessage(told)
        })\`
      main(async () => {
        const told = []
        tracingChannel('sluice:query').subscribe({ asyncEnd: ({ sql, route }) => told.push([sql, route]) })
        const db = await open(':memory:')
        await db.get('SELECT 1')
        const worker = new Worker(source, { eval: true })
        const there = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        await worker.terminate()
        await db.close()
        console.log(JSON.stringify({ told, there }))
      })`)
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ told: [['SELECT 1', 'read']], there: [['SELECT 2', 'read']] })
  })
})

it('costs a look at a flag again when all subscribers are gone', () => {
  expect(tracingChannel(QUERY).hasSubscribers).toBe(false)
})
