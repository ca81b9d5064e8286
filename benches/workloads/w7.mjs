import W6 from './w6.mjs'

const TARGETS = { 1: 1.2, 64: 0.04, 1_000: 0.01 }

/** @type {import('../workload.mjs').Workload} */
export default {
  ...W6,
  id: 'W7',
  title: 'autocommit update by primary key, synchronous=FULL',
  durability: 'full',
  cases: W6.cases.map(({ inFlight, among }) => ({ inFlight, among, target: { 20: TARGETS[inFlight], 24: TARGETS[inFlight] } })),
}
