import { createRequire } from 'node:module'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { SqlDriverAdapter, SqlQuery } from '@prisma/driver-adapter-utils'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from 'sluice'
import type { Database } from 'sluice'
import * as module from 'sluice/prisma'
import type { SluicePrismaSource } from 'sluice/prisma'
import { scratchFolder, scratchPath } from '../support/scratch.js'
import { clientOf, rejection } from './client.js'

const { SluicePrismaAdapter } = module

function query(sql: string, ...args: unknown[]): SqlQuery {
  return { sql, args, argTypes: args.map(() => ({ scalarType: 'unknown', arity: 'scalar' })) }
}

/** Connects as Prisma does, until the end of the test. */
async function connected(source: SluicePrismaSource): Promise<SqlDriverAdapter> {
  const connection = await new SluicePrismaAdapter(source).connect()
  onTestFinished(() => connection.dispose())
  return connection
}

async function openScratch(): Promise<Database> {
  const db = await open(scratchPath())
  onTestFinished(() => db.close({ timeoutMs: 0 }))
  return db
}

async function countOf(connection: SqlDriverAdapter, table: string): Promise<unknown> {
  return (await connection.queryRaw(query(`SELECT count(*) FROM ${table}`))).rows[0]?.[0]
}

describe('the adapter', () => {
  it('opens a path when the client connects, and closes it when that disconnects', async () => {
    const path = scratchPath()
    const prisma = await clientOf(new SluicePrismaAdapter({ path }))
    expect(existsSync(path)).toBe(false)
    await prisma.$connect()
    await prisma.$executeRaw`CREATE TABLE t (x)`
    expect(existsSync(`${path}-wal`)).toBe(true)
    await prisma.$disconnect()
    expect(existsSync(`${path}-wal`)).toBe(false)
    expect(await prisma.$queryRaw`SELECT count(*) AS n FROM t`).toEqual([{ n: 0n }])
  })

  it('leaves a database open that was there before', async () => {
    const client = await openScratch()
    const prisma = await clientOf(new SluicePrismaAdapter({ client }))
    await prisma.$executeRaw`CREATE TABLE t (x)`
    await prisma.$disconnect()
    expect(await client.all('SELECT * FROM t')).toEqual([])
  })

  it('passes the options of open on', async () => {
    const path = scratchPath()
    await (await open(path)).close()
    const prisma = await clientOf(new SluicePrismaAdapter({ path, readonly: true }))
    const error = await rejection(prisma.$executeRaw`CREATE TABLE t (x)`)
    expect(error).toMatchObject({ meta: { driverAdapterError: { cause: { originalCode: 'SQLITE_READONLY' } } } })
  })

  it('refuses a private handle, on which BEGIN would be that of all queries', async () => {
    const shared = await openScratch()
    const client = shared.handle()
    const expected = { code: 'ERR_SLUICE_INVALID_ARGUMENT', message: expect.stringContaining('handle()') }
    expect(await rejection(new SluicePrismaAdapter({ client }).connect())).toMatchObject(expected)
    expect(client.closed).toBe(false)
    const connection = await connected({ client: shared })
    expect(await rejection(connection.executeRaw(query('BEGIN')))).toMatchObject({ code: 'ERR_SLUICE_MANUAL_TRANSACTION' })
  })

  it.each([
    ['a path', (path: string): string => `file:${path}`],
    ['a relative path', (path: string): string => `file:./${relative('.', path)}`],
    ['a URL', (path: string): string => pathToFileURL(path).href],
    ['no scheme', (path: string): string => path],
  ])('opens a url with %s', async (_, urlOf) => {
    const path = join(scratchFolder(), 'with space.db')
    await connected({ url: urlOf(path) })
    expect(existsSync(path)).toBe(true)
  })

  it('rejects with the reason when a file cannot be opened', async () => {
    const prisma = await clientOf(new SluicePrismaAdapter({ path: join(dirname(scratchPath()), 'none', 'app.db') }))
    expect(await rejection(prisma.$connect())).toMatchObject({ code: 'SQLITE_CANTOPEN' })
  })

  it('rejects what it does not know', async () => {
    expect(() => new SluicePrismaAdapter({ path: ':memory:' }, { timestampFormat: 'julian' as never })).toThrow(
      expect.objectContaining({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'timestampFormat' }),
    )
    const wrong = new SluicePrismaAdapter({ path: ':memory:', maxReader: 1 } as never)
    expect(await rejection(wrong.connect())).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION' })
  })

  it.each([
    ['no url', { url: undefined }, 'url must be a string'],
    ['no client', { client: undefined }, 'client must be a Database'],
    ['a client of another driver', { client: {} }, 'client must be a Database'],
    ['nothing to open', {}, 'url must be a string'],
    ['no source', undefined, 'a path, a url or a client'],
    ['a text', 'app.db', 'a path, a url or a client'],
    ['a URL of no file', { url: 'file://a b' }, 'url names no file: file://a b'],
  ])('rejects %s with a code', async (_, source, message) => {
    const adapter = new SluicePrismaAdapter(source as never)
    const expected = { code: 'ERR_SLUICE_INVALID_ARGUMENT', message: expect.stringContaining(message) }
    expect(await rejection(adapter.connect())).toMatchObject(expected)
  })

  it.each([
    ['a path', (path: string): string => `file:${path}`],
    ['a URL', (path: string): string => pathToFileURL(path).href],
    ['no scheme', (path: string): string => path],
  ])('refuses parameters in a url with %s', async (_, urlOf) => {
    const path = scratchPath()
    const adapter = new SluicePrismaAdapter({ url: `${urlOf(path)}?connection_limit=1` })
    for (const connecting of [adapter.connect(), adapter.connectToShadowDb()]) {
      const expected = { code: 'ERR_SLUICE_INVALID_ARGUMENT', message: expect.stringContaining('(?connection_limit=1)') }
      expect(await rejection(connecting)).toMatchObject(expected)
    }
    expect(readdirSync(dirname(path))).toEqual([])
  })

  it('tells Prisma what it is', async () => {
    const adapter = new SluicePrismaAdapter({ path: ':memory:' })
    expect(adapter).toMatchObject({ provider: 'sqlite', adapterName: 'sluice' })
    const connection = await connected({ path: ':memory:' })
    expect(connection).toMatchObject({ provider: 'sqlite', adapterName: 'sluice' })
    expect(connection.getConnectionInfo?.()).toEqual({ maxBindValues: 32_766, supportsRelationJoins: false })
  })

  it('takes as many parameters as it says, and no more', async () => {
    const connection = await connected({ path: ':memory:' })
    const oneOf = (count: number): SqlQuery => query(`SELECT 1 IN (${'?,'.repeat(count - 1)}?)`, ...Array.from({ length: count }, () => 1))
    expect((await connection.queryRaw(oneOf(32_766))).rows).toEqual([[1]])
    const tooMany = await rejection(connection.queryRaw(oneOf(32_767)))
    expect(tooMany).toMatchObject({ cause: { message: expect.stringContaining('too many SQL variables') } })
  })

  it('opens a shadow database in memory, or where it is told to', async () => {
    const path = scratchPath('shadow.db')
    for (const [adapter, file] of [
      [new SluicePrismaAdapter({ path: scratchPath() }), ':memory:'],
      [new SluicePrismaAdapter({ path: ':memory:' }, { shadowDatabasePath: path }), path],
    ] as const) {
      const shadow = await adapter.connectToShadowDb()
      await shadow.executeScript('CREATE TABLE t (x)')
      expect(shadow.database.path).toBe(file)
      await shadow.dispose()
      expect(shadow.database.closed).toBe(true)
    }
  })

  it('opens a shadow database of its own beside a database that was there before', async () => {
    const client = await openScratch()
    const shadow = await new SluicePrismaAdapter({ client }).connectToShadowDb()
    await shadow.dispose()
    expect([shadow.database.closed, client.closed]).toEqual([true, false])
  })

  it('tells the row that was inserted', async () => {
    const connection = await connected({ path: ':memory:' })
    await connection.executeScript('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    expect(await connection.queryRaw(query('INSERT INTO t VALUES (9007199254740993)'))).toMatchObject({ lastInsertId: '9007199254740993' })
    expect(await connection.queryRaw(query('SELECT 1'))).not.toHaveProperty('lastInsertId')
  })

  it('is the same as a CommonJS module', () => {
    const required = createRequire(import.meta.url)('sluice/prisma') as typeof module
    expect(new required.SluicePrismaAdapter({ path: ':memory:' })).toMatchObject({ provider: 'sqlite' })
  })
})

describe('a script', () => {
  it('may hold many statements', async () => {
    const connection = await connected({ path: ':memory:' })
    await connection.executeScript('CREATE TABLE t (x); -- one\nINSERT INTO t VALUES (1), (2);')
    expect(await countOf(connection, 't')).toBe(2)
  })

  it('is rejected with what failed', async () => {
    const connection = await connected({ path: ':memory:' })
    const failed = await rejection(connection.executeScript('CREATE TABLE t (x); INSERT INTO absent VALUES (1)'))
    expect(failed).toMatchObject({ name: 'DriverAdapterError', cause: { kind: 'TableDoesNotExist', table: 'absent' } })
    const column = await rejection(connection.executeScript('INSERT INTO t (y) VALUES (1)'))
    expect(column).toMatchObject({ cause: { kind: 'ColumnNotFound', column: 'y' } })
  })

  const tables = `
    CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE book (author_id INTEGER NOT NULL REFERENCES author (id) ON DELETE CASCADE);
    INSERT INTO author VALUES (1, 'Ada');
    INSERT INTO book VALUES (1);`
  const redefine = (condition: string): string => `-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_author" ("id" INTEGER PRIMARY KEY, "name" TEXT NOT NULL);
INSERT INTO "new_author" SELECT "id", "name" FROM "author" WHERE ${condition};
DROP TABLE "author";
ALTER TABLE "new_author" RENAME TO "author";
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;
`

  it('may make a table anew as migrations of Prisma do, and loses nothing that refers to it', async () => {
    const connection = await connected({ path: scratchPath() })
    await connection.executeScript(tables)
    await connection.executeScript(redefine('true'))
    expect([await countOf(connection, 'author'), await countOf(connection, 'book')]).toEqual([1, 1])
    expect(await rejection(connection.executeRaw(query('INSERT INTO book VALUES (2)')))).toMatchObject({
      cause: { kind: 'ForeignKeyConstraintViolation' },
    })
  })

  it('that makes a table anew is undone when it breaks a foreign key', async () => {
    const connection = await connected({ path: scratchPath() })
    await connection.executeScript(tables)
    expect(await rejection(connection.executeScript(redefine('false')))).toMatchObject({ cause: { kind: 'ForeignKeyConstraintViolation' } })
    expect([await countOf(connection, 'author'), await countOf(connection, 'book')]).toEqual([1, 1])
  })

  it('that makes a table anew may leave broken what was broken before', async () => {
    const connection = await connected({ path: scratchPath(), foreignKeys: false })
    await connection.executeScript(`${tables} INSERT INTO book VALUES (99);`)
    await connection.executeScript(redefine('true'))
    expect(await countOf(connection, 'book')).toBe(2)
  })

  it('that makes a table anew may not break one foreign key for another that it mends', async () => {
    const connection = await connected({ path: scratchPath(), foreignKeys: false })
    await connection.executeScript(`${tables} CREATE TABLE page (book_id REFERENCES author); INSERT INTO page VALUES (99);`)
    const mending = redefine('false').replace('PRAGMA foreign_keys=ON;', 'DELETE FROM page;\nPRAGMA foreign_keys=ON;')
    expect(await rejection(connection.executeScript(mending))).toMatchObject({ cause: { kind: 'ForeignKeyConstraintViolation' } })
    expect([await countOf(connection, 'author'), await countOf(connection, 'page')]).toEqual([1, 1])
  })

  it('that makes a table anew is run beside a foreign key that SQLite cannot check', async () => {
    const connection = await connected({ path: scratchPath(), foreignKeys: false })
    await connection.executeScript(`${tables} CREATE TABLE fan (of TEXT REFERENCES author (name)); INSERT INTO fan VALUES ('Ada');`)
    await connection.executeScript(redefine('true'))
    expect([await countOf(connection, 'author'), await countOf(connection, 'fan')]).toEqual([1, 1])
  })
})

/** Begins a transaction on a database with an empty table. */
async function transactionOnTable() {
  const connection = await connected({ path: scratchPath() })
  await connection.executeScript('CREATE TABLE t (x)')
  const transaction = await connection.startTransaction()
  const insert = (x: number): Promise<number> => transaction.executeRaw(query('INSERT INTO t VALUES (?)', x))
  const found = async (): Promise<unknown> => (await transaction.queryRaw(query('SELECT x FROM t ORDER BY x'))).rows.flat()
  return { connection, transaction, insert, found }
}

describe('a savepoint', () => {
  it('can be gone back to more than once, and undoes those within it', async () => {
    const { connection, transaction, insert, found } = await transactionOnTable()
    await insert(1)
    await transaction.createSavepoint?.('a')
    await insert(2)
    await transaction.createSavepoint?.('b')
    await insert(3)
    await transaction.rollbackToSavepoint?.('a')
    expect(await found()).toEqual([1])
    await insert(4)
    await transaction.rollbackToSavepoint?.('a')
    await insert(5)
    await transaction.createSavepoint?.('c')
    await insert(6)
    await transaction.releaseSavepoint?.('a')
    expect(await found()).toEqual([1, 5, 6])
    await transaction.commit()
    expect(await countOf(connection, 't')).toBe(3)
  })

  it('that is open is kept by a commit and undone by a rollback', async () => {
    const connection = await connected({ path: scratchPath() })
    await connection.executeScript('CREATE TABLE t (x)')
    for (const end of ['commit', 'rollback'] as const) {
      const transaction = await connection.startTransaction('SERIALIZABLE')
      await transaction.createSavepoint?.('a')
      await transaction.executeRaw(query('INSERT INTO t VALUES (1)'))
      await transaction[end]()
      expect(await countOf(connection, 't')).toBe(1)
    }
  })

  it.each([
    ['made', 'createSavepoint', 'b', [1, 2, 3]],
    ['gone back to', 'rollbackToSavepoint', 'a', [1, 3]],
    ['forgotten', 'releaseSavepoint', 'a', [1, 2, 3]],
  ] as const)('that is being %s has the queries wait that come meanwhile', async (_, change, name, expected) => {
    const { connection, transaction, insert, found } = await transactionOnTable()
    await insert(1)
    await transaction.createSavepoint?.('a')
    const [, , , seen] = await Promise.all([insert(2), transaction[change]?.(name), insert(3), found()])
    expect(seen).toEqual(expected)
    await transaction.commit()
    expect(await countOf(connection, 't')).toBe(expected.length)
  })

  it('that cannot be changed is an error of that change alone', async () => {
    const connection = await connected({ path: ':memory:' })
    const transaction = await connection.startTransaction()
    const [released, counted, made] = await Promise.allSettled([
      transaction.releaseSavepoint!('a'),
      transaction.queryRaw(query('SELECT 1')),
      transaction.createSavepoint!('a'),
    ])
    expect([released.status, counted.status, made.status]).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    await transaction.commit()
  })

  it('that is being made does not hold up a rollback', async () => {
    const connection = await connected({ path: scratchPath() })
    await connection.executeScript('CREATE TABLE t (x)')
    const transaction = await connection.startTransaction()
    const outcomes = Promise.allSettled([
      transaction.createSavepoint!('a'),
      transaction.executeRaw(query('INSERT INTO t VALUES (1)')),
      transaction.rollback(),
    ])
    expect((await outcomes).at(-1)).toEqual({ status: 'fulfilled', value: undefined })
    expect(await countOf(connection, 't')).toBe(0)
    expect(await connection.executeRaw(query('INSERT INTO t VALUES (2)'))).toBe(1)
  })

  it('that there is not is an error', async () => {
    const connection = await connected({ path: ':memory:' })
    const transaction = await connection.startTransaction()
    expect(await rejection(transaction.rollbackToSavepoint!('a'))).toMatchObject({ message: 'there is no savepoint a' })
    expect(await rejection(transaction.releaseSavepoint!('a'))).toMatchObject({ message: 'there is no savepoint a' })
    await transaction.rollback()
  })

  it('cannot be made in a transaction that has ended', async () => {
    const connection = await connected({ path: ':memory:' })
    const transaction = await connection.startTransaction()
    await transaction.rollback()
    expect(await rejection(transaction.createSavepoint!('a'))).toMatchObject({ cause: { kind: 'TransactionAlreadyClosed' } })
    expect(await rejection(transaction.commit())).toMatchObject({ cause: { kind: 'TransactionAlreadyClosed' } })
    await transaction.rollback()
  })
})
