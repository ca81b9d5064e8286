import type { BindingExtra, BindingFailure } from './binding.js'
import type { SqlValue } from './types.js'
import {
  BLOBS_OFFSET,
  CELLS_COUNT,
  CELLS_OFFSET,
  HEADER_COLUMNS,
  HEADER_ROWS,
  HEADER_TEXT_ASCII,
  HEADER_TEXT_BYTES,
  HEADER_WORDS,
  INBOX_BYTES,
  INTS_COUNT,
  INTS_OFFSET,
  MAX_HEADERS,
  TAG_AGAIN,
  TAG_BLOB,
  TAG_EXTRA,
  TAG_INT64,
  TAG_NULL,
  TAG_REMEMBERED,
  TAG_TEXT,
  TEXT_OFFSET,
} from './layout.js'

/** Reports that the addon put a failure where a value belongs: that value could not be carried over. */
export class CarriedFailure extends Error {
  readonly failure: BindingFailure

  constructor(failure: BindingFailure) {
    super(failure.message)
    this.failure = failure
  }
}

/**
 * Reads the results that one `drain()` copied over. Cursors run through all of them in order, so every cell must be passed once.
 *
 * Compiled row factories use the public fields `cells` and `cell`.
 */
export class Inbox {
  readonly buffer: ArrayBuffer = new ArrayBuffer(INBOX_BYTES)
  readonly cells: Float64Array = new Float64Array(this.buffer, CELLS_OFFSET, CELLS_COUNT)
  /** The next cell. */
  cell = 0
  readonly #bytes = Buffer.from(this.buffer)
  readonly #headers = new Int32Array(this.buffer, 0, MAX_HEADERS * HEADER_WORDS)
  readonly #headerFloats = new Float32Array(this.buffer, 0, MAX_HEADERS * HEADER_WORDS)
  readonly #headerNumbers = new Float64Array(this.buffer, 0, (MAX_HEADERS * HEADER_WORDS) / 2)
  readonly #headerIntegers = new BigInt64Array(this.buffer, 0, (MAX_HEADERS * HEADER_WORDS) / 2)
  readonly #words = new Int32Array(this.buffer, CELLS_OFFSET, CELLS_COUNT * 2)
  readonly #integers = new BigInt64Array(this.buffer, INTS_OFFSET, INTS_COUNT)
  readonly #takeExtras: () => BindingExtra[]
  /** The texts of all results: values are substrings of it. */
  #text = ''
  #textAt = 0
  /** The texts of the present result that later cells may mean too, and how many there are. */
  readonly #remembered: string[] = []
  #rememberedCount = 0
  #blobAt = BLOBS_OFFSET
  #extras: BindingExtra[] | null = null
  /** The header being read, as an index into `#headers`, and where the headers end. */
  #header = -HEADER_WORDS
  #headersEnd = 0
  /** Where the cursors were when the present result began. */
  #startCell = 0
  #startText = 0
  #startBlob = 0

  /** `takeExtras` is asked at most once per drain, when a result needs it. */
  constructor(takeExtras: () => BindingExtra[]) {
    this.#takeExtras = takeExtras
  }

