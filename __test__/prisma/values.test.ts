import { describe, expect, it } from 'vitest'

import { generated, rejection, subject } from './client.js'
import type { Row } from './client.js'

const TWO_TO_53 = 9_007_199_254_740_992n

describe('values of records', () => {
  it.each([0n, -1n, TWO_TO_53 + 1n, -TWO_TO_53 - 1n, 2n ** 63n - 1n, -(2n ** 63n)])('keeps the BigInt %s', async (big) => {
    const { prisma, db } = await subject()
    expect(await prisma.sample.create({ data: { big } })).toMatchObject({ big })
    expect(await prisma.sample.findFirst({ where: { big } })).toMatchObject({ big })
    expect(await db.get('SELECT big, typeof(big) AS type FROM Sample', [], { integers: 'bigint' })).toEqual({ big, type: 'integer' })
  })

  it('tells neighbours beyond 2^53 apart', async () => {
    const { prisma } = await subject()
    await prisma.sample.createMany({ data: [{ big: TWO_TO_53 }, { big: TWO_TO_53 + 1n }] })
    expect(await prisma.sample.findMany({ where: { big: TWO_TO_53 + 1n } })).toMatchObject([{ id: 2 }])
    expect(await prisma.sample.count({ where: { big: { gt: TWO_TO_53 } } })).toBe(1)
    expect(await prisma.sample.count({ where: { big: { in: [TWO_TO_53, TWO_TO_53 + 1n] } } })).toBe(2)
  })

  it('adds up decimals, some of them whole', async () => {
    const { prisma } = await subject()
    await prisma.sample.createMany({ data: [{ int: 1, decimal: '2' }, { int: 2, decimal: '12.75' }, { int: 2, decimal: '0.5' }] })
    const sums = await prisma.sample.groupBy({ by: ['int'], orderBy: { int: 'asc' }, _sum: { decimal: true } })
    expect(sums.map(({ _sum }) => String((_sum as Row)['decimal']))).toEqual(['2', '13.25'])
  })

  it('adds up beyond 2^53', async () => {
    const { prisma } = await subject()
    await prisma.sample.createMany({ data: [{ big: TWO_TO_53 }, { big: 1n }] })
    expect(await prisma.sample.aggregate({ _sum: { big: true } })).toEqual({ _sum: { big: TWO_TO_53 + 1n } })
  })

  it.each([0, -2_147_483_648, 2_147_483_647])('keeps the Int %s', async (int) => {
    const { prisma } = await subject()
    expect(await prisma.sample.create({ data: { int } })).toMatchObject({ int })
  })

  it.each([0.1, -1.5, 3, 1e300, Number.MIN_VALUE, 9_007_199_254_740_992])('keeps the Float %s', async (float) => {
    const { prisma, db } = await subject()
    expect(await prisma.sample.create({ data: { float } })).toMatchObject({ float })
    expect(await db.pluck('SELECT typeof(float) FROM Sample')).toEqual(['real'])
  })

  it.each(['0', '1.25', '-123456.789', '9007199254740993', '-9223372036854775808'])('keeps the Decimal %s', async (text) => {
    const { prisma } = await subject()
    const { Prisma } = await generated()
    const { decimal } = await prisma.sample.create({ data: { decimal: new Prisma.Decimal(text) } })
    expect(String(decimal)).toBe(text)
    expect(await prisma.sample.count({ where: { decimal: new Prisma.Decimal(text) } })).toBe(1)
  })

  it('stores the nearest number for a Decimal that SQLite cannot hold', async () => {
    const { prisma, db } = await subject()
    await prisma.sample.create({ data: { decimal: '0.12345678901234567890123' } })
    await prisma.sample.create({ data: { decimal: '9223372036854775808' } })
    expect(await db.pluck('SELECT decimal FROM Sample ORDER BY id')).toEqual([0.123_456_789_012_345_68, 2 ** 63])
  })

  it.each([true, false])('keeps the Boolean %s', async (bool) => {
    const { prisma, db } = await subject()
    expect(await prisma.sample.create({ data: { bool } })).toMatchObject({ bool })
    expect(await prisma.sample.count({ where: { bool } })).toBe(1)
    expect(await db.pluck('SELECT bool FROM Sample')).toEqual([Number(bool)])
  })

  it.each(['', "it's", 'ä ☃ 😀', '123', 'a\0b', 'x'.repeat(100_000)])('keeps the String %#', async (text) => {
    const { prisma, db } = await subject()
    expect(await prisma.sample.create({ data: { text } })).toMatchObject({ text })
    expect(await db.pluck('SELECT typeof(text) FROM Sample')).toEqual(['text'])
  })

  it.each([[[]], [[0, 255, 128]], [[...'SQLite'].map((character) => character.charCodeAt(0))]])('keeps the Bytes %j', async (list) => {
    const { prisma, db } = await subject()
    const bytes = new Uint8Array(list)
    expect(await prisma.sample.create({ data: { bytes } })).toMatchObject({ bytes })
    expect(await prisma.sample.count({ where: { bytes } })).toBe(1)
    expect(await db.get('SELECT typeof(bytes) AS type, bytes FROM Sample')).toEqual({ type: 'blob', bytes })
  })

  it('keeps a view of a part of a buffer', async () => {
    const { prisma } = await subject()
    const bytes = new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3)
    expect((await prisma.sample.create({ data: { bytes } }))['bytes']).toEqual(new Uint8Array([2, 3]))
  })

  it.each([{ a: [1, 'x', null, { b: true }] }, [], 'text', '123', 123, 1.5, true])('keeps the Json %j', async (json) => {
    const { prisma, db } = await subject()
    expect(await prisma.sample.create({ data: { json } })).toMatchObject({ json })
    expect(await prisma.$queryRaw`SELECT json FROM Sample`).toEqual([{ json }])
    const type = { number: Number.isInteger(json) ? 'integer' : 'real' }[typeof json as 'number'] ?? 'text'
    expect(await db.pluck('SELECT typeof(json) FROM Sample')).toEqual([type])
  })

  it('finds Json by its value, and tells null in it from NULL', async () => {
    const { prisma } = await subject()
    const { Prisma } = await generated()
    await prisma.sample.create({ data: { json: { a: 1 } } })
    await prisma.sample.create({ data: { json: Prisma.JsonNull } })
    await prisma.sample.create({ data: {} })
    expect(await prisma.sample.findMany({ where: { json: { equals: { a: 1 } } }, select: { id: true } })).toEqual([{ id: 1 }])
    expect(await prisma.sample.findMany({ where: { json: { equals: Prisma.JsonNull } }, select: { id: true } })).toEqual([{ id: 2 }])
  })

  it('keeps NULL in every kind of field', async () => {
    const { prisma } = await subject()
    const { id, made, ...rest } = await prisma.sample.create({ data: {} })
    expect([id, made]).toEqual([1, expect.any(Date)])
    expect(rest).toEqual({ int: null, big: null, float: null, decimal: null, bool: null, text: null, bytes: null, at: null, json: null })
  })

  it('keeps enums, and rejects what is none', async () => {
    const { prisma, db } = await subject()
    expect(await prisma.user.create({ data: { email: 'a', role: 'WRITER' } })).toMatchObject({ role: 'WRITER' })
    await db.run(`INSERT INTO User (email, role) VALUES ('b', 'NOBODY')`)
    expect(await rejection(prisma.user.findMany())).toMatchObject({ code: 'P2023' })
  })
})

