import { copyFileSync, existsSync, renameSync, unlinkSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import type { Database, Transaction } from '../index.js'
import { failureOf, outcomeOf } from './support/failure.js'
import { openForTest, scratchPath } from './support/scratch.js'

/** A database with the rows 1 to 3, whose log holds the last of them, and whose statements are known to be writes. */
async function openFilled(): Promise<{ db: Database; path: string }> {
  const path = scratchPath()
  const db = await openForTest(path)
  await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)')
  await db.run('INSERT INTO t VALUES (3)')
  return { db, path }
}

/** What can happen to a file behind the driver's back, and what is said of it then. */
const EVENTS: { readonly [what: string]: { readonly happen: (path: string) => void; readonly code: string; readonly says: RegExp } } = {
  'the database file is deleted': { happen: unlinkSync, code: 'ERR_SLUICE_DATABASE_REPLACED', says: /deleted|moved|replaced|not the one that was opened/ },
  'the database file is moved': {
    happen: (path) => renameSync(path, `${path}.moved`),
    code: 'ERR_SLUICE_DATABASE_REPLACED',
    says: /deleted|moved|replaced|not the one that was opened/,
  },
  'the database file is replaced': {
    happen: (path) => {
      copyFileSync(path, `${path}.new`)
      renameSync(`${path}.new`, path)
    },
    code: 'ERR_SLUICE_DATABASE_REPLACED',
    says: /replaced|not the one that was opened/,
  },
  'the write-ahead log is deleted': { happen: (path) => unlinkSync(`${path}-wal`), code: 'ERR_SLUICE_WAL_GONE', says: /log|wal/i },
  'the write-ahead log is replaced': {
    happen: (path) => {
      copyFileSync(`${path}-wal`, `${path}-wal.new`)
      renameSync(`${path}-wal.new`, `${path}-wal`)
    },
    code: 'ERR_SLUICE_WAL_GONE',
    says: /log|wal/i,
  },
}

const ADD = 'INSERT INTO t VALUES (4)'

/** Every way to write. */
const WRITES: { readonly [name: string]: (db: Database) => Promise<unknown> } = {
  run: (db) => db.run(ADD),
  'run, many at once': (db) => Promise.all(Array.from({ length: 20 }, () => db.run(ADD))),
  exec: (db) => db.exec(ADD),
  batch: (db) => db.batch([ADD, ADD]),
  transaction: (db) => db.transaction((tx) => tx.run(ADD)),
  'transaction as text': async (db) => {
    const own = db.handle()
    try {
      await own.run('BEGIN')
      await own.run(ADD)
      await own.run('COMMIT')
    } finally {
      await own.close({ timeoutMs: 0 })
    }
  },
  writeMode: (db) => db.writeMode((w) => w.run(ADD)),
}

const CASES = Object.keys(EVENTS).flatMap((event) => Object.keys(WRITES).map((write) => [event, write] as const))

describe('P04, P05: when a file changes behind an open database', () => {
  it.each(CASES)('%s: nothing is acknowledged by %s, nor by anything after it', async (event, write) => {
    const { db, path } = await openFilled()
    const { happen, code, says } = EVENTS[event] ?? {}
    happen?.(path)
    const failure = await failureOf(WRITES[write]?.(db) ?? Promise.resolve())
    expect(failure.code).toBe(code)
    expect(failure.message).toContain(path)
    expect(failure.message).toMatch(says ?? /BUG/)
    for (const name of Object.keys(WRITES)) expect(await outcomeOf(WRITES[name]?.(db) ?? Promise.resolve()), name).toBe(code)
  })

  it.each(Object.keys(EVENTS))('%s in the midst of a transaction: it is not committed', async (event) => {
    const { db, path } = await openFilled()
    const { happen, code } = EVENTS[event] ?? {}
    const tx: Transaction = await db.begin()
    await tx.run(ADD)
    happen?.(path)
    expect(await outcomeOf(tx.commit())).toBe(code)
    expect(await outcomeOf(db.run(ADD))).toBe(code)
  })

  it('another file at the path is not written to', async () => {
    const { db, path } = await openFilled()
    const other = await openFilled()
    await other.db.close()
    // The log goes with its file: beside the other one SQLite would take it for that one's.
    for (const part of ['', '-wal', '-shm']) renameSync(`${path}${part}`, `${path}.moved${part}`)
    copyFileSync(other.path, path)
    for (const write of Object.values(WRITES)) await outcomeOf(write(db))
    await outcomeOf(db.close())
    const found = await openForTest(path)
    expect(await found.pluck('SELECT x FROM t')).toEqual([1, 2, 3])
    expect(await found.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  })

  it('a database that is gone can be closed, and made anew at its path', async () => {
    const { db, path } = await openFilled()
    unlinkSync(path)
    expect(await outcomeOf(db.run(ADD))).toBe('ERR_SLUICE_DATABASE_REPLACED')
    await outcomeOf(db.close())
    for (const rest of [`${path}-wal`, `${path}-shm`]) if (existsSync(rest)) unlinkSync(rest)
    const made = await openForTest(path)
    await made.exec('CREATE TABLE t (x); INSERT INTO t VALUES (9)')
    expect(await made.pluck('SELECT x FROM t')).toEqual([9])
  })
})
