import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'

import { describe, expect, it, onTestFinished } from 'vitest'

import type { CallOptions, Database, SlowQuery, SqlParameters } from '../index.js'
import { until, within } from './support/deadline.js'
import { failureOf } from './support/failure.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'

const counter = (db: Database, name: string): number => db.status().counters[name] ?? Number.NaN

/** Makes calls one after another until one of them has run inline, and returns what that came to. */
async function untilInline<R>(db: Database, call: () => Promise<R>): Promise<R> {
  const deadline = performance.now() + 15_000
  while (performance.now() < deadline) {
    const before = counter(db, 'inlineReads')
    const result = await call()
    if (counter(db, 'inlineReads') > before) return result
  }
  throw new Error('no call has run inline')
}

const auto = { inlineReads: 'auto' } as const

describe('inline reads', () => {
  it('begin when a statement has proved short, and are counted', async () => {
    const db = await openWithTable(auto)
    await db.get('SELECT x FROM t')
    expect(counter(db, 'inlineReads')).toBe(0)
    await untilInline(db, () => db.get('SELECT x FROM t'))
    const before = db.status().counters
    for (let time = 0; time < 10; time++) await db.get('SELECT x FROM t')
    const { inlineReads, reads } = db.status().counters
    expect(inlineReads).toBeGreaterThan(before['inlineReads']!)
    expect(reads).toBe(before['reads']! + 10)
    expect(db.metric('sluice_inline_reads_total')).toBe(inlineReads)
    expect(db.metric('sluice_inline_fallbacks_total')).toBe(counter(db, 'inlineFallbacks'))
  })

  it('can be switched off, for everybody who has the file open', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { inlineReads: 'off' })
    for (let time = 0; time < 100; time++) expect(await db.get('SELECT 1 AS one')).toEqual({ one: 1 })
    expect(counter(db, 'inlineReads')).toBe(0)
    const error = await failureOf(openForTest(path, auto))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION' })
    expect(error.message).toContain(`inlineReads 'off'`)
  })

  it('answer what workers answer, whatever the values, modes and methods', async () => {
    const [db, off] = await Promise.all([openWithTable(auto), openWithTable({ inlineReads: 'off' })])
    const values = [null, 0, -0, 1.5, 2 ** 53, -(2n ** 63n), 2n ** 53n + 1n, '', 'a', 'ä€😀', 'x'.repeat(5_000), Buffer.alloc(0), Buffer.from([0, 255])]
    const options: CallOptions[] = [{}, { integers: 'bigint' }, { rowMode: 'array' }, { timeoutMs: 10_000 }]
    const sql = 'SELECT ? AS a, ? AS "__proto__", ? AS a, 7 AS n'
    const calls: Array<(on: Database) => Promise<unknown>> = []
    for (const value of values) {
      const params: SqlParameters = [value, 'between', value]
      for (const option of options) {
        calls.push((on) => on.get(sql, params, option), (on) => on.all(sql, params, option), (on) => on.execute(sql, params, option))
      }
      calls.push((on) => on.values(sql, params), (on) => on.pluck(sql, params), (on) => on.run(sql, params), (on) => on.sql`SELECT ${value} AS v`)
    }
    calls.push((on) => on.all(`SELECT value FROM json_each('[1,2,3,null,"a"]')`), (on) => on.get('SELECT 1 WHERE 0'), (on) => on.all('SELECT 1 WHERE 0'))
    for (const call of calls) {
      const expected = await call(off)
      expect(await call(db)).toEqual(expected)
      expect(await untilInline(db, () => call(db))).toEqual(expected)
    }
    expect(counter(off, 'inlineReads')).toBe(0)
  }, 60_000)

  it('fail as workers do', async () => {
    const [db, off] = await Promise.all([openWithTable(auto), openWithTable({ inlineReads: 'off' })])
    const failing: Array<[sql: string, fine: SqlParameters, bad: SqlParameters, options: CallOptions]> = [
      [`SELECT json_extract(?, '$.a')`, ['{}'], ['{'], {}],
      ['SELECT abs(?)', [1], [-(2n ** 63n)], {}],
      ['SELECT ? AS n', [1], [2n ** 60n], { integers: 'number' }],
      ['SELECT ? AS n', [1], [1, 2], {}],
      ['SELECT :a AS n', { a: 1 }, { b: 1 }, {}],
    ]
    for (const [sql, fine, bad, options] of failing) {
      await untilInline(db, () => db.get(sql, fine, options))
      const [error, expected] = [await failureOf(db.get(sql, bad, options)), await failureOf(off.get(sql, bad, options))]
      expect({ ...error, message: error.message, name: error.name }).toEqual({ ...expected, message: expected.message, name: expected.name })
    }
    const codes = ({ errors }: { errors: object }): object => errors
    expect(codes(db.status())).toEqual(codes(off.status()))
  })

  it('see every write that was acknowledged, and every change of the schema', async () => {
    for (const concurrency of ['wal', 'exclusive'] as const) {
      const db = await openWithTable({ ...auto, concurrency })
      for (let n = 1; n <= 200; n++) {
        await db.run('INSERT INTO t VALUES (?)', [n])
        expect(await db.get('SELECT max(x) AS n FROM t')).toEqual({ n })
      }
      await untilInline(db, () => db.get('SELECT * FROM t LIMIT 1'))
      await db.exec('ALTER TABLE t ADD COLUMN y DEFAULT 2')
      expect(await db.get('SELECT * FROM t LIMIT 1')).toEqual({ x: 1, y: 2 })
      expect(await untilInline(db, () => db.get('SELECT * FROM t LIMIT 1'))).toEqual({ x: 1, y: 2 })
    }
  })

  it('are never of calls that are made together: those run side by side', async () => {
    const db = await openWithTable(auto)
    await untilInline(db, () => db.get('SELECT x FROM t'))
    const before = counter(db, 'inlineReads')
    for (let time = 0; time < 20; time++) await Promise.all(Array.from({ length: 64 }, () => db.get('SELECT x FROM t')))
    expect(counter(db, 'inlineReads')).toBeLessThanOrEqual(before + 20)
  })

  it('leave the event loop its turns, however long a loop of awaited reads goes on', async () => {
    const db = await openWithTable(auto)
    await untilInline(db, () => db.get('SELECT x FROM t'))
    const server = createServer((_request, response) => response.end('pong')).listen(0)
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const state = { ended: false }
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)
    onTestFinished(() => clearInterval(timer))
    const before = counter(db, 'inlineReads')
    const reading = (async () => {
      while (!state.ended) await db.get('SELECT x FROM t')
    })()
    try {
      for (let ping = 0; ping < 10; ping++) expect(await within(fetch(url).then((answer) => answer.text()), 'a ping')).toBe('pong')
      await until(() => ticks >= 10 && counter(db, 'inlineReads') > before + 100, 'timers and reads go on side by side')
    } finally {
      state.ended = true
    }
    await reading
  })

  it('give up what takes long on another value, and go on elsewhere', async () => {
    const db = await openWithTable(auto)
    const sql = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) AS n FROM n'
    await untilInline(db, () => db.get(sql, [3]))
    const before = counter(db, 'inlineFallbacks')
    expect(await db.get(sql, [1_000_000])).toEqual({ n: 1_000_000 })
    expect(counter(db, 'inlineFallbacks')).toBe(before + 1)
    const error = await failureOf(db.get(sql, [1e12], { timeoutMs: 20 }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_TIMEOUT' })
    const aborted = await failureOf(db.get(sql, [3], { signal: AbortSignal.abort() }))
    expect(aborted.name).toBe('AbortError')
  })

  it('are told of like any other read', async () => {
    const told: SlowQuery[] = []
    const db = await openWithTable({ ...auto, slowQueryMs: 0, onSlowQuery: (query) => told.push(query) })
    await db.run('INSERT INTO t VALUES (1)')
    await untilInline(db, () => db.get('SELECT x FROM t'))
    const last = told.at(-1)!
    expect(last).toMatchObject({ sql: 'SELECT x FROM t', operation: 'get', rows: 1, changes: 0, route: 'read' })
    expect(last.runMs).toBeGreaterThan(0)
    expect(last.queueMs).toBeGreaterThanOrEqual(0)
  })

  it('do not outlast close, and let a thread be terminated in the middle', async () => {
    const path = scratchPath()
    const db = await openForTest(path, auto)
    await untilInline(db, () => db.get('SELECT 1'))
    await db.close()
    expect(await failureOf(db.get('SELECT 1'))).toMatchObject({ code: 'ERR_SLUICE_CLOSED' })
    const source = `
      import { parentPort } from 'node:worker_threads'
      import { open } from ${JSON.stringify(new URL('../index.mjs', import.meta.url).href)}
      const db = await open(${JSON.stringify(path)}, { inlineReads: 'auto' })
      for (let told = false; ; ) {
        await db.get('SELECT 1')
        if (!told && db.status().counters.inlineReads > 100) parentPort.postMessage((told = true))
      }`
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    onTestFinished(async () => void (await thread.terminate()))
    await within(new Promise((resolve) => thread.once('message', resolve)), 'the thread reads inline')
    expect(await within(thread.terminate(), 'the thread ends')).toBe(1)
    // Its connections are closed: the last one removes the log.
    const again = await openForTest(path, auto)
    expect(again.status().handles).toBe(1)
  })
})
