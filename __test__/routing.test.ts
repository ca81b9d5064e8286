import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchFolder, scratchPath } from './support/scratch.js'

const SCHEMA = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, x);
  INSERT INTO t (x) VALUES (1), (2), (3);
  CREATE INDEX t_x ON t (x);
  CREATE VIEW v AS SELECT x FROM t;
  CREATE TRIGGER v_insert INSTEAD OF INSERT ON v BEGIN INSERT INTO t (x) VALUES (NEW.x); END;
  CREATE VIRTUAL TABLE f5 USING fts5 (body);
  INSERT INTO f5 VALUES ('a quiet sluice'), ('another gate');
  CREATE VIRTUAL TABLE f4 USING fts4 (body);
  INSERT INTO f4 VALUES ('a quiet sluice'), ('another gate');
  CREATE VIRTUAL TABLE r USING rtree (id, x0, x1);
  INSERT INTO r VALUES (1, 0, 1), (2, 5, 6);
`

const READS = [
  'SELECT x FROM t',
  'select x from T where x = 1',
  '/* first */ -- then\n SELECT x FROM t -- last',
  'SELECT x FROM t;',
  'SELECT x FROM t; ; /* nothing more */',
  '(SELECT 1)'.slice(1, -1),
  'VALUES (1), (2)',
  'WITH a AS (SELECT 1 AS n) SELECT n FROM a',
  'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT n FROM c',
  'SELECT x FROM t UNION SELECT 1 INTERSECT SELECT 2 EXCEPT SELECT 3',
  'SELECT x, row_number() OVER (ORDER BY x) FROM t',
  'SELECT * FROM v',
  'SELECT EXISTS (SELECT 1 FROM t)',
  "SELECT 'INSERT INTO t VALUES (1)'",
  "SELECT body FROM f5 WHERE f5 MATCH 'sluice'",
  "SELECT highlight(f5, 0, '<', '>') FROM f5 WHERE f5 MATCH 'gate' ORDER BY rank",
  "SELECT body FROM f4 WHERE f4 MATCH 'sluice'",
  "SELECT snippet(f4) FROM f4 WHERE body MATCH 'gate'",
  'SELECT id FROM r WHERE x0 > 2',
  "SELECT value FROM json_each('[1,2]')",
  "SELECT name FROM pragma_table_info('t')",
  'SELECT name FROM pragma_index_list WHERE 0',
  'SELECT * FROM sqlite_schema',
  'SELECT sqlite_version(), random(), abs(-1), upper(\'a\')',
  "SELECT datetime('now')",
  'EXPLAIN SELECT x FROM t',
  'EXPLAIN QUERY PLAN SELECT x FROM t WHERE x = 1',
  'PRAGMA user_version',
  'PRAGMA main.user_version',
  'PRAGMA table_info(t)',
  'PRAGMA table_xinfo = t',
  'PRAGMA index_list(t)',
  'PRAGMA foreign_key_list(t)',
  'PRAGMA foreign_key_check',
  'PRAGMA integrity_check',
  'PRAGMA quick_check(1)',
  'PRAGMA journal_mode',
  'PRAGMA page_count',
  'PRAGMA data_version',
  'PRAGMA cache_size',
  'PRAGMA compile_options',
  '',
  '  \n',
  ';',
  '-- only a comment',
  '/* only a comment',
]

const WRITES = [
  'INSERT INTO t (x) VALUES (4)',
  'INSERT INTO t (x) VALUES (4) RETURNING id, x',
  'UPDATE t SET x = x',
  'UPDATE t SET x = x RETURNING x',
  'DELETE FROM t',
  'DELETE FROM t WHERE 0',
  'REPLACE INTO t (id, x) VALUES (1, 2)',
  'INSERT OR IGNORE INTO t (id) VALUES (1)',
  'INSERT INTO t (id, x) VALUES (1, 2) ON CONFLICT DO UPDATE SET x = 3',
  'INSERT INTO t (x) SELECT x FROM t',
  'WITH a AS (SELECT 5 AS n) INSERT INTO t (x) SELECT n FROM a',
  '/* SELECT */ INSERT INTO t (x) VALUES (1)',
  'INSERT INTO v VALUES (9)',
  "INSERT INTO f5 (f5) VALUES ('optimize')",
  "INSERT INTO f5 VALUES ('more')",
  "INSERT INTO f4 (f4) VALUES ('optimize')",
  'INSERT INTO r VALUES (3, 0, 1)',
  'CREATE TABLE u (x)',
  'CREATE TABLE IF NOT EXISTS t (x)',
  'CREATE INDEX i ON t (x)',
  'CREATE VIEW w AS SELECT 1',
  'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END',
  "CREATE VIRTUAL TABLE g5 USING fts5 (a)",
  'ALTER TABLE t ADD COLUMN y',
  'DROP VIEW v',
  'DROP TRIGGER IF EXISTS missing',
  'DROP TABLE IF EXISTS missing',
  'REINDEX',
  'ANALYZE',
  'VACUUM',
  'PRAGMA user_version = 7',
  'PRAGMA application_id(7)',
  'PRAGMA wal_checkpoint',
  'PRAGMA wal_checkpoint(TRUNCATE)',
  'PRAGMA optimize',
  'PRAGMA incremental_vacuum',
  'CREATE TEMP TABLE u (x)',
  "ATTACH ':memory:' AS other",
]

const REFUSED: Record<string, string> = {
  BEGIN: 'ERR_SLUICE_MANUAL_TRANSACTION',
  'BEGIN IMMEDIATE': 'ERR_SLUICE_MANUAL_TRANSACTION',
  COMMIT: 'ERR_SLUICE_MANUAL_TRANSACTION',
  END: 'ERR_SLUICE_MANUAL_TRANSACTION',
  ROLLBACK: 'ERR_SLUICE_MANUAL_TRANSACTION',
  'SAVEPOINT a': 'ERR_SLUICE_MANUAL_TRANSACTION',
  'RELEASE a': 'ERR_SLUICE_MANUAL_TRANSACTION',
  'ROLLBACK TO a': 'ERR_SLUICE_MANUAL_TRANSACTION',
  'SELECT 1; DROP TABLE t': 'ERR_SLUICE_MULTIPLE_STATEMENTS',
  'INSERT INTO t (x) VALUES (1); INSERT INTO t (x) VALUES (2)': 'ERR_SLUICE_MULTIPLE_STATEMENTS',
  'SELECT 1; PRAGMA user_version = 9': 'ERR_SLUICE_MULTIPLE_STATEMENTS',
  'SELECT 1; nonsense': 'ERR_SLUICE_MULTIPLE_STATEMENTS',
  '; SELECT 1; SELECT 2': 'ERR_SLUICE_MULTIPLE_STATEMENTS',
  'SELECT last_insert_rowid()': 'ERR_SLUICE_CONNECTION_STATE',
  'SELECT changes()': 'ERR_SLUICE_CONNECTION_STATE',
  'SELECT total_changes() FROM t': 'ERR_SLUICE_CONNECTION_STATE',
  'INSERT INTO t (x) VALUES (last_insert_rowid())': 'ERR_SLUICE_CONNECTION_STATE',
  "SELECT load_extension('x')": 'ERR_SLUICE_NOT_AUTHORIZED',
  "SELECT fts3_tokenizer('simple')": 'ERR_SLUICE_NOT_AUTHORIZED',
  "SELECT writefile('x', 'y')": 'SQLITE_ERROR',
  "SELECT readfile('x')": 'SQLITE_ERROR',
  "SELECT edit('x')": 'SQLITE_ERROR',
  'SELECT * FROM sqlite_dbpage': 'SQLITE_ERROR',
  'SELECT * FROM missing': 'SQLITE_ERROR',
  'nonsense': 'SQLITE_ERROR',
  "DELETE FROM sqlite_schema": 'SQLITE_ERROR',
  "UPDATE sqlite_schema SET sql = 'x'": 'SQLITE_ERROR',
}

async function openWithSchema(): Promise<Database> {
  const db = await openScratch()
  await db.exec(SCHEMA)
  return db
}

describe('R11, R12, R13: routing', () => {
  it.each(READS)('lets a reader run %j, each time', async (sql) => {
    const db = await openWithSchema()
    for (let time = 0; time < 3; time++) expect(await db.execute(sql)).toMatchObject({ route: 'read', changes: 0, lastInsertRowid: undefined })
    expect(db.status().counters['fallbacks']).toBe(0)
  })

  it.each(WRITES)('lets the writer run %j', async (sql) => {
    const db = await openWithSchema()
    expect((await db.execute(sql)).route).toBe('write')
    expect(await db.get('SELECT 1 AS usable')).toEqual({ usable: 1 })
  })

  it.each(Object.entries(REFUSED))('refuses %j with %s, each time, and changes nothing', async (sql, code) => {
    const db = await openWithSchema()
    const before = await db.values('SELECT sum(x), (SELECT count(*) FROM sqlite_schema), (SELECT user_version FROM pragma_user_version) FROM t')
    for (let time = 0; time < 3; time++) expect(await codeOf(db.execute(sql))).toBe(code)
    expect(await db.values('SELECT sum(x), (SELECT count(*) FROM sqlite_schema), (SELECT user_version FROM pragma_user_version) FROM t')).toEqual(before)
    await db.run('INSERT INTO t (x) VALUES (0)')
  })

  it('runs everything on the writer with maxReaders: 0', async () => {
    const db = await openScratch({ maxReaders: 0 })
    await db.exec(SCHEMA)
    for (const sql of READS) expect((await db.execute(sql)).route, sql).toBe('write')
    expect(db.status().readers).toEqual({ open: 0, active: 0, idle: 0, waiting: 0, max: 0 })
  })

  it('names what to use instead of BEGIN', async () => {
    const db = await openWithTable()
    expect((await failureOf(db.run('BEGIN'))).message).toContain('db.transaction')
  })

  it('R02: VACUUM INTO writes its file by the writer alone, and EXPLAIN of it writes none', async () => {
    const db = await openWithTable()
    const into = join(scratchFolder(), 'copy.db')
    await db.execute(`EXPLAIN VACUUM INTO '${into}'`)
    expect(existsSync(into)).toBe(false)
    expect((await db.execute(`VACUUM INTO '${into}'`)).route).toBe('write')
    expect(await (await openForTest(into)).all('SELECT * FROM t')).toEqual([])
  })

  it('R10: takes a whole transaction within one exec, and rolls back one that is left open', async () => {
    const db = await openWithTable()
    await db.exec('BEGIN; INSERT INTO t VALUES (1); SAVEPOINT a; INSERT INTO t VALUES (2); ROLLBACK TO a; COMMIT')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
    expect(await codeOf(db.exec('BEGIN; INSERT INTO t VALUES (3)'))).toBe('ERR_SLUICE_MANUAL_TRANSACTION')
    expect(await codeOf(db.exec('BEGIN; INSERT INTO t VALUES (4); nonsense'))).toBe('SQLITE_ERROR')
    await db.run('INSERT INTO t VALUES (5)')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 5])
  })

  it('R17: a schema cannot be corrupted through the writer', async () => {
    const db = await openWithTable()
    const before = await db.all('SELECT * FROM sqlite_schema')
    await outcomeOf(db.run('PRAGMA writable_schema = 1'))
    await outcomeOf(db.exec("PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'x'"))
    await outcomeOf(db.exec("INSERT INTO sqlite_schema VALUES ('table', 'a', 'a', 2, 'x')"))
    expect(await db.all('SELECT * FROM sqlite_schema')).toEqual(before)
    expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  })

  it('R01: a write that reads first, through a trigger or a view, changes what it says and nothing on a reader', async () => {
    const db = await openWithSchema()
    expect(await db.run('INSERT INTO v VALUES (42)')).toMatchObject({ changes: 0 })
    expect(await db.pluck('SELECT x FROM t WHERE x = 42')).toEqual([42])
    await db.run("INSERT INTO f5 (f5) VALUES ('rebuild')")
    expect(await db.pluck("SELECT rowid FROM f5 WHERE f5 MATCH 'sluice'")).toEqual([1])
    expect(db.status().counters['errors']).toBe(0)
  })
})

describe('D02, D03: what a text means changes', () => {
  it('D02: REINDEX and DROP TRIGGER IF EXISTS act once there is something to do', async () => {
    const db = await openWithTable()
    const drop = 'DROP TRIGGER IF EXISTS g'
    for (const sql of [drop, drop, 'REINDEX', 'REINDEX']) expect((await db.execute(sql)).route).toBe('write')
    await db.exec('CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END; CREATE INDEX i ON t (x)')
    expect((await db.execute('REINDEX')).route).toBe('write')
    expect((await db.execute(drop)).route).toBe('write')
    await db.run('INSERT INTO t VALUES (1)')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })

  it('D03: a view over last_insert_rowid() and back gives its rows or the hint, never a lasting denial', async () => {
    const db = await openWithTable({ maxReaders: 4 })
    await db.run('INSERT INTO t VALUES (1)')
    const readAll = () => Promise.all(Array.from({ length: 8 }, () => outcomeOf(db.all('SELECT * FROM w'))))
    for (let round = 0; round < 10; round++) {
      await db.exec('DROP VIEW IF EXISTS w; CREATE VIEW w AS SELECT x FROM t')
      expect(new Set(await readAll())).toEqual(new Set(['done']))
      await db.exec('DROP VIEW w; CREATE VIEW w AS SELECT last_insert_rowid() AS x')
      expect(new Set(await readAll())).toEqual(new Set(['ERR_SLUICE_CONNECTION_STATE']))
    }
  })

  it('a read that becomes a write under the same text goes to the writer, and back', async () => {
    const db = await openWithTable()
    expect((await db.execute('SELECT * FROM t')).route).toBe('read')
    await db.exec('CREATE TEMP TABLE t (fake)')
    expect(await db.execute('SELECT * FROM t')).toMatchObject({ route: 'write', columns: [{ name: 'fake' }] })
    await db.exec('DROP TABLE temp.t')
    expect(await db.execute('SELECT * FROM t')).toMatchObject({ route: 'read', columns: [{ name: 'x' }] })
  })

  it('a table that is made after its first use failed is found by every reader', async () => {
    const db = await openScratch({ maxReaders: 4 })
    const read = () => outcomeOf(db.all('SELECT * FROM later'))
    expect(new Set(await Promise.all([read(), read(), read(), read()]))).toEqual(new Set(['SQLITE_ERROR']))
    await db.exec('CREATE TABLE later (x)')
    expect(new Set(await Promise.all([read(), read(), read(), read()]))).toEqual(new Set(['done']))
  })
})

describe('temporary objects and attached databases', () => {
  it('pin everything to the writer while there are any, and no longer', async () => {
    const db = await openWithTable()
    const route = async () => (await db.execute('SELECT x FROM t')).route
    expect(await route()).toBe('read')
    await db.run('CREATE TEMP TABLE a (x)')
    expect(await route()).toBe('write')
    await db.run("ATTACH ':memory:' AS m")
    await db.run('DROP TABLE a')
    expect(await route()).toBe('write')
    await db.run('DETACH m')
    expect(await route()).toBe('read')
    await db.exec('CREATE TEMP VIEW b AS SELECT 1; DROP VIEW b')
    expect(await route()).toBe('read')
    await outcomeOf(db.exec('CREATE TEMP TABLE c (x); nonsense'))
    expect(await route()).toBe('write')
  })

  it('R04: a temporary table shadows the real one for all calls alike', async () => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (1)')
    await db.run('CREATE TEMP TABLE t (x)')
    const counts = await Promise.all(Array.from({ length: 10 }, () => db.pluck('SELECT count(*) FROM t')))
    expect(counts).toEqual(Array.from({ length: 10 }, () => [0]))
    await db.run('DROP TABLE temp.t')
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([1])
  })

  it('R03: an attached file can be read and written', async () => {
    const other = scratchPath()
    await (await openForTest(other)).exec('CREATE TABLE u (y); INSERT INTO u VALUES (5)')
    const db = await openWithTable()
    await db.run('ATTACH ? AS other', [other])
    expect(await db.pluck('SELECT y FROM other.u')).toEqual([5])
    await db.run('INSERT INTO other.u VALUES (6)')
    await db.run('DETACH other')
    expect(await codeOf(db.all('SELECT y FROM other.u'))).toBe('SQLITE_ERROR')
    expect(await (await openForTest(other)).pluck('SELECT y FROM u')).toEqual([5, 6])
  })

  it('leave no file behind', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec("CREATE TEMP TABLE a (x); INSERT INTO a VALUES (1); ATTACH ':memory:' AS m; CREATE TABLE m.b (x)")
    await db.close()
    expect(readdirSync(dirname(path))).toEqual(['test.db'])
  })
})
