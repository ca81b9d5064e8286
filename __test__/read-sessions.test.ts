import { describe, expect, it } from 'vitest'

import { ReadSession, ReadStatement } from '../index.js'
import type { Database, Row } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate, untilWaiting, watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openWithTable } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'

const SELECT = 'SELECT x FROM t'

async function openWithRow(options: Parameters<typeof openWithTable>[0] = {}): Promise<Database> {
  const db = await openWithTable(options)
  await db.run('INSERT INTO t VALUES (1)')
  return db
}

describe('read', () => {
  it('returns what its callback returns, and gives its reader back', async () => {
    const db = await openWithRow()
    const seen = await db.read(async (r) => {
      expect(r).toBeInstanceOf(ReadSession)
      expect(db.status().readers.active).toBe(1)
      return r.all(SELECT)
    })
    expect(seen).toEqual([{ x: 1 }])
    await untilQuiet(db)
  })

  it('has every way to read', async () => {
    const db = await openWithRow()
    await db.read(async (r) => {
      expect(await r.execute(SELECT)).toMatchObject({ rows: [{ x: 1 }], route: 'read' })
      expect(await r.get(SELECT)).toEqual({ x: 1 })
      expect(await r.values(SELECT)).toEqual([[1]])
      expect(await r.pluck(SELECT)).toEqual([1])
      expect(await r.sql`SELECT x FROM t WHERE x = ${1}`).toEqual([{ x: 1 }])
      const statement = r.prepare<[number], { x: number }>('SELECT x FROM t WHERE x = ?')
      expect(statement).toBeInstanceOf(ReadStatement)
      expect(await statement.all([1])).toEqual([{ x: 1 }])
      expect(await statement.columns()).toMatchObject([{ name: 'x', table: 't' }])
      const rows: Row[] = []
      for await (const row of r.iterate(SELECT)) rows.push(row)
      for await (const row of statement.iterate([1])) rows.push(row)
      expect(rows).toEqual([{ x: 1 }, { x: 1 }])
    })
  })

  it('sees one state, from its beginning, whatever is written meanwhile', async () => {
    const db = await openWithRow()
    await db.read(async (r) => {
      await db.run('INSERT INTO t VALUES (2)', [], { detached: true })
      expect(await db.pluck(SELECT)).toEqual([1, 2])
      expect(await r.pluck(SELECT)).toEqual([1])
      await db.run('ALTER TABLE t ADD COLUMN y', [], { detached: true })
      expect(await r.all('SELECT * FROM t')).toEqual([{ x: 1 }])
    })
    expect(await db.all('SELECT * FROM t')).toEqual([{ x: 1, y: null }, { x: 2, y: null }])
  })

  it('sees one state in many sessions at once, while writes go on', async () => {
    const db = await openWithTable({ maxReaders: 4, durability: 'off' })
    await db.exec('INSERT INTO t VALUES (0), (0)')
    const writes = Array.from({ length: 100 }, (_, x) => db.run('UPDATE t SET x = ?', [x]))
    await Promise.all(
      Array.from({ length: 20 }, () =>
        db.read(async (r) => {
          const seen = new Set((await r.pluck(SELECT)).concat(await r.pluck('SELECT max(x) FROM t'), await r.pluck(SELECT)))
          expect(seen.size).toBe(1)
        }),
      ),
    )
    await Promise.all(writes)
  })

  it('T12: sees what was acknowledged before it', async () => {
    const db = await openWithRow({ maxReaders: 3, durability: 'off' })
    for (let x = 0; x < 50; x++) {
      await db.run('UPDATE t SET x = ?', [x])
      const seen = await Promise.all([1, 2, 3].map(() => db.read((r) => r.pluck(SELECT))))
      expect(seen.flat()).toEqual([x, x, x])
    }
  })

  it('has no way to write in its type, and none at run time', async () => {
    const db = await openWithTable()
    await db.read((r) => {
      const methods: { [name: string]: unknown } = r as never
      expect(['run', 'exec', 'transaction', 'batch', 'begin', 'commit', 'pragma'].filter((name) => methods[name] !== undefined)).toEqual([])
      expect(Reflect.get(r.prepare('INSERT INTO t VALUES (1)'), 'run')).toBeUndefined()
    })
  })

  it('keeps the error of its callback, and gives its reader back', async () => {
    const db = await openWithRow({ maxReaders: 1 })
    const mine = new Error('mine')
    await expect(db.read(async (r) => { await r.all(SELECT); throw mine })).rejects.toBe(mine)
    await expect(db.read(() => { throw mine })).rejects.toBe(mine)
    expect(await codeOf(db.read((r) => r.all('SELECT nonsense FROM t')))).toBe('SQLITE_ERROR')
    await untilQuiet(db)
    expect(await db.read((r) => r.pluck(SELECT))).toEqual([1])
  })

  it('an error of one statement is not its end', async () => {
    const db = await openWithRow()
    await db.read(async (r) => {
      expect(await codeOf(r.all('SELECT nonsense FROM t'))).toBe('SQLITE_ERROR')
      expect(await r.pluck(SELECT)).toEqual([1])
    })
  })

  it('late calls are rejected', async () => {
    const db = await openWithRow()
    const r = await db.read((session) => session)
    expect(await codeOf(r.all(SELECT))).toBe('ERR_SLUICE_TX_CLOSED')
    expect(await codeOf(r.prepare(SELECT).get())).toBe('ERR_SLUICE_TX_CLOSED')
  })

  it('works in memory, and keeps writes waiting there', async () => {
    const db = await openForTest(':memory:')
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    const [entered, leave] = [gate(), gate()]
    const reading = db.read(async (r) => {
      entered.open()
      await leave.opened
      return r.pluck(SELECT)
    })
    await entered.opened
    const write = db.run('INSERT INTO t VALUES (2)')
    const state = watch(write)
    await untilWaiting(db, 1)
    expect(state.settled).toBe(false)
    leave.open()
    expect(await reading).toEqual([1])
    await write
  })
})

