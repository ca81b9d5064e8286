import { describe, expect, it } from 'vitest'

import { Mirror, ReadStatement, Snapshot, SluiceError } from '../index.js'
import type { Database, MirrorOptions, OpenOptions, Row } from '../index.js'
import { runScript } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { collectUntil } from './support/garbage.js'
import { gate, untilWaiting, watch } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'

const SELECT = 'SELECT x FROM t ORDER BY x'

async function openWithRow(options: OpenOptions = {}): Promise<Database> {
  const db = await openWithTable(options)
  await db.run('INSERT INTO t VALUES (1)')
  return db
}

/** Opens a database with one row, and a mirror of it. */
async function openMirror(options: MirrorOptions = {}): Promise<{ db: Database; mirror: Mirror }> {
  const db = await openWithRow()
  return { db, mirror: await db.mirror(options) }
}

describe('a mirror', () => {
  it('has every way to read', async () => {
    const { mirror } = await openMirror()
    expect(mirror).toBeInstanceOf(Mirror)
    expect(await mirror.execute(SELECT)).toMatchObject({ rows: [{ x: 1 }], route: 'read' })
    expect(await mirror.all(SELECT)).toEqual([{ x: 1 }])
    expect(await mirror.get(SELECT)).toEqual({ x: 1 })
    expect(await mirror.values(SELECT)).toEqual([[1]])
    expect(await mirror.pluck(SELECT)).toEqual([1])
    expect(await mirror.sql`SELECT x FROM t WHERE x = ${1}`).toEqual([{ x: 1 }])
    const statement = mirror.prepare<[number], { x: number }>('SELECT x FROM t WHERE x = ?')
    expect(statement).toBeInstanceOf(ReadStatement)
    expect(await statement.all([1])).toEqual([{ x: 1 }])
    const rows: Row[] = []
    for await (const row of mirror.iterate(SELECT)) rows.push(row)
    for await (const row of statement.iterate([1])) rows.push(row)
    rows.push(...(await mirror.read((r) => r.all(SELECT))))
    expect(rows).toEqual([{ x: 1 }, { x: 1 }, { x: 1 }])
  })

  it('is one state of the database, until it is reloaded', async () => {
    const { db, mirror } = await openMirror()
    const statement = mirror.prepare(SELECT)
    await db.run('INSERT INTO t VALUES (2)')
    expect(await mirror.pluck(SELECT)).toEqual([1])
    await mirror.reload()
    expect(await mirror.pluck(SELECT)).toEqual([1, 2])
    expect(await statement.pluck()).toEqual([1, 2])
    await db.exec('ALTER TABLE t ADD COLUMN y')
    await mirror.reload()
    expect(await mirror.get('SELECT * FROM t')).toEqual({ x: 1, y: null })
    expect(mirror.generation).toBe(3)
  })

  it('is refused writes by SQLite, and reads on', async () => {
    const { db, mirror } = await openMirror()
    for (const sql of ['INSERT INTO t VALUES (2)', 'DROP TABLE t', 'CREATE TEMP TABLE u (x)', 'PRAGMA user_version = 3']) {
      expect(await codeOf(mirror.execute(sql)), sql).toBe('SQLITE_READONLY')
    }
    expect(await codeOf(mirror.read((r) => r.execute('DELETE FROM t')))).toBe('SQLITE_READONLY')
    await expect(mirror.execute("ATTACH ':memory:' AS other")).rejects.toThrow(SluiceError)
    expect(await mirror.execute(SELECT)).toMatchObject({ rows: [{ x: 1 }], route: 'read' })
    expect(await db.pluck(SELECT)).toEqual([1])
  })

  it('is read on several connections at once', async () => {
    const db = await openWithRow({ maxReaders: 4 })
    const mirror = await db.mirror()
    const [one, two] = [gate(), gate()]
    const first = mirror.read(async (r) => {
      one.open()
      await two.opened
      return r.pluck(SELECT)
    })
    const second = mirror.read(async (r) => {
      two.open()
      await one.opened
      return r.pluck(SELECT)
    })
    expect(await within(Promise.all([first, second]), 'two read callbacks that wait for each other')).toEqual([[1], [1]])
  })

  it('delivers values as its database does', async () => {
    const db = await openWithRow({ integers: 'bigint', rowMode: 'array' })
    const mirror = await db.mirror()
    expect(await mirror.all(SELECT)).toEqual([[1n]])
    expect(await mirror.all(SELECT, [], { integers: 'number', rowMode: 'object' })).toEqual([{ x: 1 }])
  })

  it('can be made of any database', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    const memory = await openForTest(':memory:')
    await memory.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    const others = [memory, await openForTest(path, { readonly: true }), await openWithRow({ maxReaders: 0 }), await openWithRow({ concurrency: 'exclusive' })]
    for (const other of [db, ...others]) {
      const mirror = await other.mirror()
      expect(await mirror.pluck(SELECT)).toEqual([1])
      await mirror.reload()
      expect(await mirror.pluck(SELECT)).toEqual([1])
    }
    const empty = await openScratch()
    await empty.pragma('journal_mode', 'delete')
    const mirror = await empty.mirror()
    expect(await mirror.all('SELECT * FROM sqlite_schema')).toEqual([])
  })

  it('checks its options', async () => {
    const db = await openWithRow()
    const wrong = await failureOf(db.mirror({ debouceMs: 5 } as MirrorOptions))
    expect(wrong).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'debouceMs', message: expect.stringContaining('debounceMs') as string })
    const wrongs = [{ watch: 1 }, { pollMs: 0 }, { debounceMs: -1 }, { graceMs: 0.5 }, { maxBytes: 2 ** 30 + 1 }, { onReload: true }, { onError: 'log' }]
    for (const options of wrongs) {
      expect(await codeOf(db.mirror(options as unknown as MirrorOptions)), JSON.stringify(options)).toBe('ERR_SLUICE_INVALID_OPTION')
    }
    const mirror = await db.mirror()
    expect(await codeOf(mirror.reload({ after: 1 as unknown as Promise<void> }))).toBe('ERR_SLUICE_INVALID_OPTION')
    expect(mirror.generation).toBe(1)
    expect(() => new (Mirror as unknown as new () => Mirror)()).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
    expect(() => new (Snapshot as unknown as new () => Snapshot)()).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT' }))
  })

  it('is not made of a database that is too large, and says how large it may be', async () => {
    const db = await openWithRow()
    const error = await failureOf(db.mirror({ maxBytes: 4_096 }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_TOO_LARGE', message: expect.stringContaining('4096') as string })
    await untilQuiet(db)
  })

  it('tells what it is doing', async () => {
    const inside = gate()
    const begun = gate()
    let first = true
    const { mirror } = await openMirror({
      onReload: async () => {
        if (first) return
        begun.open()
        await inside.opened
      },
    })
    first = false
    expect(mirror.status()).toMatchObject({ generation: 1, reloading: false, lastError: null, superseded: 0 })
    expect(mirror.status().bytes).toBe(8_192)
    expect(mirror.status().lastReloadMs).toBeGreaterThan(0)
    const reload = mirror.reload()
    await within(begun.opened, 'the hook is called')
    expect(mirror.status()).toMatchObject({ generation: 1, reloading: true })
    inside.open()
    await reload
    await until(() => !mirror.status().reloading, 'the reload is over')
    expect(mirror.status().generation).toBe(2)
  })
})

