import { types } from 'node:util'

import { SluiceError } from './errors.js'
import { isPlainObject, kindOf } from './kinds.js'
import type { DateMode } from './types.js'
import {
  PARAMS_NAMED,
  PARAMS_NONE,
  PARAMS_POSITIONAL,
  REQUEST_CALL,
  REQUEST_COUNT,
  REQUEST_FLAGS,
  REQUEST_HEADER_BYTES,
  REQUEST_LENGTH,
  REQUEST_QUERY,
  TAG_EXTRA,
  TAG_INT64,
  TAG_NULL,
  TAG_TEXT,
} from './layout.js'

/** A longer text travels apart, in UTF-8 bytes. */
const MAX_INLINE_BYTES = 16_384
/** Up to this many UTF-16 units, a loop over them beats the call into the encoder. */
const SHORT_TEXT = 24
/** How much room there is for texts behind the cells, in bytes. What does not fit travels apart. */
const TEXT_ROOM = 65_536
/** How large the request buffer is at first, in bytes. */
const INITIAL_BYTES = 131_072
/** Twice what SQLite takes ({@link https://sqlite.org/limits.html}), so that its own error is the one that is seen. */
const MAX_PARAMETERS = 65_536

const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n
const MIN_SAFE = BigInt(Number.MIN_SAFE_INTEGER)
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Where a value stands: its index from 1, or its name. */
type Place = string | number

/** Writes requests into the one buffer that a channel shares with the addon, one behind the other. */
export class Packer {
  readonly #adopt: (buffer: ArrayBuffer) => void
  readonly #empty: () => void
  /** Where the request begins that is packed, or was packed last, and where it ends, in bytes. */
  start = 0
  end = 0
  #bytes!: Buffer
  #numbers!: Float64Array
  #words!: Int32Array
  #integers!: BigInt64Array
  /** The next cell, as an index into all views of eight bytes. */
  #cell = 0
  /** Where the texts begin and where the next one goes, in bytes. */
  #textStart = 0
  #textEnd = 0
  /** Where the texts must end: while no integer has been too wide, they may have to make room for as many cells as there are values. */
  #textLimit = 0
  /** How many values the call has. */
  #count = 0
  /** How many integers were too wide for a double; each took a second cell. */
  #wide = 0
  #extras: Array<string | Uint8Array> | null = null
  /** A getter or proxy among the values could start another call while the buffer holds half of this one. */
  #packing = false

  /** `adopt` is told of every new buffer; `empty` is called when there is no room behind the requests before this one, and uses them up. */
  constructor(adopt: (buffer: ArrayBuffer) => void, empty: () => void) {
    this.#adopt = adopt
    this.#empty = empty
    this.#replaceBuffer(INITIAL_BYTES)
  }

  /** Begins anew at the beginning of the buffer, unless a request is being packed: the next one is refused then. */
  rewind(): void {
    if (!this.#packing) this.start = 0
  }

  /** Keeps the request that was packed last where it is: the next one is packed behind it. */
  keep(): void {
    this.start = (this.end + 7) & ~7
  }

  /**
   * Packs a request but for the numbers of call and query.
   *
   * Throws `ERR_SLUICE_INVALID_PARAMETER` or `ERR_SLUICE_OUT_OF_RANGE`, naming the parameter; nothing is kept then.
   */
  pack(flags: number, params: unknown, dates: DateMode): void {
    if (this.#packing) throw startedByValues()
    this.#packing = true
    this.#extras = null
    try {
      const kind = this.#packParams(params, dates)
      this.#finish()
      const header = this.start >> 2
      this.#words[header + REQUEST_FLAGS] = flags | kind
      this.#words[header + REQUEST_COUNT] = this.#count
      this.#words[header + REQUEST_LENGTH] = this.end - this.start
    } finally {
      this.#packing = false
    }
  }

  /** Writes the numbers of call and query into the request that was packed last. */
  address(call: number, query: number): void {
    const header = this.start >> 2
    this.#words[header + REQUEST_CALL] = call
    this.#words[header + REQUEST_QUERY] = query
  }

  /** Takes the values of the request that travel apart. */
  takeExtras(): Array<string | Uint8Array> | null {
    const extras = this.#extras
    this.#extras = null
    return extras
  }

  /** Packs the values, and returns the request flags that say of which kind they are. */
  #packParams(params: unknown, dates: DateMode): number {
    if (params === undefined) {
      this.#begin(0, 0)
      return PARAMS_NONE
    }
    if (Array.isArray(params)) {
      this.#packPositional(params, dates)
      return PARAMS_POSITIONAL
    }
    if (typeof params !== 'object' || params === null || !isPlainObject(params)) {
      throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', `params must be an array or a plain object, not ${kindOf(params)}`)
    }
    this.#packNamed(params as Record<string, unknown>, dates)
    return PARAMS_NAMED
  }

  #packPositional(values: readonly unknown[], dates: DateMode): void {
    // A proxy of an array may claim any length; of an array itself this changes nothing.
    const count = values.length >>> 0
    this.#begin(count, count)
    for (let index = 0; index < count; index++) this.#packValue(values[index], index + 1, dates)
  }

