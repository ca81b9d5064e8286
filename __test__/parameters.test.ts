import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'

import type { SqlParameters } from '../index.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openWithTable } from './support/scratch.js'

/** The parameters of a text, the values given, and what the one row is, or what the message must say. */
type Case = readonly [sql: string, params: SqlParameters | undefined, expected: readonly unknown[] | RegExp]

const POSITIONAL: readonly Case[] = [
  ['SELECT 1', undefined, [1]],
  ['SELECT 1', [], [1]],
  ['SELECT ?, ?', [1, 2], [1, 2]],
  ['SELECT ?2, ?1', [1, 2], [2, 1]],
  ['SELECT ?1, ?1', [1], [1, 1]],
  ['SELECT ?3', [1, 2, 3], [3]],
  ['SELECT ?, ?1, ?', [1, 2], [1, 1, 2]],
  ['SELECT ?5, ?', [1, 2, 3, 4, 5, 6], [5, 6]],
  ["SELECT '?', ?, ':a' -- ? :a", [1], ['?', 1, ':a']],
  ['SELECT ?, ?', undefined, /2 parameters.*no values were given/],
  ['SELECT ?, ?', [], /parameter 1\b/],
  ['SELECT ?, ?', [1], /parameter 2\b.*2 expected, 1 given/],
  ['SELECT ?, ?', [1, 2, 3], /parameter 3\b.*2 expected, 3 given/],
  ['SELECT 1', [1], /parameter 1\b.*0 expected, 1 given/],
  ['SELECT ?3', [1], /parameter 2\b.*3 expected, 1 given/],
  ['SELECT ?1, ?1', [1, 2], /parameter 2\b.*1 expected, 2 given/],
  ['-- nothing', [1], /parameter 1\b/],
]

const NAMED: readonly Case[] = [
  ['SELECT 1', {}, [1]],
  ['SELECT :a, @b, $c', { a: 1, b: 2, c: 3 }, [1, 2, 3]],
  ['SELECT :a, @b, $c', { ':a': 1, '@b': 2, $c: 3 }, [1, 2, 3]],
  ['SELECT :a, :a', { a: 1 }, [1, 1]],
  ['SELECT :a, @a, $a', { a: 1 }, [1, 1, 1]],
  ['SELECT :a, @a, $a', { ':a': 1, '@a': 2, $a: 3 }, [1, 2, 3]],
  ['SELECT :a, :A', { a: 1, A: 2 }, [1, 2]],
  ['SELECT $a::b(c)', { 'a::b(c)': 1 }, [1]],
  ['SELECT :é🦭', { 'é🦭': 1 }, [1]],
  ['SELECT :_1, :1', { _1: 1, 1: 2 }, [1, 2]],
  ['SELECT :__proto__, :constructor, :toString, :hasOwnProperty', JSON.parse('{"__proto__":1,"constructor":2,"toString":3,"hasOwnProperty":4}'), [1, 2, 3, 4]],
  ['SELECT :a', Object.assign(Object.create(null), { a: 1 }), [1]],
  ['SELECT :a', runInNewContext('({ a: 1 })'), [1]],
  ['SELECT :a, :b', undefined, /2 parameters.*':a'/],
  ['SELECT :a, :b', { a: 1 }, /':b'/],
  ['SELECT :a', {}, /':a'/],
  ['SELECT :a', { a: 1, b: 2 }, /unknown parameter 'b'.*':a'/],
  ['SELECT :a', { '@a': 1 }, /unknown parameter '@a'/],
  ['SELECT :a', { A: 1 }, /unknown parameter 'A'/],
  ['SELECT :a', { '': 1, a: 1 }, /unknown parameter ''/],
  ['SELECT 1', { a: 1 }, /unknown parameter 'a'.*no named parameters/],
  ['SELECT :a', { a: 1, ':a': 2 }, /':a' is given twice/],
  ['SELECT :a', { ':a': 1, a: 2 }, /':a' is given twice/],
  ['SELECT :a, @a', { a: 1, '@a': 2 }, /'@a' is given twice/],
  ['SELECT :__proto__', {}, /':__proto__'/],
  ['SELECT :constructor, :toString', {}, /':constructor'/],
  ['SELECT :a', Object.defineProperty({}, 'a', { value: 1, enumerable: false }) as SqlParameters, /':a'/],
]

