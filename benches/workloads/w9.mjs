import W1 from './w1.mjs'
import W6 from './w6.mjs'

const READ = 0
const UPDATE = 1

/** @type {import('../workload.mjs').Workload} */
export default {
  id: 'W9',
  title: '90 % point reads, 10 % updates',
  kind: 'mix',
  steps: [
    { sql: W1.sql, take: W1.take },
    { sql: W6.sql, take: W6.take },
  ],
  params: (draw) => ({ step: draw(10) === 0 ? UPDATE : READ, values: W1.params(draw) }),
  writes: W6.writes,
  latency: true,
  cases: [{ inFlight: 64, target: { 20: 0.5, 24: 0.5 } }],
}
