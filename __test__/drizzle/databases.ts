import type { DrizzleConfig } from 'drizzle-orm'
import { onTestFinished } from 'vitest'

import { open } from 'sluice'
import type { Database, OpenOptions } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import type { SluiceDatabase } from 'sluice/drizzle'
import { pathOf } from '../support/drizzle.js'
import type { Place } from '../support/drizzle.js'
import * as schema from './schema.js'

export type Db = SluiceDatabase<typeof schema> & { $client: Database }

/** What a test wants otherwise. */
export interface Setup {
  readonly options?: OpenOptions
  readonly config?: Omit<DrizzleConfig<typeof schema>, 'schema'>
}

/** Opens a database with empty tables, which is closed with the test. */
export async function openEmpty(place: Place, { options, config }: Setup = {}): Promise<Db> {
  const client = await open(pathOf(place), options)
  onTestFinished(() => client.close({ timeoutMs: 0 }))
  await client.exec(schema.DDL)
  return drizzle(client, { ...config, schema })
}

/** Opens a database with three authors, four books and three genres. */
export async function openFilled(place: Place, setup?: Setup): Promise<Db> {
  const db = await openEmpty(place, setup)
  await db.insert(schema.authors).values([
    { id: 1, name: 'Ada', email: 'ada@example.com' },
    { id: 2, name: 'Grace', email: 'grace@example.com', city: 'New York', mentorId: 1 },
    { id: 3, name: 'Joan', mentorId: 1 },
  ])
  await db.insert(schema.books).values([
    { id: 1, authorId: 1, title: 'Notes', copies: 10 },
    { id: 2, authorId: 1, title: 'Engines', copies: 30 },
    { id: 3, authorId: 2, title: 'Compilers', copies: 20 },
    { id: 4, authorId: 2, title: 'Bugs' },
  ])
  await db.insert(schema.genres).values([{ id: 1, name: 'maths' }, { id: 2, name: 'machines' }, { id: 3, name: 'unused' }])
  await db.insert(schema.shelving).values([
    { bookId: 1, genreId: 1 },
    { bookId: 2, genreId: 1 },
    { bookId: 2, genreId: 2 },
    { bookId: 3, genreId: 2 },
  ])
  return db
}
