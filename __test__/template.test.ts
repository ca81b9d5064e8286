import { describe, expect, it } from 'vitest'

import { codeOf, failureOf } from './support/failure.js'
import { openScratch, openWithTable } from './support/scratch.js'

describe('db.sql', () => {
  it('makes parameters of values, whatever they hold', async () => {
    const db = await openWithTable()
    const evil = "'); DROP TABLE t; --"
    await db.sql`INSERT INTO t VALUES (${evil})`
    expect(await db.sql`SELECT x, ${evil} AS y FROM t WHERE x = ${evil}`).toEqual([{ x: evil, y: evil }])
  })

  it('carries every kind of value', async () => {
    const db = await openScratch()
    const blob = new Uint8Array([0, 1, 255])
    expect(await db.sql`SELECT ${null} AS a, ${undefined} AS b, ${true} AS c, ${1.5} AS d, ${2n ** 60n} AS e, ${blob} AS f, ${''} AS g`).toEqual([
      { a: null, b: null, c: 1, d: 1.5, e: 2n ** 60n, f: blob, g: '' },
    ])
  })

  it('works without values, and with values at both ends', async () => {
    const db = await openScratch()
    expect(await db.sql`SELECT 1 AS one`).toEqual([{ one: 1 }])
    expect(await codeOf(db.sql`${'SELECT 1'}`)).toBe('SQLITE_ERROR')
    expect(await db.sql`SELECT 1 WHERE ${1} = ${1}`).toEqual([{ 1: 1 }])
  })

  it('gives each evaluation of one literal its own values', async () => {
    const db = await openScratch()
    const double = (n: number): Promise<unknown[]> => db.sql`SELECT ${n} * 2 AS n`
    expect(await Promise.all([1, 2, 3].map(double))).toEqual([[{ n: 2 }], [{ n: 4 }], [{ n: 6 }]])
  })

  it('does not let a digit behind a value become the number of another parameter', async () => {
    const db = await openScratch()
    expect(await codeOf(db.sql`SELECT ${'a'}1, ${'b'}`)).toBe('SQLITE_ERROR')
    expect(await db.sql`SELECT ${'a'} AS "1", ${'b'}AS b`).toEqual([{ 1: 'a', b: 'b' }])
  })

  it('keeps a ? or a :name of the text from mixing with values unnoticed', async () => {
    const db = await openScratch()
    expect(await codeOf(db.sql`SELECT ?, ${1}`)).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await codeOf(db.sql`SELECT :name, ${1}`)).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(await db.sql`SELECT '?' AS q, ${1} AS p`).toEqual([{ q: '?', p: 1 }])
  })

  it('keeps a value inside quotes or a comment from being taken for text', async () => {
    const db = await openScratch()
    const { code, message } = await failureOf(db.sql`SELECT '${'secret'}'`)
    expect(code).toBe('ERR_SLUICE_INVALID_PARAMETER')
    expect(message).not.toContain('secret')
    expect(await codeOf(db.sql`SELECT 1 -- ${'secret'}`)).toBe('ERR_SLUICE_INVALID_PARAMETER')
  })

  it('uses the text as JavaScript reads it, escapes included', async () => {
    const db = await openScratch()
    expect(await db.sql`SELECT 'a\\b' AS a, 'é\u{1F9AD}' AS b`).toEqual([{ a: 'a\\b', b: 'é🦭' }])
    expect(await codeOf(db.sql`SELECT '\unope'`)).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(await codeOf(db.sql`SELECT '\0'`)).toBe('ERR_SLUICE_INVALID_ARGUMENT')
  })

  it.each(['SELECT 1', undefined, ['SELECT 1'], { raw: ['SELECT 1'] }])('refuses to be called as a function, with %j', async (argument) => {
    const db = await openScratch()
    const { code, message } = await failureOf(db.sql(argument as never, 1))
    expect(code).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(message).toContain('template tag')
  })

  it('refuses an array, an object and a Date, and names the place', async () => {
    const db = await openScratch()
    for (const value of [[1, 2], { a: 1 }, new Date(0), Symbol('a'), () => 1]) {
      const error = await failureOf(db.sql`SELECT ${1}, ${value as never}`)
      expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_PARAMETER', parameter: 2 })
    }
  })

  it('follows what was said to open', async () => {
    const db = await openScratch({ integers: 'bigint', rowMode: 'array', dates: 'ms' })
    expect(await db.sql`SELECT ${1}, ${new Date(5)}`).toEqual([[1n, 5n]])
  })

  it('V02: refuses more than one statement', async () => {
    const db = await openWithTable()
    expect(await codeOf(db.sql`SELECT ${1}; DROP TABLE t`)).toBe('ERR_SLUICE_MULTIPLE_STATEMENTS')
    expect(await db.all('SELECT x FROM t')).toEqual([])
  })
})
