const MS = 1_000
const SECOND = 1_000_000
const MINUTE = 60 * SECOND
const KIB = 1_024

const count = new Intl.NumberFormat('en')

/** Writes a number with separators. */
export function number(value: number): string {
  return count.format(value)
}

/** Writes a duration given in microseconds, with three digits. */
export function duration(us: number): string {
  if (us < MS) return `${Math.round(us)} µs`
  if (us < SECOND) return `${digits(us / MS)} ms`
  if (us < MINUTE) return `${digits(us / SECOND)} s`
  return `${digits(us / MINUTE)} min`
}

function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}

/** Writes a size in bytes. */
export function bytes(value: number): string {
  if (value < KIB) return `${value} B`
  if (value < KIB * KIB) return `${digits(value / KIB)} KiB`
  if (value < KIB ** 3) return `${digits(value / KIB ** 2)} MiB`
  return `${digits(value / KIB ** 3)} GiB`
}

/** Writes a share between 0 and 1. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0.999 || share < 0.1 ? 1 : 0)} %`
}

/** Writes the time of day of a moment, in milliseconds since 1970. */
export function clock(timeMs: number): string {
  const time = new Date(timeMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  const ms = String(time.getMilliseconds()).padStart(3, '0')
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`
}

/** Puts SQL on one line. */
export function oneLine(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ').trim()
}