  #packNamed(values: Record<string, unknown>, dates: DateMode): void {
    const names = Object.keys(values)
    this.#begin(names.length, names.length * 2)
    for (const name of names) {
      this.#packText(name)
      this.#packValue(values[name], name, dates)
    }
  }

  /** Makes room for `count` values in `cells` cells, plus one more per value should it be too wide for a double. */
  #begin(count: number, cells: number): void {
    if (count > MAX_PARAMETERS) throw new SluiceError('ERR_SLUICE_INVALID_PARAMETER', `${count} values are more than SQLite takes`)
    const needed = REQUEST_HEADER_BYTES + (cells + count) * 8 + TEXT_ROOM
    if (this.start > 0 && this.start + needed > this.#bytes.length) {
      this.#empty()
      this.start = 0
    }
    if (needed > this.#bytes.length) this.#replaceBuffer(2 ** Math.ceil(Math.log2(needed)))
    this.#count = count
    this.#wide = 0
    this.#cell = (this.start + REQUEST_HEADER_BYTES) / 8
    this.#textStart = this.start + REQUEST_HEADER_BYTES + cells * 8
    this.#textEnd = this.#textStart
    this.#textLimit = this.#bytes.length - count * 8
  }

  /** Closes the gap that was left for wide integers. */
  #finish(): void {
    if (this.#wide > 0) this.#moveTexts(this.#cell * 8)
    this.end = this.#textEnd
  }

  #packValue(value: unknown, place: Place, dates: DateMode): void {
    switch (typeof value) {
      case 'number':
        if (value !== value) throw invalidParameter(place, value)
        this.#numbers[this.#cell++] = value
        return
      case 'string':
        this.#packText(value)
        return
      case 'boolean':
        this.#numbers[this.#cell++] = value ? 1 : 0
        return
      case 'bigint':
        this.#packBigint(value, place)
        return
      case 'object':
        if (value === null) this.#packTag(TAG_NULL, 0)
        else this.#packObject(value, place, dates)
        return
      case 'undefined':
        this.#packTag(TAG_NULL, 0)
        return
      case 'function':
      case 'symbol':
        throw invalidParameter(place, value)
    }
  }

  #packTag(tag: number, payload: number): void {
    const word = this.#cell++ * 2
    this.#words[word] = payload
    this.#words[word + 1] = tag
  }

  #packText(text: string): void {
    const { length } = text
    // A UTF-16 unit takes at most three bytes.
    if (length > MAX_INLINE_BYTES || this.#textEnd + length * 3 > this.#textLimit) {
      this.#packExtra(text)
      return
    }
    const written = this.#writeText(text, length)
    if (written > MAX_INLINE_BYTES) {
      this.#packExtra(text)
      return
    }
    this.#packTag(TAG_TEXT, written)
    this.#textEnd += written
  }

  /** Writes `text` behind the others and returns its length in bytes. */
  #writeText(text: string, length: number): number {
    const bytes = this.#bytes
    const start = this.#textEnd
    if (length > SHORT_TEXT) return bytes.write(text, start)
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7f) return bytes.write(text, start)
      bytes[start + index] = unit
    }
    return length
  }

  #packExtra(value: string | Uint8Array): void {
    this.#extras ??= []
    this.#packTag(TAG_EXTRA, this.#extras.push(value) - 1)
  }

  #packBigint(value: bigint, place: Place): void {
    if (value >= MIN_SAFE && value <= MAX_SAFE) {
      this.#numbers[this.#cell++] = Number(value)
      return
    }
    if (value < MIN_INT64 || value > MAX_INT64) {
      throw new SluiceError('ERR_SLUICE_OUT_OF_RANGE', `parameter ${label(place)} is beyond 64 bits`, { parameter: place })
    }
    if (this.#wide++ === 0) {
      this.#moveTexts(this.#textStart + this.#count * 8)
      this.#textLimit = this.#bytes.length
    }
    this.#packTag(TAG_INT64, 0)
    this.#integers[this.#cell++] = value
  }

  #moveTexts(start: number): void {
    this.#bytes.copyWithin(start, this.#textStart, this.#textEnd)
    this.#textEnd += start - this.#textStart
    this.#textStart = start
  }

  #packObject(value: object, place: Place, dates: DateMode): void {
    if (ArrayBuffer.isView(value)) this.#packExtra(bytesOf(value, place))
    else if (types.isDate(value)) this.#packDate(value, place, dates)
    else throw invalidParameter(place, value)
  }

  #packDate(value: Date, place: Place, dates: DateMode): void {
    const ms = Date.prototype.getTime.call(value)
    if (dates !== 'reject' && Number.isNaN(ms)) throw invalidDate(place)
    switch (dates) {
      case 'reject':
        throw invalidParameter(place, value, "set the option 'dates' to 'iso' or 'ms'")
      case 'iso':
        this.#packText(Date.prototype.toISOString.call(value))
        return
      case 'ms':
        this.#numbers[this.#cell++] = ms
        return
    }
  }

  #replaceBuffer(byteLength: number): void {
    const buffer = new ArrayBuffer(byteLength)
    this.#bytes = Buffer.from(buffer)
    this.#numbers = new Float64Array(buffer)
    this.#words = new Int32Array(buffer)
    this.#integers = new BigInt64Array(buffer)
    this.#adopt(buffer)
  }
}

