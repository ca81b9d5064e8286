/** What the system has lent to a process. */
export interface Lent {
  readonly threads: number
  readonly descriptors: number
}

/** The memory of a process after a number of calls and a garbage collection, in bytes. */
export interface Sample {
  readonly calls: number
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
  /** What is allocated with `malloc`, by the addon, SQLite and Node together; -1 where that is not counted. */
  readonly allocated: number
}

/** A number of a sample that may not grow. */
export type Watched = 'rss' | 'heapUsed' | 'external' | 'allocated'

/** All of them. */
export const WATCHED: readonly Watched[] = ['rss', 'heapUsed', 'external', 'allocated']

/** What calls of one kind left. */
export interface Measured {
  readonly samples: readonly Sample[]
  /** What was lent before the database was opened, and after it was closed. */
  readonly before: Lent
  readonly after: Lent
  /** What SQLite has allocated after the close, in bytes; -1 where it does not count. */
  readonly memoryUsed: number
  readonly seconds: number
}

/** How much a kind may grow over its calls, in bytes. */
export const MAX_GROWTH = 1_048_576

/** Fits a straight line to samples, and returns by how many bytes it rises from the first to the last. */
export function growth(samples: readonly Sample[], of: Watched): number {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const [calls, bytes] = [samples.map((sample) => sample.calls), samples.map((sample) => sample[of])]
  const [middle, level] = [mean(calls), mean(bytes)]
  const covariance = samples.reduce((sum, sample) => sum + (sample.calls - middle) * (sample[of] - level), 0)
  const variance = calls.reduce((sum, count) => sum + (count - middle) ** 2, 0)
  return (covariance / variance) * ((calls.at(-1) ?? 0) - (calls[0] ?? 0))
}

/** Says what was not given back. */
export function lentFaults({ before, after, memoryUsed }: Measured): string[] {
  const faults = []
  if (after.threads > before.threads) faults.push(`${after.threads} threads, ${before.threads} before`)
  if (after.descriptors > before.descriptors) faults.push(`${after.descriptors} descriptors, ${before.descriptors} before`)
  if (memoryUsed > 0) faults.push(`SQLite holds ${memoryUsed} bytes after the close`)
  return faults
}

/** Says what grows too fast, where `times` as many calls were made as a kind makes. */
export function growthFaults({ samples }: Measured, times = 1): string[] {
  return WATCHED.flatMap((of) => {
    const bytes = growth(samples, of) / times
    return bytes > MAX_GROWTH ? [`${of} grew by ${(bytes / MAX_GROWTH).toFixed(2)} MiB`] : []
  })
}