const MIXED: readonly Case[] = [
  ['SELECT :a, ?', [1, 2], /':a' has a name/],
  ['SELECT :a, ?', { a: 1 }, /parameter 2 has no name/],
  ['SELECT ?1, :a', { 1: 1, a: 2 }, /parameter 1 has no name/],
  ['SELECT ?1', { 1: 1 }, /parameter 1 has no name/],
  ['SELECT ?1', { '?1': 1 }, /parameter 1 has no name/],
  ['SELECT :a', [1], /':a' has a name/],
  ['SELECT @a', [], /'@a' has a name/],
  ['SELECT ?', { a: 1 }, /parameter 1 has no name/],
  ['SELECT ?', {}, /parameter 1 has no name/],
]

const CASES = [...POSITIONAL, ...NAMED, ...MIXED]
const TAKEN = CASES.flatMap(([sql, params, row]) => (row instanceof RegExp ? [] : [{ sql, params, row }]))
const REFUSED = CASES.flatMap(([sql, params, message]) => (message instanceof RegExp ? [{ sql, params, message }] : []))

describe('V09: parameters', () => {
  it.each(TAKEN)('$sql takes $params', async ({ sql, params, row }) => {
    const db = await openForTest(':memory:')
    expect(await db.values(sql, params)).toEqual([row])
    expect(await db.prepare(sql).values(params)).toEqual([row])
  })

  it.each(REFUSED)('$sql refuses $params, naming the parameter', async ({ sql, params, message }) => {
    const db = await openForTest(':memory:')
    for (const call of [() => db.values(sql, params), () => db.prepare(sql).values(params)]) {
      const error = await failureOf(call())
      expect(error.code).toBe('ERR_SLUICE_INVALID_PARAMETER')
      expect(error.message).toMatch(message)
    }
  })
})

