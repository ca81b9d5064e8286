import { getEventListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { AbortError, connect } from '../index.js'
import type { Database, Transaction } from '../index.js'
import { holdLock, runScript } from './support/child-process.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate, watch } from './support/order.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')

interface Limits {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** Calls that write, of whatever has them. */
const CALLS: { readonly [name: string]: (runner: Pick<Transaction, 'run' | 'execute' | 'exec' | 'prepare'>, limits: Limits) => Promise<unknown> } = {
  run: (runner, limits) => runner.run(INSERT, [7], limits),
  execute: (runner, limits) => runner.execute(INSERT, [7], limits),
  exec: (runner, limits) => runner.exec('INSERT INTO t VALUES (7)', limits),
  'statement.run': (runner, limits) => runner.prepare(INSERT).run([7], limits),
}
const DATABASE_CALLS: { readonly [name: string]: (db: Database, limits: Limits) => Promise<unknown> } = {
  ...CALLS,
  batch: (db, limits) => db.batch(['INSERT INTO t VALUES (7)'], limits),
  transaction: (db, limits) => db.transaction((tx) => tx.run(INSERT, [7]), limits),
  begin: (db, limits) => db.begin(limits),
  read: (db, limits) => db.read((r) => r.get('SELECT 1'), limits),
  writeMode: (db, limits) => db.writeMode((w) => w.run(INSERT, [7]), limits),
}

/** Runs `body` while a transaction within `tx` is open, which ends after it. */
async function besideNested(tx: Pick<Transaction, 'transaction'>, body: () => Promise<void>): Promise<void> {
  const end = gate()
  const nested = tx.transaction((inner) => end.opened.then(() => inner.run(INSERT, [1])))
  const state = watch(nested)
  try {
    await body()
    expect(state.settled).toBe(false)
  } finally {
    end.open()
    await within(nested, 'the nested transaction ends')
  }
}

/** Returns a database that does not open before the test ends, as another process holds its file. */
async function connectToLocked(): Promise<Database> {
  const path = scratchPath()
  const made = await openForTest(path, { concurrency: 'exclusive' })
  await made.exec('CREATE TABLE t (x)')
  await made.close()
  const letGo = await holdLock(path, 'BEGIN EXCLUSIVE')
  const db = connect(path, { busyTimeoutMs: 60_000 })
  onTestFinished(async () => {
    await letGo()
    await within(db.ready(), 'it opens')
    expect(await valuesOf(db)).toEqual([])
    await db.close()
  })
  return db
}

describe('a call beside a nested transaction', () => {
  describe.each(Object.entries(CALLS))('%s', (_name, call) => {
    it('ends with its timeoutMs, and never begins', async () => {
      const db = await openWithTable()
      await db.transaction(async (tx) => {
        await besideNested(tx, async () => expect(await within(failureOf(call(tx, { timeoutMs: 20 })), 'the call')).toMatchObject({
          code: 'ERR_SLUICE_TIMEOUT',
          message: 'the call took longer than its timeoutMs',
        }))
        await tx.run(INSERT, [2])
      })
      expect(await valuesOf(db)).toEqual([1, 2])
    })

    it('ends with its signal, and never begins', async () => {
      const db = await openWithTable()
      const stop = new AbortController()
      await db.transaction(async (tx) => {
        await besideNested(tx, async () => {
          const waiting = failureOf(call(tx, { signal: stop.signal, timeoutMs: 60_000 }))
          stop.abort('why')
          const error = await within(waiting, 'the call')
          expect(error).toBeInstanceOf(AbortError)
          expect(error).toMatchObject({ code: 'ABORT_ERR', cause: 'why' })
          expect(await within(codeOf(call(tx, { signal: stop.signal })), 'a call given up before')).toBe('ABORT_ERR')
        })
        await tx.run(INSERT, [2])
      })
      expect(await valuesOf(db)).toEqual([1, 2])
    })
  })

  it('ends in exclusive write mode too', async () => {
    const db = await openWithTable()
    await db.writeMode((w) => besideNested(w, async () => expect(await within(codeOf(w.run(INSERT, [7], { timeoutMs: 20 })), 'the call')).toBe('ERR_SLUICE_TIMEOUT')))
    expect(await valuesOf(db)).toEqual([1])
  })

  it('begins in the order of the calls, with limits or without', async () => {
    const db = await openWithTable()
    const { signal } = new AbortController()
    const calls: Array<Promise<unknown>> = []
    await db.transaction(async (tx) => {
      await besideNested(tx, async () => {
        for (const limits of [{ signal }, {}, { timeoutMs: 60_000 }, {}, { signal }]) calls.push(tx.run(INSERT, [calls.length + 2], limits))
      })
      await Promise.all(calls)
    })
    expect(await valuesOf(db)).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('leaves no listener behind, begun or not', async () => {
    const db = await openWithTable()
    const [begun, stop] = [new AbortController().signal, new AbortController()]
    await db.transaction(async (tx) => {
      let call: Promise<unknown> = Promise.resolve()
      await besideNested(tx, async () => {
        call = tx.run(INSERT, [2], { signal: begun })
        const failure = failureOf(tx.run(INSERT, [7], { signal: stop.signal, timeoutMs: 20 }))
        expect([begun, stop.signal].map((signal) => getEventListeners(signal, 'abort').length)).toEqual([1, 1])
        await within(failure, 'the call')
      })
      await call
    })
    expect([begun, stop.signal].map((signal) => getEventListeners(signal, 'abort').length)).toEqual([0, 0])
  })

  it('has what its wait left of its timeoutMs', async () => {
    const db = await openWithTable()
    const timers = vi.spyOn(globalThis, 'setTimeout')
    onTestFinished(() => timers.mockRestore())
    const [timeoutMs, waitedMs] = [54_321, 30]
    let call: Promise<unknown> = Promise.resolve()
    await db.transaction(async (tx) => {
      await besideNested(tx, async () => {
        call = tx.run(INSERT, [2], { timeoutMs })
        await delay(waitedMs)
      })
      await call
    })
    const times = timers.mock.calls.map(([, ms]) => ms ?? 0).filter((ms) => ms > 40_000 && ms <= timeoutMs)
    expect(times).toEqual([timeoutMs, expect.any(Number)])
    expect(times[1]).toBeLessThanOrEqual(timeoutMs - waitedMs + 2)
  })

  it('never begins either when the timer comes late', async () => {
    const db = await openWithTable()
    const inTime = globalThis.setTimeout
    const timers = vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms: number) => inTime(run, ms === 21 ? 60_000 : ms)) as typeof setTimeout)
    onTestFinished(() => timers.mockRestore())
    await db.transaction(async (tx) => {
      let call: Promise<string> | undefined
      await besideNested(tx, async () => {
        call = outcomeOf(tx.run(INSERT, [7], { timeoutMs: 21 }))
        await delay(40)
      })
      expect(await call).toBe('ERR_SLUICE_TIMEOUT')
    })
    expect(await valuesOf(db)).toEqual([1])
  })

  it('says where its caller was', async () => {
    const db = await openWithTable()
    const stop = new AbortController()
    await db.transaction((tx) => besideNested(tx, async () => {
      async function theCaller(limits: Limits): Promise<unknown> {
        return await tx.run(INSERT, [7], limits)
      }
      const failures = [failureOf(theCaller({ timeoutMs: 20 })), failureOf(theCaller({ signal: stop.signal }))]
      stop.abort()
      for (const { stack } of await within(Promise.all(failures), 'the calls')) expect(stack).toContain('theCaller')
    }))
  })

  it('keeps the process until its time is over', async () => {
    const script = `main(async () => {
      const tx = await (await open(':memory:')).begin()
      tx.transaction(() => new Promise(() => {}))
      await new Promise(setImmediate)
      await tx.get('SELECT 1', [], { timeoutMs: 200 }).catch((error) => console.log(error.code))
      process.exit()
    })`
    expect(await runScript(script)).toMatchObject({ code: 0, stdout: 'ERR_SLUICE_TIMEOUT\n' })
  })
})

describe('a call while the database is being opened', () => {
  it('ends with its timeoutMs, and never begins', async () => {
    const db = await connectToLocked()
    const ready = watch(db.ready())
    const calls = Object.values(DATABASE_CALLS).map((call) => codeOf(call(db, { timeoutMs: 20 })))
    expect(new Set(await within(Promise.all(calls), 'the calls'))).toEqual(new Set(['ERR_SLUICE_TIMEOUT']))
    expect(ready.settled).toBe(false)
  })

  it('ends with its signal, and never begins', async () => {
    const db = await connectToLocked()
    const ready = watch(db.ready())
    const stop = new AbortController()
    const calls = Object.values(DATABASE_CALLS).map((call) => failureOf(call(db, { signal: stop.signal })))
    stop.abort('why')
    for (const error of await within(Promise.all(calls), 'the calls')) expect(error).toMatchObject({ code: 'ABORT_ERR', cause: 'why' })
    expect(ready.settled).toBe(false)
  })

  it('begins in the order of the calls, with limits or without', async () => {
    const db = connect(scratchPath())
    onTestFinished(() => db.close({ timeoutMs: 0 }))
    const limits = { timeoutMs: 60_000 }
    await Promise.all([
      db.exec('CREATE TABLE t (x)', limits),
      db.run(INSERT, [1]),
      db.transaction((tx) => tx.run(INSERT, [2]), limits),
      db.run(INSERT, [3], limits),
      db.transaction((tx) => tx.run(INSERT, [4])),
      db.batch([{ sql: INSERT, params: [5] }], limits),
      db.ready().then(() => db.run(INSERT, [6])),
    ])
    expect(await valuesOf(db)).toEqual([1, 2, 3, 4, 5, 6])
  })
})
