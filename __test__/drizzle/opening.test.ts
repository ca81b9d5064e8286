import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DefaultLogger, is, sql } from 'drizzle-orm'
import { BaseSQLiteDatabase, integer, sqliteTable, text, withReplicas } from 'drizzle-orm/sqlite-core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { Database, open } from 'sluice'
import { SluiceDatabase, drizzle } from 'sluice/drizzle'
import { scratchFolder, scratchPath } from '../support/scratch.js'
import { causeOf, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import * as schema from './schema.js'

/** Closes with the test what `drizzle` has opened. */
function closing<T extends { $client: Database }>(db: T): T {
  onTestFinished(() => db.$client.close({ timeoutMs: 0 }))
  return db
}

describe('drizzle()', () => {
  it.each([
    ['a path', (path: string) => drizzle(path)],
    ['a path and a configuration', (path: string) => drizzle(path, { schema })],
    ['a URL', (path: string) => drizzle(pathToFileURL(path))],
    ['a connection that is a path', (path: string) => drizzle({ connection: path })],
    ['a connection that is a URL', (path: string) => drizzle({ connection: pathToFileURL(path), schema })],
    ['a connection with options', (path: string) => drizzle({ connection: { path, maxReaders: 2 }, schema })],
  ])('opens a file from %s', async (_, make) => {
    const path = scratchPath()
    const db = closing(make(path))
    await db.run('CREATE TABLE t (x)')
    expect(db.$client).toBeInstanceOf(Database)
    expect(db.$client.path).toBe(path)
    expect(existsSync(path)).toBe(true)
  })

  it.each([
    ['alone', (client: Database) => drizzle(client)],
    ['with a configuration', (client: Database) => drizzle(client, { schema })],
    ['in a configuration', (client: Database) => drizzle({ client, schema })],
  ])('uses a client that is given %s, and hands it out again', async (_, make) => {
    const client = await open(scratchPath())
    const db = closing(make(client))
    expect(db.$client).toBe(client)
    expect(await db.get('SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('opens with the options of the connection', async () => {
    const db = closing(drizzle({ connection: { path: scratchPath(), readonly: false, maxReaders: 3, foreignKeys: false } }))
    await db.$client.ready()
    expect(db.$client.status().readers.max).toBe(3)
    expect(await db.get('PRAGMA foreign_keys')).toEqual({ foreign_keys: 0 })
  })

  it('opens a private database for :memory:', async () => {
    const [one, two] = [closing(drizzle(':memory:')), closing(drizzle(':memory:'))]
    await one.run('CREATE TABLE t (x)')
    expect(await causeOf(two.all('SELECT * FROM t'))).toBe('SQLITE_ERROR')
  })

  it('reports with the first query that a file cannot be opened, and with every other', async () => {
    const db = closing(drizzle(join(scratchFolder(), 'missing', 'app.db')))
    expect(await causeOf(db.select().from(schema.genres))).toBe('SQLITE_CANTOPEN')
    expect(await causeOf(db.run('SELECT 1'))).toBe('SQLITE_CANTOPEN')
    expect((await rejectionOf(db.transaction(async () => {}))).code).toBe('SQLITE_CANTOPEN')
    expect((await rejectionOf(db.$client.ready())).code).toBe('SQLITE_CANTOPEN')
  })

  it('throws at once for what is no path, and for options that there are not', () => {
    for (const missing of [undefined, null, 5, { connection: null }, { connection: undefined }]) {
      expect(() => drizzle(missing as never)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
    }
    expect(() => drizzle({ connection: 5 as never })).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
    expect(() => drizzle({ schema } as never)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
    const misspelt = { connection: { path: scratchPath(), readOnly: true } } as never
    expect(() => drizzle(misspelt)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_OPTION' }))
  })

  it('is closed through its client', async () => {
    const db = drizzle(scratchPath())
    await db.run('CREATE TABLE t (x)')
    await db.$client.close()
    expect(await causeOf(db.all('SELECT * FROM t'))).toBe('ERR_SLUICE_CLOSED')
  })

  it('is a database of drizzle, as drizzle tells', async () => {
    const db = await openEmpty(':memory:')
    expect(is(db, SluiceDatabase)).toBe(true)
    expect(is(db, BaseSQLiteDatabase)).toBe(true)
  })

  it('works through a proxy', async () => {
    const db = await openFilled(':memory:')
    const proxy = new Proxy(db, {})
    expect(await proxy.batch([proxy.select({ id: schema.genres.id }).from(schema.genres).limit(1)])).toEqual([[{ id: 1 }]])
    expect(await proxy.transaction((tx) => tx.$count(schema.genres))).toBe(3)
  })
})

describe('drizzle.mock()', () => {
  it('builds queries', () => {
    const query = drizzle.mock({ schema }).query.genres.findFirst().toSQL()
    expect(query.params).toEqual([1])
    const { sql: built, params } = drizzle.mock().select({ id: schema.genres.id }).from(schema.genres).toSQL()
    expect([built, params]).toEqual(['select "id" from "genres"', []])
  })

  it('runs none', async () => {
    expect((await rejectionOf(drizzle.mock().select().from(schema.genres))).message).toContain('Failed query')
  })
})

describe('the configuration of drizzle', () => {
  it('hands every query and its values to a logger', async () => {
    const logged: Array<[string, unknown[]]> = []
    const db = await openEmpty(':memory:', { config: { logger: { logQuery: (query, params) => void logged.push([query, params]) } } })
    await db.insert(schema.genres).values({ name: 'a' })
    await db.all(sql`SELECT ${5} AS five`)
    await db.transaction((tx) => tx.$count(schema.genres))
    expect(logged).toEqual([
      ['insert into "genres" ("id", "name") values (null, ?)', ['a']],
      ['SELECT ? AS five', [5]],
      ['select count(*) from "genres"', []],
    ])
  })

  it('logs to the console on request', async () => {
    const print = vi.spyOn(DefaultLogger.prototype, 'logQuery').mockImplementation(() => {})
    onTestFinished(() => print.mockRestore())
    const db = await openEmpty(':memory:', { config: { logger: true } })
    await db.all('SELECT 1')
    const quiet = await openEmpty(':memory:', { config: { logger: false } })
    await quiet.all('SELECT 2')
    expect(print.mock.calls).toEqual([['SELECT 1', []]])
  })

  it('derives the names of columns', async () => {
    const people = sqliteTable('people', { firstName: text(), bornIn: integer() })
    const db = closing(drizzle({ connection: ':memory:', casing: 'snake_case', schema: { people } }))
    await db.run('CREATE TABLE people (first_name TEXT, born_in INTEGER)')
    await db.insert(people).values({ firstName: 'Ada', bornIn: 1815 })
    expect(await db.select().from(people)).toEqual([{ firstName: 'Ada', bornIn: 1815 }])
    expect(await db.query.people.findFirst({ columns: { bornIn: true } })).toEqual({ bornIn: 1815 })
  })

  it('lets replicas answer reads, and the primary write', async () => {
    const primary = await openFilled(':memory:')
    const replica = await openFilled(':memory:')
    await replica.update(schema.genres).set({ name: 'replica' })
    const db = withReplicas(primary, [replica])
    expect(await db.select({ name: schema.genres.name }).from(schema.genres).limit(1)).toEqual([{ name: 'replica' }])
    expect((await db.query.genres.findFirst())?.name).toBe('replica')
    expect(await db.$primary.select({ name: schema.genres.name }).from(schema.genres).limit(1)).toEqual([{ name: 'maths' }])
    await db.insert(schema.genres).values({ name: 'new' })
    await db.transaction((tx) => tx.insert(schema.genres).values({ name: 'newer' }).run())
    expect([await primary.$count(schema.genres), await replica.$count(schema.genres)]).toEqual([5, 3])
  })
})

describe('what the client is opened with', () => {
  it('lets a read see a write that was not awaited, with ordering: submitted', async () => {
    const db = closing(drizzle({ connection: { path: scratchPath(), ordering: 'submitted' }, schema }))
    await db.$client.exec(schema.DDL)
    for (let n = 1; n <= 20; n++) {
      const write = db.insert(schema.genres).values({ name: `${n}` }).execute()
      expect(await db.$count(schema.genres)).toBe(n)
      expect(await db.select().from(schema.genres)).toHaveLength(n)
      await write
    }
  })

  it('reads in parallel, on readers', async () => {
    const db = await openFilled('a file')
    await Promise.all(Array.from({ length: 20 }, () => db.query.authors.findMany({ with: { books: true } })))
    const { rows, route } = await db.$client.execute('SELECT count(*) AS n FROM genres')
    expect({ rows, route }).toEqual({ rows: [{ n: 3 }], route: 'read' })
    expect(db.$client.status().readers.open).toBeGreaterThan(0)
  })
})
