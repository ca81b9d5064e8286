import { POOL_ROWS } from '../files.mjs'

/**
 * The case that photostructure's benchmark of its pool has, with more calls at once.
 *
 * @type {import('../workload.mjs').Workload}
 */
export default {
  id: 'W10',
  title: 'point read among 2,000 rows of 128 bytes',
  file: 'pool',
  baseline: '@photostructure/sqlite',
  sql: 'SELECT value FROM item WHERE id = ?',
  take: 'first',
  calls: POOL_ROWS,
  params: (draw, one, call) => [1 + call],
  cases: [1, 2, 4].map((readers) => ({ inFlight: 10_000, readers, target: { 24: 0.1 } })),
}