describe('times', () => {
  const at = new Date('2026-01-31T12:34:56.789Z')

  it.each([
    ['iso8601', '2026-01-31T12:34:56.789+00:00'],
    ['unixepoch-ms', at.getTime()],
  ] as const)('are stored as %s and read back', async (timestampFormat, stored) => {
    const { prisma, db } = await subject({ timestampFormat })
    expect(await prisma.sample.create({ data: { at } })).toMatchObject({ at })
    expect(await db.pluck('SELECT at FROM Sample')).toEqual([stored])
    expect(await prisma.sample.count({ where: { at } })).toBe(1)
    expect(await prisma.sample.count({ where: { at: { gt: new Date(at.getTime() - 1), lt: new Date(at.getTime() + 1) } } })).toBe(1)
    expect(await prisma.$queryRaw`SELECT at FROM Sample`).toEqual([{ at }])
  })

  it.each(['iso8601', 'unixepoch-ms'] as const)('are read in every format, with %s', async (timestampFormat) => {
    const { prisma, db } = await subject({ timestampFormat })
    for (const stored of ['2026-01-31T12:34:56.789Z', '2026-01-31T14:34:56.789+02:00', '2026-01-31 12:34:56.789', at.getTime()]) {
      await db.run('INSERT INTO Sample (at) VALUES (?)', [stored])
    }
    const expected = Array.from({ length: 4 }, () => ({ at }))
    expect(await prisma.sample.findMany({ select: { at: true } })).toEqual(expected)
    expect(await prisma.$queryRaw`SELECT at FROM Sample`).toEqual(expected)
  })

  it('are read in both formats when they are aggregated', async () => {
    const { prisma, db } = await subject()
    await db.run('INSERT INTO Sample (int, at) VALUES (1, ?), (2, ?)', [at.getTime(), '2026-01-31T12:34:56.789+00:00'])
    expect(await prisma.sample.groupBy({ by: ['int'], orderBy: { int: 'asc' }, _max: { at: true } })).toEqual([
      { int: 1, _max: { at } },
      { int: 2, _max: { at } },
    ])
  })

  it('are in UTC when SQLite makes them', async () => {
    const { prisma, db } = await subject()
    await db.run('INSERT INTO Sample (text) VALUES (?)', ['made by SQLite'])
    const found = [(await prisma.sample.findFirst())!, (await prisma.$queryRaw`SELECT made FROM Sample`)[0]!]
    for (const { made } of found) expect(Math.abs((made as Date).getTime() - Date.now())).toBeLessThan(60_000)
  })

  it.each(['0032-01-01T00:00:00.000Z', '1969-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'])('keep %s', async (text) => {
    const { prisma } = await subject()
    expect(await prisma.sample.create({ data: { at: new Date(text) } })).toMatchObject({ at: new Date(text) })
  })

  it('are rejected when a number in their column is none', async () => {
    const { prisma, db } = await subject()
    await db.run('INSERT INTO Sample (at) VALUES (?)', [9_000_000_000_000_000_000n])
    expect(await rejection(prisma.sample.findMany())).toMatchObject({ code: 'P2023' })
  })
})

