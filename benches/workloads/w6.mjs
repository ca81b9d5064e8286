import { CITIES } from '../files.mjs'

/** So few rows that those who write at the same time meet on a page. */
const HOT_CITIES = 1_000
const TARGETS = { 1: 2.5, 64: 0.15, 1_000: 0.05 }

/** Makes the cases of one table size; the targets are by calls in flight. */
function casesAmong(among, targets) {
  return Object.entries(targets).map(([inFlight, target]) => ({ inFlight: Number(inFlight), among, target: { 20: target, 24: target } }))
}

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W6',
  title: 'autocommit update by primary key, synchronous=NORMAL',
  // Each call changes its row: SQLite does not write a page that stays as it was.
  sql: 'UPDATE cities SET population = population + 1 WHERE id = ?',
  take: 'run',
  params: (draw, { among }) => [1 + draw(among)],
  // The second sum tells which rows were changed.
  writes: { check: 'SELECT sum(population) AS people, sum(population * (id % 997)) AS places FROM cities' },
  cases: [...casesAmong(HOT_CITIES, TARGETS), ...casesAmong(CITIES, TARGETS)],
}
