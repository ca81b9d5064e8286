import { describe, expect, it } from 'vitest'

import type { Database, Transaction } from '../index.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, scratchPath } from './support/scratch.js'

const ORPHAN = 'INSERT INTO child (parent) VALUES (99)'

async function openFamily(path: string, foreignKeys?: boolean): Promise<Database> {
  const db = await openForTest(path, foreignKeys === undefined ? {} : { foreignKeys })
  await db.exec(`
    CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE);
    INSERT INTO parent VALUES (1, 'a'), (2, 'b');
    INSERT INTO child (parent) VALUES (1), (1), (2);
  `)
  return db
}

const REBUILD = `
  CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '');
  INSERT INTO new_parent SELECT id, name FROM parent;
  DROP TABLE parent;
  ALTER TABLE new_parent RENAME TO parent;
`

describe.each(['a file', ':memory:'])('a transaction without foreign keys, on %s', (where) => {
  const path = (): string => (where === 'a file' ? scratchPath() : where)

  it('rebuilds a table that others refer to without emptying those', async () => {
    const db = await openFamily(path())
    await db.transaction((tx) => tx.exec(REBUILD))
    expect(await db.pluck('SELECT count(*) FROM child'), 'what happens with them').toEqual([0])
    await db.run('INSERT INTO child (parent) VALUES (1), (2)')

    const broken = await db.transaction(async (tx) => {
      await tx.exec(REBUILD)
      return tx.all('PRAGMA foreign_key_check')
    }, { foreignKeys: false })
    expect(broken).toEqual([])
    expect(await db.pluck('SELECT count(*) FROM child')).toEqual([2])
  })

  it('lets foreign_key_check tell what is broken', async () => {
    const db = await openFamily(path())
    const tx = await db.begin({ foreignKeys: false })
    await tx.run(ORPHAN)
    expect(await tx.all('PRAGMA foreign_key_check')).toEqual([{ table: 'child', rowid: 4, parent: 'parent', fkid: 0 }])
    await tx.rollback()
    expect(await db.all('PRAGMA foreign_key_check')).toEqual([])
  })

  it.each(['commit', 'rollback', 'dispose', 'abort'])('enforces them again after %s', async (end) => {
    const db = await openFamily(path())
    const abort = new AbortController()
    const ends: Record<string, (tx: Transaction) => Promise<void> | void> = {
      commit: (tx) => tx.commit(),
      rollback: (tx) => tx.rollback(),
      dispose: (tx) => tx[Symbol.asyncDispose](),
      abort: () => abort.abort(),
    }
    const tx = await db.begin({ foreignKeys: false, signal: abort.signal })
    await tx.run(ORPHAN)
    await ends[end]?.(tx)
    expect(await codeOf(db.run(ORPHAN))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(await codeOf(db.transaction((tx) => tx.run(ORPHAN)))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('enforces them again after a callback that throws', async () => {
    const db = await openFamily(path())
    await expect(db.transaction(() => Promise.reject(new Error('undo')), { foreignKeys: false })).rejects.toThrow('undo')
    expect(await codeOf(db.run(ORPHAN))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('lets no other caller go without', async () => {
    const db = await openFamily(path())
    const outcomes = await Promise.all([
      db.transaction((tx) => tx.run(ORPHAN), { foreignKeys: false }).then(() => 'done'),
      ...Array.from({ length: 20 }, () => codeOf(db.run(ORPHAN))),
    ])
    expect(outcomes).toEqual(['done', ...Array.from({ length: 20 }, () => 'SQLITE_CONSTRAINT_FOREIGNKEY')])
  })

  it('leaves a database that does not enforce them as it is', async () => {
    const db = await openFamily(path(), false)
    await db.transaction((tx) => tx.run(ORPHAN), { foreignKeys: false })
    await db.run(ORPHAN)
    await db.transaction((tx) => tx.run(ORPHAN), { foreignKeys: true })
    expect(await db.pluck('SELECT count(*) FROM child')).toEqual([6])
  })
})

it('is an option of transactions alone', async () => {
  const db = await openForTest(':memory:')
  expect(await codeOf(db.transaction(async () => {}, { foreignKeys: 0 as never }))).toBe('ERR_SLUICE_INVALID_OPTION')
  expect(await codeOf(db.read(async () => {}, { foreignKeys: false } as never))).toBe('ERR_SLUICE_INVALID_OPTION')
  const within = db.writeMode((w) => w.transaction(async () => {}, { foreignKeys: false } as never))
  expect(await failureOf(within)).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'foreignKeys' })
})
