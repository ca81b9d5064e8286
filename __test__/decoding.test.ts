import { describe, expect, it, onTestFinished, vi } from 'vitest'

import type { Row } from '../index.js'
import { runScript } from './support/child-process.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { openScratch, openWithTable } from './support/scratch.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** A blob of this many bytes cannot be made while a test says so: it stands for memory that ran out. */
const IMPOSSIBLE = 1_313
const SHORTAGE = new RangeError('Array buffer allocation failed')

/** Has JavaScript fail to make blobs of {@link IMPOSSIBLE} bytes until the test ends. */
function runOutOfMemory(): void {
  const { slice } = ArrayBuffer.prototype
  const spy = vi.spyOn(ArrayBuffer.prototype, 'slice').mockImplementation(function failing(this: ArrayBuffer, begin = 0, end = this.byteLength) {
    if (end - begin === IMPOSSIBLE) throw SHORTAGE
    return slice.call(this, begin, end)
  })
  onTestFinished(() => spy.mockRestore())
}

describe('D11: a result that cannot be turned into values', () => {
  const SQL = "SELECT ? AS n, 'text ' || ?1 AS t, zeroblob(?2) AS b, 9007199254740993 + ?1 AS i"

  it.each(['before its rows are compiled', 'after its rows were compiled'])('rejects that call alone, %s', async (moment) => {
    const db = await openScratch({ maxReaders: 2 })
    if (moment.startsWith('after')) for (const n of numbers(8)) await db.get(SQL, [n, 3])
    runOutOfMemory()
    const sizes = numbers(400).map((n) => (n % 40 === 7 ? IMPOSSIBLE : n % 50))
    const calls = sizes.map((size, n) => db.all<Row>(SQL, [n, size]))
    const outcomes = await within(Promise.allSettled(calls), 'all calls settle')
    const rejected = { status: 'rejected', reason: expect.objectContaining({ code: 'ERR_SLUICE_DECODE', cause: SHORTAGE }) as unknown }
    const expected = sizes.map((size, n) => {
      const row = { n, t: `text ${n}`, b: new Uint8Array(size), i: 9007199254740993n + BigInt(n) }
      return size === IMPOSSIBLE ? rejected : { status: 'fulfilled', value: [row] }
    })
    expect(outcomes).toEqual(expected)
  })

  it('is one rejection for a result of many parts, and what follows is whole', async () => {
    const db = await openScratch()
    runOutOfMemory()
    const sql = `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60000)
      SELECT n, 'text ' || n AS t, iif(n = ?, zeroblob(${IMPOSSIBLE}), NULL) AS b FROM c`
    const [whole, first, middle, last, after] = await Promise.allSettled([0, 1, 30_000, 60_000, 0].map((n) => db.all(sql, [n])))
    for (const broken of [first, middle, last]) {
      expect(broken).toMatchObject({ status: 'rejected', reason: { code: 'ERR_SLUICE_DECODE', cause: SHORTAGE } })
    }
    for (const result of [whole, after]) {
      const rows = result?.status === 'fulfilled' ? result.value : []
      expect(rows).toHaveLength(60_000)
      expect(rows.every(({ t }, index) => t === `text ${index + 1}`)).toBe(true)
    }
  })

  it('says that a write has been committed all the same', async () => {
    const db = await openWithTable()
    runOutOfMemory()
    expect(await codeOf(db.all(`INSERT INTO t VALUES (1) RETURNING zeroblob(${IMPOSSIBLE})`))).toBe('ERR_SLUICE_DECODE')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
    expect(await db.run(`INSERT INTO t VALUES (2) RETURNING zeroblob(${IMPOSSIBLE})`)).toMatchObject({ changes: 1 })
  })

  it('shows the caller in its stack, and the reason in its cause', async () => {
    const db = await openScratch()
    runOutOfMemory()
    async function theCallerToBeSeen(): Promise<unknown> {
      return await db.get(`SELECT zeroblob(${IMPOSSIBLE})`)
    }
    const error = await failureOf(theCallerToBeSeen())
    expect(error.cause).toBe(SHORTAGE)
    expect(error.stack).toContain('theCallerToBeSeen')
  })

  it('shows the caller of a batch, of which one item has such a result', async () => {
    const db = await openWithTable()
    runOutOfMemory()
    async function theCallerToBeSeen(): Promise<unknown> {
      return await db.batch(['INSERT INTO t VALUES (1)', `SELECT zeroblob(${IMPOSSIBLE})`])
    }
    const error = await failureOf(theCallerToBeSeen())
    expect(error).toMatchObject({ code: 'ERR_SLUICE_DECODE', cause: SHORTAGE })
    expect(error.stack).toContain('theCallerToBeSeen')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
  })
})