describe('V09: values that do not fit', () => {
  it('keep a write from running', async () => {
    const db = await openWithTable()
    for (const params of [undefined, [], [1, 2], { a: 1 }] as const) expect(await codeOf(db.run('INSERT INTO t VALUES (?)', params))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it('leave nothing bound for the next run of the statement', async () => {
    const db = await openForTest(':memory:', { maxReaders: 1 })
    const positional = db.prepare('SELECT ?1 AS a, ?2 AS b')
    const named = db.prepare('SELECT :a AS a, :b AS b')
    for (let run = 0; run < 3; run++) {
      expect(await positional.values(['old', 'older'])).toEqual([['old', 'older']])
      expect(await codeOf(positional.values(['new']))).toBe('ERR_SLUICE_INVALID_PARAMETER')
      expect(await positional.values([run, undefined])).toEqual([[run, null]])
      expect(await named.values({ a: 'old', b: 'older' })).toEqual([['old', 'older']])
      expect(await codeOf(named.values({ a: 'new' }))).toBe('ERR_SLUICE_INVALID_PARAMETER')
      expect(await codeOf(named.values({ a: 'new', b: 1, c: 1 }))).toBe('ERR_SLUICE_INVALID_PARAMETER')
      expect(await codeOf(named.values())).toBe('ERR_SLUICE_INVALID_PARAMETER')
      expect(await named.values({ b: run, a: null })).toEqual([[null, run]])
    }
  })

  it('take the holes of an array for NULL', async () => {
    const db = await openForTest(':memory:')
    const list: (number | undefined)[] = []
    list[1] = 1
    list.length = 3
    expect(await db.values('SELECT ?, ?, ?', list)).toEqual([[null, 1, null]])
  })

  it('ignore symbols and what is inherited', async () => {
    const db = await openForTest(':memory:')
    expect(await db.values('SELECT :a', { a: 1, [Symbol('b')]: 2 } as SqlParameters)).toEqual([[1]])
    expect(await codeOf(db.values('SELECT :a', Object.assign(Object.create(null), {})))).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })
})

class Money {
  readonly cents = 5
}

/** What no parameter can be, and the word that its error says. */
const UNLISTED: readonly (readonly [kind: string, value: unknown])[] = [
  ['symbol', Symbol('secret')],
  ['function', () => 'secret'],
  ['function', Money],
  ['Promise', Promise.resolve('secret')],
  ['Map', new Map([['secret', 1]])],
  ['Set', new Set(['secret'])],
  ['WeakMap', new WeakMap()],
  ['Date', new Date(0)],
  ['boxed Number', Object(1)],
  ['boxed String', Object('secret')],
  ['boxed Boolean', Object(true)],
  ['boxed BigInt', Object(1n)],
  ['boxed Symbol', Object(Symbol.iterator)],
  ['RegExp', /secret/],
  ['Error', new Error('secret')],
  ['URL', new URL('file:///secret')],
  ['array', ['secret']],
  ['object', { secret: 1 }],
  ['object', Object.create(null)],
  ['instance of Money', new Money()],
  ['ArrayBuffer', new ArrayBuffer(4)],
  ['SharedArrayBuffer', new SharedArrayBuffer(4)],
  ['object', new Proxy({}, {})],
  ['instance of Uint8Array', new Proxy(new Uint8Array(1), {})],
  ['NaN', Number.NaN],
]

describe('V08: a value of an unlisted kind', () => {
  it.each(UNLISTED)('%s is refused by its place and kind, without its content', async (kind, value) => {
    const db = await openWithTable()
    const byIndex = await failureOf(db.run('INSERT INTO t VALUES (?), (?)', ['fine', value as never]))
    expect(byIndex).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 2 })
    expect(byIndex.message).toMatch(/^parameter 2 is /)
    const byName = await failureOf(db.run('INSERT INTO t VALUES (:it)', { it: value as never }))
    expect(byName).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 'it' })
    expect(byName.message).toMatch(/^parameter 'it' is /)
    const inTemplate = await failureOf(db.sql`INSERT INTO t VALUES (${value as never})`)
    expect(inTemplate).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 1 })
    for (const { message } of [byIndex, byName, inTemplate]) {
      expect(message).toContain(kind)
      expect(message).not.toContain('secret')
    }
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it('tells how to give an ArrayBuffer', async () => {
    const db = await openForTest(':memory:')
    expect((await failureOf(db.get('SELECT ?', [new ArrayBuffer(1) as never]))).message).toContain('new Uint8Array(')
  })

  it.each(['Uint8Array', 'Float64Array', 'DataView'])('a %s whose buffer was transferred away is refused', async (name) => {
    const db = await openForTest(':memory:')
    const buffer = new ArrayBuffer(16)
    const view = Reflect.construct(Reflect.get(globalThis, name) as new () => Uint8Array, [buffer]) as Uint8Array
    structuredClone(buffer, { transfer: [buffer] })
    expect(await failureOf(db.get('SELECT ?', [view]))).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 1 })
  })

  it.each(['Uint8Array', 'Float64Array', 'DataView'])('a %s whose buffer became too small is refused', async (name) => {
    const db = await openForTest(':memory:')
    const buffer = Reflect.construct(ArrayBuffer, [32, { maxByteLength: 32 }]) as ArrayBuffer & { resize(byteLength: number): void }
    const view = Reflect.construct(Reflect.get(globalThis, name) as new () => Uint8Array, [buffer, 8, 1]) as Uint8Array
    buffer.resize(4)
    expect(await failureOf(db.get('SELECT ?', [view]))).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 1 })
  })

  it.each([
    ['null', null],
    ['a string', 'secret'],
    ['a number', 1],
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set([1])],
    ['a Promise', Promise.resolve([1])],
    ['a Date', new Date(0)],
    ['a Uint8Array', new Uint8Array(1)],
    ['an instance of Money', new Money()],
    ['a function', () => [1]],
    ['a boxed String', Object('secret')],
  ])('%s is no list of values', async (kind, params) => {
    const db = await openForTest(':memory:')
    const error = await failureOf(db.get('SELECT ?', params as never))
    expect(error.code).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(error.message).toContain(kind)
    expect(error.message).not.toContain('secret')
  })
})

