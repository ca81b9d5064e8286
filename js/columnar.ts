import type { Call } from './call.js'
import type { Inbox } from './inbox.js'
import type { ColumnVector, ColumnarResult, SqlValue } from './types.js'

/** Takes the rows of one result column by column. */
export class ColumnarRows {
  /** How many rows have come. */
  count = 0
  readonly #vectors: VectorInMaking[]

  constructor(columns: number) {
    this.#vectors = Array.from({ length: columns }, () => new VectorInMaking())
  }

  /** Takes the next `count` rows from the cells of the inbox. */
  add(inbox: Inbox, count: number): void {
    const columns = this.#vectors.length
    const first = inbox.cell
    const plain: number[] = []
    for (let column = 0; column < columns; column++) {
      if (!(this.#vectors[column] as VectorInMaking).takeAlike(inbox, first + column, columns, count)) plain.push(column)
    }
    // Texts and BLOBs must be taken in the order of their cells, across all columns.
    const targets = plain.map((column) => (this.#vectors[column] as VectorInMaking).values)
    if (targets.length > 0) takeByRow(inbox, first, columns, count, plain, targets)
    inbox.cell = first + columns * count
    this.count += count
  }

  /** Returns the values of each column. */
  vectors(): ColumnVector[] {
    return this.#vectors.map((vector) => vector.finish())
  }
}

function takeByRow(inbox: Inbox, first: number, columns: number, count: number, plain: readonly number[], targets: readonly SqlValue[][]): void {
  const { cells } = inbox
  for (let row = 0, at = first; row < count; row++, at += columns) {
    for (let index = 0; index < plain.length; index++) {
      const cell = at + (plain[index] as number)
      const value = cells[cell] as number
      const target = targets[index] as SqlValue[]
      target.push(value === value ? compact(value) : inbox.value(cell))
    }
  }
}

/** Makes a double that is a small integer one: it takes no memory of its own then. −0 is none. */
function compact(value: number): number {
  const integer = value | 0
  return integer === value && (integer !== 0 || 1 / value > 0) ? integer : value
}

/** The values of one column: of one kind as long as they are alike, of any kind once they are not. */
class VectorInMaking {
  #numbers: Float64Array | null = null
  #integers: BigInt64Array | null = null
  #length = 0
  /** What it holds as soon as it is neither empty, nor all numbers, nor all integers of 64 bits. */
  values: SqlValue[] = []
  #isPlain = false

  /** Takes a cell in each row if all are of the kind that was there before. Otherwise the caller must take them, into `values`. */
  takeAlike(inbox: Inbox, first: number, stride: number, count: number): boolean {
    if (this.#isPlain) return false
    if (this.#takeNumbers(inbox, first, stride, count) || this.#takeIntegers(inbox, first, stride, count)) {
      this.#length += count
      return true
    }
    this.values = Array.from<SqlValue>(this.finish())
    this.#isPlain = true
    this.#numbers = null
    this.#integers = null
    return false
  }

  #takeNumbers(inbox: Inbox, first: number, stride: number, count: number): boolean {
    const { cells } = inbox
    if (this.#integers !== null || Number.isNaN(cells[first])) return false
    const length = this.#length
    const target = (this.#numbers = roomIn(this.#numbers, Float64Array, length, count))
    for (let row = 0, cell = first; row < count; row++, cell += stride) {
      const value = cells[cell] as number
      if (value !== value) return false
      target[length + row] = value
    }
    return true
  }

  #takeIntegers(inbox: Inbox, first: number, stride: number, count: number): boolean {
    if (this.#length > 0 ? this.#integers === null : !inbox.isInteger(first)) return false
    this.#numbers = null
    this.#integers = roomIn(this.#integers, BigInt64Array, this.#length, count)
    return inbox.copyIntegers(first, stride, count, this.#integers, this.#length)
  }

  /** Returns what it holds, in memory of its own and of the right size. */
  finish(): ColumnVector {
    const typed = this.#numbers ?? this.#integers
    if (typed === null) return this.values
    return typed.length === this.#length ? typed : typed.slice(0, this.#length)
  }
}

interface Vectors<V> {
  new (length: number): V
}

/** Returns a vector with what is in `vector`, and room for `count` values more. */
function roomIn<V extends Float64Array | BigInt64Array>(vector: V | null, Kind: Vectors<V>, length: number, count: number): V {
  if (vector === null) return new Kind(count)
  if (vector.length >= length + count) return vector
  const larger = new Kind(Math.max(length + count, vector.length * 2))
  larger.set(vector as never)
  return larger
}

/** Returns what a statement returned, by column. */
export function columnarResult<T>(call: Call): ColumnarResult<T> {
  const { columns } = call.shape
  const rows = (call.rows?.[0] as ColumnarRows | undefined) ?? new ColumnarRows(columns.length)
  const vectors = rows.vectors()
  const byName = Object.fromEntries(columns.map(({ name }, column) => [name, vectors[column]])) as T
  return { columns, rowCount: rows.count, vectors, byName }
}