describe('results in one batch', () => {
  it('keep their values apart: texts, blobs, large integers, and what travels apart', async () => {
    const db = await openScratch({ maxReaders: 4 })
    const sql = `SELECT ?1 AS n, replace(hex(zeroblob(?2)), '00', 'é') AS t, zeroblob(?2) AS b, ?1 + 9007199254740993 AS i, NULL AS z, ?1 + 0.5 AS r`
    const size = (n: number): number => (n % 25 === 0 ? 40_000 + n : (n * 37) % 3_000)
    const rows = await Promise.all(numbers(500).map((n) => db.get<Row>(sql, [n, size(n)])))
    for (const [n, row] of rows.entries()) {
      expect(row).toMatchObject({ n, i: 9007199254740993n + BigInt(n), z: null, r: n + 0.5 })
      expect(row?.['t'] === 'é'.repeat(size(n))).toBe(true)
      expect(row?.['b']).toHaveLength(size(n))
    }
  })

  it('keep shapes and forms apart', async () => {
    const db = await openScratch({ maxReaders: 4 })
    const calls = numbers(300).flatMap((n) => [
      db.get(`SELECT ? AS c${n % 9}`, [n]),
      db.values('SELECT ?, ?', [n, -n]),
      db.pluck("SELECT 'p' || ?, 'unused'", [n]),
      db.all('SELECT ? AS a WHERE ?1 < 0', [n]),
      codeOf(db.all(`SELECT nope${n % 9}`)),
    ])
    const expected = numbers(300).flatMap((n) => [{ [`c${n % 9}`]: n }, [[n, n === 0 ? -0 : -n]], [`p${n}`], [], 'SQLITE_ERROR'])
    expect(await Promise.all(calls)).toEqual(expected)
  })

  it('are the same however the rows are made: from closures at first, compiled later, and wide rows from closures for ever', async () => {
    const db = await openScratch()
    for (const columns of [1, 2, 64, 65, 500]) {
      const names = numbers(columns).map((n) => (n === 1 ? '__proto__' : n === 2 ? 'constructor' : `c ${n}"'\\`))
      const sql = `SELECT ${names.map((name, n) => `${n % 3 === 0 ? n - 0.5 : n % 3 === 1 ? `'t${n}'` : 'NULL'} AS "${name.replaceAll('"', '""')}"`).join(', ')}`
      const expected = names.map((_, n) => (n % 3 === 0 ? n - 0.5 : n % 3 === 1 ? `t${n}` : null))
      for (let time = 0; time < 8; time++) {
        const [row] = await db.all<Row>(sql)
        expect(Object.keys(row ?? {})).toEqual(names)
        expect(Object.values(row ?? {})).toEqual(expected)
        expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
        expect(await db.values(sql)).toEqual([expected])
        expect(await db.pluck(sql)).toEqual([-0.5])
      }
    }
  })

  it('keep −0, infinities and the smallest numbers as they are, in every row of a compiled shape', async () => {
    const db = await openWithTable()
    const values = [-0, 0, 1, -1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 5e-324, Infinity, -Infinity, 1.5, 2 ** 53 - 1]
    for (const value of values) await db.run('INSERT INTO t VALUES (?)', [value])
    for (let time = 0; time < 8; time++) {
      const rows = await db.all<{ x: number }>('SELECT x FROM t ORDER BY rowid')
      expect(rows.map(({ x }) => x)).toStrictEqual(values)
      expect((await db.values('SELECT x FROM t ORDER BY rowid')).map(([x]) => x)).toStrictEqual(values)
    }
  })
})

describe('many calls', () => {
  it('settle over several turns of the event loop, so that others get theirs', async () => {
    const db = await openScratch()
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    const calls = numbers(20_000).map((n) => db.get('SELECT ? AS n', [n]))
    // Nothing is received until this ends, by when thousands are there to be settled.
    const until = performance.now() + 200
    while (performance.now() < until);
    setImmediate(count)
    const rows = await within(Promise.all(calls), 'all calls settle')
    counting = false
    expect(rows.every((row, n) => row?.['n'] === n)).toBe(true)
    expect(turns).toBeGreaterThanOrEqual(5)
  })

  it('emit no warning, and leave no listener or handle behind', async () => {
    const { code, stdout, stderr } = await runScript(`
      main(async () => {
        process.on('warning', (warning) => { throw warning })
        const db = await open(':memory:')
        const calls = Array.from({ length: 20_000 }, (_, n) => db.get('SELECT ? AS n', [n]))
        if (!(await Promise.all(calls)).every(({ n }, at) => n === at)) throw new Error('an answer is wrong')
        await db.close()
        console.log('done')
      })`)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'done\n', stderr: '' })
  })

  it('are not disturbed by what the program does with one of them', async () => {
    const { code, stdout } = await runScript(`
      main(async () => {
        const rejections = []
        process.on('unhandledRejection', (error) => rejections.push(error.message))
        const db = await open(':memory:')
        const calls = Array.from({ length: 100 }, (_, n) => db.get('SELECT ? AS n', [n]))
        calls[3].then(() => { throw new Error('mine') })
        console.log((await Promise.all(calls)).every(({ n }, at) => n === at))
        await db.close()
        console.log(rejections.join())
      })`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'true\nmine\n' })
  })
})
