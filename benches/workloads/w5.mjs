import { CITIES } from '../files.mjs'

/** About 1 ms of work for one core. */
const ROWS = 20_000

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W5',
  title: 'CPU-bound aggregate, about 1 ms',
  sql: 'SELECT count(*) AS cities, sum(population) AS people, max(latitude) AS north FROM cities WHERE id > ? AND id <= ? AND population % 7 <> 3',
  take: 'first',
  params(draw) {
    const start = draw(CITIES - ROWS)
    return [start, start + ROWS]
  },
  cases: [{ inFlight: 8, target: { 20: 0.53, 24: 0.53 } }],
}