describe('R01: what would write in a read session', () => {
  const SCHEMA = `CREATE TABLE t (x); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT x FROM t;
    CREATE TRIGGER instead INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (NEW.x); END;
    CREATE VIRTUAL TABLE f5 USING fts5(x); INSERT INTO f5 VALUES ('one two')`

  it.each([
    'INSERT INTO t VALUES (2)',
    'INSERT INTO t VALUES (2) RETURNING x',
    'UPDATE t SET x = 2',
    'DELETE FROM t',
    'WITH c AS (SELECT 2 AS x) INSERT INTO t SELECT x FROM c',
    'INSERT INTO v VALUES (2)',
    "INSERT INTO f5 VALUES ('three')",
    "INSERT INTO f5 (f5) VALUES ('optimize')",
    'CREATE TABLE u (x)',
    'CREATE TEMP TABLE t (x)',
    'DROP TABLE t',
    'ALTER TABLE t ADD COLUMN y',
    'CREATE INDEX i ON t (x)',
    'REINDEX',
    'VACUUM',
    "ATTACH ':memory:' AS other",
    'PRAGMA user_version = 7',
    'PRAGMA query_only = 0',
    'BEGIN',
    'COMMIT',
    'ROLLBACK',
    'SAVEPOINT a',
  ])('%s is refused, changes nothing, and the session goes on with its state', async (sql) => {
    const db = await openWithTable()
    await db.exec(`DROP TABLE t; ${SCHEMA}`)
    const before = await db.pluck('SELECT sql FROM sqlite_schema ORDER BY name')
    await db.read(async (r) => {
      await db.run('INSERT INTO t VALUES (9)', [], { detached: true })
      for (const call of [() => r.all(sql), () => r.execute(sql), () => r.prepare(sql).get()]) {
        expect(await outcomeOf(call())).toMatch(/^(?:SQLITE_READONLY|SQLITE_ERROR|ERR_SLUICE_(?:NOT_AUTHORIZED|PRAGMA|MANUAL_TRANSACTION))/)
      }
      expect(await r.pluck(SELECT)).toEqual([1])
      expect(await r.pluck("SELECT x FROM f5 WHERE f5 MATCH 'two'")).toEqual(['one two'])
    })
    expect(await db.pluck(SELECT)).toEqual([1, 9])
    expect(await db.pluck('SELECT sql FROM sqlite_schema ORDER BY name')).toEqual(before)
    expect(await db.pluck('PRAGMA user_version')).toEqual([0])
  })
})