describe('reload', () => {
  it('has what a write wrote that it is told to wait for', async () => {
    const { db, mirror } = await openMirror()
    for (let x = 2; x <= 20; x++) {
      await mirror.reload({ after: db.run('INSERT INTO t VALUES (?)', [x]) })
      expect(await mirror.pluck('SELECT max(x) FROM t')).toEqual([x])
    }
  })

  it('is rejected as the write is that it is told to wait for, and copies nothing', async () => {
    const { db, mirror } = await openMirror()
    expect(await codeOf(mirror.reload({ after: db.run('INSERT INTO missing VALUES (1)') }))).toBe('SQLITE_ERROR')
    expect(mirror.status()).toMatchObject({ generation: 1, lastError: null })
  })

  it('is shared by the calls that come before it begins, and by none that comes later', async () => {
    const hooks: Array<() => void> = []
    let held = false
    const { db, mirror } = await openMirror({ onReload: () => held && new Promise<void>((resolve) => hooks.push(resolve)) })
    held = true
    const first = mirror.reload()
    await until(() => hooks.length === 1, 'the first reload is in its hook')
    await db.run('INSERT INTO t VALUES (2)')
    const later = Promise.all([mirror.reload(), mirror.reload(), mirror.reload()])
    hooks[0]!()
    await first
    expect(await mirror.pluck(SELECT)).toEqual([1])
    await until(() => hooks.length === 2, 'the second reload is in its hook')
    hooks[1]!()
    await later
    expect(await mirror.pluck(SELECT)).toEqual([1, 2])
    expect(mirror.generation).toBe(3)
  })

  it('is waited for by no read', async () => {
    const hook = gate()
    let held = false
    const { mirror } = await openMirror({ onReload: () => (held ? hook.opened : undefined) })
    held = true
    const reload = watch(mirror.reload())
    await until(() => mirror.status().reloading, 'a reload is under way')
    expect(await mirror.pluck(SELECT)).toEqual([1])
    expect(reload.settled).toBe(false)
    hook.open()
    await until(() => reload.settled, 'the reload ends')
  })

  it('is rejected where it would wait for its own caller, and nowhere else', async () => {
    const { db, mirror } = await openMirror()
    expect(await codeOf(db.read(() => mirror.reload()))).toBe('ERR_SLUICE_REENTRANT')
    expect(await codeOf(db.writeMode(() => mirror.reload()))).toBe('ERR_SLUICE_REENTRANT')
    expect(await codeOf(db.writeMode(() => db.mirror()))).toBe('ERR_SLUICE_REENTRANT')
    await db.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (2)')
      await mirror.reload()
      expect(await mirror.pluck(SELECT)).toEqual([1])
    })
    await mirror.read(() => mirror.reload())
    expect(await mirror.pluck(SELECT)).toEqual([1, 2])
    const memory = await openForTest(':memory:')
    const other = await memory.mirror()
    expect(await codeOf(memory.transaction(() => other.reload()))).toBe('ERR_SLUICE_REENTRANT')
  })

  it('waits for writeMode, and reads go on', async () => {
    const { db, mirror } = await openMirror()
    const inside = gate()
    const leave = gate()
    const mode = db.writeMode(async (w) => {
      inside.open()
      await leave.opened
      await w.run('INSERT INTO t VALUES (2)')
    })
    await inside.opened
    const reload = mirror.reload()
    await untilWaiting(db, 1)
    expect(await mirror.pluck(SELECT)).toEqual([1])
    leave.open()
    await Promise.all([mode, reload])
    expect(await mirror.pluck(SELECT)).toEqual([1, 2])
  })
})

