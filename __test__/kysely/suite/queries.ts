import { describe, expect, it } from 'vitest'

import { addUsers, kyselyOn, namesOf, openTables } from './line.js'
import type { Line, Tables } from './line.js'
import { openForTest } from '../../support/scratch.js'

/** Queries, what they return, and what plugins make of it. */
export function describeQueries(line: Line): void {
  const { sql } = line.kysely

  describe('a query', () => {
    it('inserts, and tells the id and the number of rows as bigint', async () => {
      const { db } = await openTables(line)
      const result = await db.insertInto('users').values([{ name: 'Ada', age: 36 }, { name: 'Grace', age: 85 }]).executeTakeFirst()
      expect(result).toMatchObject({ insertId: 2n, numInsertedOrUpdatedRows: 2n })
    })

    it('returns the rows of RETURNING', async () => {
      const { db } = await openTables(line)
      const rows = await db.insertInto('users').values([{ name: 'Ada' }, { name: 'Grace' }]).returning(['id', 'name']).execute()
      expect(rows).toEqual([{ id: 1, name: 'Ada' }, { id: 2, name: 'Grace' }])
    })

    it('updates, and tells how many rows', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 10)
      const result = await db.updateTable('users').set({ age: 1 }).where('id', '<=', 4).executeTakeFirst()
      expect(result.numUpdatedRows).toBe(4n)
    })

    it('deletes, and tells how many rows', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 10)
      const result = await db.deleteFrom('users').where('id', '>', 7).executeTakeFirst()
      expect(result.numDeletedRows).toBe(3n)
    })

    it('tells no stale id or number after a query that changed nothing', async () => {
      const { db } = await openTables(line)
      await db.insertInto('users').values({ name: 'Ada' }).execute()
      const ignored = await db.insertInto('users').values({ name: 'Ada' }).onConflict((c) => c.doNothing()).executeTakeFirst()
      expect(ignored.insertId).toBeUndefined()
      expect(ignored.numInsertedOrUpdatedRows).toBe(0n)
      const updated = await sql`UPDATE users SET age = 3`.execute(db)
      expect([updated.insertId, updated.numAffectedRows]).toEqual([undefined, 1n])
    })

    it('tells an id beyond 2^53 exactly', async () => {
      const { db } = await openTables(line)
      const result = await db.insertInto('users').values({ id: 9007199254740993n as never, name: 'far' }).executeTakeFirst()
      expect(result.insertId).toBe(9007199254740993n)
    })

    it('reads without a number of affected rows', async () => {
      const { db } = await openTables(line)
      const result = await sql`SELECT 1 AS one`.execute(db)
      expect(result.rows).toEqual([{ one: 1 }])
      expect('numAffectedRows' in result).toBe(false)
    })

    it('updates or inserts on a conflict', async () => {
      const { db } = await openTables(line)
      const add = (age: number): Promise<unknown> =>
        db.insertInto('users').values({ name: 'Ada', age }).onConflict((c) => c.column('name').doUpdateSet({ age })).execute()
      await add(1)
      await add(2)
      expect(await db.selectFrom('users').select('age').execute()).toEqual([{ age: 2 }])
    })

    it('replaces', async () => {
      const { db } = await openTables(line)
      await db.insertInto('users').values({ id: 1, name: 'Ada' }).execute()
      await db.replaceInto('users').values({ id: 1, name: 'Grace' }).execute()
      expect(await namesOf(db)).toEqual(['Grace'])
    })

    it('joins, groups and orders', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 3)
      await db.insertInto('pets').values([{ owner_id: 1, name: 'a' }, { owner_id: 1, name: 'b' }, { owner_id: 3, name: 'c' }]).execute()
      const rows = await db
        .selectFrom('users')
        .leftJoin('pets', 'pets.owner_id', 'users.id')
        .select((eb) => ['users.name', eb.fn.count('pets.id').as('pets')])
        .groupBy('users.id')
        .orderBy('users.id')
        .execute()
      expect(rows).toEqual([{ name: 'user 1', pets: 2 }, { name: 'user 2', pets: 0 }, { name: 'user 3', pets: 1 }])
    })

    it('runs common table expressions, recursive ones too', async () => {
      const { db } = await openTables(line)
      const rows = await db
        .withRecursive('c(n)', (qb) => qb
          .selectNoFrom(sql<number>`1`.as('n'))
          .unionAll((eb) => eb.selectFrom('c').select(sql<number>`n + 1`.as('n')).where('n', '<', 4)))
        .selectFrom('c')
        .select('n')
        .execute()
      expect(rows).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }])
    })

    it('runs writes that begin with a common table expression', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 3)
      const result = await db
        .with('old', (qb) => qb.selectFrom('users').select('id').where('id', '<', 3))
        .deleteFrom('users')
        .where('id', 'in', (eb) => eb.selectFrom('old').select('id'))
        .executeTakeFirst()
      expect(result.numDeletedRows).toBe(2n)
    })

    it('nests rows as JSON with the functions of Kysely', async () => {
      const { db, database } = await openTables(line)
      await addUsers(database, 1)
      await db.insertInto('pets').values([{ owner_id: 1, name: 'a' }, { owner_id: 1, name: 'b' }]).execute()
      const nested = kyselyOn<Tables>(line, await openForTest(database.path), { plugins: [new line.kysely.ParseJSONResultsPlugin()] })
      const rows = await nested
        .selectFrom('users')
        .select((eb) => [
          'name',
          line.sqlite.jsonArrayFrom(eb.selectFrom('pets').select('pets.name').whereRef('owner_id', '=', 'users.id')).as('pets'),
        ])
        .execute()
      expect(rows).toEqual([{ name: 'user 1', pets: [{ name: 'a' }, { name: 'b' }] }])
    })

    it('maps names with CamelCasePlugin', async () => {
      const { database } = await openTables(line)
      await addUsers(database, 1)
      const camel = kyselyOn<{ pets: { id: number; ownerId: number; name: string } }>(line, await openForTest(database.path), {
        plugins: [new line.kysely.CamelCasePlugin()],
      })
      await camel.insertInto('pets').values({ id: 1, ownerId: 1, name: 'Rex' }).execute()
      expect(await camel.selectFrom('pets').selectAll().execute()).toEqual([{ id: 1, ownerId: 1, name: 'Rex' }])
    })

    it('drops null filters with DeduplicateJoinsPlugin and other plugins that change the query', async () => {
      const { database } = await openTables(line)
      const db = kyselyOn<Tables>(line, await openForTest(database.path), { plugins: [new line.kysely.DeduplicateJoinsPlugin()] })
      const query = db
        .selectFrom('users')
        .innerJoin('pets', 'pets.owner_id', 'users.id')
        .innerJoin('pets', 'pets.owner_id', 'users.id')
        .select('users.name')
      expect(await query.execute()).toEqual([])
    })

    it('explains', async () => {
      const { db } = await openTables(line)
      const plan = await db.selectFrom('users').selectAll().where('name', '=', 'Ada').explain()
      expect(plan[0]).toMatchObject({ addr: 0, opcode: 'Init' })
    })

    it('of columns that share a name returns the last, as Kysely does with every driver', async () => {
      const { db } = await openTables(line)
      const { rows } = await sql`SELECT 1 AS a, 2 AS a`.execute(db)
      expect(rows).toEqual([{ a: 2 }])
    })

    it('returns objects from a database that was opened for arrays', async () => {
      const { db, database } = await openTables(line, { rowMode: 'array' })
      await addUsers(database, 1)
      expect(await db.selectFrom('users').selectAll().execute()).toEqual([{ id: 1, name: 'user 1', age: 1 }])
    })

    it('is logged with its text and its time', async () => {
      const { database } = await openTables(line)
      const logged: string[] = []
      const db = kyselyOn<Tables>(line, await openForTest(database.path), {
        log: (event) => void logged.push(`${event.level}: ${event.query.sql} ${event.queryDurationMillis >= 0}`),
      })
      await db.selectFrom('users').select('id').execute()
      await db.selectFrom('nothing' as never).selectAll().execute().catch(() => {})
      expect(logged).toEqual(['query: select "id" from "users" true', 'error: select * from "nothing" true'])
    })

    it('is one call of the driver, and holds nothing afterwards', async () => {
      const { db, database } = await openTables(line)
      await db.selectFrom('users').selectAll().execute()
      const before = database.status().counters
      await db.selectFrom('users').selectAll().execute()
      await db.insertInto('users').values({ name: 'Ada' }).execute()
      const after = database.status().counters
      expect([after['reads']! - before['reads']!, after['writes']! - before['writes']!]).toEqual([1, 1])
      expect(database.handleCount).toBe(1)
    })

    it('runs beside others: 200 at once, reads and writes', async () => {
      const { db } = await openTables(line)
      const insert = (n: number): Promise<unknown> => db.insertInto('users').values({ name: `user ${n}` }).execute()
      const count = (): Promise<unknown> => db.selectFrom('users').select((eb) => eb.fn.countAll().as('n')).execute()
      await Promise.all(Array.from({ length: 200 }, (_, n) => (n % 2 === 0 ? insert(n) : count())))
      expect(await namesOf(db)).toHaveLength(100)
    })
  })

  describe('a schema', () => {
    it('is created, altered and dropped', async () => {
      const { db } = await openTables(line)
      await db.schema
        .createTable('towns')
        .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('name', 'text')
        .execute()
      await db.schema.createIndex('towns_name').on('towns').column('name').unique().execute()
      await db.schema.alterTable('towns').addColumn('size', 'integer', (c) => c.notNull().defaultTo(3)).execute()
      await db.schema.createView('big').as(db.selectFrom('towns' as never).selectAll()).execute()
      const tables = await db.introspection.getTables()
      expect(tables.map(({ name, isView }) => [name, isView])).toEqual(
        [['anything', false], ['big', true], ['pets', false], ['towns', false], ['users', false]],
      )
      expect(tables.find(({ name }) => name === 'towns')?.columns).toMatchObject([
        { name: 'id', dataType: 'INTEGER', isAutoIncrementing: true, isNullable: true },
        { name: 'name', dataType: 'TEXT', hasDefaultValue: false, isNullable: true },
        { name: 'size', dataType: 'INTEGER', hasDefaultValue: true, isNullable: false },
      ])
      await db.schema.dropView('big').execute()
      await db.schema.dropTable('towns').execute()
      expect(await db.introspection.getTables()).toHaveLength(3)
    })

    it('has no schemas within it', async () => {
      const { db } = await openTables(line)
      expect(await db.introspection.getSchemas()).toEqual([])
    })

    it('is seen by the next query, however often that was run before', async () => {
      const { db } = await openTables(line)
      const read = (): Promise<unknown[]> => db.selectFrom('anything').selectAll().execute()
      await db.insertInto('anything').values({ x: 1 }).execute()
      expect(await read()).toEqual([{ x: 1 }])
      await db.schema.alterTable('anything').addColumn('y', 'integer').execute()
      expect(await read()).toEqual([{ x: 1, y: null }])
    })
  })
}
