import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { failureOf, outcomeOf } from './support/failure.js'
import { openScratch } from './support/scratch.js'

/** The third row meets the first one, which is there already by then. */
const ROWS = '(1), (2), (1), (3)'

const CLAUSES = ['', 'OR ABORT', 'OR FAIL', 'OR IGNORE', 'OR REPLACE', 'OR ROLLBACK'] as const

const TRIGGERS = `
  CREATE TRIGGER fails BEFORE INSERT ON u WHEN NEW.x = 'FAIL' BEGIN SELECT RAISE(FAIL, 'no'); END;
  CREATE TRIGGER aborts BEFORE INSERT ON u WHEN NEW.x = 'ABORT' BEGIN SELECT RAISE(ABORT, 'no'); END;
  CREATE TRIGGER ignores BEFORE INSERT ON u WHEN NEW.x = 'IGNORE' BEGIN SELECT RAISE(IGNORE); END;
  CREATE TRIGGER rolls_back BEFORE INSERT ON u WHEN NEW.x = 'ROLLBACK' BEGIN SELECT RAISE(ROLLBACK, 'no'); END;
`

const openUnique = async (): Promise<Database> => {
  const db = await openScratch()
  await db.exec(`CREATE TABLE u (x UNIQUE); INSERT INTO u VALUES (0); ${TRIGGERS}`)
  return db
}

interface Left {
  readonly outcome: string
  readonly rows: unknown[]
}

/** Runs a write in a database of its own, and says what it left. */
async function leftBy(write: (db: Database) => Promise<unknown>): Promise<Left> {
  const db = await openUnique()
  const outcome = await outcomeOf(write(db))
  const rows = await db.pluck('SELECT x FROM u ORDER BY rowid')
  expect(await db.run('INSERT INTO u VALUES (99)'), 'the writer goes on').toMatchObject({ changes: 1 })
  return { outcome, rows }
}

/** A script runs its statements as SQLite does: without a transaction of the driver's around any of them. */
async function expectAsAlone(sql: string): Promise<Left> {
  const alone = await leftBy((db) => db.exec(sql))
  expect(await leftBy((db) => db.run(sql)), 'run').toEqual(alone)
  for (const method of ['execute', 'all', 'get', 'values', 'pluck', 'run'] as const) {
    expect(await leftBy((db) => db[method](`${sql} RETURNING x`)), `${method} with RETURNING`).toEqual(alone)
  }
  return alone
}

describe('a constraint that fails in the middle of an INSERT leaves what SQLite leaves, with RETURNING or without', () => {
  const kept: { [clause in (typeof CLAUSES)[number]]: unknown[] } = {
    '': [0],
    'OR ABORT': [0],
    'OR FAIL': [0, 1, 2],
    'OR IGNORE': [0, 1, 2, 3],
    'OR REPLACE': [0, 2, 1, 3],
    'OR ROLLBACK': [0],
  }

  it.each(CLAUSES)('INSERT %s', async (clause) => {
    const { outcome, rows } = await expectAsAlone(`INSERT ${clause} INTO u VALUES ${ROWS}`)
    expect(rows).toEqual(kept[clause])
    expect(outcome).toBe(kept[clause].includes(3) ? 'done' : 'SQLITE_CONSTRAINT_UNIQUE')
  })

  it.each(['', 'OR FAIL', 'OR IGNORE', 'OR REPLACE', 'OR ROLLBACK'])('UPDATE %s', async (clause) => {
    const db = await openUnique()
    const sql = `UPDATE ${clause} u SET x = min(x + 12, 25) WHERE x > 0`
    const outcomes: Left[] = []
    for (const tail of ['', ' RETURNING x']) {
      await db.exec('DELETE FROM u; INSERT INTO u VALUES (10), (20), (30)')
      outcomes.push({ outcome: await outcomeOf(db.all(sql + tail)), rows: await db.pluck('SELECT x FROM u ORDER BY rowid') })
    }
    expect(outcomes[1]).toEqual(outcomes[0])
  })
})

describe('what a trigger raises leaves what SQLite leaves, with RETURNING or without', () => {
  it.each([
    ['FAIL', [0, 1], 'SQLITE_CONSTRAINT_TRIGGER'],
    ['ABORT', [0], 'SQLITE_CONSTRAINT_TRIGGER'],
    ['IGNORE', [0, 1, 2], 'done'],
    ['ROLLBACK', [0], 'SQLITE_CONSTRAINT_TRIGGER'],
  ])('RAISE(%s)', async (kind, rows, outcome) => {
    expect(await expectAsAlone(`INSERT INTO u VALUES (1), ('${kind}'), (2)`)).toEqual({ outcome, rows })
  })
})

describe('a deferred foreign key that is broken', () => {
  it.each(['', ' RETURNING parent'])('fails its own statement, and nothing is kept: INSERT%s', async (tail) => {
    const db = await openScratch()
    await db.exec(`
      CREATE TABLE parents (id INTEGER PRIMARY KEY);
      CREATE TABLE children (parent REFERENCES parents DEFERRABLE INITIALLY DEFERRED, name UNIQUE)`)
    for (const clause of ['', 'OR FAIL']) {
      const failure = await failureOf(db.all(`INSERT ${clause} INTO children VALUES (7, 'a'), (7, 'a')${tail}`))
      expect(failure.code).toMatch(/^SQLITE_CONSTRAINT_(?:UNIQUE|FOREIGNKEY)$/)
      const alone = await failureOf(db.all(`INSERT ${clause} INTO children VALUES (7, 'b')${tail}`))
      expect(alone.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    }
    expect(await db.all('SELECT * FROM children')).toEqual([])
  })
})

describe('a value that cannot be delivered', () => {
  it.each(CLAUSES)('undoes its statement whatever the clause: INSERT %s', async (clause) => {
    const db = await openUnique()
    const sql = `INSERT ${clause} INTO u VALUES (1), (9007199254740993) RETURNING x`
    expect((await failureOf(db.all(sql, [], { integers: 'number' }))).code).toBe('ERR_SLUICE_OUT_OF_RANGE')
    expect(await db.pluck('SELECT x FROM u')).toEqual([0])
  })
})
