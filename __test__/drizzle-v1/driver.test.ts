import { eq, is, sql } from 'drizzle-orm'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import { DefaultLogger } from 'drizzle-orm/logger'
import type { Logger } from 'drizzle-orm/logger'
import { integer, snakeCase, SQLiteAsyncDatabase, text, withReplicas } from 'drizzle-orm/sqlite-core'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { connect, Database, open, SqliteError } from 'sluice'
import { drizzle, SluiceDatabase, SluiceSession } from 'sluice/drizzle-v1'
import { migrate } from 'sluice/drizzle-v1/migrator'
import { scratchFolder, scratchPath } from '../support/scratch.js'
import { causeOf, pathOf, PLACES, rejectionOf } from '../support/drizzle.js'
import { openEmpty, openFilled } from './databases.js'
import { DDL, posts, relations, users } from './schema.js'

function closing<T extends { $client: Database }>(db: T): T {
  onTestFinished(() => db.$client.close({ timeoutMs: 0 }))
  return db
}

/** Notes what is logged. */
class Notes implements Logger {
  readonly lines: [string, unknown[]][] = []

  logQuery(query: string, params: unknown[]): void {
    this.lines.push([query, params])
  }
}

describe('drizzle', () => {
  it.each(PLACES)('opens a path, %s', async (place) => {
    const db = closing(drizzle(pathOf(place)))
    await db.run('CREATE TABLE t (x)')
    expect(await db.all(sql`SELECT count(*) AS n FROM t`)).toEqual([{ n: 0 }])
  })

  it('opens a URL of a file', async () => {
    const path = scratchPath()
    const db = closing(drizzle(pathToFileURL(path)))
    await db.run('CREATE TABLE t (x)')
    expect(db.$client.path).toBe(path)
  })

  it('opens a path with a configuration', async () => {
    const db = closing(drizzle(scratchPath(), { relations }))
    await db.$client.exec(DDL)
    expect(await db.query.users.findMany()).toEqual([])
  })

  it('uses a database that is open, with a configuration or without', async () => {
    const client = await open(':memory:')
    const db = closing(drizzle(client))
    await client.exec(DDL)
    expect(db.$client).toBe(client)
    expect(await db.select().from(users)).toEqual([])
    expect(await drizzle(client, { relations }).query.users.findMany()).toEqual([])
  })

  it('takes everything as one object, with a client', async () => {
    const client = connect(':memory:')
    const db = closing(drizzle({ client, relations }))
    await client.exec(DDL)
    expect(db.$client).toBe(client)
    expect(await db.query.users.findFirst()).toBeUndefined()
  })

  it('takes everything as one object, with a path', async () => {
    const path = scratchPath()
    const db = closing(drizzle({ connection: path, relations }))
    await db.$client.exec(DDL)
    expect(await db.query.posts.findMany()).toEqual([])
    expect(db.$client.path).toBe(path)
  })

  it('takes everything as one object, with options of open', async () => {
    const path = scratchPath()
    await closing(drizzle(path)).run('CREATE TABLE t (x)')
    const db = closing(drizzle({ connection: { path, readonly: true } }))
    const error = await rejectionOf(db.run('INSERT INTO t VALUES (1)'))
    expect(error.cause?.code).toBe('SQLITE_READONLY')
  })

  it('gives a Database as $client before the file is open, whose ready tells when it is', async () => {
    const db = closing(drizzle(scratchPath()))
    expect(db.$client).toBeInstanceOf(Database)
    await db.$client.ready()
    expect(db.$client.status().phase).toBe('open')
  })

  it('rejects every query with the reason why a file could not be opened, and nothing else', async () => {
    const db = drizzle(join(scratchFolder(), 'missing', 'app.db'))
    const first = await rejectionOf(db.select().from(users))
    expect(first).toBeInstanceOf(DrizzleQueryError)
    expect(first.cause?.code).toBe('SQLITE_CANTOPEN')
    expect((await rejectionOf(db.transaction(async () => {}))).code).toBe('SQLITE_CANTOPEN')
    expect((await rejectionOf(db.$client.ready())).code).toBe('SQLITE_CANTOPEN')
  })

  it('throws at once for what is no path, and for options that do not exist', () => {
    const wrong = drizzle as (...values: unknown[]) => unknown
    for (const missing of [{}, undefined, null, 5, { connection: null }, { connection: 5 }]) {
      expect(() => wrong(missing)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
    }
    expect(() => wrong({ connection: { path: ':memory:', readOnly: true } })).toThrow(
      expect.objectContaining({ code: 'ERR_SLUICE_INVALID_OPTION' }),
    )
  })

  it('rejects queries once the database is closed', async () => {
    const db = await openEmpty(':memory:')
    await db.$client.close()
    expect(await causeOf(db.select().from(users))).toBe('ERR_SLUICE_CLOSED')
  })

  it('makes one that only builds queries with mock', () => {
    const db = drizzle.mock({ relations })
    expect(db.select().from(users).where(eq(users.id, 1)).toSQL()).toEqual({
      sql: 'select "id", "name", "email", "city", "inviter_id" from "users" where "users"."id" = ?',
      params: [1],
    })
    expect(db.query.users.findMany({ columns: { id: true } }).toSQL().sql).toContain('"d0"."id"')
    expect(db.$client).toBe('$client is not available on drizzle.mock()')
  })

  it('makes what drizzle itself knows as its own', async () => {
    const db = await openEmpty(':memory:')
    expect(db).toBeInstanceOf(SluiceDatabase)
    expect(db).toBeInstanceOf(SQLiteAsyncDatabase)
    expect(is(db, SluiceDatabase)).toBe(true)
    expect(db._.session).toBeInstanceOf(SluiceSession)
    expect({}).not.toBeInstanceOf(SluiceDatabase)
  })

  it('reads from replicas and writes to the primary', async () => {
    const path = scratchPath()
    const primary = closing(drizzle(path))
    await primary.$client.exec(DDL)
    const replica = closing(drizzle({ connection: { path, readonly: true } }))
    const db = withReplicas(primary, [replica])
    await db.insert(users).values({ name: 'Ada' })
    expect(await db.select({ name: users.name }).from(users)).toEqual([{ name: 'Ada' }])
  })

  it('runs transactions, batches and migrations on the primary where there are replicas', async () => {
    const primary = await openEmpty('a file')
    const replica = await openEmpty('a file')
    const db = withReplicas(primary, [replica])
    await db.transaction(async (tx) => tx.insert(users).values({ name: 'Ada' }))
    await db.batch([db.insert(users).values({ name: 'Grace' })])
    await migrate(db, { migrations: { '20260101120000_joan': "INSERT INTO users (name) VALUES ('Joan')" } })
    expect(await primary.select({ name: users.name }).from(users)).toEqual([{ name: 'Ada' }, { name: 'Grace' }, { name: 'Joan' }])
    expect(await replica.$count(users)).toBe(0)
  })

  it('names columns in snake case for tables that ask for it', async () => {
    const db = await openFilled(':memory:')
    const articles = snakeCase.table('posts', { id: integer().primaryKey(), authorId: integer().notNull(), title: text() })
    expect(await db.select({ by: articles.authorId }).from(articles).where(eq(articles.id, 3))).toEqual([{ by: 2 }])
  })
})

describe.each(PLACES)('the logger on %s', (place) => {
  it('is told of every query, with its values', async () => {
    const logger = new Notes()
    const db = await openEmpty(place, { config: { logger } })
    await db.insert(users).values({ id: 1, name: 'Ada' })
    await db.all(sql`SELECT ${1} AS n`)
    expect(logger.lines).toEqual([
      ['insert into "users" ("id", "name", "email", "city", "inviter_id") values (?, ?, null, null, null)', [1, 'Ada']],
      ['SELECT ? AS n', [1]],
    ])
  })

  it('is told of queries in batches, transactions and prepared ones', async () => {
    const logger = new Notes()
    const db = await openEmpty(place, { config: { logger } })
    await db.batch([db.run(sql`SELECT 1`), db.run(sql`SELECT 2`)])
    await db.transaction(async (tx) => tx.transaction(async (inner) => inner.run(sql`SELECT 3`)))
    await db
      .select({ id: users.id })
      .from(users)
      .where(eq(users.id, sql.placeholder('id')))
      .prepare()
      .all({ id: 4 })
    expect(logger.lines.map(([text, [value]]) => value ?? text)).toEqual(['SELECT 1', 'SELECT 2', 'SELECT 3', 4])
  })

  it('writes to the console when it is true', async () => {
    const written = vi.spyOn(console, 'log').mockImplementation(() => {})
    onTestFinished(() => written.mockRestore())
    const db = await openEmpty(place, { config: { logger: true } })
    await db.run(sql`SELECT ${1}`)
    expect(written.mock.calls).toEqual([['Query: SELECT ? -- params: [1]']])
  })

  it('writes nothing when it is false, or left out', async () => {
    const written = vi.spyOn(DefaultLogger.prototype, 'logQuery').mockImplementation(() => {})
    onTestFinished(() => written.mockRestore())
    for (const config of [{ logger: false }, {}]) await (await openEmpty(place, { config })).run('SELECT 1')
    expect(written).not.toHaveBeenCalled()
  })
})

describe.each(PLACES)('errors on %s', (place) => {
  it.each([
    ['SQLITE_CONSTRAINT_UNIQUE', sql`INSERT INTO users (name, email) VALUES ('x', 'ada@example.com')`],
    ['SQLITE_CONSTRAINT_PRIMARYKEY', sql`INSERT INTO users (id, name) VALUES (1, 'x')`],
    ['SQLITE_CONSTRAINT_NOTNULL', sql`INSERT INTO users (name) VALUES (NULL)`],
    ['SQLITE_CONSTRAINT_FOREIGNKEY', sql`INSERT INTO posts (author_id, title) VALUES (99, 'x')`],
    ['SQLITE_ERROR', sql`SELECT * FROM nothing`],
    ['ERR_SLUICE_MANUAL_TRANSACTION', sql`BEGIN`],
  ])('keep the code %s in their cause', async (code, query) => {
    const db = await openFilled(place)
    for (const call of [() => db.run(query), () => db.all(query), () => db.get(query), () => db.values(query)]) {
      const error = await rejectionOf(call())
      expect(error).toBeInstanceOf(DrizzleQueryError)
      expect(error.cause?.code).toBe(code)
    }
  })

  it('have the error of the driver as their cause, with what SQLite says of it', async () => {
    const db = await openFilled(place)
    const error = await rejectionOf(db.insert(users).values({ name: 'x', email: 'ada@example.com' }))
    expect(error.cause).toBeInstanceOf(SqliteError)
    expect(error.cause).toMatchObject({ constraint: 'users.email', errno: 2067 })
    expect(error).toMatchObject({ query: expect.stringContaining('insert into "users"') })
  })

  it('hold no values, unless paramsInErrors asks for them', async () => {
    const silent = await rejectionOf((await openFilled(place)).insert(users).values({ id: 1, name: 'secret' }))
    expect(silent).toMatchObject({ params: undefined })
    expect(silent.message).not.toContain('secret')
    const db = await openFilled(place, { config: { paramsInErrors: true } })
    expect(await rejectionOf(db.insert(users).values({ id: 1, name: 'secret' }))).toMatchObject({ params: [1, 'secret'] })
    expect(await rejectionOf(db.batch([db.insert(users).values({ id: 1, name: 'secret' })]))).toMatchObject({ params: [1, 'secret'] })
  })

  it('leave the database usable', async () => {
    const db = await openFilled(place)
    await Promise.allSettled(Array.from({ length: 20 }, () => db.insert(users).values({ id: 1, name: 'twice' })))
    expect(await db.$count(users)).toBe(3)
    await db.delete(posts)
    expect(await db.$count(posts)).toBe(0)
  })

  it('of a name that does not exist say where in the text it is', async () => {
    const db = await openFilled(place)
    expect((await rejectionOf(db.all(sql`SELECT nothing FROM users`))).cause).toMatchObject({ offset: 7 })
  })
})
