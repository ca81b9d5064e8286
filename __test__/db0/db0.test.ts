import { createDatabase } from 'db0'
import type { Database as Db0 } from 'db0'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from 'sluice'
import type { Database } from 'sluice'
import connector, { sluiceConnector } from 'sluice/db0'
import { scratchPath } from '../support/scratch.js'

function databaseOn(path: string): Db0 {
  const db = createDatabase(connector({ path }))
  onTestFinished(() => db.dispose())
  return db
}

describe.each(['a file', ':memory:'])('db0 on %s', (where) => {
  const path = (): string => (where === 'a file' ? scratchPath() : where)

  it('runs the scripts, statements and templates of db0', async () => {
    const db = databaseOn(path())
    await db.exec('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE); CREATE TABLE other (x)')
    const added = await db.sql`INSERT INTO users (name) VALUES (${'Ada'}), (${'Grace'})`
    expect(added).toEqual({ success: true, changes: 2, lastInsertRowid: 2 })
    expect(await db.sql`SELECT name FROM users WHERE id = ${2}`).toEqual({ rows: [{ name: 'Grace' }], success: true })
    expect(await db.sql`INSERT INTO users (name) VALUES (${'Joan'}) RETURNING id`).toEqual({ rows: [{ id: 3 }], success: true })
    const named = db.prepare('SELECT id FROM users WHERE name = ?')
    expect(await named.get('Ada')).toEqual({ id: 1 })
    expect(await named.bind('Grace').get()).toEqual({ id: 2 })
    expect(await named.bind('Grace').bind('Ada').all()).toEqual([{ id: 1 }])
    expect(await named.get('nobody')).toBeUndefined()
    expect(await db.prepare('DELETE FROM users WHERE id > ?').bind(1).run()).toMatchObject({ success: true, changes: 2 })
  })

  it('carries every primitive of db0', async () => {
    const db = databaseOn(path())
    const sql = 'SELECT ? AS s, ? AS n, ? AS t, ? AS f, ? AS nil, ? AS undef'
    expect(await db.prepare(sql).get('ä', 1.5, true, false, null, undefined)).toEqual({ s: 'ä', n: 1.5, t: 1, f: 0, nil: null, undef: null })
  })

  it('rejects with the error of SQLite', async () => {
    const db = databaseOn(path())
    await db.exec('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)')
    await expect(db.sql`INSERT INTO t VALUES (${1})`).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT_UNIQUE' })
    await expect(db.prepare('SELECT * FROM nothing').all()).rejects.toMatchObject({ code: 'SQLITE_ERROR' })
  })

  it('refuses transactions as text, which everybody on the connector would share, and gives out the database that has them', async () => {
    const db = databaseOn(path())
    await expect(db.exec('BEGIN')).rejects.toMatchObject({ code: 'ERR_SLUICE_MANUAL_TRANSACTION' })
    await expect(db.prepare('BEGIN').run()).rejects.toMatchObject({ code: 'ERR_SLUICE_MANUAL_TRANSACTION' })
    const client = (await db.getInstance()) as Database
    await db.exec('CREATE TABLE t (x)')
    await expect(client.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      throw new Error('undo')
    })).rejects.toThrow('undo')
    expect(await db.sql`SELECT count(*) AS n FROM t`).toMatchObject({ rows: [{ n: 0 }] })
  })
})

describe('the connector', () => {
  it('says what it is', () => {
    const db = databaseOn(':memory:')
    expect([db.connector, db.dialect, db.capabilities.transactions]).toEqual(['sluice', 'sqlite', true])
  })

  it('opens its file with the options it is given, when it is first used', async () => {
    const path = scratchPath()
    const db = createDatabase(sluiceConnector({ path, integers: 'bigint' }))
    const statement = db.prepare('SELECT 1 AS one')
    expect(existsSync(path)).toBe(false)
    expect(await statement.get()).toEqual({ one: 1n })
    expect(existsSync(path)).toBe(true)
    await db.dispose()
  })

  it('rejects the calls of a file that cannot be opened', async () => {
    const db = databaseOn(`${scratchPath()}/none/a.db`)
    await expect(db.sql`SELECT 1`).rejects.toMatchObject({ code: 'SQLITE_CANTOPEN' })
    await expect(db.getInstance()).rejects.toMatchObject({ code: 'SQLITE_CANTOPEN' })
  })

  it('opens its file with the next use when it could not be opened', async () => {
    const folder = scratchPath()
    const db = databaseOn(`${folder}/a.db`)
    await expect(db.sql`SELECT 1`).rejects.toMatchObject({ code: 'SQLITE_CANTOPEN' })
    await mkdir(folder)
    expect(await db.sql`SELECT 1 AS one`).toEqual({ rows: [{ one: 1 }], success: true })
  })

  it.each([[undefined], [{}], [{ client: undefined }]])('rejects its calls when it was given %j', async (options) => {
    const db = createDatabase(connector(options as never))
    await expect(db.sql`SELECT 1`).rejects.toMatchObject({ code: 'ERR_SLUICE_INVALID_ARGUMENT' })
    await expect(db.getInstance()).rejects.toMatchObject({ code: 'ERR_SLUICE_INVALID_ARGUMENT' })
  })

  it('closes the database that it opened, and no other', async () => {
    const client = await open(':memory:')
    const shared = createDatabase(connector({ client }))
    expect(await shared.getInstance()).toBe(client)
    await shared.dispose()
    expect(client.closed).toBe(false)
    await client.close()

    const own = createDatabase(connector({ path: ':memory:' }))
    const opened = (await own.getInstance()) as Database
    await own.dispose()
    expect(opened.closed).toBe(true)
  })

  it('takes transactions as text on a private handle, with everything that comes through it, and with nothing else', async () => {
    const shared = await open(scratchPath())
    onTestFinished(() => shared.close())
    const client = shared.handle()
    const db = createDatabase(connector({ client }))
    await db.exec('CREATE TABLE t (x)')
    await db.sql`BEGIN`
    await db.sql`INSERT INTO t VALUES (${1})`
    expect(await shared.pluck('SELECT x FROM t')).toEqual([])
    await db.sql`ROLLBACK`
    expect(await db.sql`SELECT x FROM t`).toMatchObject({ rows: [] })
    await db.dispose()
    expect(client.closed).toBe(false)
  })

  it('opens nothing when it is disposed of unused', async () => {
    const path = scratchPath()
    await createDatabase(connector({ path })).dispose()
    expect(existsSync(path)).toBe(false)
  })

  it('is there for require too', async () => {
    const required = createRequire(import.meta.url)('sluice/db0') as { default: typeof connector }
    const db = createDatabase(required.default({ path: ':memory:' }))
    expect(await db.sql`SELECT 1 AS one`).toEqual({ rows: [{ one: 1 }], success: true })
    await db.dispose()
  })
})
