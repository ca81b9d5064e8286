import { CITIES } from '../files.mjs'
import W3 from './w3.mjs'

const ROWS = 100

/** @type {import('../workload.mjs').Workload} */
export default {
  ...W3,
  id: 'W4',
  title: '100-row range x 5 columns',
  params(draw) {
    const start = draw(CITIES - ROWS)
    return [start, start + ROWS]
  },
  cases: [{ inFlight: 64, target: { 20: 0.5, 24: 0.5 } }],
}
