import { CITIES } from '../files.mjs'

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W1',
  title: 'point read by primary key, 5 columns',
  sql: 'SELECT id, name, country, latitude, population FROM cities WHERE id = ?',
  take: 'first',
  params: (draw) => [1 + draw(CITIES)],
  cases: [{ inFlight: 1, target: { 20: 1.05, 24: 1.05 } }],
}
