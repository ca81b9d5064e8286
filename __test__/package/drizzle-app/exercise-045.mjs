// What every variant of the application with drizzle-orm 0.45 does with the installed package.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes a migration as drizzle-kit does, and returns its folder. */
function migrationsBeside(path) {
  const folder = `${path}-migrations`
  mkdirSync(join(folder, 'meta'), { recursive: true })
  const entries = [{ idx: 0, version: '6', when: 1767268800000, tag: '0000_first', breakpoints: true }]
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'sqlite', entries }))
  writeFileSync(join(folder, '0000_first.sql'), 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);')
  return folder
}

/** Migrates a database file, writes and reads through drizzle, and meets an error. `loaded` is what was imported, or required. */
export async function exercise({ drizzle, migrate, SqliteError, orm, core }, path) {
  const { integer, sqliteTable, text } = core
  const users = sqliteTable('users', { id: integer('id').primaryKey(), name: text('name').notNull() })
  const db = drizzle(path, { schema: { users } })
  try {
    await migrate(db, { migrationsFolder: migrationsBeside(path) })
    await db.transaction(async (tx) => tx.insert(users).values({ name: 'Ada' }))
    assert.deepEqual(await db.query.users.findFirst({ where: orm.eq(users.id, 1) }), { id: 1, name: 'Ada' })
    assert.equal(await db.$count(users), 1)
    await assert.rejects(db.insert(users).values({ name: 'Ada' }), (error) => {
      assert.ok(error instanceof orm.DrizzleQueryError, 'the error is that of the drizzle of the application')
      assert.ok(error.cause instanceof SqliteError, 'its cause is that of the driver of the application')
      assert.equal(error.cause.code, 'SQLITE_CONSTRAINT_UNIQUE')
      return true
    })
  } finally {
    await db.$client.close()
  }
}
