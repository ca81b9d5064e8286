/** What a transaction did to a key: added a value to its list, or read the list. */
export type Operation =
  | { readonly kind: 'append'; readonly key: number; readonly value: number }
  | { readonly kind: 'read'; readonly key: number; readonly values: readonly number[] }

/** What its caller knows: that it happened, that it did not, or neither. */
export type Outcome = 'ok' | 'failed' | 'unknown'

/** What one caller saw of one transaction. Each value is appended once in a history. */
export interface Transaction {
  readonly name: string
  /** In the order in which they ran. */
  readonly operations: readonly Operation[]
  readonly outcome: Outcome
  /** What it was rejected with; empty if it was not. */
  readonly reason: string
  /** When it was asked for, and when it was answered, by one clock for all: `Infinity` for no answer. */
  readonly invoked: number
  readonly completed: number
  /** Transactions of one line are answered in the order in which they committed. */
  readonly line: string | null
}

/** A value in the list of a key. */
export interface Entry {
  readonly key: number
  readonly value: number
}

/**
 * What can go wrong.
 *
 * - `lost`: what was acknowledged is not there
 * - `dirty`: something was seen that never committed
 * - `half`: a part of a transaction was seen, or kept
 * - `interleaved`: another transaction landed inside one
 * - `duplicate`: a value is there twice
 * - `invented`: a value is there that nobody appended
 * - `order`: two reads do not agree on the order of a list
 * - `torn`: the reads of one transaction saw different states
 * - `internal`: a transaction did not see what it had done itself
 * - `stale`: a read missed what was there before it began
 * - `reordered`: a write took effect before one that was acknowledged before it began, or was acknowledged out of turn
 */
export type AnomalyKind =
  | 'lost'
  | 'dirty'
  | 'half'
  | 'interleaved'
  | 'duplicate'
  | 'invented'
  | 'order'
  | 'torn'
  | 'internal'
  | 'stale'
  | 'reordered'

/** One thing that went wrong. */
export interface Anomaly {
  readonly kind: AnomalyKind
  readonly message: string
}

/** States between two commits that a snapshot may be: from `first` to `last` entries are committed in it. */
interface Window {
  readonly first: number
  readonly last: number
}

/** Where a transaction is among the commits: it saw the entries before `start`, and its own are those up to `end`. */
interface Place {
  readonly start: number
  readonly end: number
}

/**
 * Checks a history against strict serializability: whether there is one order of all transactions in which each saw exactly what was
 * done before it, and none comes before one that had been answered when it was asked for. Writes have an order already, that of
 * `committed`; so each read needs only one place in it, and the earliest that fits is the best.
 */
export function check(history: readonly Transaction[], committed: readonly Entry[]): Anomaly[] {
  return new Checker(history, committed).check()
}

class Checker {
  readonly #history: readonly Transaction[]
  readonly #committed: readonly Entry[]
  readonly #authors = new Map<number, Transaction>()
  /** Where each value is among the committed. */
  readonly #positions = new Map<number, number>()
  /** Where the values of each key are among the committed. */
  readonly #lists = new Map<number, number[]>()
  readonly #places = new Map<Transaction, Place>()
  readonly #windows = new Map<Transaction, Window>()
  readonly #anomalies: Anomaly[] = []

  constructor(history: readonly Transaction[], committed: readonly Entry[]) {
    this.#history = history
    this.#committed = committed
  }

