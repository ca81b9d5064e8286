import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { outcomeOf } from './support/failure.js'
import { openWithTable } from './support/scratch.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')

describe('nested at once', () => {
  it('several nested ones at once run one after another, and one that fails takes no other with it', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      const nested = ['a', 'b', 'c', 'd'].map((name) =>
        outcomeOf(tx.transaction(async (inner) => {
          await inner.run(INSERT, [name])
          if (name === 'b') await inner.run('INSERT INTO nowhere VALUES (1)')
          await inner.run(INSERT, [name])
        })),
      )
      expect(await Promise.all(nested)).toEqual(['done', 'SQLITE_ERROR', 'done', 'done'])
    })
    expect(await valuesOf(db)).toEqual(['a', 'a', 'c', 'c', 'd', 'd'])
  })

  it('commit of a begun one waits for it', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    const nested = tx.transaction((inner) => inner.run(INSERT, [1]))
    await tx.commit()
    await nested
    expect(await valuesOf(db)).toEqual([1])
  })
})
