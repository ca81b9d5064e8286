import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { codeOf, failureOf } from './support/failure.js'
import { openScratch, openWithTable } from './support/scratch.js'

const NOTHING = { changes: 0, lastInsertRowid: undefined }

async function openPeople(): Promise<Database> {
  const db = await openScratch()
  await db.exec(`CREATE TABLE people (id INTEGER PRIMARY KEY, name UNIQUE, visits DEFAULT 0);
    INSERT INTO people (name) VALUES ('Ada'), ('Bo'), ('Cy')`)
  return db
}

describe('the rows of a read', () => {
  it('come from execute with columns, changes and route', async () => {
    const db = await openPeople()
    expect(await db.execute('SELECT id, name FROM people WHERE id < ? ORDER BY id', [3])).toEqual({
      columns: [
        { name: 'id', declaredType: 'INTEGER', table: 'people', origin: 'id' },
        { name: 'name', declaredType: null, table: 'people', origin: 'name' },
      ],
      rows: [{ id: 1, name: 'Ada' }, { id: 2, name: 'Bo' }],
      ...NOTHING,
      route: 'read',
    })
  })

  it('come in every form', async () => {
    const db = await openPeople()
    const sql = 'SELECT id, name FROM people WHERE id > 1 ORDER BY id'
    expect(await db.all(sql)).toEqual([{ id: 2, name: 'Bo' }, { id: 3, name: 'Cy' }])
    expect(await db.all(sql, [], { rowMode: 'array' })).toEqual([[2, 'Bo'], [3, 'Cy']])
    expect(await db.get(sql)).toEqual({ id: 2, name: 'Bo' })
    expect(await db.get(sql, undefined, { rowMode: 'array' })).toEqual([2, 'Bo'])
    expect(await db.values(sql)).toEqual([[2, 'Bo'], [3, 'Cy']])
    expect(await db.pluck(sql)).toEqual([2, 3])
    expect(await db.run(sql)).toEqual(NOTHING)
  })

  it('are none in every form when there are none', async () => {
    const db = await openPeople()
    const sql = 'SELECT id, name FROM people WHERE id > 99'
    expect(await db.execute(sql)).toMatchObject({ rows: [], columns: [{ name: 'id' }, { name: 'name' }] })
    expect([await db.all(sql), await db.get(sql), await db.values(sql), await db.pluck(sql)]).toEqual([[], undefined, [], []])
  })

  it('belong to the caller: a result may be changed without changing another', async () => {
    const db = await openPeople()
    const [first, second] = [await db.all('SELECT id FROM people'), await db.all('SELECT id FROM people')]
    first.length = 0
    expect(second).toHaveLength(3)
    const empty = await db.all('SELECT 1 WHERE 0')
    empty.push({ a: 1 })
    expect(await db.all('SELECT 1 WHERE 0')).toEqual([])
  })

  it('stop after the first for get, which an endless read survives', async () => {
    const db = await openPeople()
    expect(await db.get('WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c')).toEqual({ n: 1 })
  })

  it('are all carried or none: an error in a late row rejects the call', async () => {
    const db = await openPeople()
    const sql = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) SELECT abs(iif(n < 99999, n, -9223372036854775808)) FROM c'
    expect(await failureOf(db.all(sql))).toMatchObject({ code: 'SQLITE_ERROR', message: expect.stringMatching(/overflow/) as string })
    expect(await db.pluck('SELECT 1')).toEqual([1])
  })

  it('V13: keep columns of one name apart as arrays; as objects the last one wins', async () => {
    const db = await openPeople()
    expect(await db.values('SELECT 1 AS a, 2 AS a, 3 AS a')).toEqual([[1, 2, 3]])
    for (let time = 0; time < 6; time++) expect(await db.all('SELECT 1 AS a, 2 AS a, 3 AS a')).toEqual([{ a: 3 }])
  })
})

