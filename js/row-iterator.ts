import { AbortError, SluiceError } from './errors.js'
import type { RowSource } from './row-source.js'

let construct: (source: RowSource) => RowIterator<unknown>

/**
 * Delivers the rows of one statement one after another, and holds few of them at a time. Made by `iterate`.
 *
 * Ending the loop in any way (its end, `break`, `return`, an error) gives back what it holds; so do `return()`, disposing of it, the
 * option `signal`, and the garbage collector. A statement that still waits or runs then is stopped, and what it wrote is
 * undone. One that has begun to write in a transaction or a callback of `writeMode` only `signal` and `timeoutMs` stop: SQLite undoes the whole
 * transaction then.
 *
 * @typeParam T - a row
 */
export class RowIterator<T> implements AsyncIterableIterator<T> {
  readonly #source: RowSource
  #rows: unknown[] = []
  #at = 0
  /** Whether `#source` has no more rows than those in `#rows`. */
  #exhausted = false
  #closed = false
  /** The calls of `next` that wait for rows, one after another. */
  #turn: Promise<unknown> | null = null

  static {
    construct = (source) => new RowIterator(source)
  }

  private constructor(source: RowSource) {
    if (source === undefined) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a RowIterator is made by db.iterate(sql)')
    this.#source = source
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /**
   * Returns the next row.
   *
   * @throws as the call that made the iterator; afterwards it is at its end
   */
  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#turn !== null) return this.#inTurn()
    if (this.#at < this.#rows.length) return this.#take()
    return this.#inTurn()
  }

  /** Ends it, and gives back what it holds. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#close()
    return { done: true, value: undefined }
  }

  /** Ends it, and throws `error`. */
  async throw(error?: unknown): Promise<IteratorResult<T, undefined>> {
    this.#close()
    throw error
  }

  /** Ends it at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
  }

  #take(): IteratorResult<T, undefined> {
    const value = this.#rows[this.#at] as T
    // Nobody but the caller needs it any more.
    this.#rows[this.#at++] = undefined
    return { done: false, value }
  }

  async #inTurn(): Promise<IteratorResult<T, undefined>> {
    const before = this.#turn
    const turn = this.#advance(before)
    this.#turn = turn
    try {
      return await turn
    } finally {
      if (this.#turn === turn) this.#turn = null
    }
  }

  async #advance(before: Promise<unknown> | null): Promise<IteratorResult<T, undefined>> {
    // What failed before is at its end now.
    await before?.catch(() => undefined)
    while (!this.#closed) {
      if (this.#at < this.#rows.length) return this.#take()
      if (this.#exhausted) this.#close()
      else await this.#receive()
    }
    return { done: true, value: undefined }
  }

  async #receive(): Promise<void> {
    const { call } = this.#source
    await call.settled
    if (this.#closed) return
    try {
      this.#expectNotStopped()
      call.expectSuccess()
      this.#rows = this.#source.take()
      this.#at = 0
      this.#exhausted = !call.more
      // The next rows come while these are used.
      if (call.more) this.#source.fetch()
      else this.#source.close()
    } catch (error) {
      this.#source.fail(error)
      this.#close()
      throw error
    }
  }

  #expectNotStopped(): void {
    switch (this.#source.stopped) {
      case 'no':
        return
      case 'aborted':
        throw new AbortError(this.#source.signal?.reason)
      case 'timedOut':
        throw new SluiceError('ERR_SLUICE_TIMEOUT', 'the iteration took longer than its timeoutMs')
    }
  }

  #close(): void {
    this.#closed = true
    this.#rows = []
    this.#at = 0
    this.#source.close()
  }
}

/** Makes an iterator; its constructor is not for users. */
export function makeRowIterator<T>(source: RowSource): RowIterator<T> {
  return construct(source) as RowIterator<T>
}