describe('a snapshot', () => {
  it('stays with its copy until it is released', async () => {
    const { db, mirror } = await openMirror()
    const snapshot = mirror.snapshot()
    const statement = snapshot.prepare(SELECT)
    for (const x of [2, 3]) await mirror.reload({ after: db.run('INSERT INTO t VALUES (?)', [x]) })
    expect(await mirror.pluck(SELECT)).toEqual([1, 2, 3])
    expect([snapshot.generation, await snapshot.pluck(SELECT), await statement.pluck()]).toEqual([1, [1], [1]])
    expect(await snapshot.read((r) => r.pluck(SELECT))).toEqual([1])
    await until(() => mirror.status().superseded === 1, 'the copy that nobody reads is closed')
    snapshot.release()
    snapshot.release()
    await until(() => mirror.status().superseded === 0, 'the copy of the snapshot is closed')
    expect(await codeOf(snapshot.all(SELECT))).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(statement.all())).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(snapshot.read(() => 1))).toBe('ERR_SLUICE_CLOSED')
  })

  it('of the current copy keeps the mirror as it is when it is released', async () => {
    const { mirror } = await openMirror()
    mirror.snapshot()[Symbol.dispose]()
    expect(await mirror.pluck(SELECT)).toEqual([1])
  })

  it('that is dropped is released', async () => {
    const { mirror } = await openMirror()
    const take = async (): Promise<void> => {
      expect(await mirror.snapshot().pluck(SELECT)).toEqual([1])
    }
    await take()
    await mirror.reload()
    await collectUntil(() => mirror.status().superseded === 0, 'the copy of a snapshot that was dropped is closed')
  })
})

