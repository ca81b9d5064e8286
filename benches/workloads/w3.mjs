import { CITIES } from '../files.mjs'

const ROWS = 10_000

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W3',
  title: '10,000 rows x 5 columns (int, 2 text, real, int)',
  sql: 'SELECT id, name, country, latitude, population FROM cities WHERE id > ? AND id <= ?',
  take: 'all',
  params(draw) {
    const start = draw(CITIES - ROWS)
    return [start, start + ROWS]
  },
  cases: [
    { inFlight: 1, target: { 20: 0.22, 24: 0.55 } },
    { inFlight: 8, target: { 20: 0.25, 24: 0.4 } },
  ],
}
