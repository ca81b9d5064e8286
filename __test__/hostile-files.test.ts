import { mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from '../index.js'
import { runScript } from './support/child-process.js'
import { within } from './support/deadline.js'
import { codeOf, outcomeOf } from './support/failure.js'
import { openForTest, scratchFolder, scratchPath } from './support/scratch.js'

/** Every kind of storage there is. */
const SCHEMA = `
  CREATE TABLE plain (id INTEGER PRIMARY KEY, x, j, long);
  CREATE INDEX plain_x ON plain (x);
  CREATE INDEX plain_j ON plain (j ->> 'a') WHERE j IS NOT NULL;
  CREATE TABLE narrow (a TEXT PRIMARY KEY, b) WITHOUT ROWID;
  CREATE VIRTUAL TABLE f5 USING fts5 (body);
  CREATE VIRTUAL TABLE f4 USING fts4 (body);
  CREATE VIRTUAL TABLE r USING rtree (id, x0, x1, y0, y1);
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300)
    INSERT INTO plain SELECT n, n * 7 % 101, jsonb_object('a', n, 'b', jsonb_array(n, 'text', NULL)), CASE WHEN n % 50 = 0 THEN hex(zeroblob(5000)) END FROM c;
  INSERT INTO narrow SELECT printf('key %d', id), x FROM plain;
  INSERT INTO f5 SELECT printf('word%d sluice gate %d', x, id) FROM plain;
  INSERT INTO f4 SELECT body FROM f5;
  INSERT INTO r SELECT id, x, x + 1, id, id + 2 FROM plain;
`

/** Statements that walk through all of it, and some that write. */
const STATEMENTS = [
  'SELECT * FROM plain',
  'SELECT count(*), sum(length(long)) FROM plain',
  'SELECT id FROM plain WHERE x BETWEEN 3 AND 9 ORDER BY x',
  "SELECT j ->> 'a', json(j), jsonb_extract(j, '$.b[1]'), json_valid(j, 8) FROM plain",
  'SELECT key, value FROM plain, json_each(plain.j) LIMIT 2000',
  "SELECT fullkey, atom FROM plain, json_tree(plain.j, '$.b') LIMIT 2000",
  "SELECT id FROM plain WHERE j ->> 'a' = 17",
  'SELECT a, b FROM narrow ORDER BY a DESC',
  "SELECT rowid, highlight(f5, 0, '<', '>') FROM f5 WHERE f5 MATCH 'word1* AND gate' ORDER BY rank",
  "SELECT count(*) FROM f5 WHERE f5 MATCH 'NEAR(sluice gate, 3)'",
  "SELECT snippet(f4), offsets(f4), hex(matchinfo(f4)) FROM f4 WHERE f4 MATCH 'word*'",
  'SELECT id FROM r WHERE x0 > 5 AND x1 < 60 AND y0 > 10',
  'PRAGMA integrity_check(20)',
  "INSERT INTO f5 (f5) VALUES ('integrity-check')",
  "INSERT INTO f4 VALUES ('one word more')",
  'INSERT INTO r VALUES (1000, 1, 2, 3, 4)',
  "UPDATE plain SET j = jsonb_set(j, '$.a', 5), x = x + 1 WHERE id % 3 = 0",
  'DELETE FROM narrow WHERE b > 50',
  "INSERT INTO f5 (f5) VALUES ('optimize')",
  'REINDEX',
  'VACUUM',
]

/** Damages copies of a file, and runs every statement on each; says what came of them, by code. */
const PROGRAM = `const { readFileSync, writeFileSync, rmSync } = require('node:fs')
main(async () => {
  const [, path, rounds, statements] = process.argv
  const whole = readFileSync(path)
  let state = 0x2545f491
  // The same damage each time: xorshift.
  const random = (below) => { state ^= state << 13; state ^= state >>> 17; state ^= state << 5; return (state >>> 0) % below }
  const outcomes = {}
  const note = (code) => { outcomes[code] = (outcomes[code] ?? 0) + 1 }
  for (let round = 0; round < Number(rounds); round++) {
    const bytes = Buffer.from(whole)
    const pages = bytes.length / 4096
    for (let damage = 0; damage < 1 + random(12); damage++) {
      // Of a page most is decided at its beginning; the header of the file is left, or nothing would be opened at all.
      const at = 100 + random(pages) * 4096 + (random(2) === 0 ? random(24) : random(4096 - 100))
      if (random(8) === 0) bytes.copy(bytes, 4096 * (1 + random(pages - 1)), 4096 * random(pages), 4096 * random(pages))
      else bytes[Math.min(at, bytes.length - 1)] = random(256)
    }
    const copy = path + '.' + round
    writeFileSync(copy, bytes)
    const db = await open(copy, { maxReaders: 2, durability: 'off' }).catch((error) => { note(error.code) })
    if (db === undefined) continue
    for (const sql of JSON.parse(statements)) await db.all(sql, [], { timeoutMs: 5000 }).then(() => note('done'), (error) => note(error.code ?? String(error)))
    await db.close().catch((error) => note(error.code))
    for (const part of ['', '-wal', '-shm', '-journal']) rmSync(copy + part, { force: true })
  }
  console.log(JSON.stringify(outcomes))
})`

const ROUNDS = 60

describe('H14: a damaged file', () => {
  it(`makes errors of SQLite and nothing worse: ${ROUNDS} kinds of damage, each kind of storage`, { timeout: 180_000 }, async () => {
    const path = scratchPath()
    const db = await openForTest(path, { pragmas: { page_size: 4_096 } })
    await db.exec(SCHEMA)
    for (const sql of STATEMENTS) await db.all(sql)
    await db.close()
    const { code, signal, stdout, stderr } = await runScript(PROGRAM, { args: [path, String(ROUNDS), JSON.stringify(STATEMENTS)], patienceMs: 150_000 })
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    const outcomes = JSON.parse(stdout) as { [code: string]: number }
    const strange = Object.keys(outcomes).filter((name) => !/^(?:done|SQLITE_[A-Z_]+|ERR_SLUICE_TIMEOUT)$/.test(name))
    expect(strange).toEqual([])
    expect(outcomes['done']).toBeGreaterThan(ROUNDS)
    expect(Object.keys(outcomes).filter((name) => name.startsWith('SQLITE_CORRUPT')).length).toBeGreaterThan(0)
  })

  it('with JSONB that is none makes errors', async () => {
    const db = await openForTest(scratchPath())
    await db.exec("CREATE TABLE t (j); INSERT INTO t VALUES (x'ffffffff'), (x'cb'), (x'7f01'), (x'fcffffffffffffffff'), (x'0b2b'), (zeroblob(100))")
    for (const call of ["json(j)", "jsonb_set(j, '$.a', 1)", "json_extract(j, '$[1000000]')", 'json_patch(j, j)', 'json_array_length(j)']) {
      for (let id = 1; id <= 6; id++) {
        expect(await outcomeOf(db.all(`SELECT ${call} FROM t WHERE rowid = ?`, [id])), call).toMatch(/^(?:done|SQLITE_ERROR)$/)
      }
    }
    expect(await outcomeOf(db.all('SELECT count(*) FROM t, json_tree(t.j)'))).toMatch(/^(?:done|SQLITE_ERROR)$/)
  })
})

/** A file that was made with `harmless` in its schema, which then was overwritten with `hostile`. */
async function fileWith(schema: string, harmless: string, hostile: string): Promise<string> {
  const path = scratchPath()
  const db = await openForTest(path)
  await db.exec(schema)
  await db.pragma('journal_mode', 'delete')
  await db.close()
  const bytes = readFileSync(path, 'latin1')
  expect(bytes.split(harmless)).toHaveLength(2)
  writeFileSync(path, bytes.replace(harmless, hostile.padEnd(harmless.length)), 'latin1')
  return path
}

describe('H14: a schema that means harm', () => {
  const ROOM = `/*${'-'.repeat(120)}*/`
  const USERS = "INSERT INTO users VALUES (1, 'Ada')"

  const CALLS = ["load_extension('/tmp/evil')", "fts3_tokenizer('simple')", "fts3_tokenizer('simple', x'4141414141414141')", "writefile('evil', 'x')", "readfile('/etc/passwd')", "edit('x', 'sh')"]

  it.each(CALLS)('a view in the place of a table cannot call %s', async (call) => {
    const path = await fileWith(`CREATE VIEW users AS SELECT 1 AS id, 2 AS name ${ROOM}`, `2 AS name ${ROOM}`, `${call} AS name`)
    const db = await openForTest(path)
    for (let time = 0; time < 2; time++) {
      expect(await codeOf(db.all('SELECT * FROM users'))).toMatch(/^(?:ERR_SLUICE_NOT_AUTHORIZED|SQLITE_ERROR)$/)
      expect(await codeOf(db.read((r) => r.all('SELECT * FROM users')))).toMatch(/^(?:ERR_SLUICE_NOT_AUTHORIZED|SQLITE_ERROR)$/)
    }
    expect(readdirSync(dirname(path))).not.toContain('evil')
  })

  it.each(CALLS)('a trigger cannot call %s, and the write that fires it is undone', async (call) => {
    const schema = `CREATE TABLE users (id, name); CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1 ${ROOM}; END`
    const db = await openForTest(await fileWith(schema, `SELECT 1 ${ROOM}`, `SELECT ${call}`))
    expect(await codeOf(db.run(USERS))).toMatch(/^(?:ERR_SLUICE_NOT_AUTHORIZED|SQLITE_ERROR)$/)
    expect(await db.pluck('SELECT count(*) FROM users')).toEqual([0])
  })

  it.each(CALLS)('a default or a check cannot call %s', async (call) => {
    const schema = `CREATE TABLE users (id, name ${ROOM})`
    for (const clause of [`DEFAULT (${call})`, `CHECK (${call})`]) {
      const path = await fileWith(schema, ROOM, clause)
      // Of functions that no schema may call SQLite says so when it reads the schema.
      const outcome = outcomeOf(openForTest(path).then((db) => db.run('INSERT INTO users (id) VALUES (1)')))
      expect(await outcome, clause).toMatch(/^(?:ERR_SLUICE_NOT_AUTHORIZED|SQLITE_ERROR|SQLITE_CORRUPT)$/)
    }
  })

  it('a trigger cannot change the schema, a setting, or attach a file', async () => {
    for (const deed of ["DELETE FROM sqlite_schema", "UPDATE sqlite_schema SET sql = 'x'", "SELECT * FROM pragma_writable_schema(1)"]) {
      const schema = `CREATE TABLE users (id, name); CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1 ${ROOM}; END`
      const db = await openForTest(await fileWith(schema, `SELECT 1 ${ROOM}`, deed))
      const before = await db.all('SELECT name, sql FROM sqlite_schema')
      expect(await outcomeOf(db.run(USERS)), deed).toMatch(/^(?:ERR_SLUICE_[A-Z_]+|SQLITE_ERROR)$/)
      expect(await db.all('SELECT name, sql FROM sqlite_schema')).toEqual(before)
    }
  })

  it('a view that never ends is ended by the timeout, and one that is too large by the limit', async () => {
    const endless = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) AS id FROM c'
    const db = await openForTest(await fileWith(`CREATE VIEW users AS SELECT 1 AS id ${ROOM}`, `SELECT 1 AS id ${ROOM}`, endless), { maxResultBytes: 1_000_000 })
    expect(await within(codeOf(db.all('SELECT * FROM users', [], { timeoutMs: 50 })), 'it is ended')).toBe('ERR_SLUICE_TIMEOUT')
    const large = await openForTest(await fileWith(`CREATE VIEW users AS SELECT 1 AS id ${ROOM}`, `SELECT 1 AS id ${ROOM}`, 'SELECT zeroblob(2000000) AS id'), { maxResultBytes: 1_000_000 })
    expect(await codeOf(large.all('SELECT * FROM users'))).toBe('ERR_SLUICE_TOO_LARGE')
    expect(await large.pluck('SELECT 1')).toEqual([1])
  })
})

