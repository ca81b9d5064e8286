import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'
import { COUNTING_READ, COUNTING_WRITE, ENDLESS_READ, ENDLESS_WRITE } from './support/slow-sql.js'

describe('close', () => {
  it('leaves only the database file', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { maxReaders: 4 })
    await db.exec('CREATE TABLE t (x)')
    await Promise.all(Array.from({ length: 200 }, (_, x) => (x % 2 === 0 ? db.run('INSERT INTO t VALUES (?)', [x]) : db.all('SELECT * FROM t'))))
    expect(readdirSync(dirname(path)).length).toBeGreaterThan(1)
    await db.close()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    expect(db.status()).toMatchObject({ phase: 'closed', readers: { open: 0, active: 0, idle: 0, waiting: 0 }, writer: { active: false, waiting: 0, holder: null }, queued: 0 })
  })

  it('L09: resolves for every caller, at the same time or later', async () => {
    const db = await openWithTable()
    const running = db.all(COUNTING_READ, [300_000])
    const closings = [db.close(), db.close({ timeoutMs: 5_000 }), db[Symbol.asyncDispose]()]
    expect(db.closed).toBe(true)
    await within(Promise.all(closings), 'closing')
    expect(await running).toEqual([{ n: 300_000 }])
    await db.close()
    await db[Symbol.asyncDispose]()
    expect(db.status().phase).toBe('closed')
  })

  it('L09: lets what is running finish, reads and writes', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { maxReaders: 2 })
    await db.exec('CREATE TABLE t (x)')
    // Known statements go straight to their connection.
    await Promise.all([db.all(COUNTING_READ, [1]), db.run(COUNTING_WRITE, [1])])
    await untilQuiet(db)
    const running = [db.all(COUNTING_READ, [300_000]), db.all(COUNTING_READ, [300_000]), db.run(COUNTING_WRITE, [300_000])]
    const closing = db.close()
    await until(() => db.status().phase === 'draining', 'the closing has begun')
    expect(await Promise.all(running)).toEqual([[{ n: 300_000 }], [{ n: 300_000 }], { changes: 1, lastInsertRowid: 2 }])
    await closing
    const again = await openForTest(path)
    expect(await again.pluck('SELECT x FROM t ORDER BY x')).toEqual([1, 300_000])
  })

  it('I8: rejects what waits with the closed code, none of it having happened', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { maxReaders: 1 })
    await db.exec('CREATE TABLE t (x)')
    const [read, write, script] = ['SELECT x FROM t', 'INSERT INTO t VALUES (?)', 'INSERT INTO t VALUES (99)']
    await Promise.all([db.all(read), db.run(COUNTING_WRITE, [1]), db.all(COUNTING_READ, [1])])
    await untilQuiet(db)
    const running = [db.all(COUNTING_READ, [300_000]), db.run(COUNTING_WRITE, [300_000])]
    const waiting = [db.all(read), db.run(write, [7]), db.exec(script), db.pragma('cache_size', 5), db.get(read)]
    await until(() => db.status().queued >= 5, 'the calls wait')
    const closing = db.close()
    expect(await Promise.all(waiting.map(outcomeOf))).toEqual(waiting.map(() => 'ERR_SLUICE_CLOSED'))
    expect(await Promise.all(running.map(outcomeOf))).toEqual(['done', 'done'])
    await closing
    const again = await openForTest(path)
    expect(await again.pluck('SELECT x FROM t ORDER BY x')).toEqual([1, 300_000])
  })

  it('rejects what comes after it at once, and stays closed', async () => {
    const db = await openWithTable()
    const statement = db.prepare('SELECT x FROM t')
    await statement.all()
    const closing = db.close()
    const calls = () => [db.all('SELECT 1'), db.run('INSERT INTO t VALUES (1)'), db.exec('SELECT 1'), db.pragma('user_version'), statement.get(), statement.columns(), db.sql`SELECT 1`]
    expect(new Set(await Promise.all(calls().map(codeOf)))).toEqual(new Set(['ERR_SLUICE_CLOSED']))
    await closing
    expect(new Set(await Promise.all(calls().map(codeOf)))).toEqual(new Set(['ERR_SLUICE_CLOSED']))
    expect((await failureOf(db.all('SELECT 1'))).message).toContain(db.path)
  })

  it.each([
    ['a read', ENDLESS_READ],
    ['a write', ENDLESS_WRITE],
    ['a script', `BEGIN; ${ENDLESS_WRITE}; ${ENDLESS_WRITE}; COMMIT`],
  ])('V21: interrupts %s that never ends, once timeoutMs has passed', async (what, sql) => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    const running = outcomeOf(what === 'a script' ? db.exec(sql) : db.execute(sql))
    await until(() => db.status().writer.holder !== null || db.status().wal.oldestReaderMs !== null, 'it runs')
    await within(db.close({ timeoutMs: 20 }), 'closing')
    expect(await running).toBe('SQLITE_INTERRUPT')
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    expect(await (await openForTest(path)).all('SELECT x FROM t')).toEqual([])
  })

  it('interrupts a read whose reader is only being opened', async () => {
    const path = scratchPath()
    const made = await openForTest(path)
    // Reading a large schema takes its time.
    await made.exec(Array.from({ length: 3_000 }, (_, n) => `CREATE TABLE t${n} (a, b, c);`).join('\n'))
    await made.close()
    for (let round = 0; round < 5; round++) {
      const db = await openForTest(path, { maxReaders: 3 })
      const running = [1, 2, 3].map(() => outcomeOf(db.all(ENDLESS_READ)))
      await within(db.close({ timeoutMs: 0 }), 'closing')
      expect(new Set(await Promise.all(running))).toEqual(new Set(['SQLITE_INTERRUPT']))
    }
  })

  it('L09: may be called while the database is being used by its own callbacks', async () => {
    const db = await openWithTable()
    const closings: Promise<void>[] = []
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        await db.all('SELECT x FROM t').catch(() => {})
        closings.push(db.close())
      }),
    )
    await within(Promise.all(closings), 'closing')
    expect(db.status().phase).toBe('closed')
  })

  it('L09: of one handle that is opened meanwhile does not disturb the other', async () => {
    const path = scratchPath()
    const first = await openForTest(path)
    await first.exec('CREATE TABLE t (x)')
    for (let round = 0; round < 20; round++) {
      const [, db] = await Promise.all([outcomeOf((await open(path)).close()), open(path)])
      expect(await db.all('SELECT x FROM t')).toEqual([])
      await db.close()
    }
  })

  it('H09: happens once at the end of a block that disposes', async () => {
    const db = await open(':memory:')
    const dispose = db[Symbol.asyncDispose].bind(db)
    await dispose()
    expect(db.closed).toBe(true)
    await dispose()
  })

  it('is refused nothing by a wrong option: the database stays open', async () => {
    const db = await openWithTable()
    expect(await codeOf(db.close({ timeoutMs: -1 }))).toBe('ERR_SLUICE_INVALID_OPTION')
    expect(db.closed).toBe(false)
    await db.run('INSERT INTO t VALUES (1)')
  })

  it('commits what was acknowledged, and leaves half of nothing', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    const writes = Array.from({ length: 500 }, (_, x) => outcomeOf(db.run('INSERT INTO t VALUES (?)', [x])))
    await writes[10]
    await db.close()
    const outcomes = await Promise.all(writes)
    const acknowledged = outcomes.flatMap((outcome, x) => (outcome === 'done' ? [x] : []))
    expect(new Set(outcomes)).toEqual(new Set(acknowledged.length === 500 ? ['done'] : ['done', 'ERR_SLUICE_CLOSED']))
    expect(await (await openForTest(path)).pluck('SELECT x FROM t ORDER BY rowid')).toEqual(acknowledged)
  })
})
