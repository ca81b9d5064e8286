import W1 from './w1.mjs'

/** @type {import('../workload.mjs').Workload} */
export default {
  ...W1,
  id: 'W2',
  cases: [
    { inFlight: 64, target: { 20: 0.75, 24: 0.75 } },
    { inFlight: 1_000, target: { 20: 0.55, 24: 0.55 } },
  ],
}
