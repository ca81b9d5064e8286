import { eq, relations, sql } from 'drizzle-orm'
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { expectTypeOf, it } from 'vitest'
import type { Database, RunResult } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import type { SluiceDatabase, SluiceTransaction } from 'sluice/drizzle'
import { applyStatements, migrate } from 'sluice/drizzle/migrator'

const people = sqliteTable('people', {
  id: integer().primaryKey(),
  name: text().notNull(),
  bornAt: integer({ mode: 'timestamp' }),
})
const letters = sqliteTable('letters', { id: integer().primaryKey(), sender: integer().notNull() })
const peopleRelations = relations(people, ({ many }) => ({ letters: many(letters) }))
const lettersRelations = relations(letters, ({ one }) => ({ from: one(people, { fields: [letters.sender], references: [people.id] }) }))
const schema = { people, letters, peopleRelations, lettersRelations }

interface Person {
  id: number
  name: string
  bornAt: Date | null
}

declare const client: Database
const db = drizzle(client, { schema })

it('hands out the client that it was given or has opened', () => {
  expectTypeOf(db.$client).toEqualTypeOf<Database>()
  expectTypeOf(drizzle('app.db').$client).toEqualTypeOf<Database>()
  expectTypeOf(drizzle({ connection: 'app.db', schema }).$client).toEqualTypeOf<Database>()
  expectTypeOf(drizzle.mock().$client).toEqualTypeOf<'$client is not available on drizzle.mock()'>()
})

it('takes a path, a client, or a configuration with one of them', () => {
  expectTypeOf(drizzle('app.db', { schema })).toExtend<SluiceDatabase<typeof schema>>()
  expectTypeOf(drizzle(new URL('file:///app.db'))).toExtend<SluiceDatabase>()
  expectTypeOf(drizzle({ client, logger: true })).toExtend<SluiceDatabase>()
  expectTypeOf(drizzle({ connection: { path: 'app.db', readonly: true }, schema })).toExtend<SluiceDatabase<typeof schema>>()
  // @ts-expect-error: neither a connection nor a client.
  void drizzle({ schema })
  // @ts-expect-error: no such option of `open`.
  void drizzle({ connection: { path: 'app.db', readOnly: true } })
  // @ts-expect-error: a number is no path.
  void drizzle(1)
  // @ts-expect-error: no such casing.
  void drizzle(client, { casing: 'kebab-case' })
})

it('is an asynchronous SQLite database of drizzle', () => {
  expectTypeOf(db).toExtend<BaseSQLiteDatabase<'async', RunResult, typeof schema>>()
})

it('infers rows from what is selected', async () => {
  expectTypeOf(await db.select().from(people)).toEqualTypeOf<Person[]>()
  expectTypeOf(await db.select({ n: people.name }).from(people).get()).toEqualTypeOf<{ n: string } | undefined>()
  expectTypeOf(await db.insert(people).values({ name: 'Ada' }).returning()).toEqualTypeOf<Person[]>()
  const joined = await db.select().from(people).leftJoin(letters, eq(letters.sender, people.id))
  expectTypeOf(joined).toEqualTypeOf<Array<{ people: Person; letters: { id: number; sender: number } | null }>>()
})

it('returns what the driver returns from a statement without rows', async () => {
  expectTypeOf(await db.insert(people).values({ name: 'Ada' })).toEqualTypeOf<RunResult>()
  expectTypeOf(await db.delete(people)).toEqualTypeOf<RunResult>()
  expectTypeOf(await db.run(sql`VACUUM`)).toEqualTypeOf<RunResult>()
  // @ts-expect-error: the name must be there.
  void db.insert(people).values({})
})

it('infers what relational queries find', async () => {
  const found = await db.query.people.findFirst({ columns: { name: true }, with: { letters: { columns: { id: true } } } })
  expectTypeOf(found).toEqualTypeOf<{ name: string; letters: Array<{ id: number }> } | undefined>()
  // @ts-expect-error: no such relation.
  void db.query.people.findMany({ with: { parcels: true } })
})

it('knows no relational queries without a schema', () => {
  // @ts-expect-error: there is no schema.
  void drizzle(client).query.people
})

it('infers the results of a batch, one by one', async () => {
  const results = await db.batch([
    db.insert(people).values({ name: 'Ada' }),
    db.select().from(people),
    db.get<{ one: number }>(sql`SELECT 1 AS one`),
    db.query.letters.findFirst(),
  ])
  expectTypeOf(results).toEqualTypeOf<[RunResult, Person[], { one: number }, { id: number; sender: number } | undefined]>()
  // @ts-expect-error: a batch has at least one query.
  void db.batch([])
})

it('gives transactions their type, and their result', async () => {
  const result = await db.transaction(async (tx) => {
    expectTypeOf(tx).toExtend<SluiceTransaction<typeof schema>>()
    expectTypeOf(await tx.query.people.findMany()).toEqualTypeOf<Person[]>()
    return tx.transaction(async (inner) => {
      expectTypeOf(inner).toEqualTypeOf(tx)
      return 5
    })
  })
  expectTypeOf(result).toEqualTypeOf<number>()
  void db.transaction(async (tx) => tx.rollback(), { behavior: 'immediate', retry: { attempts: 3 }, timeoutMs: 100 })
  // @ts-expect-error: no such behavior.
  void db.transaction(async () => {}, { behavior: 'lazy' })
  // @ts-expect-error: transactions are asynchronous.
  void db.transaction(() => 1)
})

it('takes a database with any schema for migrations', () => {
  expectTypeOf(migrate(db, { migrationsFolder: 'drizzle' })).toEqualTypeOf<Promise<void>>()
  expectTypeOf(migrate(drizzle(client), { journal: { entries: [] }, migrations: {}, migrationsTable: 'steps' })).toEqualTypeOf<Promise<void>>()
  expectTypeOf(applyStatements(db, ['CREATE TABLE t (x)'])).toEqualTypeOf<Promise<void>>()
  // @ts-expect-error: migrations come from somewhere.
  void migrate(db, {})
  // @ts-expect-error: a transaction cannot be migrated.
  void db.transaction((tx) => migrate(tx, { migrationsFolder: 'drizzle' }))
})
