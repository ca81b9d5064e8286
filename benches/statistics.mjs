/** Returns the median, the least and the greatest of some numbers. */
export function spreadOf(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  return { median, least: sorted[0], greatest: sorted.at(-1) }
}

/** Returns the spread of the ratios of each round of `times` to the same round of `baseline`. */
export function ratiosOf(times, baseline) {
  return spreadOf(times.map((time, round) => time / baseline[round]))
}
