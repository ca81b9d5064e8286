import { CITIES } from '../files.mjs'
import W1 from './w1.mjs'
import W6 from './w6.mjs'

const READ = { sql: W1.sql, take: 'first' }
const RANGE = { sql: 'SELECT id, name, population FROM cities WHERE id > ? AND id <= ? + 10', take: 'all' }
const UPDATE = { sql: W6.sql, take: 'run' }
const INSERT = { sql: 'INSERT INTO visits (city, at, note) VALUES (?, ?, ?)', take: 'run' }
const COUNT = { sql: 'SELECT count(*) AS visits FROM visits WHERE id > ?', take: 'first' }

/** What one client does when it starts: looks itself up, updates, inserts, looks again. */
const STEPS = [
  ...Array.from({ length: 4 }, () => [READ, READ, UPDATE, INSERT]).flat(),
  RANGE,
  COUNT,
  READ,
  UPDATE,
]

function values(step, draw) {
  const city = 1 + draw(CITIES)
  switch (step) {
    case RANGE:
      return [city, city]
    case INSERT:
      return [city, draw(1_000_000_000), draw(1_000)]
    case COUNT:
      return [0]
    default:
      return [city]
  }
}

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W17',
  title: 'boot storm: 200 clients, a transaction of 20 mixed statements each',
  kind: 'transaction',
  steps: STEPS,
  calls: 400,
  params: (draw) => STEPS.map((step) => values(step, draw)),
  writes: {
    check: `SELECT count(*) AS visits, sum(city) AS cities, sum(at) AS times, (SELECT sum(population * (id % 997)) FROM cities) AS places
      FROM visits`,
    reset: 'DELETE FROM visits',
  },
  cases: [
    { inFlight: 200, manner: 'awaited', durability: 'normal', target: {} },
    { inFlight: 200, manner: 'awaited', durability: 'full', target: {} },
  ],
}
