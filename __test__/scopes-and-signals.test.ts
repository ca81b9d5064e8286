import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'

import { AbortError, SqliteError } from '../index.js'
import { within } from './support/deadline.js'
import { outcomeOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { bundleInternals } from './support/internals.js'
import { openWithTable } from './support/scratch.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const ENDLESS_ROWS = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c'

describe.each(['transaction', 'writeMode'] as const)('T15: in a %s callback', (scope) => {
  it('a passive checkpoint waits for nobody', async () => {
    const db = await openWithTable({ acquireTimeoutMs: 300 })
    await db[scope](async () => {
      expect(await outcomeOf(db.checkpoint())).toBe(scope === 'transaction' ? 'done' : 'ERR_SLUICE_REENTRANT')
    })
  })
})

it('L03: a loop that nobody has any more gives its lease back, although its signal lives on', async () => {
  const db = await openWithTable({ maxReaders: 2 })
  const stop = new AbortController()
  await (async () => { await db.iterate(ENDLESS_ROWS, [], { signal: stop.signal }).next() })()
  await collectUntil(() => db.status().readers.active === 0, 'the lease comes back')
  stop.abort()
  expect(await db.pluck('SELECT 1')).toEqual([1])
})

it('an abort while transaction() waits to try again is an AbortError of the driver', async () => {
  const db = await openWithTable()
  const stop = new AbortController()
  const busy = new SqliteError('SQLITE_BUSY', 'made up', { errno: 5 })
  const call = db.transaction(() => { setTimeout(() => stop.abort('why'), 20); throw busy }, { signal: stop.signal, retry: { attempts: 2, delayMs: 60_000 } })
  const error: unknown = await within(call, 'it is given up').catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(AbortError)
  expect(error).toMatchObject({ cause: 'why' })
})

describe.each(['commit', 'rollback'] as const)('in a callback after its %s', (end) => {
  it('the database may be used, and closed', async () => {
    const db = await openWithTable()
    const callback = db.transaction(async (tx) => {
      expect(await outcomeOf(db.run(INSERT, [0]))).toBe('ERR_SLUICE_REENTRANT')
      await tx.run(INSERT, [1])
      await tx[end]()
      await db.run(INSERT, [2])
      await db.transaction((next) => next.run(INSERT, [3]))
      const values = await db.pluck('SELECT x FROM t')
      await db.close()
      return values
    })
    expect(await within(callback, 'the callback')).toEqual(end === 'commit' ? [1, 2, 3] : [2, 3])
  })

  it('exclusive write mode may be used where it is of that, and the database may not', async () => {
    const db = await openWithTable()
    const callback = db.writeMode((w) => w.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      await tx[end]()
      expect(await outcomeOf(db.run(INSERT, [0]))).toBe('ERR_SLUICE_REENTRANT')
      await w.run(INSERT, [2])
      return w.pluck('SELECT x FROM t')
    }))
    expect(await within(callback, 'the callback')).toEqual(end === 'commit' ? [1, 2] : [2])
  })

  it('a transaction around it may not: that waits for the callback', async () => {
    const db = await openWithTable()
    await within(db.transaction((tx) => tx.transaction(async (inner) => {
      await inner[end]()
      for (const call of [tx.run(INSERT, [0]), db.run(INSERT, [0])]) expect(await outcomeOf(call)).toBe('ERR_SLUICE_REENTRANT')
    })), 'the callback')
  })
})

it('what is called after a commit that the callback made itself may use the database', async () => {
  const db = await openWithTable()
  const outcomes: string[] = []
  await db.transaction(async (tx) => {
    tx.afterCommit(async () => outcomes.push(await outcomeOf(db.run(INSERT, [2]))))
    await tx.run(INSERT, [1])
    await tx.commit()
    expect(outcomes).toEqual(['done'])
  })
  expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2])
})

it('a commit that is refused leaves the callback in its transaction', async () => {
  const db = await openWithTable()
  await db.exec('CREATE TABLE p (id PRIMARY KEY); CREATE TABLE c (x REFERENCES p DEFERRABLE INITIALLY DEFERRED)')
  await db.transaction(async (tx) => {
    await tx.run('INSERT INTO c VALUES (1)')
    expect(await outcomeOf(tx.commit())).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    expect(await outcomeOf(db.run(INSERT, [0]))).toBe('ERR_SLUICE_REENTRANT')
    await tx.run('INSERT INTO p VALUES (1)')
  })
  expect(await db.pluck('SELECT x FROM c')).toEqual([1])
})

/** A scope, as far as it matters here. */
interface Link {
  readonly outer: Link | undefined
  run(callback: () => Promise<void>): Promise<void>
}

describe('callbacks that start one another', () => {
  const ROUNDS = 20

  /** Counts the scopes that the last of them knows. */
  async function knownToTheLast(overlap: boolean): Promise<number> {
    const { Scope } = createRequire(import.meta.url)(await bundleInternals('scope')) as { Scope: new (subject: number, kind: string) => Link }
    const last = await new Promise<Link>((resolve) => {
      const start = (round: number, before: Promise<void>): void => {
        const scope = new Scope(1, 'read')
        const ended = scope.run(async () => {
          await before
          if (round === ROUNDS) resolve(scope)
          else if (overlap) start(round + 1, ended)
          else setImmediate(start, round + 1, ended)
        })
      }
      start(0, Promise.resolve())
    })
    let count = 0
    for (let { outer } = last; outer !== undefined; { outer } = outer) count++
    return count
  }

  it.each([
    ['after they have ended are forgotten', false, 0],
    ['before they have ended are forgotten then, all but the last', true, 1],
  ])('%s', async (_name, overlap, expected) => {
    expect(await within(knownToTheLast(overlap), 'the last callback')).toBe(expected)
  })
})
