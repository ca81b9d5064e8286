import { describe, expect, it } from 'vitest'

import type { SqlParameters } from '../index.js'
import { failureOf } from './support/failure.js'
import { openForTest } from './support/scratch.js'

/** A text, values that do not fit it, and the parameter that is to blame. */
const CASES: readonly (readonly [sql: string, params: SqlParameters | undefined, parameter: string | number])[] = [
  ['SELECT ?, ?', undefined, 1],
  ['SELECT ?, ?', [], 1],
  ['SELECT ?, ?', [1], 2],
  ['SELECT ?, ?', [1, 2, 3], 3],
  ['SELECT ?3', [1], 2],
  ['-- nothing', [1], 1],
  ['SELECT :a', undefined, ':a'],
  ['SELECT :a, :b', { a: 1 }, ':b'],
  ['SELECT :a', { a: 1, b: 2 }, 'b'],
  ['SELECT :a', { '@a': 1 }, '@a'],
  ['SELECT :a', { a: 1, ':a': 2 }, ':a'],
  ['SELECT :a', [1], ':a'],
  ['SELECT :a, ?', { a: 1 }, 2],
  ['SELECT ?, ?', [1, Number.NaN], 2],
  ['SELECT :a', { a: Number.NaN }, 'a'],
  ['SELECT :é🦭', {}, ':é🦭'],
]

describe("V09: the field 'parameter' of an error", () => {
  it.each(CASES)('%s with %j', async (sql, params, parameter) => {
    const db = await openForTest(':memory:')
    expect(await failureOf(db.all(sql, params))).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter })
  })

  it('tells of a parameter in a script too, beside the statement it is in', async () => {
    const db = await openForTest(':memory:')
    const failure = await failureOf(db.exec('SELECT 1; SELECT :a'))
    expect(failure).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', statementIndex: 1, parameter: ':a' })
  })

  it('is not there when no parameter is at fault', async () => {
    const db = await openForTest(':memory:')
    expect(Object.keys(await failureOf(db.all('SELECT nope')))).not.toContain('parameter')
  })
})

describe('V08: a proxy of an array that lies about its length', () => {
  it.each([Number.NaN, -1, 1.5, 2 ** 32, 2 ** 53, Infinity])('%d: the call ends with a code or with as many values as fit', async (length) => {
    const db = await openForTest(':memory:')
    const liar = new Proxy([7], { get: (values, key) => (key === 'length' ? length : Reflect.get(values, key)) })
    const outcome = await db.values('SELECT ?', liar).catch((error: { code: unknown }) => error.code)
    expect([[[7]], 'ERR_SLUICE_INVALID_PARAMETER']).toContainEqual(outcome)
    expect(await db.values('SELECT ?', [8])).toEqual([[8]])
  })
})
