import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf } from './support/failure.js'
import { untilWriterRuns } from './support/order.js'
import { openForTest, scratchFolder, scratchPath } from './support/scratch.js'

const ACCOUNTS = 100
const TOTAL = ACCOUNTS * 1_000
const TRANSFER = 'UPDATE accounts SET amount = amount + CASE id WHEN ? THEN -? ELSE ? END WHERE id IN (?, ?)'
const SUM = 'SELECT sum(amount) FROM accounts'

/** A database of accounts, among which money only moves, and of enough else that copying it takes a while. */
async function openAccounts(path: string): Promise<Database> {
  const db = await openForTest(path, { maxReaders: 2, durability: 'off' })
  await db.exec(`CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER); CREATE TABLE ballast (x);
    WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${ACCOUNTS}) INSERT INTO accounts SELECT n, 1000 FROM c;
    WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60000) INSERT INTO ballast SELECT randomblob(400) FROM c`)
  return db
}

/** Calls under way, until they are told to stop. Each read checks that no money was made or lost. */
function startLoad(db: Database): { readonly stop: () => Promise<{ reads: number; writes: number }>; readonly done: { reads: number; writes: number } } {
  const under = { way: true }
  const done = { reads: 0, writes: 0 }
  const write = async (from: number): Promise<void> => {
    for (let at = from; under.way; at++) {
      const [one, other] = [1 + (at % ACCOUNTS), 1 + ((at + 7) % ACCOUNTS)]
      expect(await db.run(TRANSFER, [one, at, at, one, other])).toMatchObject({ changes: 2 })
      done.writes++
    }
  }
  const read = async (): Promise<void> => {
    while (under.way) {
      expect(await db.pluck(SUM)).toEqual([TOTAL])
      done.reads++
    }
  }
  const all = Promise.all([write(0), write(31), read(), read()])
  all.catch(() => {})
  const stop = async (): Promise<typeof done> => {
    under.way = false
    await within(all, 'the calls end')
    return done
  }
  return { stop, done }
}

async function expectWhole(path: string): Promise<void> {
  const copy = await openForTest(path, { readonly: true })
  expect(await copy.pluck(SUM)).toEqual([TOTAL])
  expect(await copy.pluck('SELECT count(*) FROM ballast')).toEqual([60_000])
  expect(await copy.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  await copy.close()
}

describe('L20: copying and rebuilding a database that is in use', () => {
  it('VACUUM INTO makes one state of it, while reads go on, and writes go on afterwards', async () => {
    const db = await openAccounts(scratchPath())
    const load = startLoad(db)
    await until(() => load.done.reads > 10 && load.done.writes > 10, 'the calls are under way')
    for (const name of ['one.db', 'two.db']) {
      const target = join(scratchFolder(), name)
      const copying = db.run('VACUUM INTO ?', [target])
      await untilWriterRuns(db, 'VACUUM')
      const { reads, writes } = load.done
      await until(() => load.done.reads > reads, 'a read ends beside it')
      await within(copying, 'the copy')
      await until(() => load.done.writes > writes + 2, 'writes go on')
      await expectWhole(target)
      expect(load.done.writes).toBeGreaterThan(writes)
    }
    await load.stop()
  })

  it('VACUUM rebuilds it, while reads go on, and writes go on afterwards', async () => {
    const path = scratchPath()
    const db = await openAccounts(path)
    const load = startLoad(db)
    await until(() => load.done.reads > 10 && load.done.writes > 10, 'the calls are under way')
    const rebuilding = db.run('VACUUM')
    await untilWriterRuns(db, 'VACUUM')
    const { reads, writes } = load.done
    await until(() => load.done.reads > reads, 'a read ends beside it')
    await within(rebuilding, 'VACUUM')
    await until(() => load.done.writes > writes + 2, 'writes go on')
    await load.stop()
    await db.close()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    await expectWhole(path)
  })

  it('a mirror is one state of it, and its reloads hold up no write', async () => {
    const db = await openAccounts(scratchPath())
    const load = startLoad(db)
    const mirror = await db.mirror()
    for (let round = 0; round < 5; round++) {
      const { writes } = load.done
      const reload = mirror.reload()
      expect(await mirror.pluck(SUM)).toEqual([TOTAL])
      await within(reload, 'the reload')
      await until(() => load.done.writes > writes, 'writes go on')
      expect(await mirror.pluck(SUM)).toEqual([TOTAL])
    }
    await load.stop()
    await mirror.close()
  })

  it('VACUUM INTO refuses a file that has something in it, and leaves that alone', async () => {
    const db = await openAccounts(scratchPath())
    const other = scratchPath('other.db')
    const precious = await openForTest(other)
    await precious.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    await precious.close()
    expect(await codeOf(db.run('VACUUM INTO ?', [other]))).toBe('SQLITE_ERROR')
    expect(await (await openForTest(other)).pluck('SELECT x FROM t')).toEqual([1])
  })

  it.each(['run', 'exec'] as const)('VACUUM INTO that is aborted leaves no file, and frees the writer: %s', async (method) => {
    const db = await openAccounts(scratchPath())
    const target = join(scratchFolder(), 'copy.db')
    const abort = new AbortController()
    const stop = { signal: abort.signal }
    const copying = codeOf(method === 'run' ? db.run('VACUUM INTO ?', [target], stop) : db.exec(`VACUUM INTO '${target}'`, stop))
    await until(() => existsSync(target) && statSync(target).size > 0, 'some of it is copied')
    abort.abort()
    expect(await within(copying, 'the copy is given up')).toBe('ABORT_ERR')
    expect(readdirSync(dirname(target))).toEqual([])
    await db.run(TRANSFER, [1, 5, 5, 1, 2])
    await db.run('VACUUM INTO ?', [target])
    await expectWhole(target)
  })

  it('VACUUM that is aborted leaves the database as it was, and no file beside it', async () => {
    const path = scratchPath()
    const db = await openAccounts(path)
    const abort = new AbortController()
    const rebuilding = codeOf(db.run('VACUUM', [], { signal: abort.signal }))
    await untilWriterRuns(db, 'VACUUM')
    abort.abort()
    expect(await within(rebuilding, 'VACUUM is given up')).toBe('ABORT_ERR')
    await db.run(TRANSFER, [1, 5, 5, 1, 2])
    await db.close()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    await expectWhole(path)
  })
})
