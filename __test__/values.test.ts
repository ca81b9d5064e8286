import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'

import type { Database, IntegerMode, SqlParameter, SqlValue } from '../index.js'
import { failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable } from './support/scratch.js'

/** More results than a shape needs until its rows are made by compiled code: each way of making them must give the same. */
const RUNS = 6

/** What goes in, what SQLite calls it, and what comes out with `integers: 'auto'`. */
type Case = readonly [name: string, given: SqlParameter, type: string, taken: SqlValue]

const same = (name: string, value: SqlValue, type: string): Case => [name, value, type, value]

const NUMBERS: readonly Case[] = [
  same('0', 0, 'integer'),
  same('1', 1, 'integer'),
  same('-1', -1, 'integer'),
  same('2^31', 2 ** 31, 'integer'),
  same('-2^31 - 1', -(2 ** 31) - 1, 'integer'),
  same('2^53 - 1', 2 ** 53 - 1, 'integer'),
  same('-(2^53 - 1)', -(2 ** 53) + 1, 'integer'),
  same('2^53, which is no safe integer', 2 ** 53, 'real'),
  same('-2^53', -(2 ** 53), 'real'),
  same('2^63', 2 ** 63, 'real'),
  same('−0', -0, 'real'),
  same('0.1', 0.1, 'real'),
  same('the least double', 5e-324, 'real'),
  same('the greatest double', Number.MAX_VALUE, 'real'),
  same('Infinity', Infinity, 'real'),
  same('-Infinity', -Infinity, 'real'),
]

const BIGINTS: readonly Case[] = [
  ['0n', 0n, 'integer', 0],
  ['-1n', -1n, 'integer', -1],
  ['2n ** 53n - 1n', 2n ** 53n - 1n, 'integer', 2 ** 53 - 1],
  ['-(2n ** 53n - 1n)', 1n - 2n ** 53n, 'integer', 1 - 2 ** 53],
  same('2n ** 53n', 2n ** 53n, 'integer'),
  same('2n ** 53n + 1n', 2n ** 53n + 1n, 'integer'),
  same('-(2n ** 53n)', -(2n ** 53n), 'integer'),
  same('-(2n ** 53n) - 1n', -(2n ** 53n) - 1n, 'integer'),
  same('2n ** 63n - 1n', 2n ** 63n - 1n, 'integer'),
  same('-(2n ** 63n)', -(2n ** 63n), 'integer'),
]

const TEXTS: readonly Case[] = [
  same('an empty text', '', 'text'),
  same('V04: a text with a NUL inside', 'a\0b', 'text'),
  same('a NUL alone', '\0', 'text'),
  same('a text of two bytes per character', 'Čé', 'text'),
  same('a text beyond the basic plane', '🦭🦭', 'text'),
  same('a byte order mark in front', '\uFEFFa', 'text'),
  same('noncharacters', '\uFFFE\uFFFF', 'text'),
  same('a text that looks like a number', '1e3', 'text'),
  same('the longest ASCII text that is sent inline', 'x'.repeat(16_384), 'text'),
  same('a longer one', 'x'.repeat(16_385), 'text'),
  same('a text whose units fit inline and whose bytes do not', '€'.repeat(16_384), 'text'),
  same('a text of 1 MiB', '🦭é x'.repeat(209_715), 'text'),
]

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index * 7 + 1)

