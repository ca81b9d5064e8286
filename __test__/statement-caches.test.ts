import { describe, expect, it } from 'vitest'

import { within } from './support/deadline.js'
import { codeOf } from './support/failure.js'
import { openScratch, openWithTable } from './support/scratch.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('the statements that a connection keeps', () => {
  it.each([1, 2, 128])('may be fewer than are in use (statementCacheSize: %i)', async (statementCacheSize) => {
    const db = await openScratch({ statementCacheSize, maxReaders: 2 })
    for (let round = 0; round < 3; round++) {
      const results = await Promise.all(numbers(300).map((number) => db.get(`SELECT ${number} AS n, ? AS p`, [round])))
      expect(results).toEqual(numbers(300).map((number) => ({ n: number, p: round })))
    }
  })

  it('may be one, for writes that alternate too', async () => {
    const db = await openWithTable({ statementCacheSize: 1 })
    const [insert, remove] = [db.prepare('INSERT INTO t VALUES (?) RETURNING x'), db.prepare('DELETE FROM t WHERE x = ? RETURNING x')]
    const outcomes = await Promise.all(numbers(100).flatMap((number) => [insert.pluck([number]), remove.pluck([number])]))
    expect(outcomes).toEqual(numbers(100).flatMap((number) => [[number], [number]]))
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })

  it('are none of texts longer than 1 MiB, for which the others would have to go', async () => {
    const db = await openWithTable({ statementCacheSize: 2, maxReaders: 0 })
    const short = db.prepare('SELECT count(*) AS n FROM t')
    const long = (number: number): string => `/* ${'x'.repeat(1_048_576)} */ `.concat(`INSERT INTO t VALUES (${number})`)
    await short.get()
    for (const number of [1, 2, 3]) await db.run(long(number))
    for (const number of [4, 5, 6]) await db.get(`${long(number)} RETURNING x`)
    const misses = db.status().counters['statementCacheMisses']
    expect(await short.get()).toEqual({ n: 6 })
    expect(db.status().counters['statementCacheMisses']).toBe(misses)
  })

  it('give way to a pragma and a script in between', async () => {
    const db = await openWithTable({ statementCacheSize: 1 })
    const statement = db.prepare('SELECT count(*) AS n FROM t')
    for (const n of [1, 2, 3]) {
      await db.exec('INSERT INTO t VALUES (1)')
      await db.pragma('user_version', n)
      expect(await statement.get()).toEqual({ n })
    }
  })
})

describe('the texts that a handle keeps', () => {
  it('are forgotten past their number while calls of them are in flight, and known again afterwards', async () => {
    const db = await openScratch({ statementCacheSize: 4 })
    const texts = numbers(3_000).map((number) => `SELECT ${number} AS n${number % 7}`)
    for (let round = 0; round < 2; round++) {
      const rows = await within(Promise.all(texts.map((text) => db.get(text))), 'all answers', 30_000)
      expect(rows).toEqual(numbers(3_000).map((number) => ({ [`n${number % 7}`]: number })))
    }
  })

  it('are forgotten although a Statement holds one, which works on', async () => {
    const db = await openScratch()
    const held = db.prepare<[number]>('SELECT ? AS held')
    expect(await held.get([1])).toEqual({ held: 1 })
    await Promise.all(numbers(2_500).map((number) => db.get(`SELECT ${number}`)))
    expect(await held.get([2])).toEqual({ held: 2 })
    expect((await held.execute([3])).columns.map(({ name }) => name)).toEqual(['held'])
  })

  it('keep the calls of one text apart while it is forgotten and learnt again', async () => {
    const db = await openWithTable()
    const answers = numbers(2_000).map((number) => [db.pluck('SELECT ? + 1', [number]), db.get(`SELECT ${number}`)] as const)
    expect(await Promise.all(answers.map(([answer]) => answer))).toEqual(numbers(2_000).map((number) => [number + 1]))
    await Promise.all(answers.map(([, other]) => other))
  })

  it('may be too long to be kept: each call says it anew', async () => {
    const db = await openScratch()
    const text = `SELECT ? AS n /* ${'x'.repeat(2_000_000)} */`
    const rows = await Promise.all(numbers(8).map((number) => db.get(text, [number])))
    expect(rows).toEqual(numbers(8).map((n) => ({ n })))
    expect((await db.execute(text, [9])).columns.map(({ name }) => name)).toEqual(['n'])
  })

  it('do not include those that fail: one that failed works as soon as it can', async () => {
    const db = await openScratch()
    for (let time = 0; time < 3; time++) expect(await codeOf(db.all('SELECT x FROM later'))).toBe('SQLITE_ERROR')
    await db.exec('CREATE TABLE later (x)')
    expect(await db.all('SELECT x FROM later')).toEqual([])
  })
})
