// What every variant of the application with drizzle-orm 1.0 does with the installed package.
import assert from 'node:assert/strict'

const MIGRATIONS = {
  '20260101120000_first': 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);',
  '20260102120000_second': `CREATE TABLE posts (
    id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES users (id), title TEXT NOT NULL
  );`,
}

/** Migrates a database file, writes and reads through drizzle, and meets an error. `loaded` is what was imported, or required. */
export async function exercise({ drizzle, migrate, SqliteError, orm, core }, path) {
  const { integer, sqliteTable, text } = core
  const users = sqliteTable('users', { id: integer().primaryKey(), name: text().notNull() })
  const posts = sqliteTable('posts', { id: integer().primaryKey(), authorId: integer('author_id').notNull(), title: text().notNull() })
  const relations = orm.defineRelations({ users, posts }, (r) => ({
    users: { posts: r.many.posts({ from: r.users.id, to: r.posts.authorId }) },
  }))
  const db = drizzle(path, { relations, jit: true })
  try {
    await migrate(db, { migrations: MIGRATIONS })
    const id = await db.transaction(async (tx) => {
      const [user] = await tx.insert(users).values({ name: 'Ada' }).returning()
      await tx.insert(posts).values({ authorId: user.id, title: 'Notes' })
      return user.id
    })
    const found = await db.query.users.findFirst({ where: { id }, with: { posts: { columns: { title: true } } } })
    assert.deepEqual(found, { id: 1, name: 'Ada', posts: [{ title: 'Notes' }] })
    assert.equal(await db.$count(posts), 1)
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
