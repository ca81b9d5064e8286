import { generateSQLiteDrizzleJson, generateSQLiteMigration, pushSQLiteSchema } from 'drizzle-kit/api'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { drizzle } from 'sluice/drizzle'
import type { SluiceDatabase } from 'sluice/drizzle'
import { applyStatements, migrate } from 'sluice/drizzle/migrator'
import type { Database } from 'sluice'
import { PLACES, causeOf, pathOf, rejectionOf } from '../support/drizzle.js'
import type { Place } from '../support/drizzle.js'

type Schema = Record<string, unknown>
type Push = Awaited<ReturnType<typeof pushSQLiteSchema>>

const owners = sqliteTable('owners', { id: integer().primaryKey(), name: text() })
const pets = sqliteTable('pets', {
  id: integer().primaryKey(),
  owner: integer().references(() => owners.id, { onDelete: 'cascade' }),
})
const strictOwners = sqliteTable('owners', { id: integer().primaryKey(), name: text().notNull() })
const FIRST: Schema = { owners, pets }
/** Takes that the table of owners is rebuilt. */
const SECOND: Schema = { owners: strictOwners, pets }

function openOn(place: Place): SluiceDatabase & { $client: Database } {
  // The kit shows its progress on the console.
  const print = vi.spyOn(process.stdout, 'write').mockImplementation(() => true)
  const db = drizzle(pathOf(place))
  onTestFinished(async () => {
    print.mockRestore()
    await db.$client.close()
  })
  return db
}

/** The kit names the one driver that it was written for, and uses what every one has. */
function push(schema: Schema, db: SluiceDatabase): Promise<Push> {
  return pushSQLiteSchema(schema, db as unknown as Parameters<typeof pushSQLiteSchema>[1])
}

async function fill(db: SluiceDatabase): Promise<void> {
  await db.insert(owners).values({ id: 1, name: 'Ada' })
  await db.insert(pets).values([{ id: 1, owner: 1 }, { id: 2, owner: 1 }])
}

describe.each(PLACES)('drizzle-kit on %s', (place) => {
  it('brings an empty database to a schema', async () => {
    const db = openOn(place)
    const { apply, hasDataLoss } = await push(FIRST, db)
    expect(hasDataLoss).toBe(false)
    await apply()
    await fill(db)
    expect(await db.$count(pets)).toBe(2)
  })

  it('finds nothing to do where the schema is that already', async () => {
    const db = openOn(place)
    await (await push(FIRST, db)).apply()
    expect((await push(FIRST, db)).statementsToExecute).toEqual([])
  })

  it('cannot rebuild a table by itself, and leaves it as it was', async () => {
    const db = openOn(place)
    await (await push(FIRST, db)).apply()
    await fill(db)
    const { apply } = await push(SECOND, db)
    expect(await causeOf(apply())).toBe('ERR_SLUICE_PRAGMA')
    expect(await db.$count(pets)).toBe(2)
  })

  it('has a table rebuilt by applyStatements, which keeps the rows that refer to it', async () => {
    const db = openOn(place)
    await applyStatements(db, (await push(FIRST, db)).statementsToExecute)
    await fill(db)
    await applyStatements(db, (await push(SECOND, db)).statementsToExecute)
    expect(await db.$count(pets)).toBe(2)
    expect((await push(SECOND, db)).statementsToExecute).toEqual([])
    expect(await causeOf(db.run('INSERT INTO pets VALUES (9, 99)'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
  })

  it('has all or nothing done by applyStatements', async () => {
    const db = openOn(place)
    const { statementsToExecute } = await push(FIRST, db)
    const rejection = await rejectionOf(applyStatements(db, [...statementsToExecute, 'CREATE TABLE']))
    expect(rejection.query).toBe('CREATE TABLE')
    expect(await db.values('SELECT count(*) FROM sqlite_schema')).toEqual([[0]])
  })

  it('generates migrations that the migrator applies', async () => {
    const db = openOn(place)
    const empty = await generateSQLiteDrizzleJson({})
    const first = await generateSQLiteDrizzleJson(FIRST, empty.id)
    const second = await generateSQLiteDrizzleJson(SECOND, first.id)
    const texts = [await generateSQLiteMigration(empty, first), await generateSQLiteMigration(first, second)]
    const migrations = Object.fromEntries(texts.map((text, index) => [`m000${index}`, text.join('\n--> statement-breakpoint\n')]))
    const entries = texts.map((_, idx) => ({ idx, when: idx + 1, tag: `${idx}`, breakpoints: true }))
    await migrate(db, { journal: { entries: entries.slice(0, 1) }, migrations })
    await fill(db)
    await migrate(db, { journal: { entries }, migrations })
    expect(await db.$count(pets)).toBe(2)
    expect((await push(SECOND, db)).statementsToExecute).toEqual([])
  })
})
