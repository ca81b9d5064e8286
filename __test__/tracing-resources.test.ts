import { createHook } from 'node:async_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from '../index.js'
import type { Database } from '../index.js'
import { until } from './support/deadline.js'
import { failureOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { collect, openWithRows } from './support/rows.js'
import { openForTest, scratchPath } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'
import { record } from './support/traces.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const SELECT = 'SELECT x FROM t ORDER BY x'

/** The async ids of the resources of one type that were made, and that were destroyed, in the order in which they were made. */
class Resources {
  readonly made: number[] = []
  readonly #destroyed: number[] = []

  /** Counts until the test is finished. */
  constructor(type: string) {
    const hook = createHook({
      init: (id, made) => void (made === type && this.made.push(id)),
      destroy: (id) => void (this.made.includes(id) && this.#destroyed.push(id)),
    })
    hook.enable()
    onTestFinished(() => void hook.disable())
  }

  get destroyed(): number[] {
    return [...this.#destroyed].sort((a, b) => a - b)
  }
}

function recordAll(): void {
  for (const name of ['query', 'transaction', 'connect']) record(`sluice:${name}`)
}

async function breakOff(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rows) break
}

describe('the async resource of what is traced', () => {
  const invalid = [Symbol('x') as never]
  const traced: ReadonlyArray<[string, number, (db: Database) => Promise<unknown>]> = [
    ['a call', 1, (db) => db.all(SELECT)],
    ['many calls at once', 50, (db) => Promise.all(Array.from({ length: 50 }, (_, x) => db.run(INSERT, [x])))],
    ['a script', 1, (db) => db.exec('DELETE FROM t; VACUUM')],
    ['a pragma', 1, (db) => db.pragma('user_version', 7)],
    ['a call that fails in SQLite', 1, (db) => failureOf(db.all('SELECT nothing'))],
    ['a call that fails at once', 1, (db) => failureOf(db.run(INSERT, invalid))],
    ['a call whose time is up', 1, (db) => failureOf(db.all(ENDLESS_READ, [], { timeoutMs: 10 }))],
    ['an iterator', 1, (db) => collect(db.iterate(SELECT, [], { chunkRows: 1 }))],
    ['an iterator whose loop breaks', 1, (db) => breakOff(db.iterate(SELECT, [], { chunkRows: 1 }))],
    ['an iterator that fails', 1, (db) => failureOf(collect(db.iterate('SELECT nothing')))],
    ['a batch', 1, (db) => db.batch([{ sql: INSERT, params: [4] }, SELECT])],
    ['a batch that fails', 1, (db) => failureOf(db.batch([SELECT, 'SELECT nothing']))],
    ['a batch that fails at once', 1, (db) => failureOf(db.batch([{ sql: INSERT, params: invalid }]))],
    ['a transaction with another in it', 3, (db) => db.transaction((tx) => tx.transaction((nested) => nested.run(INSERT, [4])))],
    ['a transaction that is undone', 2, (db) => failureOf(db.transaction((tx) => tx.run(INSERT, invalid)))],
    ['a transaction without a callback', 2, async (db) => {
      const tx = await db.begin()
      await tx.run(INSERT, [4])
      await tx.commit()
    }],
    ['a transaction that is lost', 1, async (db) => {
      await db.begin()
      await db.close({ timeoutMs: 0 })
    }],
    ['a read session', 2, (db) => db.read((r) => r.get(SELECT))],
    ['exclusive write mode', 2, (db) => db.writeMode((w) => w.values(SELECT))],
    ['opening', 1, () => openForTest(scratchPath())],
    ['opening that fails', 1, () => failureOf(open(`${scratchPath()}.missing`, { create: false }))],
  ]
  it.each(traced)('is destroyed once at the end of %s', async (_, count, call) => {
    const db = await openWithRows()
    recordAll()
    const resources = new Resources('SLUICE_TRACE')
    await call(db)
    await until(() => resources.destroyed.length >= count, 'all are destroyed')
    // The hooks come later: time for one that comes twice.
    for (let time = 0; time < 5; time++) await turn()
    expect(resources.made).toHaveLength(count)
    expect(resources.destroyed).toEqual(resources.made)
  })

  it('is not made when nobody listens', async () => {
    const db = await openWithRows()
    const resources = new Resources('SLUICE_TRACE')
    await db.transaction((tx) => tx.all(SELECT))
    expect(resources.made).toEqual([])
  })
})

it('the async resource of onSlowQuery is destroyed when nobody has the handle any more', async () => {
  const resources = new Resources('SLUICE_SLOW_QUERY')
  await (async () => {
    const db = await open(':memory:', { onSlowQuery: () => {} })
    await db.close()
  })()
  await collectUntil(() => resources.destroyed.length > 0, 'it is destroyed')
  expect(resources.destroyed).toEqual(resources.made)
})
