import { describe, expect, it } from 'vitest'

import { SluiceError, SqliteError, isSluiceError, open } from '../index.js'
import type { Database } from '../index.js'
import { failureOf } from './support/failure.js'
import { openWithTable } from './support/scratch.js'

const FAILING: Record<string, (db: Database) => Promise<unknown>> = {
  execute: (db) => db.execute('nonsense'),
  all: (db) => db.all('nonsense'),
  get: (db) => db.get('nonsense'),
  values: (db) => db.values('nonsense'),
  pluck: (db) => db.pluck('nonsense'),
  run: (db) => db.run('nonsense'),
  sql: (db) => db.sql`nonsense`,
  exec: (db) => db.exec('nonsense'),
  pragma: (db) => db.pragma('nonsense'),
  'prepare().all': (db) => db.prepare('nonsense').all(),
  'prepare().run': (db) => db.prepare('nonsense').run(),
  'prepare().columns': (db) => db.prepare('nonsense').columns(),
  open: () => open('/no/such/folder/a.db'),
}

async function theCallerInThisFile(db: Database, call: (db: Database) => Promise<unknown>): Promise<void> {
  await call(db)
}

describe('H07: errors', () => {
  it.each(Object.entries(FAILING))('of %s are Errors of the package whose stack shows the caller', async (_name, call) => {
    const error = await failureOf(theCallerInThisFile(await openWithTable(), call))
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(SluiceError)
    expect(isSluiceError(error)).toBe(true)
    expect(error.code).toMatch(/^(?:SQLITE|ERR_SLUICE)_[A-Z_]+$/)
    expect(error.stack).toContain('theCallerInThisFile')
    expect(error.stack).toContain('errors.test.ts')
  })

  it('of SQLite say what it said', async () => {
    const db = await openWithTable()
    await db.exec('CREATE TABLE users (email TEXT UNIQUE)')
    await db.run("INSERT INTO users VALUES ('a')")
    const error = await failureOf(db.run('INSERT INTO users VALUES (?)', ['a']))
    expect(error).toBeInstanceOf(SqliteError)
    expect(error).toMatchObject({ name: 'SqliteError', code: 'SQLITE_CONSTRAINT_UNIQUE', errno: 2_067, extendedCode: 2_067, sql: 'INSERT INTO users VALUES (?)', constraint: 'users.email' })
  })

  it('of the driver are no SqliteErrors', async () => {
    const error = await failureOf(open(7 as never))
    expect(error).not.toBeInstanceOf(SqliteError)
    expect(error.name).toBe('SluiceError')
  })

  it('never hold a bound value', async () => {
    const db = await openWithTable()
    await db.exec('CREATE TABLE s (x UNIQUE CHECK (length(x) < 30))')
    const secret = 'correct horse battery staple'
    await db.run('INSERT INTO s VALUES (?)', [secret])
    for (const call of [() => db.run('INSERT INTO s VALUES (?)', [secret]), () => db.run('INSERT INTO s VALUES (?)', [secret + secret]), () => db.run('INSERT INTO s VALUES (?)', [secret, secret])]) {
      const error = await failureOf(call())
      expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain(secret)
    }
  })

  it('say where in the text SQLite saw it', async () => {
    const db = await openWithTable()
    expect(await failureOf(db.all("SELECT 'é🦭', nope FROM t"))).toMatchObject({ offset: 14 })
  })
})
