import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

import { failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'

describe('V05: a lone surrogate becomes U+FFFD', () => {
  it.each([
    ['high, alone', '\uD800', '\uFFFD'],
    ['low, alone', '\uDC00', '\uFFFD'],
    ['in the middle', 'a\uD83Eb', 'a\uFFFDb'],
    ['in the wrong order', '\uDC00\uD800', '\uFFFD\uFFFD'],
    ['at the end of a text that is sent apart', `${'x'.repeat(20_000)}\uD800`, `${'x'.repeat(20_000)}\uFFFD`],
    ['after a text too long for the loop', `${'x'.repeat(30)}\uD800`, `${'x'.repeat(30)}\uFFFD`],
  ])('%s, and keeps the length', async (_name, given, taken) => {
    const db = await openWithTable()
    await db.run('INSERT INTO t VALUES (?)', [given])
    expect(await db.values('SELECT x, length(x), x = ? FROM t', [given])).toStrictEqual([[taken, given.length, 1]])
  })

  it('in SQL text too', async () => {
    const db = await openForTest(':memory:')
    expect(await db.all("SELECT 'a\uD800' AS \"\uDC00\"")).toStrictEqual([{ '\uFFFD': 'a\uFFFD' }])
  })
})

describe('texts that do not fit one request together', () => {
  it.each(['x', 'é', '€', '🦭', 'x€'])('%j many times, in texts of every length', async (piece) => {
    const db = await openForTest(':memory:')
    for (const length of [10, 333, 1_000, 5_000]) {
      const texts = Array.from({ length: 300 }, (_, index) => piece.repeat(length + index))
      expect(await db.values(`SELECT ${texts.map(() => '?').join()}`, texts)).toStrictEqual([texts])
    }
  })
})

/** Bytes that are no UTF-8, and the text that the Encoding Standard makes of them. */
const BROKEN = ['ff', '61fe62', '80', 'c3', 'c328', 'e282', 'e28261', 'eda080', 'f09fa6', 'f8888080', 'c0af', '00ff00', 'f4908080']

describe('V06: TEXT that is no UTF-8', () => {
  it.each(BROKEN)('x%s is read with U+FFFD in place of what is broken', async (hex) => {
    const db = await openWithTable()
    await db.run(`INSERT INTO t VALUES (CAST(x'${hex}' AS TEXT))`)
    const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(hex, 'hex'))
    for (let run = 0; run < 6; run++) {
      expect(await db.values("SELECT x, typeof(x), 'é', x FROM t")).toStrictEqual([[expected, 'text', 'é', expected]])
      expect(await db.all("SELECT x, 'z' AS z FROM t")).toStrictEqual([{ x: expected, z: 'z' }])
    }
    expect(await db.pluck('SELECT hex(CAST(x AS BLOB)) FROM t')).toStrictEqual([hex.toUpperCase()])
  })

  it('is read so when it is large', async () => {
    const db = await openForTest(':memory:')
    const sql = "SELECT CAST(replace(hex(zeroblob(50000)), '00', 'a') || x'ff' AS TEXT), 'after'"
    expect(await db.values(sql)).toStrictEqual([[`${'a'.repeat(50_000)}\uFFFD`, 'after']])
  })

  it('does not disturb the texts of other calls in flight', async () => {
    const db = await openScratch()
    const calls = Array.from({ length: 200 }, (_, index) => db.values(`SELECT CAST(x'${BROKEN[index % BROKEN.length]}' AS TEXT), ?`, [`é${index}`]))
    for (const [index, rows] of (await Promise.all(calls)).entries()) expect(rows[0]?.[1]).toBe(`é${index}`)
  })
})