describe('a copy that is not current any more', () => {
  it('is kept until its last reader is done', async () => {
    const { db, mirror } = await openMirror()
    await db.exec('WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i FROM n')
    await mirror.reload()
    const rows = mirror.iterate<{ x: number }>(SELECT, [], { chunkRows: 10 })
    expect((await rows.next()).value).toEqual({ x: 1 })
    const leave = gate()
    const read = mirror.read(async (r) => {
      await leave.opened
      return r.get('SELECT count(*) AS n FROM t')
    })
    await mirror.reload({ after: db.run('DELETE FROM t') })
    expect(await mirror.pluck(SELECT)).toEqual([])
    let seen = 1
    for await (const { x } of rows) expect(x).toBe(++seen)
    expect(seen).toBe(5_000)
    expect(mirror.status().superseded).toBe(1)
    leave.open()
    expect(await read).toEqual({ n: 5_000 })
    await until(() => mirror.status().superseded === 0, 'the copy is closed')
  })

  it('is kept for graceMs at least', async () => {
    const { mirror } = await openMirror({ graceMs: 2 ** 31 - 1 })
    await mirror.reload()
    await mirror.reload()
    expect(mirror.status()).toMatchObject({ generation: 3, superseded: 2 })
    await mirror.close()
    expect(mirror.status().superseded).toBe(0)
    const brief = await openMirror({ graceMs: 1 })
    await brief.mirror.reload()
    await until(() => brief.mirror.status().superseded === 0, 'the grace is over')
  })

  it('gives back its memory and its threads', async () => {
    const script = `main(async () => {
      const { readdirSync, readFileSync } = require('node:fs')
      const threads = () => process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0
      const db = await open(':memory:')
      await db.exec('CREATE TABLE t (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT zeroblob(1000) FROM n')
      const mirror = await db.mirror()
      const settle = async () => { while (mirror.status().superseded > 0) await new Promise((resolve) => setTimeout(resolve, 5)) }
      const round = async () => { for (let i = 0; i < 10; i++) await mirror.reload(); await settle() }
      await round()
      const before = [threads(), process.memoryUsage().rss]
      for (let i = 0; i < 5; i++) await round()
      const after = [threads(), process.memoryUsage().rss]
      console.log(JSON.stringify({ threads: after[0] - before[0], bytes: after[1] - before[1] }))
      await db.close()
    })`
    const { stdout, stderr, code } = await runScript(script, { patienceMs: 60_000 })
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
    const { threads, bytes } = JSON.parse(stdout) as { threads: number; bytes: number }
    // 50 copies of 20 MB would be 1 GB; a thread may be about to end.
    expect(threads).toBeLessThan(5)
    expect(bytes).toBeLessThan(200_000_000)
  })
})

describe('onReload', () => {
  it('writes to each copy before anyone can see it', async () => {
    const seen: unknown[] = []
    const { db, mirror } = await openMirror({
      onReload: async (copy) => {
        await copy.exec('CREATE TABLE totals (n); CREATE INDEX by_x ON t (x)')
        seen.push(await copy.pluck('SELECT count(*) FROM t'))
        await copy.run('INSERT INTO totals SELECT count(*) FROM t')
      },
    })
    expect(await mirror.pluck('SELECT n FROM totals')).toEqual([1])
    await mirror.reload({ after: db.run('INSERT INTO t VALUES (2)') })
    expect(await mirror.pluck('SELECT n FROM totals')).toEqual([2])
    expect(seen).toEqual([[1], [2]])
    expect(await codeOf(mirror.execute('DELETE FROM totals'))).toBe('SQLITE_READONLY')
    expect(await codeOf(db.all('SELECT * FROM totals'))).toBe('SQLITE_ERROR')
  })

  it('that fails leaves the copy before it, is reported, and is not fatal', async () => {
    const wrong = new Error('no overlay today')
    const reported: unknown[] = []
    let fails = false
    const { db, mirror } = await openMirror({
      onReload: async (copy) => {
        await copy.run('DELETE FROM t WHERE x > 100')
        if (fails) throw wrong
      },
      onError: (error) => reported.push(error),
    })
    fails = true
    await db.run('INSERT INTO t VALUES (2)')
    await expect(mirror.reload()).rejects.toBe(wrong)
    expect(reported).toEqual([wrong])
    expect(mirror.status()).toMatchObject({ generation: 1, lastError: wrong, superseded: 0 })
    expect(await mirror.pluck(SELECT)).toEqual([1])
    fails = false
    await mirror.reload()
    expect(mirror.status()).toMatchObject({ generation: 2, lastError: null })
    expect(await mirror.pluck(SELECT)).toEqual([1, 2])
  })

  it('that fails for the first copy is what mirror is rejected with', async () => {
    const db = await openWithRow()
    const wrong = new Error('not even once')
    const onError = (): never => expect.unreachable('the caller is told')
    const making = db.mirror({ onReload: () => Promise.reject(wrong), onError })
    await expect(making).rejects.toBe(wrong)
    await untilQuiet(db)
  })

  it('loses what it began and did not wait for, and its handle', async () => {
    const kept: Database[] = []
    const { mirror } = await openMirror({
      onReload: async (copy) => {
        const tx = await copy.begin()
        await tx.run('DELETE FROM t')
        kept.push(copy, copy.handle())
      },
    })
    expect(await mirror.pluck(SELECT)).toEqual([1])
    for (const copy of kept) expect(await codeOf(copy.run('DELETE FROM t'))).toBe('ERR_SLUICE_CLOSED')
    expect(await mirror.pluck(SELECT)).toEqual([1])
  })

  it('may make temporary tables, of which nothing is left', async () => {
    const { mirror } = await openMirror({ onReload: (copy) => copy.exec('CREATE TEMP TABLE t (x); INSERT INTO t VALUES (9)') })
    expect(await mirror.execute(SELECT)).toMatchObject({ rows: [{ x: 1 }], route: 'read' })
  })
})

