import { statSync } from 'node:fs'
import { inspect } from 'node:util'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { openForTest, scratchPath } from './support/scratch.js'
import { outcomeOf } from './support/failure.js'

/** The calls of one turn of the event loop are handed over together; nobody can tell but by the time it takes. */
describe('calls of one turn', () => {
  it('are done in the order of their calls, whatever their kind', async () => {
    const db = await openForTest(scratchPath())
    const own = db.handle()
    await db.exec('CREATE TABLE log (n INTEGER PRIMARY KEY AUTOINCREMENT, what)')
    const write = 'INSERT INTO log (what) VALUES (?)'
    // A private handle has to find out first that a text is no BEGIN.
    await own.run(write, ['first'])
    await Promise.all([
      db.run(write, ['run 1']),
      db.run(write, ['run 2']),
      db.exec(`INSERT INTO log (what) VALUES ('exec')`),
      own.run(write, ['own 1']),
      own.run(write, ['own 2']),
      db.run(write, ['run 3']),
      db.batch([{ sql: write, params: ['batch 1'] }, { sql: write, params: ['batch 2'] }]),
      db.run(write, ['run 4'], { timeoutMs: 60_000 }),
      db.prepare(write).run(['prepared']),
      db.execute(write, [Buffer.from('blob')]),
      db.run(write, ['x'.repeat(20_000)]),
      db.run(write, ['last']),
    ])
    expect(await db.pluck('SELECT substr(CAST(what AS TEXT), 1, 12) FROM log ORDER BY n')).toEqual([
      'first', 'run 1', 'run 2', 'exec', 'own 1', 'own 2', 'run 3', 'batch 1', 'batch 2', 'run 4', 'prepared', 'blob', 'xxxxxxxxxxxx', 'last',
    ])
    await own.close()
  })

  it('have the values of their own moment, in any number and size', async () => {
    const db = await openForTest(scratchPath(), { durability: 'off' })
    await db.exec('CREATE TABLE t (n INTEGER PRIMARY KEY, v)')
    const values = [0, '']
    const calls = []
    const texts = (n: number): string => 'é'.repeat((n * 37) % 9_000)
    for (let n = 0; n < 3_000; n++) {
      values[0] = n
      values[1] = texts(n)
      calls.push(db.run('INSERT INTO t VALUES (?, ?)', values))
    }
    await Promise.all(calls)
    const rows = await db.values('SELECT n, v FROM t ORDER BY n')
    expect(rows.length).toBe(3_000)
    expect(rows.filter(([n, v]) => v !== texts(n as number))).toEqual([])
  })

  it('fail each by itself', async () => {
    const db = await openForTest(scratchPath())
    await db.exec('CREATE TABLE t (n INTEGER PRIMARY KEY)')
    const outcomes = await Promise.all([
      outcomeOf(db.run('INSERT INTO t VALUES (1)')),
      outcomeOf(db.run('INSERT INTO t VALUES (?)', [Number.NaN])),
      outcomeOf(db.run('INSERT INTO t VALUES (?)', [1])),
      outcomeOf(db.run('INSERT INTO t VALUES (?)', [2, 3])),
      outcomeOf(db.run('INSERT INTO t VALUES (:a)', { b: 2 })),
      outcomeOf(db.run('nonsense')),
      outcomeOf(db.run('INSERT INTO t VALUES (?)', [3])),
    ])
    expect(outcomes).toEqual([
      'done', 'ERR_SLUICE_INVALID_PARAMETER', 'SQLITE_CONSTRAINT_PRIMARYKEY', 'ERR_SLUICE_INVALID_PARAMETER',
      'ERR_SLUICE_INVALID_PARAMETER', 'SQLITE_ERROR', 'done',
    ])
    expect(await db.pluck('SELECT n FROM t')).toEqual([1, 3])
  })

  it('are counted by status as soon as they are made', async () => {
    const db = await openForTest(scratchPath())
    await db.exec('CREATE TABLE t (n)')
    await db.run('INSERT INTO t VALUES (?)', [0])
    const tx = await db.begin()
    const calls = Array.from({ length: 10 }, (_, n) => db.run('INSERT INTO t VALUES (?)', [n]))
    expect(db.status().writer.waiting).toBe(10)
    await tx.commit()
    await Promise.all(calls)
  })

  it('can be stopped at once, one of many', async () => {
    const db = await openForTest(scratchPath())
    await db.exec('CREATE TABLE t (n)')
    const tx = await db.begin()
    const stop = new AbortController()
    const calls = Array.from({ length: 10 }, (_, n) => outcomeOf(db.run('INSERT INTO t VALUES (?)', [n], n === 5 ? { signal: stop.signal } : {})))
    stop.abort()
    expect(await calls[5]).toBe('ABORT_ERR')
    await tx.commit()
    expect((await Promise.all(calls)).filter((outcome) => outcome === 'done').length).toBe(9)
    expect(await db.pluck('SELECT group_concat(n, \'\') FROM t')).toEqual(['012346789'])
  })

  it('may use more texts than a handle keeps', async () => {
    const db = await openForTest(scratchPath())
    const calls = Array.from({ length: 3_000 }, (_, n) => db.pluck<number>(`SELECT ${n}`))
    const long = `SELECT 'x' -- ${'x'.repeat(1_100_000)}`
    const rest = [db.pluck(long), db.pluck(long), db.pluck('SELECT 1')]
    expect((await Promise.all(calls)).map(([n]) => n)).toEqual(Array.from({ length: 3_000 }, (_, n) => n))
    expect(await Promise.all(rest)).toEqual([['x'], ['x'], [1]])
  })

  it('are done while the event loop is held, if there is one only, or many', async () => {
    for (const count of [1, 32 + 1]) {
      const db = await openForTest(scratchPath(), { groupCommit: false })
      await db.exec('CREATE TABLE t (n)')
      await db.checkpoint('truncate')
      const calls = Array.from({ length: count }, () => db.run('INSERT INTO t VALUES (zeroblob(8000))'))
      const deadline = Date.now() + 10_000
      while (statSync(`${db.path}-wal`).size < count * 8_000 && Date.now() < deadline);
      expect(statSync(`${db.path}-wal`).size).toBeGreaterThan(count * 8_000)
      await Promise.all(calls)
    }
  })
})

/** Results that have come together are handed out in one turn of the event loop, but not all before anybody goes on. */
describe('results that came together', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('let the first callers go on before the last are settled, in order', async () => {
    const db = await openForTest(scratchPath(), { inlineReads: 'off', maxReaders: 1 })
    // Known to be a read, and so none for the writer.
    await db.get('SELECT ?', [0])
    const order: number[] = []
    const calls = Array.from({ length: 200 }, async (_, n) => {
      await db.get('SELECT ?', [n])
      order.push(n)
    })
    const isLastPending: boolean[] = []
    void calls[0]?.then(() => isLastPending.push(inspect(calls.at(-1)).includes('pending')))
    const deadline = Date.now() + 10_000
    // The event loop is held until all are done.
    for (let status = db.status(); status.readers.active + status.queued > 0 && Date.now() < deadline; status = db.status());
    await Promise.all(calls)
    expect(isLastPending).toEqual([true])
    expect(order).toEqual(Array.from({ length: 200 }, (_, n) => n))
  })

  it('are handed out without the timers that a test has put in place', async () => {
    const db = await openForTest(scratchPath())
    vi.useFakeTimers()
    const calls = Array.from({ length: 3_000 }, (_, n) => db.get<{ n: number }>('SELECT ? AS n', [n]))
    const rows = await Promise.all(calls)
    expect(rows.every((row, n) => row?.n === n)).toBe(true)
  })
})
