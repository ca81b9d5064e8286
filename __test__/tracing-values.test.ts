import { describe, expect, it } from 'vitest'

import type { TracedQuery } from '../index.js'
import { failureOf } from './support/failure.js'
import { collect, openWithRows } from './support/rows.js'
import { openForTest, scratchPath } from './support/scratch.js'
import { FAILURE, endsOf, eventsOf, record } from './support/traces.js'

const QUERY = 'sluice:query'
const INSERT = 'INSERT INTO t VALUES (?)'
const SELECT = 'SELECT x FROM t ORDER BY x'

describe('values of calls', () => {
  const SECRET = 'a value that nobody may see'

  it('are not told unless asked for: not in texts, nor in errors', async () => {
    const db = await openWithRows()
    await db.exec('CREATE UNIQUE INDEX u ON t (x)')
    const told = record<TracedQuery>(QUERY)
    await db.run(INSERT, [SECRET])
    await failureOf(db.run(INSERT, [SECRET]))
    await db.sql`SELECT x FROM t WHERE x = ${SECRET}`
    await db.get('SELECT x FROM t WHERE x = :x', { x: SECRET })
    await db.batch([{ sql: 'DELETE FROM t WHERE x = ?', params: [SECRET] }])
    await collect(db.iterate('SELECT x FROM t WHERE x = ?', [SECRET]))
    await db.prepare('SELECT x FROM t WHERE x = ?').all([SECRET])
    expect(endsOf(told).length).toBe(7)
    for (const { copy } of told) {
      expect('parameters' in copy).toBe(false)
      expect(JSON.stringify({ ...copy, error: String(copy.error) })).not.toContain(SECRET)
    }
  })

  it('are those of the moment of the call, for handles that were opened with traceParameters', async () => {
    const db = await openWithRows({ traceParameters: true })
    const told = record<TracedQuery>(QUERY)
    const bytes = new Uint8Array([1, 2])
    const params = [bytes]
    const call = db.run(INSERT, params)
    bytes.fill(9)
    params.pop()
    await call
    await db.get('SELECT :x AS x', { x: 7n })
    await db.sql`SELECT ${'text'}`
    await db.batch([SELECT, { sql: INSERT, params: [null] }])
    await collect(db.iterate('SELECT ?', [1.5]))
    await db.transaction((tx) => tx.run(INSERT, [true]))
    await db.handle().all(SELECT)
    expect(endsOf(told).map(({ parameters }) => parameters)).toEqual([
      [new Uint8Array([1, 2])],
      { x: 7n },
      ['text'],
      [undefined, [null]],
      [1.5],
      [true],
      undefined,
    ])
  })

  it('of one handle say nothing about another on the same database', async () => {
    const path = scratchPath()
    const [loud, quiet] = [await openForTest(path, { traceParameters: true }), await openForTest(path)]
    const told = record<TracedQuery>(QUERY)
    await loud.get('SELECT ?', [1])
    await quiet.get('SELECT ?', [2])
    expect(endsOf(told).map(({ parameters }) => parameters)).toEqual([[1], undefined])
  })

  it('that cannot be read are left out, and fail the call as always', async () => {
    const db = await openWithRows({ traceParameters: true })
    const told = record<TracedQuery>(QUERY)
    const params = {
      get x(): number {
        throw new RangeError('no value')
      },
    }
    await expect(db.get('SELECT :x', params)).rejects.toThrow(RangeError)
    expect(eventsOf(told)).toEqual(FAILURE)
    expect('parameters' in (endsOf(told)[0] as TracedQuery)).toBe(false)
  })
})
