import * as kysely from 'kysely'
import * as sqlite from 'kysely/helpers/sqlite'
import * as migration from 'kysely/migration'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import * as dialect from 'sluice/kysely'
import { addUsers, collectWarnings, namesOf, openTables } from './suite/line.js'
import type { Line } from './suite/line.js'
import { until, within } from '../support/deadline.js'
import { codeOf, failureOf } from '../support/failure.js'
import { untilQuiet } from '../support/quiet.js'
import { COUNTING_READ, ENDLESS_READ, ENDLESS_WRITE } from '../support/slow-sql.js'

const line: Line = { name: '0.29', kysely, migration, sqlite, dialect }
const { sql } = kysely

/** What Kysely prints when a query fails that nobody waits for any more. */
function silenceConsole(): void {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => spy.mockRestore())
}

describe('a query with a signal', () => {
  it('returns what it returns when the signal is not aborted', async () => {
    const { db } = await openTables(line)
    const { signal } = new AbortController()
    await db.insertInto('users').values({ name: 'Ada' }).execute({ signal })
    const rows = await db.selectFrom('users').select('name').execute({ signal, inflightQueryAbortStrategy: 'cancel query' })
    expect(rows).toEqual([{ name: 'Ada' }])
  })

  it('that is BEGIN leaves no transaction, and warns, where Kysely keeps the error to itself', async () => {
    const { db, database } = await openTables(line)
    const warnings = collectWarnings()
    await sql`BEGIN`.execute(db, { signal: new AbortController().signal })
    await db.insertInto('users').values({ name: 'Ada' }).execute()
    await until(() => warnings.length > 0, 'it warns')
    expect(warnings).toMatchObject([{ code: 'SLUICE_TX_LEFT_OPEN' }])
    expect([await namesOf(db), database.handleCount]).toEqual([['Ada'], 1])
  })

  it('does not run when it is aborted already', async () => {
    const { db, database } = await openTables(line)
    const before = database.status().counters['writes']
    const reason = new Error('gone')
    await expect(db.deleteFrom('users').execute({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(database.status().counters['writes']).toBe(before)
  })

  it("with 'cancel query' is stopped on its reader", async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    const controller = new AbortController()
    const query = sql.raw(ENDLESS_READ).execute(db, { signal: controller.signal, inflightQueryAbortStrategy: 'cancel query' })
    await until(() => database.status().readers.active === 1, 'it runs')
    controller.abort(new Error('gone'))
    await expect(query).rejects.toThrow('gone')
    await untilQuiet(database)
    expect(await namesOf(db)).toEqual([])
  })

  it("with 'cancel query' is stopped on the writer, and has no effect", async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    await database.exec('CREATE TABLE t (x)')
    const controller = new AbortController()
    const query = sql.raw(ENDLESS_WRITE).execute(db, { signal: controller.signal, inflightQueryAbortStrategy: 'cancel query' })
    await until(() => database.status().writer.active, 'it runs')
    controller.abort(new Error('gone'))
    await expect(query).rejects.toThrow('gone')
    await untilQuiet(database)
    expect(await database.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it("with 'cancel query' that writes in a transaction takes that along", async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    await database.exec('CREATE TABLE t (x)')
    const controller = new AbortController()
    const outcome = db.transaction().execute(async (trx) => {
      await trx.insertInto('users').values({ name: 'Ada' }).execute()
      const query = sql.raw(ENDLESS_WRITE).execute(trx, { signal: controller.signal, inflightQueryAbortStrategy: 'cancel query' })
      await until(() => database.status().writer.holder?.sql === ENDLESS_WRITE, 'it runs')
      controller.abort(new Error('gone'))
      await query.catch(() => {})
    })
    expect(await codeOf(outcome)).toBe('ERR_SLUICE_TX_ABORTED')
    await untilQuiet(database)
    expect(await namesOf(db)).toEqual([])
  })

  it('that fails has the code of the driver, and the file of the caller in its stack', async () => {
    const { db } = await openTables(line)
    const callerOutside = async (): Promise<void> => {
      await db.selectFrom('nothing' as never).selectAll().execute({ signal: new AbortController().signal })
    }
    const failure = await failureOf(callerOutside())
    expect(failure.code).toBe('SQLITE_ERROR')
    expect(failure.stack).toMatch(/callerOutside.*cancellation\.test\.ts/)
  })

  it("with 'kill session' takes its transaction along", async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    const controller = new AbortController()
    const outcome = db.transaction().execute(async (trx) => {
      await trx.insertInto('users').values({ name: 'Ada' }).execute()
      const query = sql.raw(ENDLESS_READ).execute(trx, { signal: controller.signal, inflightQueryAbortStrategy: 'kill session' })
      await until(() => database.status().writer.holder?.sql === ENDLESS_READ, 'it runs')
      controller.abort(new Error('gone'))
      await query
    })
    await expect(outcome).rejects.toThrow('gone')
    await untilQuiet(database)
    expect(await namesOf(db)).toEqual([])
  })

  it('and nothing else is waited for no longer, but runs to its end', async () => {
    const { db, database } = await openTables(line)
    const controller = new AbortController()
    const before = database.status().counters['reads']!
    const query = sql`${sql.raw(COUNTING_READ.replace('?', '3000000'))}`.execute(db, { signal: controller.signal })
    await until(() => database.status().readers.active === 1, 'it runs')
    controller.abort(new Error('gone'))
    await expect(query).rejects.toThrow('gone')
    expect(database.status().readers.active).toBe(1)
    await untilQuiet(database)
    expect(database.status().counters['reads']).toBe(before + 1)
  })

  it('disturbs no other query', async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    await addUsers(database, 100)
    const controller = new AbortController()
    const doomed = Array.from({ length: 5 }, () =>
      sql.raw(ENDLESS_READ).execute(db, { signal: controller.signal, inflightQueryAbortStrategy: 'cancel query' }))
    const others = Array.from({ length: 20 }, () => namesOf(db))
    controller.abort(new Error('gone'))
    expect((await Promise.allSettled(doomed)).every(({ status }) => status === 'rejected')).toBe(true)
    const names = await within(Promise.all(others), 'the others')
    expect(names.every(({ length }) => length === 100)).toBe(true)
    await untilQuiet(database)
  })
})

describe('a stream with a signal', () => {
  it('ends with its reason, and gives its reader back', async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    await addUsers(database, 5_000)
    const controller = new AbortController()
    const loop = async (): Promise<void> => {
      for await (const { id } of db.selectFrom('users').select('id').stream({ chunkSize: 10, signal: controller.signal })) {
        if (id === 15) controller.abort(new Error('gone'))
      }
    }
    await expect(loop()).rejects.toThrow('gone')
    await untilQuiet(database)
  })

  it('is stopped while it looks for its first row', async () => {
    const { db, database } = await openTables(line)
    silenceConsole()
    const controller = new AbortController()
    const loop = async (): Promise<void> => {
      const endless = sql.raw(ENDLESS_READ).compile(db)
      for await (const _ of db.getExecutor().stream(endless, 10, { signal: controller.signal })) expect.unreachable()
    }
    const outcome = loop()
    await until(() => database.status().readers.active === 1, 'it runs')
    controller.abort(new Error('gone'))
    await expect(outcome).rejects.toThrow('gone')
    await untilQuiet(database)
  })
})
