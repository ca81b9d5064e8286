/**
 * How bad a finding is: nothing to say (`'ok'`), good to know (`'note'`), a risk (`'warning'`), or something that is broken or will lose
 * data (`'problem'`).
 */
export type Level = 'ok' | 'note' | 'warning' | 'problem'

/** What a check found. */
export interface Finding {
  /** The name of the check. */
  readonly check: string
  readonly level: Level
  /** What was found. */
  readonly what: string
  /** Why it matters. */
  readonly why?: string
  /** What to do about it. */
  readonly advice?: string
}

/** A finding that there is nothing to say about. */
export function ok(check: string, what: string): Finding {
  return { check, level: 'ok', what }
}

/** Writes how many there are of something. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}

/** Writes a size. */
export function sized(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1_024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}

/** Lists a few of many. */
export function some(items: readonly string[], limit = 5): string {
  const shown = items.slice(0, limit).join(', ')
  return items.length > limit ? `${shown} and ${items.length - limit} more` : shown
}