const BLOBS: readonly Case[] = [
  same('an empty BLOB', new Uint8Array(0), 'blob'),
  same('all bytes', bytes(256), 'blob'),
  same('the longest BLOB that is sent inline', bytes(16_384), 'blob'),
  same('a longer one', bytes(16_385), 'blob'),
  same('a BLOB of 1 MiB', bytes(2 ** 20), 'blob'),
  ['a Buffer out of a pool', Buffer.from('pooled'), 'blob', new Uint8Array(Buffer.from('pooled'))],
  ['part of an array', bytes(10).subarray(3, 7), 'blob', bytes(10).slice(3, 7)],
  ['a DataView', new DataView(bytes(10).buffer, 2, 5), 'blob', bytes(10).slice(2, 7)],
  ['a Uint16Array at an odd place', new Uint16Array(bytes(10).buffer, 2, 3), 'blob', bytes(10).slice(2, 8)],
  ['a Float64Array', new Float64Array([-0, Number.NaN]), 'blob', new Uint8Array(new Float64Array([-0, Number.NaN]).buffer)],
  ['V08: a BigInt64Array', new BigInt64Array([-1n]), 'blob', new Uint8Array(8).fill(255)],
  ['a Uint8ClampedArray', new Uint8ClampedArray([1, 300]), 'blob', new Uint8Array([1, 255])],
  ['a view on shared memory', new Uint8Array(new SharedArrayBuffer(4), 1, 2), 'blob', new Uint8Array(2)],
  ['a view on a buffer that can grow', new Uint8Array(growable(3, 5)), 'blob', new Uint8Array(5)],
]

/** Makes a buffer that has grown from `byteLength`. TypeScript's library for ES2022 does not know such buffers yet. */
function growable(byteLength: number, grown: number): ArrayBuffer {
  const options = { maxByteLength: 64 }
  const buffer = Reflect.construct(ArrayBuffer, [byteLength, options]) as ArrayBuffer & { resize(byteLength: number): void }
  buffer.resize(grown)
  return buffer
}

const OTHERS: readonly Case[] = [
  same('null', null, 'null'),
  ['undefined', undefined, 'null', null],
  ['true', true, 'integer', 1],
  ['false', false, 'integer', 0],
]

const CASES = [...OTHERS, ...NUMBERS, ...BIGINTS, ...TEXTS, ...BLOBS]

/** Compared by Node: the assertions of vitest take seconds for a BLOB of 1 MiB. */
describe('every kind of value', () => {
  it.each(CASES)('%s goes in and comes out in every form', async (_name, given, type, taken) => {
    const db = await openForTest(':memory:')
    const sql = 'SELECT ?1 AS x, typeof(?1) AS type'
    for (let run = 0; run < RUNS; run++) {
      expect(isDeepStrictEqual(await db.all(sql, [given]), [{ x: taken, type }])).toBe(true)
      expect(isDeepStrictEqual(await db.get(sql, [given]), { x: taken, type })).toBe(true)
      expect(isDeepStrictEqual(await db.get(sql, [given], { rowMode: 'array' }), [taken, type])).toBe(true)
      expect(isDeepStrictEqual((await db.execute(sql, [given], { rowMode: 'array' })).rows, [[taken, type]])).toBe(true)
      expect(isDeepStrictEqual(await db.values(sql, [given]), [[taken, type]])).toBe(true)
      expect(isDeepStrictEqual(await db.pluck(sql, [given]), [taken])).toBe(true)
      expect(isDeepStrictEqual(await db.get('SELECT :a AS x', { a: given }), { x: taken })).toBe(true)
    }
    expect(isDeepStrictEqual(await db.sql`SELECT ${given} AS x`, [{ x: taken }])).toBe(true)
  })

  it.each(CASES)('%s is stored in a file as what it is', async (_name, given, type, taken) => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (?)', [given])
    expect(isDeepStrictEqual(await db.values('SELECT x, typeof(x) FROM t'), [[taken, type]])).toBe(true)
    expect(isDeepStrictEqual(await db.values('INSERT INTO t SELECT x FROM t RETURNING x, typeof(x)'), [[taken, type]])).toBe(true)
  })

  it('all of them fit one row, and many rows, in both forms', async () => {
    const db = await openForTest(':memory:')
    const columns = CASES.map((_, index) => `? AS c${index}`).join()
    const given = CASES.map(([, value]) => value)
    const taken = CASES.map(([, , , value]) => value)
    const named = Object.fromEntries(taken.map((value, index) => [`c${index}`, value]))
    const sql = `WITH one AS MATERIALIZED (SELECT ${columns}) SELECT one.* FROM one, (VALUES (1), (2), (3))`
    for (let run = 0; run < RUNS; run++) {
      expect(isDeepStrictEqual(await db.values(sql, given), [taken, taken, taken])).toBe(true)
      expect(isDeepStrictEqual(await db.all(sql, given), [named, named, named])).toBe(true)
    }
  })

  it('values are those of the moment of the call', async () => {
    const db = await openWithTable()
    const blob = bytes(4)
    const list: SqlParameter[] = [blob]
    const named: { a: SqlParameter } = { a: 'before' }
    const calls = [db.pluck('SELECT ?', list), db.pluck('SELECT :a', named)]
    blob.fill(0)
    list[0] = 'after'
    named.a = 'after'
    expect(await Promise.all(calls)).toStrictEqual([[bytes(4)], ['before']])
  })
})

