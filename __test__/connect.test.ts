import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'

import { connect } from '../index.js'
import type { Database, OpenOptions, SqlParameter } from '../index.js'
import { codeOf, failureOf } from './support/failure.js'
import { scratchFolder, scratchPath } from './support/scratch.js'

function connectForTest(path: string, options?: OpenOptions): Database {
  const db = connect(path, options)
  onTestFinished(() => db.close({ timeoutMs: 0 }))
  return db
}

describe('connect', () => {
  it('returns at once, and lets calls of every kind wait for the opening', async () => {
    const db = connectForTest(scratchPath())
    expect(db.closed).toBe(false)
    const made = db.exec('CREATE TABLE t (x)')
    const outcomes = await Promise.all([
      made,
      db.run('INSERT INTO t VALUES (1)'),
      db.batch(['INSERT INTO t VALUES (2)']),
      db.transaction((tx) => tx.run('INSERT INTO t VALUES (3)')),
      db.pragma('user_version'),
      db.ready(),
    ])
    expect(outcomes).toHaveLength(6)
    expect(await db.pluck('SELECT x FROM t ORDER BY x')).toEqual([1, 2, 3])
  })

  it('keeps the order of the calls that were made before it was open', async () => {
    const db = connectForTest(scratchPath())
    const calls = [db.exec('CREATE TABLE t (x)'), ...Array.from({ length: 20 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x]))]
    await Promise.all(calls)
    expect(await db.pluck('SELECT x FROM t ORDER BY rowid')).toEqual(Array.from({ length: 20 }, (_, x) => x))
  })

  it('answers them in that order too, before what was called once it was open', async () => {
    const db = connectForTest(scratchPath())
    const order: number[] = []
    const call = (index: number, work: Promise<unknown>): Promise<unknown> => work.then(() => order.push(index))
    const insert = (index: number): Promise<unknown> => call(index, db.run('INSERT INTO t VALUES (?)', [index]))
    const early = [call(0, db.exec('CREATE TABLE t (x)')), ...[1, 2, 3, 4].map(insert)]
    await db.ready()
    await Promise.all([...early, ...[5, 6, 7, 8, 9].map(insert)])
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it.each([
    ['ms', 5],
    ['iso', '1970-01-01T00:00:00.005Z'],
  ] as const)('takes the values of the moment of the call before it is open, dates as %s', async (dates, bound) => {
    const db = connectForTest(scratchPath(), { dates })
    const [bytes, date] = [new Uint8Array([1]), new Date(5)]
    const params: SqlParameter[] = ['before', bytes, date]
    const named: { [name: string]: SqlParameter } = { text: 'before', bytes, date }
    const [insert, insertNamed] = ['INSERT INTO t VALUES (?), (?), (?)', 'INSERT INTO t VALUES (:text), (:bytes), (:date)']
    const items = [{ sql: insert, params }, { sql: insertNamed, params: named }]
    const calls = [
      db.exec('CREATE TABLE t (x)'),
      db.run(insert, params),
      db.run(insertNamed, named),
      db.prepare(insert).run(params),
      db.batch(items),
    ]
    const reads = [
      db.get('SELECT ? AS text, ? AS bytes, ? AS date', params),
      db.prepare('SELECT :text AS text, :bytes AS bytes, :date AS date').get(named),
      db.sql`SELECT ${'before'} AS text, ${bytes} AS bytes, ${date} AS date`.then(([row]) => row),
    ]
    params[0] = named['text'] = 'after'
    bytes[0] = 2
    date.setTime(6)
    items.length = 0
    await Promise.all(calls)
    const row = { text: 'before', bytes: new Uint8Array([1]), date: bound }
    expect(await Promise.all(reads)).toEqual(reads.map(() => row))
    const stored = ['before', new Uint8Array([1]), bound]
    expect(await db.pluck('SELECT x FROM t ORDER BY rowid')).toEqual([1, 2, 3, 4, 5].flatMap(() => stored))
  })

  it('rejects each call with the reason when it cannot be opened, and has nothing to close', async () => {
    const path = join(scratchFolder(), 'folder.db')
    mkdirSync(path)
    const db = connect(path)
    const failures = await Promise.all([failureOf(db.get('SELECT 1')), failureOf(db.begin()), failureOf(db.ready()), failureOf(db.checkpoint())])
    for (const { code, message } of failures) expect([code, message]).toEqual(['SQLITE_CANTOPEN_ISDIR', failures[0]?.message])
    expect(new Set(failures).size).toBe(4)
    expect(await codeOf(db.run('CREATE TABLE t (x)'))).toBe('SQLITE_CANTOPEN_ISDIR')
    expect(() => db.status()).toThrow(expect.objectContaining({ code: 'SQLITE_CANTOPEN_ISDIR' }))
    await db.close()
    await db.close()
  })

  it('says where the caller was, not where it was opened', async () => {
    const db = connect(join(scratchFolder(), 'none', 'a.db'))
    async function theCaller(): Promise<unknown> {
      return await db.all('SELECT 1')
    }
    expect((await failureOf(theCaller())).stack).toContain('theCaller')
  })

  it('throws at once what needs no file to be wrong', () => {
    const path = scratchPath()
    expect(() => connect(path, { maxReader: 2 } as never)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_OPTION' }))
    expect(() => connect(7 as never)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
    expect(existsSync(path)).toBe(false)
  })

  it('tells what cannot wait to call ready first', async () => {
    const db = connectForTest(scratchPath())
    for (const call of [() => db.iterate('SELECT 1'), () => db.handle(), () => db.status()]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT', message: expect.stringContaining('db.ready()') }))
    }
    await db.ready()
    expect(db.status().phase).toBe('open')
    const rows = []
    for await (const row of db.iterate('SELECT 1 AS one')) rows.push(row)
    expect(rows).toEqual([{ one: 1 }])
  })

  it('is closed after it was opened, when close is called before', async () => {
    const path = scratchPath()
    const db = connect(path)
    const write = db.exec('CREATE TABLE t (x)')
    await db.close()
    await write
    expect(db.closed).toBe(true)
    expect(await codeOf(db.get('SELECT 1'))).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(db.ready())).toBe('ERR_SLUICE_CLOSED')
  })
})