  /** Begins to read `headers` new results. */
  refill(headers: number): void {
    this.cell = 0
    this.#textAt = 0
    this.#blobAt = BLOBS_OFFSET
    this.#extras = null
    // Short texts may be part of a long one, which they would keep.
    if (this.#remembered.length > 0) this.#remembered.length = 0
    this.#header = -HEADER_WORDS
    this.#headersEnd = headers * HEADER_WORDS
    this.#text = headers === 0 ? '' : this.#decodeText()
  }

  #decodeText(): string {
    const end = TEXT_OFFSET + (this.#headers[HEADER_TEXT_BYTES] as number)
    if (end === TEXT_OFFSET) return ''
    const ascii = (this.#headers[HEADER_TEXT_ASCII] as number) & 1
    return this.#bytes.toString(ascii === 1 ? 'latin1' : 'utf8', TEXT_OFFSET, end)
  }

  /** Goes on to the next result. Returns `false` when there is none. */
  next(): boolean {
    this.#header += HEADER_WORDS
    this.#startCell = this.cell
    this.#startText = this.#textAt
    this.#startBlob = this.#blobAt
    this.#rememberedCount = 0
    return this.#header < this.#headersEnd
  }

  /** Returns a word of the present header. */
  header(field: number): number {
    return this.#headers[this.#header + field] as number
  }

  /** Returns a word of the present header that is a float of 32 bits. */
  headerFloat(field: number): number {
    return this.#headerFloats[this.#header + field] as number
  }

  /** Returns the double that begins at a word of the present header. */
  headerNumber(field: number): number {
    return this.#headerNumbers[(this.#header + field) >> 1] as number
  }

  /** Returns the 64-bit integer that begins at a word of the present header: a `bigint` when asked for, or when it is not safe. */
  headerInteger(field: number, asBigint: boolean): number | bigint {
    if (!asBigint) {
      const number = this.header(field + 1) * 2 ** 32 + (this.header(field) >>> 0)
      // What is not safe is rounded here, but never into the safe range.
      if (Number.isSafeInteger(number)) return number
    }
    return this.#headerIntegers[(this.#header + field) >> 1] as bigint
  }

  /** Returns what travelled apart. */
  extra(index: number): BindingExtra {
    this.#extras ??= this.#takeExtras()
    const extra = this.#extras[index]
    // Taking them failed when an earlier result asked: they cannot be taken twice.
    if (extra === undefined) throw new Error('what travelled apart was lost')
    return extra
  }

  /** Returns the value of a cell that is no number. Texts and blobs must be asked for in order. */
  value(cell: number): SqlValue {
    const payload = this.#words[cell * 2] as number
    switch (this.#words[cell * 2 + 1]) {
      case TAG_TEXT:
        return this.#nextText(payload)
      case TAG_AGAIN:
        return this.#remembered[payload] as string
      case TAG_REMEMBERED:
        return (this.#remembered[this.#rememberedCount++] = this.#nextText(payload))
      case TAG_NULL:
        return null
      case TAG_INT64:
        return this.#integers[payload] as bigint
      case TAG_BLOB: {
        const start = this.#blobAt
        this.#blobAt = start + payload
        // Every BLOB owns its memory: it may be transferred, and keeps nothing else alive.
        return new Uint8Array(this.buffer.slice(start, start + payload))
      }
      case TAG_EXTRA:
        return this.#extraValue(payload)
      case undefined:
      default:
        throw new Error('BUG: a cell without a known tag')
    }
  }

  /** Returns the BLOB of a cell as a `Buffer`. A short one may share the memory of others, as those of `Buffer.from` do. */
  bytes(cell: number): Buffer {
    if (this.#words[cell * 2 + 1] !== TAG_BLOB) return this.value(cell) as Buffer
    const start = this.#blobAt
    const length = this.#words[cell * 2] as number
    this.#blobAt = start + length
    const bytes = Buffer.allocUnsafe(length)
    this.#bytes.copy(bytes, 0, start, this.#blobAt)
    return bytes
  }

  #nextText(length: number): string {
    const start = this.#textAt
    this.#textAt = start + length
    return this.#text.substring(start, start + length)
  }

  #extraValue(index: number): SqlValue {
    const extra = this.extra(index)
    if (typeof extra === 'string' || extra instanceof Uint8Array) return extra
    throw new CarriedFailure(extra as BindingFailure)
  }

  /** Returns whether a cell is an integer that travels apart. */
  isInteger(cell: number): boolean {
    return this.#words[cell * 2 + 1] === TAG_INT64
  }

  /** Copies an integer from each of `count` cells, `stride` apart. Returns whether all of them were such; if not, some are copied. */
  copyIntegers(first: number, stride: number, count: number, target: BigInt64Array, at: number): boolean {
    for (let row = 0, cell = first; row < count; row++, cell += stride) {
      if (!this.isInteger(cell)) return false
      target[at + row] = this.#integers[this.#words[cell * 2] as number] as bigint
    }
    return true
  }

  /** Passes a cell whose value nobody wants. */
  pass(cell: number): void {
    const payload = this.#words[cell * 2] as number
    const tag = this.#words[cell * 2 + 1]
    if (tag === TAG_TEXT || tag === TAG_REMEMBERED) {
      this.#textAt += payload
      // It keeps its number. Cells that mean it are of the same column, and passed too.
      if (tag === TAG_REMEMBERED) this.#rememberedCount++
    }
    if (tag === TAG_BLOB) this.#blobAt += payload
  }

  /** Returns how many cells the present result has. */
  resultCells(): number {
    return this.header(HEADER_ROWS) * this.header(HEADER_COLUMNS)
  }

  /** Puts the cursors behind the present result, wherever reading it stopped. */
  passResult(): void {
    this.#textAt = this.#startText
    this.#blobAt = this.#startBlob
    this.#rememberedCount = 0
    const end = this.#startCell + this.resultCells()
    for (let cell = this.#startCell; cell < end; cell++) this.pass(cell)
    this.cell = end
  }
}
