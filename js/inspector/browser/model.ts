import type { Entry } from './protocol.js'

/** A statement that ran. Times are in milliseconds since 1970, durations in microseconds. */
export interface Statement {
  readonly id: number
  readonly sql: string
  /** The connection: `writer`, `reader.3`; empty for a statement that never ran. */
  readonly worker: string
  readonly route: string
  readonly startedMs: number
  readonly queuedUs: number
  readonly ranUs: number
  readonly rows: number
  readonly changes: number
  /** The code of its error. */
  readonly code: string | undefined
}

/** A stretch of time that a band or a bracket shows. */
export interface Span {
  readonly id: number
  readonly kind: 'switch' | 'group' | 'transaction' | 'checkpoint'
  readonly startMs: number
  readonly endMs: number
  readonly label: string
  /** What it did, for a switch: the mode that begins. */
  readonly to: string
}

/** Reads a statement out of an event. */
export function statementOf(entry: Entry): Statement {
  const { fields, id, timeMs } = entry
  const amount = (name: string): number => Number(fields[name] ?? 0)
  const ranUs = amount('ranUs')
  return {
    id,
    sql: String(fields['sql'] ?? ''),
    worker: String(fields['worker'] ?? ''),
    route: String(fields['route'] ?? ''),
    startedMs: fields['startedMs'] === undefined ? timeMs - ranUs / 1_000 : amount('startedMs'),
    queuedUs: amount('queuedUs'),
    ranUs,
    rows: amount('rows'),
    changes: amount('changes'),
    code: fields['code'] === undefined ? undefined : String(fields['code']),
  }
}

/** Reads a stretch of time out of an event, if it is one: such events are logged at their end. */
export function spanOf({ id, target, message, timeMs, fields }: Entry): Span | undefined {
  const kind = KINDS[`${target} ${message}`]
  if (kind === undefined) return undefined
  const to = String(fields['to'] ?? '')
  return { id, kind, startMs: timeMs - Number(fields['tookUs'] ?? 0) / 1_000, endMs: timeMs, label: `${target} ${message}`, to }
}

const KINDS: { readonly [event: string]: Span['kind'] } = {
  'gate mode switched': 'switch',
  'group committed': 'group',
  'transaction committed': 'transaction',
  'transaction rolled back': 'transaction',
  'checkpoint done': 'checkpoint',
}

/** Orders connections: the writer, the readers by number, and the rest. */
export function compareWorkers(a: string, b: string): number {
  const rank = (worker: string): number => (worker === 'writer' ? 0 : worker.startsWith('reader') ? 1 : 2)
  return rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true })
}
