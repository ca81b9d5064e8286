import { eq, inArray, sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'

import { PLACES, rejectionOf } from '../support/drizzle.js'
import { openFilled } from './databases.js'
import { kinds, users } from './schema.js'

describe.each(PLACES)('prepared queries on %s', (place) => {
  it('run again and again with other values', async () => {
    const db = await openFilled(place)
    const byId = db
      .select({ name: users.name })
      .from(users)
      .where(eq(users.id, sql.placeholder('id')))
      .prepare()
    expect(await byId.all({ id: 1 })).toEqual([{ name: 'Ada' }])
    expect(await byId.get({ id: 2 })).toEqual({ name: 'Grace' })
    expect(await byId.get({ id: 99 })).toBeUndefined()
    expect(await byId.values({ id: 3 })).toEqual([['Joan']])
    expect(await byId.execute({ id: 3 })).toEqual([{ name: 'Joan' }])
  })

  it('run at the same time with different values', async () => {
    const db = await openFilled(place)
    const byId = db
      .select({ id: users.id })
      .from(users)
      .where(eq(users.id, sql.placeholder('id')))
      .prepare()
    const ids = Array.from({ length: 100 }, (_, index) => (index % 3) + 1)
    expect(await Promise.all(ids.map((id) => byId.get({ id })))).toEqual(ids.map((id) => ({ id })))
  })

  it('insert, update and delete', async () => {
    const db = await openFilled(place)
    const add = db
      .insert(users)
      .values({ name: sql.placeholder('name') })
      .prepare()
    expect(await add.run({ name: 'Mary' })).toEqual({ changes: 1, lastInsertRowid: 4 })
    expect(await add.execute({ name: 'Edith' })).toEqual({ changes: 1, lastInsertRowid: 5 })
    const rename = db
      .update(users)
      .set({ name: sql`${sql.placeholder('name')}` })
      .where(eq(users.id, sql.placeholder('id')))
      .returning()
      .prepare()
    expect(await rename.get({ name: 'M.', id: 4 })).toMatchObject({ name: 'M.' })
    const remove = db
      .delete(users)
      .where(eq(users.id, sql.placeholder('id')))
      .prepare()
    expect(await remove.run({ id: 4 })).toMatchObject({ changes: 1 })
  })

  it('take placeholders in limit and offset', async () => {
    const db = await openFilled(place)
    const page = db
      .select({ id: users.id })
      .from(users)
      .orderBy(users.id)
      .limit(sql.placeholder('limit'))
      .offset(sql.placeholder('offset'))
      .prepare()
    expect(await page.all({ limit: 1, offset: 1 })).toEqual([{ id: 2 }])
  })

  it('take placeholders in lists', async () => {
    const db = await openFilled(place)
    const some = db
      .select({ id: users.id })
      .from(users)
      .where(inArray(users.id, [sql.placeholder('a'), sql.placeholder('b')]))
      .orderBy(users.id)
      .prepare()
    expect(await some.all({ a: 1, b: 3 })).toEqual([{ id: 1 }, { id: 3 }])
  })

  it('write the values of placeholders as their columns do', async () => {
    const db = await openFilled(place)
    const add = db
      .insert(kinds)
      .values({ flag: sql.placeholder('flag'), seconds: sql.placeholder('at'), doc: sql.placeholder('doc') })
      .returning({ flag: kinds.flag, seconds: kinds.seconds, doc: kinds.doc })
      .prepare()
    const values = { flag: true, seconds: new Date(5000), doc: { list: [1] } }
    expect(await add.get({ flag: true, at: values.seconds, doc: values.doc })).toEqual(values)
  })

  it('say which placeholder has no value', async () => {
    const db = await openFilled(place)
    const byId = db
      .select()
      .from(users)
      .where(eq(users.id, sql.placeholder('id')))
      .prepare()
    expect((await rejectionOf((async () => byId.all())())).message).toBe('No value for placeholder "id" was provided')
  })

  it('show their text', async () => {
    const db = await openFilled(place)
    const query = db.select({ id: users.id }).from(users).prepare()
    expect(query.getQuery().sql).toBe('select "id" from "users"')
  })

  it('go on after the schema has changed', async () => {
    const db = await openFilled(place)
    const everybody = db.select({ name: users.name }).from(users).orderBy(users.id).limit(1).prepare()
    await everybody.all()
    await db.run('ALTER TABLE users ADD COLUMN born INTEGER')
    expect(await everybody.all()).toEqual([{ name: 'Ada' }])
  })

  it('belong to the transaction in which they are made', async () => {
    const db = await openFilled(place)
    await db.transaction(async (tx) => {
      const all = tx.select({ id: users.id }).from(users).prepare()
      await tx.insert(users).values({ name: 'new' })
      expect(await all.all()).toHaveLength(4)
    })
  })
})