describe('L04: a read session that lasts', () => {
  it('past maxReadLeaseMs is ended, and the error says what it ran', async () => {
    const db = await openWithRow({ maxReadLeaseMs: 60 })
    const call = db.read(async (r) => {
      await r.all(SELECT)
      await r.all(ENDLESS_READ)
    })
    const { code, message } = await within(failureOf(call), 'the session is ended')
    expect(code).toBe('ERR_SLUICE_READ_LEASE_TIMEOUT')
    expect(message).toMatch(/maxReadLeaseMs.*RECURSIVE/s)
    await untilQuiet(db)
    expect(await db.pluck(SELECT)).toEqual([1])
  })

  it('past maxReadLeaseMs is ended although it runs nothing and its callback never returns', async () => {
    const db = await openWithRow({ maxReadLeaseMs: 60 })
    const call = db.read(() => new Promise(() => {}))
    expect(await within(codeOf(call), 'the session is ended')).toBe('ERR_SLUICE_READ_LEASE_TIMEOUT')
    await untilQuiet(db)
  })

  it('is shown with what it runs and for how long, and its calls are rejected when it is over', async () => {
    const db = await openWithRow({ maxReadLeaseMs: 300 })
    let late: Promise<string> | undefined
    const over = gate()
    const call = db.read(async (r) => {
      late = over.opened.then(() => outcomeOf(r.all(SELECT)))
      await r.all(ENDLESS_READ)
    })
    call.catch(() => {})
    await until(() => db.status().wal.oldestReaderSql?.includes('RECURSIVE') === true, 'it is shown')
    expect(db.status().wal.oldestReaderMs).toBeGreaterThanOrEqual(0)
    expect(await codeOf(call)).toBe('ERR_SLUICE_READ_LEASE_TIMEOUT')
    over.open()
    expect(await late).toMatch(/ERR_SLUICE_(?:READ_LEASE_TIMEOUT|TX_CLOSED)/)
    await until(() => db.status().wal.oldestReaderMs === null, 'it is shown no more')
  })

  it('past its own timeoutMs is ended as any call is', async () => {
    const db = await openWithRow()
    expect(await within(codeOf(db.read((r) => r.all(ENDLESS_READ), { timeoutMs: 50 })), 'the session is ended')).toBe('ERR_SLUICE_TIMEOUT')
    await untilQuiet(db)
    expect(await db.read((r) => r.pluck(SELECT))).toEqual([1])
  })
})

describe('D04: read sessions and short reads', () => {
  it('as many sessions as there are readers, each awaiting a short read of the database, all end', async () => {
    const db = await openWithRow({ maxReaders: 2 })
    const sessions = Array.from({ length: 6 }, () =>
      db.read(async (r) => {
        const outside = await db.get(SELECT)
        return [outside, await r.get(SELECT)]
      }),
    )
    const seen = await within(Promise.all(sessions), 'the sessions end')
    expect(seen).toEqual(sessions.map(() => [{ x: 1 }, { x: 1 }]))
    await untilQuiet(db)
  })

  it('with a writeMode queued too', async () => {
    const db = await openWithRow({ maxReaders: 2 })
    const [entered, leave] = [gate(), gate()]
    const sessions = Array.from({ length: 2 }, () =>
      db.read(async (r) => {
        entered.open()
        await leave.opened
        return [await db.get(SELECT), await r.get(SELECT)]
      }),
    )
    await entered.opened
    const mode = db.writeMode((w) => w.run('DELETE FROM t'))
    await untilWaiting(db, 1)
    leave.open()
    expect(await within(Promise.all(sessions), 'the sessions end')).toEqual(sessions.map(() => [{ x: 1 }, { x: 1 }]))
    await within(mode, 'the write mode')
  })
})