  check(): Anomaly[] {
    this.#learnAuthors()
    this.#learnOrder()
    for (const transaction of this.#history) this.#placeWrites(transaction)
    for (const transaction of this.#history) this.#placeReads(transaction)
    this.#sweep()
    this.#compareLines()
    return this.#anomalies
  }

  #report(kind: AnomalyKind, message: string): void {
    this.#anomalies.push({ kind, message })
  }

  #learnAuthors(): void {
    for (const transaction of this.#history) {
      for (const { value } of appendsOf(transaction)) {
        if (this.#authors.has(value)) throw new Error(`the history appends ${value} twice`)
        this.#authors.set(value, transaction)
      }
    }
  }

  #learnOrder(): void {
    for (const [position, { key, value }] of this.#committed.entries()) {
      if (this.#positions.has(value)) this.#report('duplicate', `${value} was kept twice`)
      this.#positions.set(value, position)
      const list = this.#lists.get(key)
      if (list === undefined) this.#lists.set(key, [position])
      else list.push(position)
      this.#expectAuthor(key, value, 'was kept')
    }
  }

  /** Reports a value that should not be in the list of `key`. Returns whether it may be. */
  #expectAuthor(key: number, value: number, verb: string): boolean {
    const author = this.#authors.get(value)
    const appended = author === undefined ? undefined : appendsOf(author).find((append) => append.value === value)
    if (author === undefined || appended?.key !== key) {
      this.#report('invented', `${value} ${verb} in ${key}, and nobody appended it there`)
      return false
    }
    if (author.outcome === 'failed') this.#report('dirty', `${value} ${verb} in ${key}, but ${author.name} failed: ${author.reason}`)
    return author.outcome !== 'failed'
  }

  /** Finds the appends of a transaction among the committed: all or none, and together. */
  #placeWrites(transaction: Transaction): void {
    const appends = appendsOf(transaction)
    if (appends.length === 0 || transaction.outcome === 'failed') return
    const found = appends.flatMap(({ value }) => this.#positions.get(value) ?? [])
    const missing = appends.length - found.length
    if (missing > 0 && transaction.outcome === 'ok') {
      this.#report('lost', `${missing} of the ${appends.length} appends of ${transaction.name} are not there`)
    }
    if (found.length === 0) return
    if (missing > 0) this.#report('half', `${missing} of the ${appends.length} appends of ${transaction.name} are not there, the others are`)
    const start = Math.min(...found)
    if (found.some((position, index) => position !== start + index)) {
      this.#report('interleaved', `the appends of ${transaction.name} are not together and in order: ${found.join(', ')}`)
    }
    this.#places.set(transaction, { start, end: Math.max(...found) + 1 })
  }

  /** Finds which states the reads of a transaction fit. */
  #placeReads(transaction: Transaction): void {
    let window: Window | null = { first: 0, last: this.#committed.length }
    const own = new Map<number, number[]>()
    for (const operation of transaction.operations) {
      const { key } = operation
      const appended: number[] = own.get(key) ?? []
      if (operation.kind === 'append') {
        own.set(key, [...appended, operation.value])
        continue
      }
      const fitting = this.#windowOf(transaction, key, operation.values, appended)
      if (fitting === null) return
      window = { first: Math.max(window.first, fitting.first), last: Math.min(window.last, fitting.last) }
    }
    if (window.first > window.last) this.#report('torn', `the reads of ${transaction.name} fit no one state`)
    else this.#windows.set(transaction, window)
  }

