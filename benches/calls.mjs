// What one call of a workload is, on the driver of a peer.
import { NotOffered } from './peer.mjs'

/**
 * Makes a function of the values of one call.
 *
 * @param {import('./peer.mjs').Driver} driver
 */
export function makeCall(driver, { kind, sql, take, steps, manner }) {
  switch (kind) {
    case 'statement':
      return driver.prepare(sql, take)
    case 'mix': {
      const runs = steps.map((step) => driver.prepare(step.sql, step.take))
      return ({ step, values }) => runs[step](values)
    }
    case 'transaction':
      if (driver.transaction === undefined) throw new NotOffered('the benchmark makes no transactions on it')
      return driver.transaction(steps, manner)
    default:
      throw new Error(`'${kind}' is not known`)
  }
}
