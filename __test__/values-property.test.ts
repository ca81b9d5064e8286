import { describe, expect, it } from 'vitest'

import type { Database, IntegerMode, SqlParameter, SqlValue } from '../index.js'
import { codeOf, outcomeOf } from './support/failure.js'
import { Random, anyParameter, anyUnbindable, stored } from './support/random-values.js'
import { openWithTable } from './support/scratch.js'

/** Run again with `SLUICE_TEST_SEED` to repeat a failure: the seed is in the names of the tests. */
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 2 ** 31)
const BATCH = 500
const BATCHES = 1_000
const UNBINDABLE = 2_000

const isWide = (value: SqlValue): boolean => typeof value === 'bigint' && (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))

/** Returns what is delivered of a value that SQLite holds. */
function delivered(value: SqlValue, integers: IntegerMode): SqlValue {
  return typeof value !== 'bigint' || integers === 'bigint' || isWide(value) ? value : Number(value)
}

/** Tells whether two values are the same kind of thing and have the same bits. */
function isSame(got: unknown, expected: SqlValue): boolean {
  if (!(expected instanceof Uint8Array)) return Object.is(got, expected)
  return got instanceof Uint8Array && got.buffer.byteLength === expected.byteLength && Buffer.compare(got, expected) === 0
}

function describeValue(value: unknown): string {
  const kind = Object.is(value, -0) ? '−0' : ArrayBuffer.isView(value) ? `${value.byteLength} bytes` : JSON.stringify(typeof value === 'bigint' ? `${value}n` : value)
  return `${typeof value} ${kind}`.slice(0, 200)
}

/** Says what differs first, if anything does. */
function difference(got: readonly unknown[], expected: readonly SqlValue[], integers: IntegerMode, way: string): string[] {
  if (got.length !== expected.length) return [`${way}: ${got.length} values instead of ${expected.length}`]
  const at = expected.findIndex((value, index) => !isSame(got[index], delivered(value, integers)))
  return at === -1 ? [] : [`${way}, value ${at}: ${describeValue(delivered(expected[at] ?? null, integers))} became ${describeValue(got[at])}`]
}

/** A list of values, each in parentheses, as many in each as there are columns. */
const rowsOf = (count: number, columns: number): string => Array.from({ length: count / columns }, () => `(${Array.from({ length: columns }, () => '?').join()})`).join()

const flat = (rows: readonly (object | SqlValue[])[]): unknown[] => rows.flatMap((row) => Object.values(row) as unknown[])

/** The ways for values to go in and come straight out. */
const ECHOES: readonly ((db: Database, values: SqlParameter[], integers: IntegerMode) => Promise<readonly unknown[]>)[] = [
  (db, values, integers) => db.pluck(`VALUES ${rowsOf(BATCH, 1)}`, values, { integers }),
  async (db, values, integers) => flat(await db.values(`VALUES ${rowsOf(BATCH, 5)}`, values, { integers })),
  async (db, values, integers) => flat(await db.all(`VALUES ${rowsOf(BATCH, 10)}`, values, { integers, rowMode: 'object' })),
  async (db, values, integers) => flat(await db.all(`VALUES ${rowsOf(BATCH, 100)}`, values, { integers, rowMode: 'array' })),
  async (db, values, integers) => flat([(await db.get(`SELECT ${values.map((_, index) => `?${index + 1} AS c${index}`).join()}`, values, { integers })) ?? {}]),
  async (db, values, integers) => {
    const named = Object.fromEntries(values.map((value, index) => [`v${index}`, value]))
    return flat(await db.values(`SELECT ${values.map((_, index) => `:v${index}`).join()}`, named, { integers }))
  },
]

const INSERT = `INSERT INTO t VALUES ${rowsOf(BATCH, 1)}`

/** Sends a batch in and straight out, and through the file. Returns what differs. */
async function roundTrip(db: Database, random: Random): Promise<string[]> {
  const values = Array.from({ length: BATCH }, () => anyParameter(random))
  const expected = values.map(stored)
  const integers = random.pick<IntegerMode>(['auto', 'bigint'])
  const echo = random.below(ECHOES.length)
  const [echoed, returned] = await Promise.all([ECHOES[echo]?.(db, values, integers) ?? [], db.pluck(`${INSERT} RETURNING x`, values, { integers })])
  const read = await db.pluck('SELECT x FROM t ORDER BY rowid', [], { integers })
  const differences = [
    ...difference(echoed, expected, integers, `echo ${echo}`),
    ...difference(returned, expected, integers, 'RETURNING'),
    ...difference(read, expected, integers, 'the file'),
    ...(await numberDifference(db, expected)),
  ]
  await db.run('DELETE FROM t')
  return differences
}

/** Reads the integers with `integers: 'number'`, which must fail if one of them is wide. */
async function numberDifference(db: Database, expected: readonly SqlValue[]): Promise<string[]> {
  const read = db.pluck("SELECT x FROM t WHERE typeof(x) = 'integer' ORDER BY rowid", [], { integers: 'number' })
  const whole = expected.filter((value) => typeof value === 'bigint')
  if (!whole.some(isWide)) return difference(await read, whole, 'number', "integers: 'number'")
  const outcome = await outcomeOf(read)
  return outcome === 'ERR_SLUICE_OUT_OF_RANGE' ? [] : [`integers: 'number' with a wide integer: ${outcome}`]
}

describe('random values', () => {
  it(`${BATCH * BATCHES} of every kind come back bit for bit (seed ${SEED})`, { timeout: 120_000 }, async () => {
    const db = await openWithTable({ durability: 'off' })
    const random = new Random(SEED)
    for (let batch = 0; batch < BATCHES; batch++) expect(await roundTrip(db, random)).toEqual([])
  })

  it(`${UNBINDABLE} that cannot be bound get the documented error, and nothing is written (seed ${SEED})`, async () => {
    const db = await openWithTable({ durability: 'off' })
    const random = new Random(SEED ^ 0x5eed)
    for (let run = 0; run < UNBINDABLE; run++) {
      const { value, code } = anyUnbindable(random)
      const before = Array.from({ length: random.below(4) }, () => anyParameter(random))
      const values = [...before, value as SqlParameter]
      expect(await codeOf(db.run(`INSERT INTO t VALUES ${rowsOf(values.length, 1)}`, values)), `seed ${SEED}, run ${run}: ${describeValue(String(value))}`).toBe(code)
    }
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })
})
