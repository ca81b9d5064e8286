import { compareWorkers, spanOf, statementOf } from './model.js'
import type { Span, Statement } from './model.js'
import type { Entry, Sample } from './protocol.js'

/** How many samples the small charts show. */
const SAMPLES = 200

/** Holds what a page knows, and forgets the oldest. */
export class Store {
  limit = 10_000
  readonly statements: Statement[] = []
  readonly spans: Span[] = []
  /** All events but statements. */
  readonly events: Entry[] = []
  readonly samples: Sample[] = []
  leftOut = 0
  /** The connections that were seen, and when each was closed. */
  readonly #workers = new Map<string, number>([['writer', Number.POSITIVE_INFINITY]])

  /** Lists the connections that were open at a moment or later, in the order of their lanes. */
  workersSince(timeMs: number): string[] {
    return [...this.#workers].filter(([, closedMs]) => closedMs >= timeMs).map(([worker]) => worker).sort(compareWorkers)
  }

  get latest(): Sample | undefined {
    return this.samples.at(-1)
  }

  /** Adds events, in their order. */
  add(entries: readonly Entry[]): void {
    for (const entry of entries) this.#addOne(entry)
    trim(this.statements, this.limit)
    trim(this.events, this.limit)
    trim(this.spans, this.limit)
  }

  addSample(sample: Sample): void {
    this.samples.push(sample)
    trim(this.samples, SAMPLES)
  }

  /** Forgets every event. The lanes of connections that are gone go with them. */
  clear(): void {
    for (const list of [this.statements, this.spans, this.events]) list.length = 0
    this.leftOut = 0
    for (const worker of this.#workers.keys()) if (worker !== 'writer') this.#workers.delete(worker)
  }

  #addOne(entry: Entry): void {
    if (entry.target === 'statement') {
      const statement = statementOf(entry)
      if (statement.worker !== '' && !this.#workers.has(statement.worker)) this.#workers.set(statement.worker, Number.POSITIVE_INFINITY)
      this.statements.push(statement)
      return
    }
    this.events.push(entry)
    if (entry.target === 'reader') this.#noteReader(String(entry.fields['worker'] ?? ''), entry)
    const span = spanOf(entry)
    if (span !== undefined) this.spans.push(span)
  }

  #noteReader(worker: string, { message, timeMs }: Entry): void {
    if (message === 'opened') this.#workers.set(worker, Number.POSITIVE_INFINITY)
    else if ((message === 'closed' || message === 'pruned') && this.#workers.has(worker)) this.#workers.set(worker, timeMs)
  }
}

function trim(list: unknown[], limit: number): void {
  // A quarter more than the limit may stay for a while: to move a whole list for each event would cost more than it saves.
  if (list.length > limit * 1.25) list.splice(0, list.length - limit)
}
