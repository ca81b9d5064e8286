import type { SqlParameter, SqlValue } from '../../index.js'

/** A source of numbers that its seed determines. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** Returns 32 random bits. */
  bits(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** Returns an integer from 0 to `end - 1`. */
  below(end: number): number {
    return this.bits() % end
  }

  /** Returns 64 random bits. */
  wide(): bigint {
    return (BigInt(this.bits()) << 32n) | BigInt(this.bits())
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}

const EDGES = [0, -0, 1, -1, 0.5, 5e-324, Number.MIN_VALUE, Number.MAX_VALUE, Infinity, -Infinity, Number.EPSILON, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 1 - 2 ** 53, 2 ** 53, -(2 ** 53), 2 ** 63, -(2 ** 63), 1e300]
const WIDE_EDGES = [0n, -1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 1n - 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) + 1n]
const TOO_WIDE = [2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n, 2n ** 128n]
const SCRIPTS = ['a', '\0', 'é', '€', '🦭', '\uFEFF', '\uD83E', '\uDDAD', '\uFFFF', "'", '\n']
/** Around the longest text and BLOB that are sent inline, and the room for all of one call. */
const LENGTHS = [0, 1, 23, 24, 25, 127, 128, 5_461, 5_462, 8_192, 16_383, 16_384, 16_385, 20_000]

const float = new Float64Array(1)
const floatBits = new BigUint64Array(float.buffer)

function anyDouble(random: Random): number {
  floatBits[0] = random.wide()
  const number = float[0] as number
  return Number.isNaN(number) ? 0.1 : number
}

function anyBigint(random: Random): bigint {
  return BigInt.asIntN(random.below(64) + 1, random.wide())
}

/** Mostly short, sometimes at an edge. */
function anyLength(random: Random): number {
  return random.below(200) === 0 ? random.pick(LENGTHS) : random.below(random.pick([4, 30, 100]))
}

function anyText(random: Random): string {
  const length = anyLength(random)
  if (length > 1_000) return random.pick(SCRIPTS).repeat(length)
  const unit = random.pick([() => 32 + random.below(95), () => random.below(0x800), () => random.below(0x10000)])
  const units = Array.from({ length }, () => (random.below(20) === 0 ? random.pick(SCRIPTS) : String.fromCharCode(unit())))
  return units.join('')
}

const VIEWS: readonly ((buffer: ArrayBuffer, start: number, length: number) => ArrayBufferView)[] = [
  (buffer, start, length) => new Uint8Array(buffer, start, length),
  (buffer, start, length) => Buffer.from(buffer, start, length),
  (buffer, start, length) => new DataView(buffer, start, length),
  (buffer, start, length) => new Int8Array(buffer, start, length),
  (buffer, _, length) => new Uint16Array(buffer, 0, length >> 1),
  (buffer, _, length) => new Float64Array(buffer, 0, length >> 3),
  (buffer, _, length) => new BigInt64Array(buffer, 0, length >> 3),
]

function anyView(random: Random): ArrayBufferView {
  const length = anyLength(random)
  const bytes = new Uint8Array(length + 16)
  for (let at = 0; at < bytes.length; at++) bytes[at] = random.bits()
  return random.pick(VIEWS)(bytes.buffer, random.below(16), length)
}

const KINDS: readonly ((random: Random) => SqlParameter)[] = [
  (random) => random.pick([null, undefined, true, false]),
  (random) => random.pick(EDGES),
  (random) => random.bits() >> random.below(32),
  (random) => Number(BigInt.asIntN(random.below(70) + 1, random.wide())),
  anyDouble,
  (random) => random.pick(WIDE_EDGES),
  anyBigint,
  anyText,
  anyText,
  anyView,
]

/** Makes a value that can be bound. */
export function anyParameter(random: Random): SqlParameter {
  return random.pick(KINDS)(random)
}

/** Makes a value that cannot be bound, and the code of the error. */
export function anyUnbindable(random: Random): { value: unknown; code: string } {
  if (random.below(3) === 0) return { value: random.pick(TOO_WIDE), code: 'ERR_SLUICE_OUT_OF_RANGE' }
  floatBits[0] = random.wide() | 0x7ff0000000000001n
  const value = random.pick<unknown>([float[0], Symbol('x'), () => 0, new Map(), new Date(0), new Date(Number.NaN), Object(1), [1], { a: 1 }, new ArrayBuffer(2)])
  return { value, code: 'ERR_SLUICE_INVALID_PARAMETER' }
}

/** Returns what SQLite holds after `value` was bound: integers as `bigint`, all else as it is delivered. */
export function stored(value: SqlParameter): SqlValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  if (typeof value === 'bigint') return value
  if (typeof value === 'string') return Array.from(value, (character) => (/^\p{Surrogate}$/u.test(character) ? '\uFFFD' : character)).join('')
  if (value instanceof Date) throw new Error('dates are not among the random values')
  return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
}
