import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'
import { COUNTING_READ } from './support/slow-sql.js'

/** Asks as many readers as there are what a setting is, all at once. */
async function onEveryReader(db: Database, pragma: string): Promise<unknown[]> {
  const { max } = db.status().readers
  const sql = `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) SELECT ${pragma} AS value, max(n) FROM c, pragma_${pragma}`
  const before = db.status().counters['peakReaders'] ?? 0
  const results = await Promise.all(Array.from({ length: max * 2 }, () => db.execute<{ value: unknown }>(sql)))
  expect(results.map(({ route }) => route)).toEqual(results.map(() => 'read'))
  expect(Math.max(before, db.status().counters['peakReaders'] ?? 0)).toBe(max)
  return [...new Set(results.map(({ rows }) => rows[0]?.value))]
}

async function onTheWriter(db: Database, pragma: string): Promise<unknown[]> {
  await db.exec('CREATE TEMP TABLE pin (x)')
  const { rows, route } = await db.execute(`PRAGMA ${pragma}`, [], { rowMode: 'array' })
  await db.exec('DROP TABLE temp.pin')
  expect(route).toBe('write')
  return rows.flat()
}

describe('pragma', () => {
  it('reads', async () => {
    const db = await openWithTable()
    expect(await db.pragma('user_version')).toEqual([{ user_version: 0 }])
    expect(await db.pragma('main.user_version')).toEqual([{ user_version: 0 }])
    expect(await db.pragma('table_info', 't')).toMatchObject([{ name: 'x' }])
    expect(await db.pragma('Journal_Mode')).toEqual([{ journal_mode: 'wal' }])
  })

  it('R09: sets what belongs to the file, once for all', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.pragma('user_version', 7)
    await db.pragma('main.application_id', -3)
    expect(await db.pragma('user_version')).toEqual([{ user_version: 7 }])
    await db.close()
    const again = await openForTest(path)
    expect(await again.pragma('user_version')).toEqual([{ user_version: 7 }])
    expect(await again.pragma('application_id')).toEqual([{ application_id: -3 }])
  })

  it('R09: checkpoints, optimizes and vacuums', async () => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (zeroblob(100000))')
    expect(db.status().wal.bytes).toBeGreaterThan(100_000)
    expect(await db.pragma('wal_checkpoint', 'TRUNCATE')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }])
    expect(db.status().wal.bytes).toBe(0)
    expect(await db.pragma('optimize')).toEqual([])
    expect(await db.pragma('incremental_vacuum')).toEqual([])
    expect(await db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }])
  })

  it('R08: sets what belongs to a connection on all of them, present and future', async () => {
    const db = await openWithTable({ maxReaders: 3 })
    expect(await onEveryReader(db, 'cache_size')).toEqual([-2_000])
    expect(await db.pragma('cache_size', -4_321)).toEqual([{ cache_size: -4_321 }])
    expect(await onEveryReader(db, 'cache_size')).toEqual([-4_321])
    expect(await onTheWriter(db, 'cache_size')).toEqual([-4_321])
    await db.pragma('main.cache_size', 99)
    expect(await onEveryReader(db, 'cache_size')).toEqual([99])
    expect(await onTheWriter(db, 'cache_size')).toEqual([99])
  })

  it('R08: a setting reaches readers that are opened after others were pruned', async () => {
    const db = await openWithTable({ maxReaders: 2, idleTtlMs: 0 })
    await db.pragma('cache_size', 77)
    for (let round = 0; round < 5; round++) {
      expect(await db.pluck('PRAGMA cache_size')).toEqual([77])
      await expect.poll(() => db.status().readers.open).toBe(0)
    }
  })

  it('R08: takes true and false', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)')
    expect(await db.pragma('foreign_keys', false)).toEqual([{ foreign_keys: 0 }])
    await db.run('INSERT INTO c VALUES (1)')
    expect(await db.pragma('foreign_keys', true)).toEqual([{ foreign_keys: 1 }])
    expect(await codeOf(db.run('INSERT INTO c VALUES (2)'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('R08: a setting without a reading form takes effect on readers and answers nothing', async () => {
    const db = await openScratch()
    const like = async () => (await db.pluck("SELECT 'A' LIKE 'a'"))[0]
    expect(await like()).toBe(1)
    expect(await db.pragma('case_sensitive_like', true)).toEqual([])
    expect(await like()).toBe(0)
    expect(await db.pragma('case_sensitive_like', false)).toEqual([])
    expect(await like()).toBe(1)
    expect(await db.pragma('shrink_memory')).toEqual([])
  })

  it('R08: waits for the reads that run, holds new ones back, and reaches both', async () => {
    const db = await openWithTable({ maxReaders: 2 })
    const order: string[] = []
    const early = db.all(COUNTING_READ, [500_000]).then(() => order.push('early read'))
    const setting = db.pragma('cache_size', 55).then(() => order.push('setting'))
    await early
    expect(order[0]).toBe('early read')
    const late = db.pluck('PRAGMA cache_size')
    await setting
    expect(await late).toEqual([55])
    expect(db.status().counters['modeSwitches']).toBe(1)
  })

  const OWNED = { synchronous: 'durability', busy_timeout: 'busyTimeoutMs', query_only: 'readonly', locking_mode: 'concurrency', writable_schema: 'defensive', trusted_schema: 'schema', wal_autocheckpoint: 'checkpoint' }
  it.each(Object.entries(OWNED))('R05, R06: refuses to set %s, and says why', async (name, hint) => {
    const db = await openWithTable()
    const { code, message } = await failureOf(db.pragma(name, 1))
    expect(code).toBe('ERR_SLUICE_PRAGMA')
    expect(message).toContain(hint)
    expect(await codeOf(db.execute(`PRAGMA ${name} = 1`))).toBe('ERR_SLUICE_PRAGMA')
    expect(await codeOf(db.exec(`PRAGMA ${name} = 1`))).toBe('ERR_SLUICE_PRAGMA')
    await db.run('INSERT INTO t VALUES (1)')
  })

  it.each(['hard_heap_limit', 'soft_heap_limit', 'temp_store_directory', 'data_store_directory'])(
    'R07: refuses %s, which is the whole process',
    async (name) => {
      const db = await openWithTable()
      expect(await codeOf(db.pragma(name, 1))).toBe('ERR_SLUICE_PRAGMA')
      expect(await codeOf(db.execute(`PRAGMA ${name} = 1`))).toBe('ERR_SLUICE_PRAGMA')
      expect(await codeOf(db.exec(`PRAGMA ${name} = 1`))).toBe('ERR_SLUICE_PRAGMA')
    },
  )

  it('refuses one that SQLite does not know, which SQLite would ignore', async () => {
    const db = await openScratch()
    const calls = [db.pragma('no_such_pragma'), db.pragma('no_such_pragma', 1), db.execute('PRAGMA no_such_pragma'), db.pragma('main.no_such_pragma')]
    expect(new Set(await Promise.all(calls.map(codeOf)))).toEqual(new Set(['ERR_SLUICE_PRAGMA']))
  })

  it.each(['', 'a b', 'user_version; DROP TABLE t', 'a.b.c', '.user_version', 'user_version(1)', 7, null, undefined])('refuses %j, which is no name', async (name) => {
    const db = await openScratch()
    expect(await codeOf(db.pragma(name as never))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
  })

  it.each([null, {}, 1n, Number.NaN, -Infinity, 'a\0b', Symbol('a')].map((value) => [value]))('refuses the value %s', async (value) => {
    const db = await openScratch()
    expect(await codeOf(db.pragma('user_version', value as never))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
  })

  it('never takes a value for SQL', async () => {
    const db = await openWithTable()
    for (const value of ["1; DROP TABLE t", "1'; DROP TABLE t; --", '1) --']) await db.pragma('user_version', value)
    expect(await db.all('SELECT x FROM t')).toEqual([])
  })

  it('refuses a setting of every connection on a schema that only the writer has', async () => {
    const db = await openWithTable()
    await db.run("ATTACH ':memory:' AS other")
    expect(await codeOf(db.pragma('other.cache_size', 5))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(await db.pragma('other.user_version', 5)).toEqual([])
    expect(await db.pragma('other.user_version')).toEqual([{ user_version: 5 }])
  })
})

describe('D01: a PRAGMA that is refused or only looked at changes nothing', () => {
  const VALUES: Record<string, number | string> = {
    analysis_limit: 9, automatic_index: 0, cache_size: 9, cache_spill: 9, cell_size_check: 1, foreign_keys: 0, ignore_check_constraints: 1,
    journal_size_limit: 9, legacy_alter_table: 1, max_page_count: 99_999, mmap_size: 4_096, query_only: 1, read_uncommitted: 1,
    recursive_triggers: 1, reverse_unordered_selects: 1, secure_delete: 1, synchronous: 1, temp_store: 2, threads: 2,
    trusted_schema: 1, user_version: 9, application_id: 9, wal_autocheckpoint: 9, busy_timeout: 9, hard_heap_limit: 99_999_999, soft_heap_limit: 99_999_999,
    checkpoint_fullfsync: 1, fullfsync: 0, locking_mode: 'exclusive', journal_mode: 'delete', writable_schema: 1,
  }

  it.each(Object.entries(VALUES))('EXPLAIN PRAGMA %s = %s', async (name, value) => {
    const db = await openWithTable({ maxReaders: 1 })
    const before = [await db.values(`PRAGMA ${name}`), await onTheWriter(db, name)]
    for (const sql of [`EXPLAIN PRAGMA ${name} = ${value}`, `EXPLAIN QUERY PLAN PRAGMA ${name}(${value})`, `SELECT 1; PRAGMA ${name} = ${value}`]) {
      await db.execute(sql).catch(() => {})
    }
    expect([await db.values(`PRAGMA ${name}`), await onTheWriter(db, name)]).toEqual(before)
    await db.run('INSERT INTO t VALUES (1)')
  })

  it.each(['analysis_limit', 'automatic_index', 'cache_size', 'foreign_keys', 'recursive_triggers', 'mmap_size', 'read_uncommitted', 'temp_store', 'shrink_memory', 'case_sensitive_like'])(
    'R08: execute refuses to set %s on one connection of many, and points at db.pragma',
    async (name) => {
      const db = await openWithTable()
      const calls = [db.execute(`PRAGMA ${name} = 1`), db.exec(`PRAGMA ${name}(1)`)]
      for (const { code, message } of await Promise.all(calls.map(failureOf))) {
        expect(code).toBe('ERR_SLUICE_PRAGMA')
        expect(message).toContain(`db.pragma('${name}'`)
      }
    },
  )
})

describe('the journal mode', () => {
  it('is switched while nobody else is there, and concurrency follows it', async () => {
    const db = await openWithTable({ maxReaders: 3 })
    await db.run('INSERT INTO t VALUES (1)')
    for (const mode of ['delete', 'wal', 'truncate', 'persist', 'memory', 'wal']) {
      const reads = Array.from({ length: 10 }, () => db.pluck('SELECT x FROM t'))
      expect(await db.pragma('journal_mode', mode)).toEqual([{ journal_mode: mode }])
      expect(db.status().concurrency).toBe(mode === 'wal' ? 'wal' : 'exclusive')
      expect(await Promise.all(reads)).toEqual(reads.map(() => [1]))
      expect(await db.pragma('journal_mode')).toEqual([{ journal_mode: mode }])
      await Promise.all([db.run('UPDATE t SET x = 1'), db.all('SELECT x FROM t'), db.run('UPDATE t SET x = 1')])
    }
  })

  it('is switched by execute too', async () => {
    const db = await openWithTable()
    expect(await db.execute('PRAGMA journal_mode = DELETE')).toMatchObject({ rows: [{ journal_mode: 'delete' }], route: 'write' })
    expect(db.status().concurrency).toBe('exclusive')
    expect(await db.execute('PRAGMA main.journal_mode(wal)')).toMatchObject({ rows: [{ journal_mode: 'wal' }], route: 'write' })
    expect(db.status().concurrency).toBe('wal')
    await db.run('INSERT INTO t VALUES (1)')
  })

  it('keeps reads from locking the writer out, even where wal was asked for', async () => {
    const db = await openWithTable({ concurrency: 'wal', busyTimeoutMs: 0 })
    await db.pragma('journal_mode', 'delete')
    expect(db.status().concurrency).toBe('exclusive')
    const reads = Array.from({ length: 20 }, () => db.all(COUNTING_READ, [20_000]))
    await Promise.all([...reads, ...Array.from({ length: 20 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x]))])
    await db.pragma('journal_mode', 'wal')
    expect(db.status().concurrency).toBe('wal')
  })

  it('stays as asked for with concurrency: exclusive', async () => {
    const db = await openWithTable({ concurrency: 'exclusive' })
    expect(await db.pragma('journal_mode')).toEqual([{ journal_mode: 'delete' }])
    await db.pragma('journal_mode', 'wal')
    expect(db.status().concurrency).toBe('exclusive')
    await db.run('INSERT INTO t VALUES (1)')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })

  it('stays in memory for a database in memory', async () => {
    const db = await openForTest(':memory:')
    expect(await db.pragma('journal_mode', 'wal')).toEqual([{ journal_mode: 'memory' }])
    expect(db.status().concurrency).toBe('exclusive')
  })
})