describe('RETURNING', () => {
  it('returns its rows and what it changed', async () => {
    const db = await openPeople()
    expect(await db.execute("INSERT INTO people (name) VALUES ('Di'), ('Ed') RETURNING id, upper(name) AS loud")).toMatchObject({
      rows: [{ id: 4, loud: 'DI' }, { id: 5, loud: 'ED' }],
      changes: 2,
      lastInsertRowid: 5,
      route: 'write',
    })
    expect(await db.execute('UPDATE people SET visits = visits + 1 WHERE id <= 2 RETURNING name, visits')).toMatchObject({
      rows: [{ name: 'Ada', visits: 1 }, { name: 'Bo', visits: 1 }],
      changes: 2,
      lastInsertRowid: undefined,
    })
    expect(await db.execute('DELETE FROM people WHERE id = 1 RETURNING name')).toMatchObject({ rows: [{ name: 'Ada' }], changes: 1 })
  })

  it.each(['get', 'run', 'pluck', 'values', 'all'] as const)('is run to its end by %s, however few rows that wants', async (method) => {
    const db = await openPeople()
    await db[method]("INSERT INTO people (name) VALUES ('Di'), ('Ed') RETURNING id")
    await db[method]('UPDATE people SET visits = 9 RETURNING id')
    expect(await db.values('SELECT count(*), min(visits) FROM people')).toEqual([[5, 9]])
  })

  it('undoes everything when one of its rows cannot be delivered', async () => {
    const db = await openWithTable()
    const sql = 'INSERT INTO t VALUES (1), (9007199254740993) RETURNING x'
    expect(await codeOf(db.all(sql, [], { integers: 'number' }))).toBe('ERR_SLUICE_OUT_OF_RANGE')
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
    expect(await db.pluck(sql)).toEqual([1, 9007199254740993n])
  })

  it('undoes everything when a later row breaks a constraint', async () => {
    const db = await openPeople()
    expect(await codeOf(db.all("INSERT INTO people (name) VALUES ('Di'), ('Ada') RETURNING id"))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    expect(await db.pluck('SELECT count(*) FROM people')).toEqual([3])
  })

  it('returns many rows, and what comes after sees them', async () => {
    const db = await openWithTable()
    const sql = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50000) INSERT INTO t SELECT n FROM c RETURNING x'
    const xs = await db.pluck<number>(sql)
    expect(xs).toHaveLength(50_000)
    expect(xs.every((x, index) => x === index + 1)).toBe(true)
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([50_000])
  })
})

