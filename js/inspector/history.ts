import type { Batch, Entry } from './browser/protocol.js'

/** An event before it has its number. */
export type Happening = Omit<Entry, 'id'>

/** Keeps the latest events, by number. */
export class History {
  readonly #limit: number
  readonly #slowUs: number
  /** A ring: the event with a number lies at that number modulo the limit. */
  readonly #ring: Entry[] = []
  #lastId = 0

  constructor(limit: number, slowMs: number) {
    this.#limit = limit
    this.#slowUs = slowMs * 1_000
  }

  get lastId(): number {
    return this.#lastId
  }

  /** The number of the last event that has been forgotten; 0 if none has. */
  get forgottenId(): number {
    return Math.max(0, this.#lastId - this.#limit)
  }

  /** Adds an event, in the place of the oldest one if it is full. */
  add(happening: Happening): void {
    this.#lastId += 1
    this.#ring[this.#lastId % this.#limit] = { id: this.#lastId, ...happening }
  }

  /** Finds an event that has not been forgotten. */
  find(id: number): Entry | undefined {
    const entry = this.#ring[id % this.#limit]
    return entry?.id === id ? entry : undefined
  }

  /**
   * Returns what came after the event with the number `id`, at most `limit` of it: all that is rare, and a sample, evenly spread, of the
   * statements that were neither slow nor failed.
   */
  since(id: number, limit: number): Batch {
    const from = Math.max(id, this.forgottenId)
    const entries: Entry[] = []
    for (let next = from + 1; next <= this.#lastId; next++) entries.push(this.#ring[next % this.#limit]!)
    const kept = entries.length <= limit ? entries : this.#sample(entries, limit)
    return { entries: kept, leftOut: this.#lastId - id - kept.length }
  }

  #sample(entries: readonly Entry[], limit: number): Entry[] {
    const rare = entries.filter((entry) => this.#isRare(entry))
    if (rare.length >= limit) return spread(rare, limit)
    const chosen = new Set([...rare, ...spread(entries.filter((entry) => !this.#isRare(entry)), limit - rare.length)])
    return entries.filter((entry) => chosen.has(entry))
  }

  #isRare({ target, fields }: Entry): boolean {
    return target !== 'statement' || fields['code'] !== undefined || Number(fields['ranUs']) >= this.#slowUs
  }
}

/** Takes `count` of the entries, each as far from the next. */
function spread(entries: readonly Entry[], count: number): Entry[] {
  const step = entries.length / count
  return Array.from({ length: count }, (_, index) => entries[Math.floor(index * step)]!)
}
