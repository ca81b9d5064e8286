import { eq } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { open } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import { migrate } from 'sluice/drizzle/migrator'

const users = sqliteTable('users', { id: integer('id').primaryKey(), name: text('name').notNull(), city: text('city') })
const migrateDatabase: typeof migrate = migrate

async function main(path: string): Promise<void> {
  const client = await open(path)
  try {
    const db = drizzle(client, { schema: { users } })
    await client.exec('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT)')
    await db.insert(users).values({ name: 'Ada' })
    // @ts-expect-error: the name is missing.
    void db.insert(users).values({ city: 'London' })
    const rows: { id: number; name: string; city: string | null }[] = await db.select().from(users).where(eq(users.name, 'Ada'))
    const found = await db.query.users.findFirst()
    // @ts-expect-error: there may be no such row.
    void found.name
    await db.transaction(async (tx) => tx.delete(users).where(eq(users.id, 1)), { behavior: 'immediate' })
    if (rows.length !== 1 || found?.name !== 'Ada') throw new Error('read something else')
    if (typeof migrateDatabase !== 'function') throw new Error('no migrator')
  } finally {
    await client.close()
  }
}

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: drizzle-045 <path>')
void main(path)
