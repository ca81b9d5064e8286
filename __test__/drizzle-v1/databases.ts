import { onTestFinished } from 'vitest'

import { drizzle } from 'sluice/drizzle-v1'
import type { SluiceDatabase, SluiceDrizzleConfig } from 'sluice/drizzle-v1'
import { open } from 'sluice'
import type { OpenOptions } from 'sluice'
import { pathOf } from '../support/drizzle.js'
import type { Place } from '../support/drizzle.js'
import { DDL, posts, relations, tags, postsTags, users } from './schema.js'

export type Db = SluiceDatabase<typeof relations>

/** How to put drizzle on a database for a test. */
export interface Setup {
  readonly options?: OpenOptions
  readonly config?: Omit<SluiceDrizzleConfig<typeof relations>, 'relations'>
}

/** Opens a database with empty tables, which is closed with the test. */
export async function openEmpty(place: Place, { options, config }: Setup = {}): Promise<Db> {
  const client = await open(pathOf(place), options)
  onTestFinished(() => client.close({ timeoutMs: 0 }))
  await client.exec(DDL)
  return drizzle(client, { ...config, relations })
}

/** Opens a database with three users, four posts and three tags. */
export async function openFilled(place: Place, setup?: Setup): Promise<Db> {
  const db = await openEmpty(place, setup)
  await db.insert(users).values([
    { id: 1, name: 'Ada', email: 'ada@example.com', city: 'London' },
    { id: 2, name: 'Grace', email: 'grace@example.com', city: 'New York', inviterId: 1 },
    { id: 3, name: 'Joan', city: 'London', inviterId: 1 },
  ])
  await db.insert(posts).values([
    { id: 1, authorId: 1, title: 'Notes', views: 10 },
    { id: 2, authorId: 1, title: 'Engines', views: 30 },
    { id: 3, authorId: 2, title: 'Compilers', views: 20 },
    { id: 4, authorId: 2, title: 'Bugs' },
  ])
  await db.insert(tags).values([
    { id: 1, name: 'maths' },
    { id: 2, name: 'machines' },
    { id: 3, name: 'unused' },
  ])
  await db.insert(postsTags).values([
    { postId: 1, tagId: 1 },
    { postId: 2, tagId: 1 },
    { postId: 2, tagId: 2 },
    { postId: 3, tagId: 2 },
  ])
  return db
}