/** Makes a database whose schema holds a name that is no UTF-8, as a program without checks would write it. */
const BROKEN_SCHEMA = `
import sqlite3, sys
path = sys.argv[1]
db = sqlite3.connect(path)
db.executescript("CREATE TABLE t (fine, name); INSERT INTO t VALUES (1, 2); CREATE TABLE u (a CONSTRAINT name CHECK (a > 0));")
db.close()
with open(path, 'rb') as file: content = file.read()
with open(path, 'wb') as file: file.write(content.replace(b'name', b'n\\xff\\xfee'))
`

describe('V06: names that are no UTF-8', () => {
  const path = (): string => {
    const file = scratchPath()
    execFileSync('python3', ['-c', BROKEN_SCHEMA, file])
    return file
  }

  it('keep nobody from the columns beside them', async () => {
    const db = await openForTest(path())
    expect(await db.all('SELECT fine FROM t')).toStrictEqual([{ fine: 1 }])
    await db.run('INSERT INTO t (fine) VALUES (3)')
    expect(await db.pluck('SELECT fine FROM t')).toStrictEqual([1, 3])
  })

  it('are shown with U+FFFD in messages', async () => {
    const db = await openForTest(path())
    expect(await failureOf(db.run('INSERT INTO u VALUES (0)'))).toMatchObject({ code: 'SQLITE_CONSTRAINT_CHECK', constraint: 'n\uFFFD\uFFFDe' })
  })

  it('are refused as columns, which disturbs nobody else', async () => {
    const db = await openForTest(path())
    expect(await failureOf(db.all('SELECT * FROM t'))).toMatchObject({ code: 'SQLITE_AUTH' })
    expect(await db.all('SELECT fine FROM t')).toStrictEqual([{ fine: 1 }])
  })
})

describe('a database in UTF-16', () => {
  it.each(['UTF-16le', 'UTF-16be'])('%s holds the same texts', async (encoding) => {
    const db = await openScratch({ pragmas: { encoding } })
    await db.exec('CREATE TABLE t (x)')
    const texts = ['', 'a\0b', 'é', '🦭', '\uFEFFa', '\uFFFD', 'x'.repeat(20_000), '🦭'.repeat(20_000)]
    for (const text of texts) await db.run('INSERT INTO t VALUES (?)', [text])
    expect(await db.pluck('SELECT x FROM t ORDER BY rowid')).toStrictEqual(texts)
    expect(await db.pluck('PRAGMA encoding')).toStrictEqual([encoding])
  })
})

describe('D13: a BLOB of a result', () => {
  it.each([1, 100, 16_384, 16_385, 30_000])('of %i bytes is a Uint8Array that owns its buffer', async (length) => {
    const db = await openForTest(':memory:')
    const given = new Uint8Array(length).fill(7)
    const [row] = await db.values('SELECT ?1, ?1, ?1', [given])
    for (const blob of row as Uint8Array[]) {
      expect(Object.getPrototypeOf(blob)).toBe(Uint8Array.prototype)
      expect(blob.byteOffset).toBe(0)
      expect(blob.buffer.byteLength).toBe(length)
    }
    const [first, second, third] = row as [Uint8Array, Uint8Array, Uint8Array]
    expect(structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })).toStrictEqual(given)
    second.fill(0)
    expect(third).toStrictEqual(given)
    expect(await db.pluck('SELECT ?', [third])).toStrictEqual([given])
  })

  it('keeps its bytes while later results arrive', async () => {
    const db = await openForTest(':memory:')
    const kept = await db.pluck<Uint8Array>("SELECT x'010203' UNION ALL SELECT x'040506'")
    for (let run = 0; run < 50; run++) await db.pluck('SELECT randomblob(30000)')
    expect(kept).toStrictEqual([new Uint8Array([1, 2, 3]), new Uint8Array([4, 5, 6])])
  })

  it('of no bytes is empty, not null', async () => {
    const db = await openForTest(':memory:')
    expect(await db.values("SELECT x'', zeroblob(0), ''")).toStrictEqual([[new Uint8Array(0), new Uint8Array(0), '']])
  })
})
