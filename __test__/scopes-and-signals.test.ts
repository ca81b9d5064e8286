import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'

import { AbortError, SqliteError } from '../index.js'
import { within } from './support/deadline.js'
import { outcomeOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { bundleInternals } from './support/internals.js'
import { openWithTable } from './support/scratch.js'

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
