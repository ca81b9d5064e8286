import { linkSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from '../index.js'
import type { Database, OpenOptions } from '../index.js'
import { PACKAGE, runScript } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { watch } from './support/order.js'
import { openForTest, scratchPath } from './support/scratch.js'
import { COUNTING_READ, ENDLESS_READ } from './support/slow-sql.js'

async function openFirst(path: string, options?: OpenOptions): Promise<Database> {
  const db = await openForTest(path, options)
  await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  return db
}

/** Expects that handles are on one manager: they count each other, and what one does is counted for the other. */
async function expectShared(one: Database, other: Database): Promise<void> {
  expect([one.handleCount, other.handleCount]).toEqual([2, 2])
  await other.all('SELECT x FROM t')
  // One is asked after the other, and what was called before may just be coming to its end.
  await until(() => isDeepStrictEqual(one.status(), other.status()), 'both tell the same')
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

function chdirForTest(folder: string): void {
  const before = process.cwd()
  onTestFinished(() => process.chdir(before))
  process.chdir(folder)
}

/** Other names of the file at a path. */
const NAMES: { readonly [what: string]: (path: string) => string | URL | Uint8Array } = {
  'the same path': (path) => path,
  'a path with detours': (path) => `${dirname(path)}/./${basename(path)}`,
  'a relative path from another working directory': (path) => {
    mkdirSync(join(dirname(path), 'below'))
    chdirForTest(join(dirname(path), 'below'))
    return join('..', basename(path))
  },
  'a symbolic link': (path) => {
    symlinkSync(path, `${path}.link`)
    return `${path}.link`
  },
  'a folder that is a symbolic link': (path) => {
    symlinkSync(dirname(path), `${dirname(path)}/folder`)
    return join(dirname(path), 'folder', basename(path))
  },
  'a file: URL': pathToFileURL,
  'the bytes of the path': (path) => Buffer.from(path),
}

describe('P08: one file has one manager in a process', () => {
  it.each(Object.entries(NAMES))('opened by %s', async (_what, nameOf) => {
    const path = scratchPath()
    const first = await openFirst(path)
    const second = await openForTest(nameOf(path))
    expect(second.handleCount).toBe(2)
    await expectShared(first, second)
  })

  it('opened by a hard link, of which a warning tells', async () => {
    const path = scratchPath()
    const first = await openFirst(path)
    linkSync(path, `${path}.hard`)
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const second = await openForTest(`${path}.hard`)
    const { code, name, message } = await warned
    expect({ code, name }).toEqual({ code: 'SLUICE_HARD_LINK', name: 'SluiceWarning' })
    expect(message).toContain(`${path}.hard`)
    await expectShared(first, second)
    await second.run('INSERT INTO t VALUES (2)')
    await Promise.all([first.close(), second.close()])
    expect(readdirSync(dirname(path)).sort()).toEqual([basename(path), `${basename(path)}.hard`])
  })

  it('opened many times at once, before it exists', async () => {
    const path = scratchPath()
    const handles = await Promise.all(Array.from({ length: 20 }, () => openForTest(path)))
    expect(handles[0]?.handleCount).toBe(20)
    await handles[0]?.exec('CREATE TABLE t (x)')
    await Promise.all(handles.flatMap((db) => Array.from({ length: 10 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x]))))
    expect(await handles[19]?.pluck('SELECT count(*) FROM t')).toEqual([200])
  })

  it('but databases in memory are never shared', async () => {
    const [one, two] = [await openForTest(':memory:'), await openForTest(':memory:')]
    expect([one.handleCount, two.handleCount]).toEqual([1, 1])
  })
})

/** What `open` must be told alike: a value, another one, and how the message says both. */
const SHARED_OPTIONS: ReadonlyArray<readonly [OpenOptions, OpenOptions, string, string]> = [
  [{ maxReaders: 3 }, { maxReaders: 4 }, '3', '4'],
  [{ durability: 'full' }, { durability: 'normal' }, 'full', 'normal'],
  [{ idleTtlMs: 1_000 }, { idleTtlMs: 2_000 }, '1000', '2000'],
  [{ acquireTimeoutMs: 1_000 }, { acquireTimeoutMs: 2_000 }, '1000', '2000'],
  [{ busyTimeoutMs: 1_000 }, { busyTimeoutMs: 2_000 }, '1000', '2000'],
  [{ maxQueued: 1_000 }, { maxQueued: 2_000 }, '1000', '2000'],
  [{ maxResultBytes: 1_000 }, { maxResultBytes: 2_000 }, '1000', '2000'],
  [{ statementCacheSize: 10 }, { statementCacheSize: 20 }, '10', '20'],
  [{ foreignKeys: true }, { foreignKeys: false }, 'true', 'false'],
  [{ concurrency: 'wal' }, { concurrency: 'exclusive' }, 'wal', 'exclusive'],
]

describe('P08: the options of handles on one file', () => {
  it.each(SHARED_OPTIONS)('%j against %j is an error that names both', async (one, other, first, second) => {
    const path = scratchPath()
    const db = await openFirst(path, one)
    const { code, message } = await failureOf(open(path, other))
    expect(code).toBe('ERR_SLUICE_INVALID_OPTION')
    const [name = ''] = Object.keys(one)
    expect(message).toContain(name)
    expect(message).toMatch(new RegExp(`\\b${first}\\b`))
    expect(message).toMatch(new RegExp(`\\b${second}\\b`))
    // Who is refused leaves nothing behind.
    expect(db.handleCount).toBe(1)
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
    await db.close()
    expect((await openForTest(path, other)).handleCount).toBe(1)
  })

  it('may be left out by who comes later, and said alike', async () => {
    const path = scratchPath()
    const first = await openFirst(path, { maxReaders: 3, durability: 'normal', groupCommit: false })
    const [silent, alike] = [await openForTest(path), await openForTest(path, { maxReaders: 3 })]
    expect([first.handleCount, silent.status().readers.max, alike.status().readers.max]).toEqual([3, 3, 3])
  })

  it('may differ where they belong to the handle', async () => {
    const path = scratchPath()
    const plain = await openFirst(path)
    const own = await openForTest(path, {
      integers: 'bigint',
      dates: 'iso',
      rowMode: 'array',
      ordering: 'submitted',
      transactionTimeoutMs: 60_000,
      transactionIdleTimeoutMs: 60_000,
      maxReadLeaseMs: 60_000,
    })
    expect(plain.handleCount).toBe(2)
    expect(await plain.all('SELECT x FROM t')).toEqual([{ x: 1 }])
    expect(await own.all('SELECT x FROM t')).toEqual([[1n]])
    expect(await own.pluck('SELECT ?', [new Date(0)])).toEqual(['1970-01-01T00:00:00.000Z'])
    expect(await codeOf(plain.pluck('SELECT ?', [new Date(0)]))).toBe('ERR_SLUICE_INVALID_PARAMETER')
    const written = own.run('INSERT INTO t VALUES (2)')
    expect(await own.pluck('SELECT count(*) FROM t')).toEqual([2n])
    await written
  })

  it('may differ in readonly, which keeps the connections apart', async () => {
    const path = scratchPath()
    const db = await openFirst(path)
    const readonly = await openForTest(path, { readonly: true })
    expect([db.handleCount, readonly.handleCount]).toEqual([1, 1])
    await db.run('INSERT INTO t VALUES (2)')
    expect(await readonly.pluck('SELECT x FROM t')).toEqual([1, 2])
    expect(await codeOf(readonly.run('INSERT INTO t VALUES (3)'))).toMatch(/^SQLITE_READONLY/)
    await db.close()
    expect(await readonly.pluck('SELECT x FROM t')).toEqual([1, 2])
  })
})

describe('P08: closing one of several handles', () => {
  it('leaves the others, and the last one closes the file', async () => {
    const path = scratchPath()
    const handles = [await openFirst(path), await openForTest(path), await openForTest(path)]
    for (const [closed, db] of handles.entries()) {
      expect(db.handleCount).toBe(3 - closed)
      await db.run('INSERT INTO t VALUES (2)')
      expect(readdirSync(dirname(path))).toContain(`${basename(path)}-wal`)
      await db.close()
      expect(db.closed).toBe(true)
      expect(await codeOf(db.all('SELECT 1'))).toBe('ERR_SLUICE_CLOSED')
    }
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('waits for its own calls, and not for those of others', async () => {
    const path = scratchPath()
    const [one, other] = [await openFirst(path), await openForTest(path)]
    const endless = other.all(ENDLESS_READ).catch((error: { code: string }) => error.code)
    const counting = one.all(COUNTING_READ, [300_000])
    await one.close()
    expect(await counting).toEqual([{ n: 300_000 }])
    expect(other.status().readers.active).toBe(1)
    await other.close({ timeoutMs: 0 })
    expect(await endless).toBe('SQLITE_INTERRUPT')
  })

  it.each([1, 2])('waits for its own loops over iterate, %i of them closed at once', async (closing) => {
    const path = scratchPath()
    const handles = [await openFirst(path), await openForTest(path)]
    const loops = handles.map((db) => db.iterate<{ n: number }>('VALUES (1), (2), (3)', [], { chunkRows: 1 }))
    for (const rows of loops) await rows.next()
    const closed = handles.slice(0, closing).map((db) => watch(db.close()))
    // Long enough for a close that does not wait.
    await turns(20)
    expect(closed).toEqual(closed.map(() => ({ settled: false })))
    for (const rows of loops) {
      const left: unknown[] = []
      for await (const row of rows) left.push(Object.values(row)[0])
      expect(left).toEqual([2, 3])
    }
    await until(() => closed.every(({ settled }) => settled), 'they are closed')
  })

  it('does not wait for loops that were given up, although nobody has taken their end', async () => {
    const path = scratchPath()
    const [one, other] = [await openFirst(path), await openForTest(path)]
    const controller = new AbortController()
    const loops = [{ signal: controller.signal }, { timeoutMs: 1 }].map((limits) => one.iterate('VALUES (1), (2), (3), (4)', [], { chunkRows: 1, ...limits }))
    await loops[0]!.next()
    controller.abort()
    await until(() => other.status().readers.active === 0, 'both are given up')
    await within(one.close({ timeoutMs: 3_600_000 }), 'it closes')
    expect([one.closed, other.handleCount]).toEqual([true, 1])
  })

  it('gives loops that last no longer than its timeoutMs', async () => {
    const path = scratchPath()
    const [one, other] = [await openFirst(path), await openForTest(path)]
    const rows = one.iterate('VALUES (1), (2), (3), (4), (5)', [], { chunkRows: 1 })
    await rows.next()
    await within(one.close({ timeoutMs: 10 }), 'it closes')
    expect(await codeOf((async () => { for await (const row of rows) void row })())).toBe('ERR_SLUICE_CLOSED')
    expect(await other.pluck('SELECT x FROM t')).toEqual([1])
  })

  it('rolls back its own transactions, and leaves those of others', async () => {
    const path = scratchPath()
    const [one, other] = [await openFirst(path), await openForTest(path)]
    const lost = await one.begin()
    await lost.run('INSERT INTO t VALUES (2)')
    const kept = other.begin()
    await one.close({ timeoutMs: 0 })
    expect(await codeOf(lost.run('INSERT INTO t VALUES (3)'))).toMatch(/^ERR_SLUICE_(?:CLOSED|TX_CLOSED)$/)
    const tx = await kept
    await tx.run('INSERT INTO t VALUES (4)')
    await tx.commit()
    expect(await other.pluck('SELECT x FROM t')).toEqual([1, 4])
  })

  it('and opening it again at the same time ends well, a hundred times', async () => {
    const path = scratchPath()
    let db = await openFirst(path)
    for (let round = 0; round < 100; round++) {
      const [, next] = await Promise.all([db.close(), open(path)])
      expect(await next.pluck('SELECT x FROM t')).toEqual([1])
      db = next
    }
    await db.close()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })
})

describe('P09: worker threads', () => {
  const SCRIPT = `
    const { Worker } = require('node:worker_threads')
    const [, path] = process.argv
    const source = 'const { open } = require(' + JSON.stringify(${JSON.stringify(PACKAGE)}) + '); const { parentPort, workerData } = require("node:worker_threads");' +
      'open(workerData).then(async (db) => {' +
      '  parentPort.on("message", async (what) => {' +
      '    if (what === "close") { await db.close(); parentPort.close() }' +
      '    else parentPort.postMessage(await db.pluck(what).catch((error) => error.code))' +
      '  });' +
      '  parentPort.postMessage("open")' +
      '})'
    const answer = (worker) => new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
    const ask = (worker, what) => { const said = answer(worker); worker.postMessage(what); return said }
    const start = async () => { const worker = new Worker(source, { eval: true, workerData: path }); await answer(worker); return worker }
    const end = (worker) => new Promise((resolve) => { worker.once('exit', resolve); worker.postMessage('close') })`

  async function said(body: string): Promise<unknown> {
    const { code, signal, stdout, stderr } = await runScript(`${SCRIPT}\nmain(async () => { ${body} })`, { args: [scratchPath()] })
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    return JSON.parse(stdout)
  }

  it('share the manager of the main thread: handles are counted, and each goes by itself', async () => {
    const seen = await said(`
      const db = await open(path)
      await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
      const workers = await Promise.all([start(), start(), start(), start()])
      const seen = [db.handleCount]
      for (const worker of workers) { seen.push((await ask(worker, 'SELECT x FROM t'))[0], await end(worker), db.handleCount) }
      await db.run('INSERT INTO t VALUES (2)')
      await db.close()
      console.log(JSON.stringify(seen))`)
    expect(seen).toEqual([5, 1, 0, 4, 1, 0, 3, 1, 0, 2, 1, 0, 1])
  })

  it('keep the file open when the main thread closes its handle', async () => {
    const seen = await said(`
      const db = await open(path)
      await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
      const worker = await start()
      await db.close()
      const seen = [await ask(worker, 'SELECT x FROM t'), await ask(worker, 'INSERT INTO t VALUES (2) RETURNING x')]
      await worker.terminate()
      const again = await open(path)
      seen.push(await again.pluck('SELECT x FROM t'))
      await again.close()
      console.log(JSON.stringify(seen))`)
    expect(seen).toEqual([[1], [2], [1, 2]])
  })

  it('have a write of theirs forgotten when they are terminated, while others wait behind it', async () => {
    const seen = await said(`
      const db = await open(path)
      await db.exec('CREATE TABLE t (x)')
      const worker = await start()
      worker.postMessage('INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c')
      while (!db.status().writer.holder?.sql.includes('RECURSIVE')) await new Promise(setImmediate)
      const waiting = db.run('INSERT INTO t VALUES (1)')
      await worker.terminate()
      await waiting
      console.log(JSON.stringify([await db.pluck('SELECT x FROM t'), db.handleCount]))
      await db.close()`)
    expect(seen).toEqual([[1], 1])
  })
})