describe('close', () => {
  it('of a mirror ends it, and not its database', async () => {
    const { db, mirror } = await openMirror()
    const snapshot = mirror.snapshot()
    await Promise.all([mirror.close(), mirror.close()])
    expect(mirror.closed).toBe(true)
    expect(await codeOf(mirror.all(SELECT))).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(mirror.reload())).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(snapshot.all(SELECT))).toBe('ERR_SLUICE_CLOSED')
    expect(() => mirror.snapshot()).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_CLOSED' }))
    expect(mirror.status().generation).toBe(1)
    expect(await db.pluck(SELECT)).toEqual([1])
  })

  it('of a mirror lets reads finish, and rejects the reload that is under way', async () => {
    const hook = gate()
    let held = false
    const { mirror } = await openMirror({ onReload: () => (held ? hook.opened : undefined) })
    held = true
    const leave = gate()
    const read = mirror.read(async (r) => {
      await leave.opened
      return r.pluck(SELECT)
    })
    const reloads = Promise.all([codeOf(mirror.reload()), codeOf(mirror.reload())])
    await until(() => mirror.status().reloading, 'a reload is under way')
    const closing = mirror.close()
    expect(await within(reloads, 'both reloads are rejected')).toEqual(['ERR_SLUICE_CLOSED', 'ERR_SLUICE_CLOSED'])
    leave.open()
    expect(await read).toEqual([1])
    await closing
    hook.open()
  })

  it('of the database closes its mirrors', async () => {
    const { db, mirror } = await openMirror({ watch: true })
    const other = await db.mirror()
    const reload = codeOf(mirror.reload())
    await db.close()
    expect([mirror.closed, other.closed]).toEqual([true, true])
    expect(await within(reload, 'the reload ends')).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(mirror.all(SELECT))).toBe('ERR_SLUICE_CLOSED')
    expect(await codeOf(db.mirror())).toBe('ERR_SLUICE_CLOSED')
  })

  it('of one handle closes the mirrors that were made from it, and no others', async () => {
    const { db, mirror } = await openMirror()
    const sibling = db.handle()
    const other = await sibling.mirror()
    await sibling.close()
    expect([mirror.closed, other.closed]).toEqual([false, true])
    await mirror.reload({ after: db.run('INSERT INTO t VALUES (2)') })
    expect(await mirror.pluck(SELECT)).toEqual([1, 2])
  })

  it('comes with the end of an await using block', async () => {
    const { mirror } = await openMirror()
    await mirror[Symbol.asyncDispose]()
    expect(mirror.closed).toBe(true)
  })

  it('is not needed by a process, or a worker thread, that ends', async () => {
    const script = `main(async () => {
      const { Worker, isMainThread } = require('node:worker_threads')
      const db = await open(process.argv[1])
      const mirror = await db.mirror({ watch: true, pollMs: 1 })
      const text = "const { open } = require(" + JSON.stringify(require.resolve(process.argv[2])) + "); const { workerData } = require('node:worker_threads');" +
        "open(workerData).then((db) => db.mirror({ watch: true })).then(async (mirror) => console.log((await mirror.pluck('SELECT count(*) FROM t'))[0]))"
      const worker = new Worker(text, { eval: true, workerData: process.argv[1] })
      worker.once('exit', (code) => console.log('worker', code))
    })`
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    const ended = await runScript(script, { args: [path, new URL('../index.js', import.meta.url).pathname] })
    expect(ended).toMatchObject({ code: 0, stdout: '1\nworker 0\n', stderr: '' })
  })
})