describe('changes', () => {
  it.each([
    ['SELECT * FROM people', 0],
    ['UPDATE people SET visits = 1', 3],
    ['UPDATE people SET visits = visits', 3],
    ['UPDATE people SET visits = 1 WHERE 0', 0],
    ['DELETE FROM people', 3],
    ['DELETE FROM people WHERE true', 3],
    ['DELETE FROM people WHERE id > 2', 1],
    ["INSERT OR IGNORE INTO people (name) VALUES ('Ada'), ('Di')", 1],
    ["INSERT OR REPLACE INTO people (id, name) VALUES (1, 'Bo')", 1],
    ["INSERT INTO people (name) VALUES ('Ada') ON CONFLICT (name) DO UPDATE SET visits = visits + 1", 1],
    ["INSERT INTO people (name) VALUES ('Ada') ON CONFLICT DO NOTHING", 0],
    ["INSERT INTO people (name) SELECT name || '2' FROM people", 3],
    ["WITH more (name) AS (VALUES ('Di'), ('Ed')) INSERT INTO people (name) SELECT name FROM more", 2],
    ['CREATE TABLE copy AS SELECT * FROM people', 0],
    ['CREATE INDEX people_visits ON people (visits)', 0],
    ['DROP TABLE people', 0],
    ['ALTER TABLE people ADD COLUMN born', 0],
    ['PRAGMA user_version', 0],
    ['VACUUM', 0],
    ['EXPLAIN DELETE FROM people', 0],
    ['', 0],
  ])('of %j are %i, also right after a statement that changed seven rows', async (sql, changes) => {
    const db = await openPeople()
    await db.exec('CREATE TABLE seven (x)')
    expect(await db.run('INSERT INTO seven VALUES (1), (2), (3), (4), (5), (6), (7)')).toMatchObject({ changes: 7 })
    expect((await db.run(sql)).changes).toBe(changes)
  })

  it('count neither what triggers nor what cascades changed', async () => {
    const db = await openPeople()
    await db.exec(`CREATE TABLE log (m);
      CREATE TRIGGER noted AFTER UPDATE ON people BEGIN INSERT INTO log VALUES (1), (2), (3); END;
      CREATE TABLE pets (owner REFERENCES people ON DELETE CASCADE); INSERT INTO pets VALUES (1), (1)`)
    expect(await db.run('UPDATE people SET visits = 1')).toEqual({ changes: 3, lastInsertRowid: undefined })
    expect(await db.run('DELETE FROM people WHERE id = 1')).toEqual({ changes: 1, lastInsertRowid: undefined })
    expect(await db.values('SELECT (SELECT count(*) FROM log), (SELECT count(*) FROM pets)')).toEqual([[9, 0]])
  })

  it('through a view are those SQLite counts: none', async () => {
    const db = await openPeople()
    await db.exec(`CREATE VIEW v AS SELECT name FROM people;
      CREATE TRIGGER v_insert INSTEAD OF INSERT ON v BEGIN INSERT INTO people (name) VALUES (NEW.name); END;
      CREATE TRIGGER v_delete INSTEAD OF DELETE ON v BEGIN DELETE FROM people WHERE name = OLD.name; END`)
    expect(await db.run("INSERT INTO v VALUES ('Di')")).toEqual(NOTHING)
    expect(await db.run("DELETE FROM v WHERE name = 'Ada'")).toEqual(NOTHING)
    expect(await db.pluck('SELECT name FROM people ORDER BY name')).toEqual(['Bo', 'Cy', 'Di'])
  })
})

