import { binding } from './binding.js'
import type { BindingDatabase } from './binding.js'
import { SluiceError } from './errors.js'
import { isPlainObject, kindOf } from './kinds.js'

/** Says which samples of a metric are meant: those that have all of these labels. */
export interface MetricLabels {
  readonly [label: string]: string | undefined
}

/** Returns one number of the metrics of a database. */
export function metricOf(database: BindingDatabase, path: string, name: unknown, labels: unknown): number {
  if (typeof name !== 'string') throw invalid(`the name of a metric must be a string, not ${kindOf(name)}`)
  const known = binding.metricNames()
  if (!known.includes(name)) throw unknown(name, known)
  const found = database.metric(name, labelsOf(labels, path))
  if (typeof found === 'string') throw invalid(found)
  if (found === null) throw new Error('BUG: a metric of a database that has not been opened')
  return found
}

function labelsOf(labels: unknown, path: string): Array<[string, string]> {
  if (labels === undefined) return []
  if (typeof labels !== 'object' || labels === null || !isPlainObject(labels)) {
    throw invalid(`the labels of a metric must be an object, not ${kindOf(labels)}`)
  }
  const wanted: Array<[string, string]> = []
  for (const [label, value] of Object.entries(labels as Record<string, unknown>)) {
    if (value === undefined) continue
    if (typeof value !== 'string') throw invalid(`the label '${label}' of a metric must be a string, not ${kindOf(value)}`)
    // Every sample here is of this database.
    if (label === 'database' && value === path) continue
    wanted.push([label, value])
  }
  return wanted
}

function unknown(name: string, known: string[]): SluiceError {
  const suggestion = binding.suggest(name, known)
  const hint = suggestion === null ? 'docs/METRICS.md has the list' : `did you mean '${suggestion}'?`
  return invalid(`there is no metric '${name}': ${hint}`)
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
