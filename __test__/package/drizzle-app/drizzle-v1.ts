import { defineRelations, eq } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { open, type RunResult } from 'sluice'
import { drizzle, type SluiceDatabase } from 'sluice/drizzle-v1'
import { migrate } from 'sluice/drizzle-v1/migrator'

const users = sqliteTable('users', { id: integer().primaryKey(), name: text().notNull(), city: text() })
const posts = sqliteTable('posts', { id: integer().primaryKey(), authorId: integer('author_id').notNull() })
const relations = defineRelations({ users, posts }, (r) => ({
  users: { posts: r.many.posts({ from: r.users.id, to: r.posts.authorId }) },
}))

const migrations = {
  '20260101120000_users': 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT)',
  '20260102120000_posts': 'CREATE TABLE posts (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL)',
}

async function read(db: SluiceDatabase<typeof relations>): Promise<string[]> {
  const rows: { id: number; name: string; city: string | null }[] = await db.select().from(users).where(eq(users.name, 'Ada'))
  // @ts-expect-error: a name is no number.
  await db.select().from(users).where(eq(users.name, 1))
  const found = await db.query.users.findFirst({ with: { posts: true } })
  // @ts-expect-error: there may be no such row.
  void found.posts
  const ids: number[] = found?.posts.map(({ authorId }) => authorId) ?? []
  if (ids.length > 0) throw new Error('found what nobody wrote')
  return rows.map(({ name }) => name)
}

async function write(db: SluiceDatabase<typeof relations>): Promise<void> {
  const { changes }: RunResult = await db.insert(users).values({ name: 'Ada' })
  // @ts-expect-error: the name is missing.
  void db.insert(users).values({ city: 'London' })
  const [inserted, names]: [RunResult, { name: string }[]] = await db.batch([
    db.insert(users).values({ name: 'Grace' }),
    db.select({ name: users.name }).from(users),
  ])
  if (changes !== 1 || inserted.changes !== 1 || names.length !== 2) throw new Error('wrote something else')
  await db.transaction(async (tx) => tx.transaction(async (inner) => inner.delete(users).where(eq(users.name, 'Grace'))), {
    behavior: 'immediate',
    timeoutMs: 5000,
  })
}

async function main(path: string): Promise<void> {
  const client = await open(path)
  try {
    const db = drizzle({ client, relations })
    await migrate(db, { migrations })
    await write(db)
    if ((await read(db)).join() !== 'Ada') throw new Error('read something else')
    // @ts-expect-error: no such option.
    void (() => drizzle({ connection: { path, readOnly: true } }))
    const mocked: string = drizzle.mock().select().from(users).toSQL().sql
    if (!mocked.startsWith('select')) throw new Error('built something else')
  } finally {
    await client.close()
  }
}

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: drizzle-v1 <path>')
void main(path)
