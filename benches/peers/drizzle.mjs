// What drizzle does on either driver.
import { eq } from 'drizzle-orm'
import { integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { ADD_VISIT, FIND_CITY } from '../workloads/orm.mjs'

const cities = sqliteTable('cities', {
  id: integer().primaryKey(),
  name: text().notNull(),
  country: text().notNull(),
  latitude: real().notNull(),
  population: integer().notNull(),
})

const visits = sqliteTable('visits', {
  id: integer().primaryKey(),
  city: integer().notNull(),
  at: integer().notNull(),
  note: integer().notNull(),
})

/** Makes the calls of the workloads, by name. */
export function callsOf(db) {
  return {
    [FIND_CITY]: ([id]) => db.select().from(cities).where(eq(cities.id, id)).get(),
    [ADD_VISIT]: ([city, at, note]) => db.insert(visits).values({ city, at, note }).run(),
  }
}
