import { CITIES } from '../files.mjs'

const ROWS = 100
const INSERT = { sql: 'INSERT INTO visits (city, at, note) VALUES (?, ?, ?)', take: 'run' }

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W8',
  title: '100-row insert transaction',
  kind: 'transaction',
  steps: Array.from({ length: ROWS }, () => INSERT),
  calls: 64,
  params: (draw) => Array.from({ length: ROWS }, () => [1 + draw(CITIES), draw(1_000_000_000), draw(1_000)]),
  writes: {
    check: 'SELECT count(*) AS visits, sum(city) AS cities, sum(at) AS times, max(id) AS last FROM visits',
    // The table would grow from round to round.
    reset: 'DELETE FROM visits',
  },
  cases: [
    { inFlight: 1, manner: 'awaited', target: { 20: 1, 24: 1 } },
    { inFlight: 1, manner: 'submitted', target: { 20: 1, 24: 1 } },
    { inFlight: 1, manner: 'batch', target: { 20: 1, 24: 1 } },
  ],
}