describe('V07: numbers at the edges', () => {
  it('reads what only SQL can write', async () => {
    const db = await openForTest(':memory:')
    const sql = 'SELECT 9007199254740993, -9223372036854775808, 9223372036854775808, 1e400, -1e400, -0.0, 1e400 - 1e400'
    const expected = [2n ** 53n + 1n, -(2n ** 63n), 2 ** 63, Infinity, -Infinity, -0, null]
    for (let run = 0; run < RUNS; run++) expect(await db.values(sql)).toStrictEqual([expected])
  })

  it.each([2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n, 2n ** 200n])('refuses the bigint %s, which has more than 64 bits, naming the parameter', async (value) => {
    const db = await openWithTable()
    const byIndex = await failureOf(db.run('INSERT INTO t VALUES (?), (?)', [1, value]))
    expect(byIndex).toMatchObject({ code: 'ERR_SLUICE_OUT_OF_RANGE', parameter: 2 })
    const byName = await failureOf(db.run('INSERT INTO t VALUES (:big)', { big: value }))
    expect(byName).toMatchObject({ code: 'ERR_SLUICE_OUT_OF_RANGE', parameter: 'big' })
    for (const { message } of [byIndex, byName]) expect(message).not.toContain(String(value))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it('refuses NaN, naming the parameter', async () => {
    const db = await openWithTable()
    expect(await failureOf(db.run('INSERT INTO t VALUES (?)', [Number.NaN]))).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 1 })
    const named = await failureOf(db.run('INSERT INTO t VALUES ($x)', { $x: Number.NaN }))
    expect(named).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: '$x' })
    expect(named.message).toContain('NaN')
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it('refuses a NaN with any bits, so that none is taken for another value', async () => {
    const db = await openForTest(':memory:')
    const bits = new BigUint64Array(1)
    const number = new Float64Array(bits.buffer)
    for (const pattern of [0xffff000100000000n, 0xffff000200000005n, 0xffff000500000000n, 0x7ff0000000000001n, 0xffffffffffffffffn]) {
      bits[0] = pattern
      expect((await failureOf(db.get('SELECT ?', [number[0]]))).code).toBe('ERR_SLUICE_INVALID_PARAMETER')
      expect(await db.pluck('SELECT ?', [number])).toStrictEqual([new Uint8Array(number.buffer)])
    }
  })
})

/** A stored integer, and what each mode makes of it; `null` stands for an error. */
const INTEGERS: readonly [stored: bigint, modes: Record<IntegerMode, number | bigint | null>][] = [
  [0n, { auto: 0, number: 0, bigint: 0n }],
  [-1n, { auto: -1, number: -1, bigint: -1n }],
  [2n ** 31n, { auto: 2 ** 31, number: 2 ** 31, bigint: 2n ** 31n }],
  [2n ** 53n - 1n, { auto: 2 ** 53 - 1, number: 2 ** 53 - 1, bigint: 2n ** 53n - 1n }],
  [1n - 2n ** 53n, { auto: 1 - 2 ** 53, number: 1 - 2 ** 53, bigint: 1n - 2n ** 53n }],
  [2n ** 53n, { auto: 2n ** 53n, number: null, bigint: 2n ** 53n }],
  [-(2n ** 53n), { auto: -(2n ** 53n), number: null, bigint: -(2n ** 53n) }],
  [2n ** 53n + 1n, { auto: 2n ** 53n + 1n, number: null, bigint: 2n ** 53n + 1n }],
  [2n ** 63n - 1n, { auto: 2n ** 63n - 1n, number: null, bigint: 2n ** 63n - 1n }],
  [-(2n ** 63n), { auto: -(2n ** 63n), number: null, bigint: -(2n ** 63n) }],
]