/** Makes the error of a call that is made by a getter or proxy among the values of another one. */
export function startedByValues(): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_PARAMETER', 'the values of a call must not start another call when they are read')
}

/** Copies values that will be packed later, as they are now. What cannot be packed is refused then, or now. */
export function copyParams(params: unknown): unknown {
  if (Array.isArray(params)) {
    return params.length > MAX_PARAMETERS ? params : Array.from(params, (value: unknown, index) => copyValue(value, index + 1))
  }
  if (typeof params !== 'object' || params === null || !isPlainObject(params)) return params
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, copyValue(value, name)]))
}

function copyValue(value: unknown, place: Place): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(bytesOf(value, place))
  return types.isDate(value) ? new Date(Date.prototype.getTime.call(value)) : value
}

/** Returns exactly the bytes that `view` shows. */
function bytesOf(view: ArrayBufferView, place: Place): Uint8Array {
  expectReadable(view, place)
  const bytes = view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  // Other threads may write to shared memory while the addon copies it.
  return types.isSharedArrayBuffer(view.buffer) ? new Uint8Array(bytes) : bytes
}

/**
 * Checks that `view` still shows what it was made for. A typed array on a buffer that was transferred away, or made smaller, looks empty;
 * storing it as an empty BLOB would lose what was meant.
 */
function expectReadable(view: ArrayBufferView, place: Place): void {
  try {
    // A DataView refuses to tell its length then; of a typed array, only the methods refuse.
    if (view.byteLength === 0 && types.isTypedArray(view)) Uint8Array.prototype.keys.call(view)
  } catch (cause) {
    const message = `parameter ${label(place)} is a view on a buffer that was transferred away or made smaller`
    throw new SluiceError('ERR_SLUICE_INVALID_PARAMETER', message, { parameter: place, cause })
  }
}

function label(place: Place): string {
  return typeof place === 'number' ? String(place) : `'${place}'`
}

function invalidDate(place: Place): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_PARAMETER', `parameter ${label(place)} is an invalid Date`, { parameter: place })
}

function invalidParameter(place: Place, value: unknown, hint: string | undefined = hintFor(value)): SluiceError {
  const message = `parameter ${label(place)} is ${kindOf(value)}, which SQLite cannot hold${hint === undefined ? '' : `: ${hint}`}`
  return new SluiceError('ERR_SLUICE_INVALID_PARAMETER', message, { parameter: place })
}

function hintFor(value: unknown): string | undefined {
  return types.isAnyArrayBuffer(value) ? 'give a view on it, such as new Uint8Array(buffer)' : undefined
}