describe('raw queries', () => {
  const one = async (sql: string, ...values: unknown[]): Promise<Row> => {
    const { prisma } = await subject()
    return (await prisma.$queryRawUnsafe(sql, ...values))[0]!
  }

  it('give expressions the types of their values', async () => {
    const row = await one(`SELECT 1 AS i, 1.0 AS r, 1.5 AS f, 'x' AS t, x'0102' AS b, NULL AS n, ${TWO_TO_53 + 1n} AS big`)
    expect(row).toEqual({ i: 1n, r: 1, f: 1.5, t: 'x', b: new Uint8Array([1, 2]), n: null, big: TWO_TO_53 + 1n })
  })

  it('take values of every kind', async () => {
    const values = [1, 1.5, 'x', true, TWO_TO_53 + 1n, new Uint8Array([1]), null, new Date(0)]
    const row = await one('SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f, ? AS g, ? AS h', ...values)
    const time = '1970-01-01T00:00:00.000+00:00'
    expect(row).toEqual({ a: 1n, b: 1.5, c: 'x', d: 1n, e: TWO_TO_53 + 1n, f: new Uint8Array([1]), g: null, h: time })
  })

  it('take numbered parameters', async () => {
    expect(await one('SELECT ?2 AS a, ?1 AS b, ?2 AS c', 'x', 'y')).toEqual({ a: 'y', b: 'x', c: 'y' })
  })

  it('give columns the types of their declarations', async () => {
    const { prisma, db } = await subject()
    await db.exec('CREATE TABLE declared (i INT, b BIGINT, r DOUBLE PRECISION, d DECIMAL(10, 2), y BOOLEAN, v VARCHAR(20), x BLOB, u)')
    await db.exec(`INSERT INTO declared VALUES (1, 2, 3, 4.5, 1, '5', x'06', 7)`)
    const [row] = await prisma.$queryRaw`SELECT * FROM declared`
    expect({ ...row, d: String(row!['d']) }).toEqual({ i: 1, b: 2n, r: 3, d: '4.5', y: true, v: '5', x: new Uint8Array([6]), u: 7n })
  })

  it('never round an integer, whatever its column is declared as', async () => {
    const { prisma, db } = await subject()
    await db.exec(`CREATE TABLE wide (n INTEGER); INSERT INTO wide VALUES (1), (${TWO_TO_53 + 1n})`)
    expect(await prisma.$queryRaw`SELECT n FROM wide ORDER BY n`).toEqual([{ n: 1n }, { n: TWO_TO_53 + 1n }])
    expect(await prisma.$queryRaw`SELECT n FROM wide WHERE n = 1`).toEqual([{ n: 1 }])
  })

  it('take fractions off numbers in columns of integers', async () => {
    const { prisma, db } = await subject()
    await db.exec('CREATE TABLE mixed (n INTEGER, b BIGINT); INSERT INTO mixed VALUES (1.5, -2.5)')
    expect(await prisma.$queryRaw`SELECT * FROM mixed`).toEqual([{ n: 1, b: -2n }])
  })

  describe('give a column without a declaration a type for all of its values', () => {
    const columnOf = async (...values: string[]): Promise<unknown[]> => {
      const { prisma } = await subject()
      const rows = await prisma.$queryRawUnsafe(`SELECT column1 AS v FROM (VALUES ${values.map((value) => `(${value})`).join()})`)
      return rows.map(({ v }) => v)
    }

    it('keeps fractions beside integers', async () => {
      expect(await columnOf('NULL', '0', '12.75', '3')).toEqual([null, 0, 12.75, 3])
      expect(await columnOf('12.75', '0')).toEqual([12.75, 0])
    })

    it('makes decimals of fractions beside integers beyond 2^53', async () => {
      const big = `${TWO_TO_53 + 1n}`
      const found = await columnOf('1', '0.1', big)
      const { Prisma } = await generated()
      expect(found).toEqual(['1', '0.1', big].map((text) => new Prisma.Decimal(text)))
    })

    it('makes texts of numbers beside texts', async () => {
      const big = `${TWO_TO_53 + 1n}`
      expect(await columnOf('1', "'abc'", '1.5', 'NULL', big)).toEqual(['1', 'abc', '1.5', null, big])
      expect(await columnOf("'abc'", '1')).toEqual(['abc', '1'])
    })

    it('makes bytes of whatever is beside blobs', async () => {
      const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
      expect(await columnOf('1', "x'00ff'", "'abc'", '1.5', 'NULL')).toEqual([
        bytes('1'), new Uint8Array([0, 255]), bytes('abc'), bytes('1.5'), null,
      ])
    })

    it('leaves numbers beside times as they are', async () => {
      const text = '2026-01-31T12:00:00.000+00:00'
      expect(await columnOf('1', `'${text}'`)).toEqual([1, text])
    })
  })

  it('return no rows, and count changes', async () => {
    const { prisma } = await subject()
    expect(await prisma.$queryRaw`SELECT * FROM "User"`).toEqual([])
    expect(await prisma.$queryRaw`INSERT INTO "Tag" ("name") VALUES ('a') RETURNING "id", "name"`).toEqual([{ id: 1, name: 'a' }])
    expect(await prisma.$executeRaw`UPDATE "Tag" SET "name" = 'b'`).toBe(1)
    expect(await prisma.$executeRaw`SELECT * FROM "Tag"`).toBe(0)
  })

  it('are composed of parts', async () => {
    const { prisma } = await subject()
    const { Prisma } = await generated()
    await prisma.tag.createMany({ data: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] })
    const found = await prisma.$queryRaw`SELECT name FROM Tag WHERE ${Prisma.sql`name IN (${Prisma.join(['a', 'c'])})`} ORDER BY name`
    expect(found).toEqual([{ name: 'a' }, { name: 'c' }])
  })

  it('see a column once of which there are two with one name', async () => {
    expect(await one('SELECT 1 AS n, 2 AS n')).toEqual({ n: 2n })
  })
})