describe('values that run code when they are read', () => {
  it('reject the call with what they threw, and nothing else', async () => {
    const db = await openForTest(':memory:')
    const thrown = new RangeError('mine')
    const params = {
      get a(): number {
        throw thrown
      },
    }
    await expect(db.get('SELECT :a', params)).rejects.toBe(thrown)
    expect(await db.values('SELECT :a', { a: 1 })).toEqual([[1]])
  })

  it('must not start another call, whose values would meet theirs', async () => {
    const db = await openForTest(':memory:')
    let inner: Promise<unknown> = Promise.resolve()
    const params = {
      first: 'kept',
      get second(): number {
        inner = failureOf(db.values('SELECT ?', ['other']))
        return 2
      },
    }
    expect(await db.values('SELECT :first, :second', params)).toEqual([['kept', 2]])
    expect(await inner).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER' })
  })

  it('may shorten their own array: what is gone is NULL', async () => {
    const db = await openForTest(':memory:')
    const list = [1, 2, 3]
    Object.defineProperty(list, 0, { get: () => ((list.length = 1), 'first') })
    expect(await db.values('SELECT ?, ?, ?', list)).toEqual([['first', null, null]])
  })
})

describe("a Date, by the option 'dates'", () => {
  const DATES = [new Date(0), new Date('2026-01-31T12:00:00.123Z'), new Date(-1), new Date(8.64e15), new Date(-8.64e15), runInNewContext('new Date(5)') as Date]

  it.each(DATES)("%s is TEXT with 'iso' and INTEGER with 'ms'", async (date) => {
    const db = await openForTest(':memory:', { dates: 'iso' })
    expect(await db.values('SELECT ?1, typeof(?1)', [date])).toEqual([[date.toISOString(), 'text']])
    expect(await db.values('SELECT :d, typeof(:d)', { d: date }, { dates: 'ms' })).toEqual([[date.getTime(), 'integer']])
    expect(await db.sql`SELECT ${date} AS d`).toEqual([{ d: date.toISOString() }])
  })

  it('is read by the date functions of SQLite', async () => {
    const db = await openForTest(':memory:')
    const date = new Date('2026-01-31T12:00:00.000Z')
    expect(await db.pluck('SELECT datetime(?)', [date], { dates: 'iso' })).toEqual(['2026-01-31 12:00:00'])
    expect(await db.pluck("SELECT datetime(? / 1000, 'unixepoch')", [date], { dates: 'ms' })).toEqual(['2026-01-31 12:00:00'])
  })

  it('is refused by default, with a hint at the option', async () => {
    const db = await openForTest(':memory:', { dates: 'ms' })
    expect(await db.pluck('SELECT ?', [new Date(7)])).toEqual([7])
    const other = await openForTest(':memory:')
    for (const failing of [() => db.get('SELECT ?', [new Date(7)], { dates: 'reject' }), () => other.get('SELECT ?', [new Date(7)])]) {
      const error = await failureOf(failing())
      expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 1 })
      expect(error.message).toContain("'dates'")
    }
  })

  it.each(['reject', 'iso', 'ms'] as const)("that is invalid is refused with '%s'", async (dates) => {
    const db = await openForTest(':memory:', { dates })
    expect(await failureOf(db.get('SELECT :d', { d: new Date(Number.NaN) }))).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 'd' })
  })
})

describe('many values in one call', () => {
  const WIDE = 2n ** 60n + 1n

  // The texts of a call lie behind its cells, and make way for the second cells of wide integers.
  it.each([
    { values: 100, wide: [99] },
    { values: 4_000, wide: [3_999] },
    { values: 4_000, wide: [3_000, 3_002, 3_999] },
    { values: 4_000, wide: Array.from({ length: 40 }, (_, index) => 3_960 + index) },
    { values: 30_000, wide: [29_999] },
    { values: 30_000, wide: [0, 15_000, 29_999] },
  ])('keeps every text of $values, with integers too wide for a double among them', async ({ values, wide }) => {
    for (const length of [3, 20, 61, 250]) {
      const db = await openWithTable()
      const given = Array.from({ length: values }, (_, index) => (wide.includes(index) ? WIDE : `${index} é`.padEnd(length, '.')))
      await db.run(`INSERT INTO t VALUES ${given.map(() => '(?)').join()}`, given)
      expect(await db.pluck('SELECT x FROM t ORDER BY rowid')).toEqual(given)
      await db.close()
    }
  })

  it('keeps those with names, too', async () => {
    const db = await openForTest(':memory:')
    const named = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`p${index}`, index === 999 ? WIDE : `${index}`.padEnd(300, '.')]))
    expect(await db.get(`SELECT ${Object.keys(named).map((name) => `:${name} AS ${name}`).join()}`, named)).toEqual(named)
  })
})