const MODES: readonly IntegerMode[] = ['auto', 'number', 'bigint']
const INTEGER_CASES = INTEGERS.flatMap(([stored, modes]) => MODES.map((integers) => ({ stored, integers, expected: modes[integers] })))
const EXACT = INTEGER_CASES.filter(({ expected }) => expected !== null)
const INEXACT = INTEGER_CASES.filter(({ expected }) => expected === null)

/** Every way to get the value of the column x, as a list of one. */
const WAYS: Record<string, (db: Database, sql: string, integers?: IntegerMode) => Promise<unknown[]>> = {
  'all in objects': async (db, sql, integers) => (await db.all<{ x: unknown }>(sql, [], { integers })).map(({ x }) => x),
  'all in arrays': async (db, sql, integers) => (await db.all<unknown[]>(sql, [], { integers, rowMode: 'array' })).map(([x]) => x),
  'execute': async (db, sql, integers) => (await db.execute<{ x: unknown }>(sql, [], { integers })).rows.map(({ x }) => x),
  'get': async (db, sql, integers) => [(await db.get<{ x: unknown }>(sql, [], { integers }))?.x],
  'values': async (db, sql, integers) => (await db.values(sql, [], { integers })).map(([x]) => x),
  'pluck': (db, sql, integers) => db.pluck(sql, [], { integers }),
  'statement.all': async (db, sql, integers) => (await db.prepare<[], { x: unknown }>(sql).all([], { integers })).map(({ x }) => x),
}

describe('integer modes', () => {
  it.each(EXACT)('$stored with integers: $integers is exact', async ({ stored, integers, expected }) => {
    const db = await openForTest(':memory:')
    const byDefault = await openForTest(':memory:', { integers })
    for (const [way, take] of Object.entries(WAYS)) {
      expect(await take(db, `SELECT ${stored} AS x`, integers), way).toStrictEqual([expected])
      expect(await take(byDefault, `SELECT ${stored} AS x`), way).toStrictEqual([expected])
    }
  })

  it.each(INEXACT)('$stored with integers: $integers is an error that names the column', async ({ stored, integers }) => {
    const db = await openForTest(':memory:')
    const byDefault = await openForTest(':memory:', { integers })
    for (const [way, take] of Object.entries(WAYS)) {
      for (const call of [() => take(db, `SELECT ${stored} AS x`, integers), () => take(byDefault, `SELECT ${stored} AS x`)]) {
        const error = await failureOf(call())
        expect(error.code, way).toBe('ERR_SLUICE_OUT_OF_RANGE')
        expect(error.message, way).toContain("'x'")
      }
    }
  })

  it('what a call says overrides what open said', async () => {
    const db = await openForTest(':memory:', { integers: 'bigint' })
    expect(await db.pluck('SELECT 1')).toStrictEqual([1n])
    expect(await db.pluck('SELECT 1', [], { integers: 'auto' })).toStrictEqual([1])
    expect(await db.pluck('SELECT 1', [], { integers: undefined })).toStrictEqual([1n])
  })

  it('leave REAL alone', async () => {
    const db = await openForTest(':memory:')
    for (const integers of MODES) expect(await db.values('SELECT 1.0, 1e300, ?', [-0], { integers })).toStrictEqual([[1, 1e300, -0]])
  })

  it('differ between calls of one statement in flight together', async () => {
    const db = await openScratch()
    const calls = Array.from({ length: 300 }, (_, index) => db.pluck('SELECT ?', [index], { integers: MODES[index % 3] }))
    const expected = calls.map((_, index) => [index % 3 === 2 ? BigInt(index) : index])
    expect(await Promise.all(calls)).toStrictEqual(expected)
  })
})
