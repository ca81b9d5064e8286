import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'

import { SqliteError, open } from 'sluice'
import { toPrismaError } from '../../js/prisma/errors.js'
import { until } from '../support/deadline.js'
import { rejection, subject } from './client.js'
import type { PrismaFailure, Row } from './client.js'

/** Returns what the adapter said to Prisma. */
function causeOf(error: PrismaFailure): Row | undefined {
  return error.meta?.driverAdapterError?.cause
}

describe('an error of SQLite', () => {
  it('names the field of a unique constraint', async () => {
    const { prisma } = await subject()
    await prisma.user.create({ data: { email: 'a' } })
    const error = await rejection(prisma.user.create({ data: { email: 'a' } }))
    expect([error.name, error.code]).toEqual(['PrismaClientKnownRequestError', 'P2002'])
    expect(error.message).toContain('(`email`)')
    expect(causeOf(error)).toEqual({
      kind: 'UniqueConstraintViolation',
      constraint: { fields: ['email'] },
      table: 'User',
      originalCode: 'SQLITE_CONSTRAINT_UNIQUE',
      originalMessage: 'UNIQUE constraint failed: User.email',
    })
  })

  it('names the fields of a unique constraint over several', async () => {
    const { prisma } = await subject()
    const data = { row: 'A', number: 1, holder: 'Ada' }
    await prisma.seat.create({ data })
    const byHolder = await rejection(prisma.seat.create({ data: { ...data, number: 2 } }))
    expect([byHolder.code, causeOf(byHolder)?.['constraint']]).toEqual(['P2002', { fields: ['row', 'holder'] }])
    const byKey = await rejection(prisma.seat.create({ data: { ...data, holder: 'Grace' } }))
    expect([byKey.code, causeOf(byKey)?.['constraint']]).toEqual(['P2002', { fields: ['row', 'number'] }])
    expect(causeOf(byKey)).toMatchObject({ originalCode: 'SQLITE_CONSTRAINT_PRIMARYKEY', table: 'Seat' })
  })

  it('names the index where a unique constraint has no fields', async () => {
    const { prisma, db } = await subject()
    await db.exec('CREATE UNIQUE INDEX no_case ON Tag (lower(name))')
    await prisma.tag.create({ data: { name: 'a' } })
    const error = await rejection(prisma.tag.create({ data: { name: 'A' } }))
    expect([error.code, causeOf(error)?.['constraint']]).toEqual(['P2002', { index: 'no_case' }])
  })

  it('comes with the changes that broke a constraint undone', async () => {
    const { prisma } = await subject()
    await prisma.tag.create({ data: { name: 'b' } })
    expect(await rejection(prisma.tag.createMany({ data: [{ name: 'a' }, { name: 'b' }] }))).toMatchObject({ code: 'P2002' })
    expect(await prisma.tag.count()).toBe(1)
  })

  it('says that a related record is missing', async () => {
    const { prisma } = await subject()
    const error = await rejection(prisma.post.create({ data: { title: 'Notes', authorId: 99 } }))
    expect(error.code).toBe('P2003')
    expect(causeOf(error)).toMatchObject({ kind: 'ForeignKeyConstraintViolation', originalCode: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
  })

  it('says that a record is still referred to', async () => {
    const { prisma } = await subject()
    await prisma.user.create({ data: { email: 'a', posts: { create: { title: 'Notes' } } } })
    const error = await rejection(prisma.user.delete({ where: { id: 1 } }))
    expect(error.code).toBe('P2003')
    expect(causeOf(error)).toMatchObject({ kind: 'ForeignKeyConstraintViolation', originalCode: 'SQLITE_CONSTRAINT_TRIGGER' })
  })

  it('keeps what a trigger of the schema says', async () => {
    const { prisma, db } = await subject()
    await db.exec(`CREATE TRIGGER t BEFORE INSERT ON Tag BEGIN SELECT RAISE(ABORT, 'no more tags'); END`)
    const error = await rejection(prisma.tag.create({ data: { name: 'a' } }))
    expect(error.code).toBe('P2039')
    expect(causeOf(error)).toMatchObject({ kind: 'sqlite', extendedCode: 1811, message: 'no more tags' })
  })

  it('names the field that is NULL', async () => {
    const { prisma, db } = await subject()
    const columns = 'id INTEGER PRIMARY KEY, int, big, float, decimal, bool, text TEXT NOT NULL, bytes, at, json, made'
    await db.exec(`DROP TABLE Sample; CREATE TABLE Sample (${columns})`)
    const error = await rejection(prisma.sample.create({ data: {} }))
    expect(error.code).toBe('P2011')
    expect(causeOf(error)).toMatchObject({ kind: 'NullConstraintViolation', constraint: { fields: ['text'] }, table: 'Sample' })
  })

  it('says which check failed', async () => {
    const { prisma } = await subject()
    await prisma.user.create({ data: { email: 'a' } })
    const error = await rejection(prisma.post.create({ data: { title: '', authorId: 1 } }))
    expect(error.code).toBe('P2039')
    expect(causeOf(error)).toMatchObject({ kind: 'sqlite', extendedCode: 275, originalCode: 'SQLITE_CONSTRAINT_CHECK' })
  })

  it('names the table that there is not', async () => {
    const { prisma } = await subject()
    const error = await rejection(prisma.missing.findMany())
    expect([error.code, causeOf(error)]).toEqual(['P2021', expect.objectContaining({ kind: 'TableDoesNotExist', table: 'main.Missing' })])
  })

  it('names the column that there is not, in reading and in writing', async () => {
    const { prisma, db } = await subject()
    await db.exec('ALTER TABLE User DROP COLUMN name')
    const reading = await rejection(prisma.user.findMany())
    expect(reading.code).toBe('P2022')
    expect(causeOf(reading)).toMatchObject({ kind: 'ColumnNotFound', column: 'main.User.name' })
    const writing = await rejection(prisma.user.create({ data: { email: 'a', name: 'Ada' } }))
    expect(writing.code).toBe('P2022')
    expect(causeOf(writing)).toMatchObject({ kind: 'ColumnNotFound', column: 'name' })
  })

  it('comes with its code and message from raw queries', async () => {
    const { prisma } = await subject()
    await prisma.tag.create({ data: { name: 'a' } })
    const writing = await rejection(prisma.$executeRaw`INSERT INTO Tag (name) VALUES (${'a'})`)
    expect(writing.code).toBe('P2010')
    expect(writing.message).toContain('Code: `SQLITE_CONSTRAINT_UNIQUE`. Message: `UNIQUE constraint failed: Tag.name`')
    const reading = await rejection(prisma.$queryRaw`SELEKT 1`)
    expect(reading.code).toBe('P2010')
    expect(causeOf(reading)).toMatchObject({ kind: 'sqlite', originalCode: 'SQLITE_ERROR', message: 'near "SELEKT": syntax error' })
  })

  it('is one of time when another process holds the file', async () => {
    const { prisma, db } = await subject({ open: { busyTimeoutMs: 1 } })
    // By a URI it is not shared, and meets the other as another process would.
    const other = await open(pathToFileURL(db.path).href, { uri: true })
    try {
      await using tx = await other.begin()
      await tx.run(`INSERT INTO Tag (name) VALUES ('other')`)
      const error = await rejection(prisma.tag.create({ data: { name: 'a' } }))
      expect(error.code).toBe('P1008')
      expect(causeOf(error)).toMatchObject({ kind: 'SocketTimeout', originalCode: 'SQLITE_BUSY' })
      expect(await prisma.tag.count()).toBe(0)
    } finally {
      await other.close()
    }
  })
})

describe('an error of Prisma', () => {
  it('says that the record to change or delete is not there', async () => {
    const { prisma } = await subject()
    expect(await rejection(prisma.user.update({ where: { id: 1 }, data: { name: 'x' } }))).toMatchObject({ code: 'P2025' })
    expect(await rejection(prisma.user.delete({ where: { id: 1 } }))).toMatchObject({ code: 'P2025' })
    expect(await rejection(prisma.user.findUniqueOrThrow({ where: { id: 1 } }))).toMatchObject({ code: 'P2025' })
    expect(await rejection(prisma.tag.create({ data: { name: 'a', posts: { connect: { id: 1 } } } }))).toMatchObject({ code: 'P2025' })
    expect(await prisma.tag.count()).toBe(0)
  })
})

describe('an error of the driver', () => {
  it('says that the database has been closed', async () => {
    const { prisma, db } = await subject()
    await prisma.tag.count()
    await db.close()
    const error = await rejection(prisma.tag.count())
    expect(error.code).toBe('P1017')
    expect(causeOf(error)).toMatchObject({ kind: 'ConnectionClosed', originalCode: 'ERR_SLUICE_CLOSED' })
  })

  it('says that there are too many queries at once', async () => {
    const { prisma, db } = await subject({ open: { maxQueued: 1 } })
    await prisma.tag.count()
    await using holder = await db.begin()
    const creating = prisma.tag.create({ data: { name: 'first' } })
    // A query of Prisma is sent when somebody waits for it.
    const first = creating.then(({ name }) => name)
    await until(() => db.status().writer.waiting === 1, 'the first waits')
    const error = await rejection(prisma.tag.create({ data: { name: 'second' } }))
    expect([error.code, causeOf(error)?.['originalCode']]).toEqual(['P2037', 'ERR_SLUICE_OVERLOADED'])
    await holder.rollback()
    expect(await first).toBe('first')
  })

  it('says that a turn did not come in time', async () => {
    const { prisma, db } = await subject({ open: { acquireTimeoutMs: 20 } })
    await using holder = await db.begin()
    const error = await rejection(prisma.tag.create({ data: { name: 'a' } }))
    expect([error.code, causeOf(error)?.['originalCode']]).toEqual(['P1008', 'ERR_SLUICE_ACQUIRE_TIMEOUT'])
    await holder.rollback()
  })

  it('comes as it is when Prisma has no kind for it', async () => {
    const { prisma } = await subject()
    expect(await rejection(prisma.$executeRawUnsafe('BEGIN'))).toMatchObject({ code: 'ERR_SLUICE_MANUAL_TRANSACTION' })
    expect(await rejection(prisma.$queryRawUnsafe('SELECT 1; SELECT 2'))).toMatchObject({ code: 'ERR_SLUICE_MULTIPLE_STATEMENTS' })
    expect(await rejection(prisma.$queryRawUnsafe('SELECT ?'))).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER' })
    expect(await rejection(prisma.$executeRawUnsafe('PRAGMA synchronous = OFF'))).toMatchObject({ code: 'ERR_SLUICE_PRAGMA' })
  })
})

describe('what cannot be provoked through a client', () => {
  it.each([
    ['SQLITE_BUSY_SNAPSHOT', 'TransactionWriteConflict'],
    ['SQLITE_BUSY_RECOVERY', 'SocketTimeout'],
    ['SQLITE_CORRUPT', 'sqlite'],
  ] as const)('%s is of the kind %s', (code, kind) => {
    const error = toPrismaError(new SqliteError(code, 'message', { errno: 1 }))
    expect(error).toMatchObject({ name: 'DriverAdapterError', cause: { kind, originalCode: code, originalMessage: 'message' } })
  })

  it('an error of anybody else is left as it is', () => {
    const error = new Error('mine')
    expect(toPrismaError(error)).toBe(error)
  })
})
