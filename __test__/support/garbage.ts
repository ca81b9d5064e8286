import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { until } from './deadline.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Collects garbage, again and again, until what it should lead to holds. */
export async function collectUntil(holds: () => boolean, what: string): Promise<void> {
  await turn()
  await until(() => {
    collect()
    return holds()
  }, what)
}

/** Collects garbage, and lets finalizers run. */
export async function collectGarbage(): Promise<void> {
  for (let time = 0; time < 10; time++) {
    await turn()
    collect()
  }
}
