import { eq } from 'drizzle-orm'
import { integer, sqliteTable } from 'drizzle-orm/sqlite-core'
import { Kysely } from 'kysely'
import { open } from 'sluice'
import type { Database } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import { SluiceDialect } from 'sluice/kysely'
import { describe, expect, it } from 'vitest'

import type { TracedQuery, TracedTransaction } from '../index.js'
import { openWithRows } from './support/rows.js'
import { endsOf, record } from './support/traces.js'

/** Opens a database as adapters know it: the class is one, its types are told twice. */
async function openForAdapters(): Promise<Database> {
  return (await openWithRows()) as unknown as Database
}

describe('calls of adapters', () => {
  it('of Kysely are told, with their texts and without their values', async () => {
    const database = await openForAdapters()
    const db = new Kysely<{ t: { x: number } }>({ dialect: new SluiceDialect({ database: await open(database.path) }) })
    const queries = record<TracedQuery>('sluice:query')
    expect(await db.selectFrom('t').selectAll().where('x', '>', 2).execute()).toEqual([{ x: 3 }])
    expect(endsOf(queries)).toEqual([expect.objectContaining({ sql: 'select * from "t" where "x" > ?', database: database.path, rows: 1, route: 'read' })])
    await db.destroy()
  })

  it('of Drizzle are told, and so are its transactions', async () => {
    const database = await openForAdapters()
    const t = sqliteTable('t', { x: integer('x') })
    const db = drizzle(database)
    const queries = record<TracedQuery>('sluice:query')
    const transactions = record<TracedTransaction>('sluice:transaction')
    await db.transaction(async (tx) => {
      await tx.update(t).set({ x: 7 }).where(eq(t.x, 3))
    })
    expect(endsOf(queries)).toEqual([expect.objectContaining({ sql: 'update "t" set "x" = ? where "t"."x" = ?', changes: 1, route: 'write' })])
    expect(endsOf(transactions).map(({ outcome }) => outcome)).toEqual(['commit'])
  })
})
