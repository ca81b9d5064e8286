// What Kysely does on either driver.
import { ADD_VISIT, FIND_CITY } from '../workloads/orm.mjs'

/** Makes the calls of the workloads, by name. */
export function callsOf(db) {
  return {
    [FIND_CITY]: ([id]) =>
      db.selectFrom('cities').select(['id', 'name', 'country', 'latitude', 'population']).where('id', '=', id).executeTakeFirst(),
    [ADD_VISIT]: ([city, at, note]) => db.insertInto('visits').values({ city, at, note }).execute(),
  }
}