  /** Finds which states one read fits, or reports why there is none. */
  #windowOf(transaction: Transaction, key: number, values: readonly number[], own: readonly number[]): Window | null {
    const split = values.length - own.length
    if (own.some((value, index) => values[split + index] !== value)) {
      this.#report('internal', `${transaction.name} read ${key} as ${values.join(' ')} after it had appended ${own.join(' ')}`)
      return null
    }
    const seen = values.slice(0, split)
    if (new Set(seen).size < seen.length) {
      this.#report('duplicate', `${transaction.name} read ${key} as ${values.join(' ')}`)
      return null
    }
    for (const value of seen) {
      if (this.#positions.has(value)) continue
      if (this.#expectAuthor(key, value, `was read by ${transaction.name}`)) {
        this.#report('dirty', `${transaction.name} read ${value} in ${key}, which is not there in the end`)
      }
      return null
    }
    const list = this.#lists.get(key) ?? []
    if (seen.some((value, index) => this.#positions.get(value) !== list[index])) {
      this.#report('order', `${transaction.name} read ${key} as ${values.join(' ')}, which is no beginning of what it became`)
      return null
    }
    return { first: split === 0 ? 0 : (list[split - 1] as number) + 1, last: list[split] ?? this.#committed.length }
  }

  /** Goes through the history in time, and gives each transaction the earliest place that fits. */
  #sweep(): void {
    const whole = this.#wholeStates()
    const ends = new Map<Transaction, number>()
    // What had been seen or acknowledged by then must be seen by whoever asks after it.
    let floor = 0
    for (const { transaction, completes } of eventsOf(this.#history)) {
      if (completes) {
        floor = Math.max(floor, ends.get(transaction) ?? 0)
        continue
      }
      const place = this.#places.get(transaction)
      if (place === undefined) {
        const window = this.#windows.get(transaction)
        if (window === undefined) continue
        ends.set(transaction, this.#placeOf(transaction, window, whole, floor))
      } else {
        this.#expectPlace(transaction, place, floor)
        ends.set(transaction, place.end)
      }
    }
  }

  /** Returns, for each number of entries, the next one at which no transaction is half committed. */
  #wholeStates(): number[] {
    const whole = Array.from({ length: this.#committed.length + 1 }, (_, state) => state)
    for (const { start, end } of this.#places.values()) whole.fill(end, start + 1, end)
    return whole
  }

  /** Returns the earliest state that a transaction without effects can have seen. */
  #placeOf(transaction: Transaction, { first, last }: Window, whole: readonly number[], floor: number): number {
    const earliest = whole[first] as number
    if (earliest > last) this.#report('half', `${transaction.name} saw a part of a transaction`)
    else if (floor > last) this.#report('stale', `${transaction.name} saw at most ${last} entries, but ${floor} were there before it began`)
    return Math.min(Math.max(earliest, whole[floor] as number), this.#committed.length)
  }

  /** Reports a transaction with effects that cannot have been where they are. */
  #expectPlace(transaction: Transaction, { start }: Place, floor: number): void {
    const window = this.#windows.get(transaction)
    if (window !== undefined && start > window.last) {
      this.#report('stale', `${transaction.name} saw at most ${window.last} of the ${start} entries before its own`)
    }
    if (window !== undefined && start < window.first) {
      this.#report('torn', `${transaction.name} saw at least ${window.first} entries, but its own come after ${start}`)
    }
    if (start < floor) this.#report('reordered', `${transaction.name} comes after ${start} entries, but ${floor} were there before it began`)
  }

  #compareLines(): void {
    const latest = new Map<string, { name: string; start: number }>()
    const answered = this.#history.filter(({ line, outcome }) => line !== null && outcome === 'ok')
    for (const transaction of [...answered].sort((a, b) => a.completed - b.completed)) {
      const [line, place] = [transaction.line ?? '', this.#places.get(transaction)]
      if (place === undefined) continue
      const before = latest.get(line)
      if (before !== undefined && before.start > place.start) {
        this.#report('reordered', `${transaction.name} was acknowledged after ${before.name}, but committed before it`)
      }
      latest.set(line, { name: transaction.name, start: place.start })
    }
  }
}

function appendsOf({ operations }: Transaction): { key: number; value: number }[] {
  return operations.flatMap((operation) => (operation.kind === 'append' ? [{ key: operation.key, value: operation.value }] : []))
}

/** Lists when transactions were asked for and answered, in order. What happens at one moment is not ordered: questions go first. */
function eventsOf(history: readonly Transaction[]): { transaction: Transaction; completes: boolean }[] {
  const events = history.flatMap((transaction) => [
    { transaction, completes: false, at: transaction.invoked },
    { transaction, completes: true, at: transaction.completed },
  ])
  return events.filter(({ at }) => at !== Infinity).sort((a, b) => a.at - b.at || Number(a.completes) - Number(b.completes))
}