describe('H15: paths from users, and symbolic links', () => {
  it('a path with .. is taken as the system takes it: nothing is promised about traversal', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'inner'))
    const db = await openForTest(`${join(folder, 'inner')}/../outer.db`)
    await db.exec('CREATE TABLE t (x)')
    await db.close()
    expect(readdirSync(folder)).toEqual(['inner', 'outer.db'])
  })

  it('symbolic links are followed, and the file they lead to is opened', async () => {
    const [path, folder] = [scratchPath(), scratchFolder()]
    symlinkSync(path, join(folder, 'link.db'))
    const db = await openForTest(join(folder, 'link.db'))
    await db.exec('CREATE TABLE t (x)')
    await db.close()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('with followLinks: false a link in any part of the path is refused, at first and where the file is open', async () => {
    const [path, folder] = [scratchPath(), scratchFolder()]
    const db = await openForTest(path, { followLinks: false })
    await db.exec('CREATE TABLE t (x)')
    symlinkSync(path, join(folder, 'link.db'))
    symlinkSync(dirname(path), join(folder, 'inner'))
    const refused = [join(folder, 'link.db'), join(folder, 'inner', basename(path)), join(folder, 'inner', 'new.db')]
    for (const name of refused) {
      const opened = open(name, { followLinks: false })
      await expect(opened).rejects.toMatchObject({ code: 'SQLITE_CANTOPEN_SYMLINK', message: expect.stringContaining('is a symbolic link') })
      await expect(opened).rejects.toThrow(name)
    }
    const joined = await openForTest(join(folder, 'link.db'))
    expect(await joined.pluck('SELECT count(*) FROM t')).toEqual([0])
    await Promise.all([db.close(), joined.close()])
    await expect(open(join(folder, 'link.db'), { followLinks: false })).rejects.toMatchObject({ code: 'SQLITE_CANTOPEN_SYMLINK' })
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('a link that takes the place of the file while it is open is no way to another one', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    const other = await openForTest(scratchPath())
    await other.exec("CREATE TABLE t (x); INSERT INTO t VALUES ('secret')")
    renameSync(path, `${path}.moved`)
    symlinkSync(other.path, path)
    expect(await codeOf(db.all('SELECT x FROM t'))).toBe('ERR_SLUICE_DATABASE_REPLACED')
  })
})
