import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'

import { open } from '../index.js'
import type { SlowQuery } from '../index.js'
import { runScript } from './support/child-process.js'
import { until } from './support/deadline.js'
import { failureOf } from './support/failure.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'
import { COUNTING_READ, ENDLESS_READ } from './support/slow-sql.js'

/** Returns what the hook is told, and the hook. */
function listen(): { told: SlowQuery[]; onSlowQuery: (query: SlowQuery) => void } {
  const told: SlowQuery[] = []
  return { told, onSlowQuery: (query) => told.push(query) }
}

describe('onSlowQuery', () => {
  it('is told of every call with slowQueryMs: 0, by whatever method', async () => {
    const { told, onSlowQuery } = listen()
    const db = await openWithTable({ slowQueryMs: 0, onSlowQuery })
    await db.batch(['INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2)'])
    await db.transaction((tx) => tx.run('UPDATE t SET x = ?', [3]))
    await db.read((r) => r.all('SELECT x FROM t'))
    await db.handle().prepare('SELECT x FROM t').get()
    for await (const _ of db.iterate('SELECT x FROM t', [], { chunkRows: 1 })) continue
    await until(() => told.length === 6, 'all are told')
    expect(told).toEqual([
      { sql: 'CREATE TABLE t (x)', database: db.path, operation: 'exec', durationMs: expect.any(Number), queueMs: expect.any(Number), runMs: expect.any(Number), rows: 0, route: 'write' },
      expect.objectContaining({ sql: 'INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)', operation: 'batch', rows: 0, changes: 2, route: 'write' }),
      expect.objectContaining({ sql: 'UPDATE t SET x = ?', operation: 'run', changes: 2, route: 'write' }),
      expect.objectContaining({ sql: 'SELECT x FROM t', operation: 'all', rows: 2, route: 'read' }),
      expect.objectContaining({ sql: 'SELECT x FROM t', operation: 'get', rows: 1, route: 'read' }),
      expect.objectContaining({ sql: 'SELECT x FROM t', operation: 'iterate', rows: 2 }),
    ])
  })

  it('is told of nothing but what took so long', async () => {
    const { told, onSlowQuery } = listen()
    const db = await openForTest(':memory:', { slowQueryMs: 20, onSlowQuery })
    let calls = 0
    for (let count = 1; !told.some(({ sql }) => sql === COUNTING_READ); count *= 2) {
      await db.get(COUNTING_READ, [count])
      calls++
    }
    expect(calls).toBeGreaterThan(told.length)
    expect(told.every(({ durationMs }) => durationMs >= 20)).toBe(true)
  })

  it('is told of failures, with the error that the caller gets', async () => {
    const { told, onSlowQuery } = listen()
    const db = await openForTest(':memory:', { slowQueryMs: 10, onSlowQuery })
    const error = await failureOf(db.all(ENDLESS_READ, [], { timeoutMs: 30 }))
    await until(() => told.length === 1, 'it is told')
    expect(told[0]?.error).toBe(error)
    expect(Object.keys(told[0] ?? {}).sort()).toEqual(['database', 'durationMs', 'error', 'operation', 'queueMs', 'runMs', 'sql'])
  })

  it('takes 200 ms for slow unless it is told otherwise', async () => {
    const { told, onSlowQuery } = listen()
    const db = await openForTest(':memory:', { onSlowQuery })
    await failureOf(db.all(ENDLESS_READ, [], { timeoutMs: 250 }))
    await until(() => told.length === 1, 'it is told')
    expect(told[0]?.durationMs).toBeGreaterThanOrEqual(200)
  })

  it('does not change how a batch refuses what is no text', async () => {
    const db = await openForTest(':memory:', { slowQueryMs: 0, onSlowQuery: () => {} })
    const error = await failureOf(db.batch(['SELECT 1', { sql: Symbol('none') as never }]))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_ARGUMENT', statementIndex: 1 })
  })

  it('is called after those who wait for the call', async () => {
    const order: string[] = []
    const db = await openForTest(':memory:', { slowQueryMs: 0, onSlowQuery: () => order.push('hook') })
    await db.get('SELECT 1').then(() => order.push('caller'))
    await until(() => order.length === 2, 'it is told')
    expect(order).toEqual(['caller', 'hook'])
  })

  it('is called in the async context in which it was given', async () => {
    const storage = new AsyncLocalStorage<string>()
    const seen: Array<string | undefined> = []
    const db = await storage.run('where it was opened', () => openForTest(':memory:', { slowQueryMs: 0, onSlowQuery: () => seen.push(storage.getStore()) }))
    await storage.run('where it is called', () => db.get('SELECT 1'))
    await until(() => seen.length === 1, 'it is told')
    expect(seen).toEqual(['where it was opened'])
  })

  it('is told of values only with traceParameters', async () => {
    const [without, with_] = [listen(), listen()]
    const quiet = await openForTest(':memory:', { slowQueryMs: 0, onSlowQuery: without.onSlowQuery })
    const loud = await openForTest(':memory:', { slowQueryMs: 0, onSlowQuery: with_.onSlowQuery, traceParameters: true })
    for (const db of [quiet, loud]) await db.get('SELECT ?', [7])
    await until(() => without.told.length + with_.told.length === 2, 'both are told')
    expect(without.told[0]).not.toHaveProperty('parameters')
    expect(with_.told[0]?.parameters).toEqual([7])
  })

  it('belongs to its handle, and not to others on the same database', async () => {
    const path = scratchPath()
    const { told, onSlowQuery } = listen()
    const db = await openForTest(path, { slowQueryMs: 0, onSlowQuery })
    const other = await openForTest(path)
    await other.get('SELECT 1')
    await db.get('SELECT 2')
    await until(() => told.length > 0, 'it is told')
    expect(told.map(({ sql }) => sql)).toEqual(['SELECT 2'])
  })

  it('may throw: that is an uncaught error, and disturbs no call', async () => {
    const { stdout, stderr } = await runScript(`
      const uncaught = []
      process.on('uncaughtException', (error) => uncaught.push(error.message))
      main(async () => {
        const db = await open(':memory:', { slowQueryMs: 0, onSlowQuery: ({ sql }) => { throw new Error(sql) } })
        const rows = await Promise.all(Array.from({ length: 100 }, (_, n) => db.pluck('SELECT ' + n)))
        await new Promise((resolve) => setImmediate(resolve))
        await db.close()
        console.log(JSON.stringify({ rows: rows.flat().length, uncaught: new Set(uncaught).size }))
      })`)
    expect({ stdout, stderr }).toEqual({ stdout: '{"rows":100,"uncaught":100}\n', stderr: '' })
  })
})

describe('slowQueryMs', () => {
  it('needs onSlowQuery', async () => {
    const error = await failureOf(open(scratchPath(), { slowQueryMs: 100 }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'slowQueryMs' })
    expect(error.message).toContain('onSlowQuery')
  })

  it.each([0, 1, 2 ** 31 - 1])('takes %d', async (slowQueryMs) => {
    const db = await openForTest(':memory:', { slowQueryMs, onSlowQuery: () => {} })
    expect(await db.pluck('SELECT 1')).toEqual([1])
  })
})