describe('lastInsertRowid', () => {
  it('is that of the last row inserted, and only of this statement', async () => {
    const db = await openPeople()
    expect(await db.run("INSERT INTO people (name) VALUES ('Di'), ('Ed')")).toEqual({ changes: 2, lastInsertRowid: 5 })
    for (const sql of ['UPDATE people SET visits = 1', 'DELETE FROM people', 'SELECT 1', 'CREATE TABLE u (x)', "INSERT INTO people (name) SELECT 'Fy' WHERE 0", 'PRAGMA user_version', '']) {
      expect((await db.run(sql)).lastInsertRowid, sql).toBeUndefined()
    }
  })

  it.each(["INSERT OR IGNORE INTO people (name) VALUES ('Ada')", "INSERT INTO people (name) VALUES ('Ada') ON CONFLICT DO NOTHING"])(
    'is undefined when nothing was inserted: %s',
    async (sql) => {
      expect(await (await openPeople()).run(sql)).toEqual(NOTHING)
    },
  )

  it('is undefined for an upsert that updates, and set for one that inserts', async () => {
    const db = await openPeople()
    const upsert = db.prepare('INSERT INTO people (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET visits = visits + 1')
    expect(await upsert.run(['Ada'])).toEqual({ changes: 1, lastInsertRowid: undefined })
    expect(await upsert.run(['Di'])).toEqual({ changes: 1, lastInsertRowid: 4 })
    expect(await upsert.run(['Di'])).toEqual({ changes: 1, lastInsertRowid: undefined })
  })

  it('is that of the replacement for REPLACE', async () => {
    const db = await openPeople()
    expect(await db.run("REPLACE INTO people (name) VALUES ('Ada')")).toEqual({ changes: 1, lastInsertRowid: 4 })
  })

  it('is undefined for a table WITHOUT ROWID', async () => {
    const db = await openPeople()
    await db.exec('CREATE TABLE w (k PRIMARY KEY) WITHOUT ROWID')
    await db.run("INSERT INTO people (name) VALUES ('Di')")
    expect(await db.run("INSERT INTO w VALUES ('a'), ('b')")).toEqual({ changes: 2, lastInsertRowid: undefined })
  })

  it('is not one that a trigger inserted elsewhere', async () => {
    const db = await openPeople()
    await db.exec(`CREATE TABLE log (id INTEGER PRIMARY KEY, m); INSERT INTO log VALUES (1000, 'first');
      CREATE TRIGGER noted AFTER INSERT ON people BEGIN INSERT INTO log (m) VALUES (NEW.name); END`)
    expect(await db.run("INSERT INTO people (name) VALUES ('Di')")).toEqual({ changes: 1, lastInsertRowid: 4 })
    expect(await db.pluck('SELECT max(id) FROM log')).toEqual([1001])
  })

  it.each(['fts5 (x)', 'fts4 (x)'])('is told for virtual tables too: %s', async (module) => {
    const db = await openScratch()
    await db.exec(`CREATE VIRTUAL TABLE v USING ${module}`)
    expect(await db.run("INSERT INTO v (rowid, x) VALUES (7, 'a')")).toEqual({ changes: 1, lastInsertRowid: 7 })
    expect(await db.run("UPDATE v SET x = 'b'")).toEqual({ changes: 1, lastInsertRowid: undefined })
  })

  it.each([0, -1, 2 ** 53 - 1, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)])('is exact for the rowid %s', async (rowid) => {
    const db = await openPeople()
    const { lastInsertRowid } = await db.run('INSERT INTO people (id) VALUES (?)', [rowid])
    expect(lastInsertRowid).toBe(rowid)
    await db.run('DELETE FROM people WHERE id = ?', [rowid])
    expect((await db.run('INSERT INTO people (id) VALUES (?)', [rowid], { integers: 'bigint' })).lastInsertRowid).toBe(BigInt(rowid))
  })

  it('survives many inserts at once, each with its own', async () => {
    const db = await openWithTable()
    const results = await Promise.all(Array.from({ length: 1_000 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x])))
    expect(results).toEqual(Array.from({ length: 1_000 }, (_, index) => ({ changes: 1, lastInsertRowid: index + 1 })))
  })

  it('is undefined after an insert that failed, and the next statement has its own', async () => {
    const db = await openPeople()
    expect(await codeOf(db.run("INSERT INTO people (name) VALUES ('Di'), ('Ada')"))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    expect(await db.run('UPDATE people SET visits = 1')).toEqual({ changes: 3, lastInsertRowid: undefined })
    expect(await db.run("INSERT INTO people (name) VALUES ('Di')")).toEqual({ changes: 1, lastInsertRowid: 4 })
  })
})

describe('V18: functions that answer for the connection', () => {
  const TEXTS = ['last_insert_rowid()', 'changes()', 'total_changes()'].flatMap((call) => [
    `SELECT ${call}`,
    `SELECT x FROM t WHERE x = ${call}`,
    `INSERT INTO t VALUES (${call})`,
    `UPDATE t SET x = ${call}`,
  ])

  it.each(TEXTS)('are refused outside a script, with a hint at the result: %s', async (sql) => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (1)')
    const { code, message } = await failureOf(db.all(sql))
    expect(code).toBe('ERR_SLUICE_CONNECTION_STATE')
    expect(message).toMatch(/result fields changes and lastInsertRowid/)
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })

  it('are refused in whatever way they are written, and inside a view', async () => {
    const db = await openWithTable()
    await db.exec('CREATE VIEW v AS SELECT Changes() AS n')
    for (const sql of ['SELECT/**/"CHANGES"()', 'SELECT * FROM v', 'SELECT (SELECT n FROM v)']) {
      expect(await codeOf(db.all(sql)), sql).toBe('ERR_SLUICE_CONNECTION_STATE')
    }
  })
})
