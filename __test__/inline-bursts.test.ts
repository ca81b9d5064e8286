import { readFileSync, writeFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import { describe, expect, it, onTestFinished, vi } from 'vitest'

import type { Database, Status } from '../index.js'
import { converse, runScript } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'

const INDEX = new URL('../index.mjs', import.meta.url).href

const counter = (db: Database, name: string): number => db.status().counters[name] ?? Number.NaN

/** Reads until a read has found the snapshot of the one before it open, and leaves it open. Returns the status of that moment. */
async function burst(db: Database): Promise<Status> {
  const deadline = performance.now() + 15_000
  const before = counter(db, 'inlineReuses')
  while (performance.now() < deadline) {
    for (let time = 0; time < 10; time++) await db.get('SELECT max(x) AS n FROM t')
    const status = db.status()
    if (status.counters['inlineReuses']! > before && status.wal.oldestReaderMs !== null) return status
  }
  throw new Error('there was no burst')
}

/** Reads eight times in a row: what comes between two reads may take longer than they may be apart to be a burst. */
async function readEight(db: Database): Promise<number[]> {
  const answers: number[] = []
  for (let time = 0; time < 8; time++) answers.push((await db.get<{ n: number }>('SELECT max(x) AS n FROM t'))!.n)
  return answers
}

async function openWithRow(): Promise<Database> {
  const db = await openWithTable({ inlineReads: 'auto', durability: 'off' })
  await db.run('INSERT INTO t VALUES (0)')
  return db
}

describe('bursts of inline reads', () => {
  it('see every commit of another process that was acknowledged before the read', async () => {
    const path = scratchPath()
    const acknowledged = `${path}.acknowledged`
    const db = await openForTest(path, { inlineReads: 'auto', durability: 'off' })
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (0)')
    await burst(db)
    writeFileSync(acknowledged, '0')
    const other = converse(
      `const { writeFileSync, renameSync } = require('node:fs')
      main(async () => {
        const [, path, acknowledged] = process.argv
        const db = await open(path, { durability: 'off' })
        console.log('begins')
        for (let n = 1; n <= 500; n++) {
          await db.run('INSERT INTO t VALUES (?)', [n])
          writeFileSync(acknowledged + '.new', String(n))
          renameSync(acknowledged + '.new', acknowledged)
        }
        await db.close()
      })`,
      { args: [path, acknowledged] },
    )
    expect(await other.line()).toBe('begins')
    const before = counter(db, 'inlineReuses')
    const seen = new Set<number>()
    const deadline = performance.now() + 15_000
    for (let least = 0; least < 500 && performance.now() < deadline; ) {
      // Without a turn of the event loop: that would end the burst.
      least = Number(readFileSync(acknowledged, 'utf8'))
      const answers = await readEight(db)
      expect(Math.min(...answers)).toBeGreaterThanOrEqual(least)
      for (const n of answers) seen.add(n)
    }
    expect(await within(other.ended, 'the other process ends')).toMatchObject({ code: 0 })
    expect(seen).toContain(500)
    expect(counter(db, 'inlineReuses')).toBeGreaterThan(before)
  })

  it('see what was written on the same handle and on another one', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { inlineReads: 'auto', durability: 'off' })
    await db.exec('CREATE TABLE t (x)')
    const other = await openForTest(path, { durability: 'off' })
    for (let n = 1; n <= 300; n++) {
      await (n % 2 === 0 ? db : other).run('INSERT INTO t VALUES (?)', [n])
      expect(new Set(await readEight(db))).toEqual(new Set([n]))
    }
    expect(counter(db, 'inlineReuses')).toBeGreaterThan(0)
  })

  it('keep no snapshot when the event loop turns, whatever timers a test has faked', async () => {
    const db = await openWithRow()
    expect(await burst(db)).toMatchObject({ wal: { oldestReaderSql: 'SELECT max(x) AS n FROM t' } })
    await turn()
    expect(db.status().wal.oldestReaderMs).toBeNull()
    vi.useFakeTimers({ toFake: ['setImmediate', 'setTimeout', 'setInterval', 'performance', 'Date'] })
    onTestFinished(() => void vi.useRealTimers())
    for (let time = 0; time < 100; time++) await db.get('SELECT max(x) AS n FROM t')
    expect(vi.getTimerCount()).toBe(0)
    await turn()
    expect(db.status().wal.oldestReaderMs).toBeNull()
  })

  it('keep no snapshot for long while JavaScript keeps the thread', async () => {
    const db = await openWithRow()
    await burst(db)
    const deadline = performance.now() + 15_000
    while (db.status().wal.oldestReaderMs !== null && performance.now() < deadline);
    expect(db.status().wal.oldestReaderMs).toBeNull()
  })

  it('are in the way of no checkpoint and no exclusive mode', async () => {
    const db = await openWithRow()
    for (let n = 1; n <= 10; n++) {
      await db.run('INSERT INTO t VALUES (?)', [n])
      await burst(db)
      expect(await db.checkpoint('truncate')).toMatchObject({ busy: false })
      await burst(db)
      expect(await db.writeMode((w) => w.run('INSERT INTO t VALUES (0)'))).toMatchObject({ changes: 1 })
    }
    await burst(db)
    await within(db.close(), 'the database closes')
  })

  it('end with the process, which ends by itself', async () => {
    const path = scratchPath()
    const ended = await runScript(
      `main(async () => {
        const db = await open(process.argv[1], { durability: 'off' })
        await db.exec('CREATE TABLE t (x)')
        while (!(db.status().counters.inlineReuses > 100 && db.status().wal.oldestReaderMs !== null)) {
          for (let time = 0; time < 10; time++) await db.get('SELECT max(x) FROM t')
        }
      })`,
      { args: [path] },
    )
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    const db = await openForTest(path)
    expect(await db.checkpoint('truncate')).toMatchObject({ busy: false })
  })

  it('end with a thread that is terminated in the middle of one', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { inlineReads: 'auto', durability: 'off' })
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (0)')
    const source = `
      import { parentPort } from 'node:worker_threads'
      import { open } from ${JSON.stringify(INDEX)}
      const db = await open(${JSON.stringify(path)}, { inlineReads: 'auto', durability: 'off' })
      for (let told = false; ; ) {
        for (let time = 0; time < 10; time++) await db.get('SELECT max(x) FROM t')
        if (!told && db.status().counters.inlineReuses > 100) parentPort.postMessage((told = true))
      }`
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    onTestFinished(async () => void (await thread.terminate()))
    await within(new Promise((resolve) => thread.once('message', resolve)), 'the thread reads in bursts')
    expect(await within(thread.terminate(), 'the thread ends')).toBe(1)
    await until(() => db.status().wal.oldestReaderMs === null, 'nothing is held')
    expect(await db.checkpoint('truncate')).toMatchObject({ busy: false })
    expect(db.status().readers.active).toBe(0)
  })
})
