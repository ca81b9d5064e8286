// What applications do through an ORM: the workloads of `npm run bench:adapters`.
import { CITIES } from '../files.mjs'

/** The names by which an ORM's peer knows the calls. */
export const FIND_CITY = 'find a city by its id'
export const ADD_VISIT = 'add a visit'

const IN_FLIGHT = [1, 64].map((inFlight) => ({ inFlight, target: {} }))

/** @type {import('../workload.mjs').Workload[]} */
export const ORM_WORKLOADS = [
  {
    id: 'A1',
    title: 'one row by primary key, 5 columns',
    sql: FIND_CITY,
    take: 'first',
    params: (draw) => [1 + draw(CITIES)],
    cases: IN_FLIGHT,
  },
  {
    id: 'A2',
    title: 'insert of one row, synchronous=NORMAL',
    sql: ADD_VISIT,
    take: 'run',
    params: (draw) => [1 + draw(CITIES), draw(1_000_000), draw(1_000)],
    writes: { check: 'SELECT count(*) AS visits, sum(city) AS cities, sum(note) AS notes FROM visits', reset: 'DELETE FROM visits' },
    cases: IN_FLIGHT,
  },
]
