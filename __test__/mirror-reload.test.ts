import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'

import type { Database, Mirror, MirrorOptions, OpenOptions } from '../index.js'
import { converse, runScript } from './support/child-process.js'
import type { Conversation } from './support/child-process.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate } from './support/order.js'
import { openForTest, scratchPath } from './support/scratch.js'

/** Commits one row after another, and says which, until it is told to stop. */
const OTHER_WRITER = `main(async () => {
  const db = await open(process.argv[1])
  let stopped = false
  process.stdin.once('data', () => (stopped = true))
  for (let n = 1; !stopped; n++) {
    await db.run("INSERT INTO commits (writer, n) VALUES ('there', ?)", [n])
    console.log(n)
  }
  await db.close()
  process.exit()
})`

/** Commits one row whenever it is told to. */
const OBEDIENT_WRITER = `main(async () => {
  const db = await open(process.argv[1])
  console.log('open')
  require('node:readline').createInterface({ input: process.stdin }).on('line', async (n) => {
    await db.run("INSERT INTO commits (writer, n) VALUES ('there', ?)", [Number(n)])
    console.log(n)
  })
})`

const MADE = "CREATE TABLE commits (writer TEXT, n INTEGER, filling TEXT DEFAULT (printf('%0200d', 0)), PRIMARY KEY (writer, n))"
const COUNTS = `SELECT writer, count(*) AS commits, max(n) AS latest FROM commits GROUP BY writer`

interface Counts {
  readonly writer: string
  readonly commits: number
  readonly latest: number
}

async function openCommits(path: string, options: OpenOptions = {}): Promise<Database> {
  const db = await openForTest(path, options)
  await db.exec(MADE)
  return db
}

/** How many commits of each writer a copy has. A gap fails the test. */
async function commitsIn(mirror: { all: Mirror['all'] }): Promise<Map<string, number>> {
  const counts = await mirror.all<Counts>(COUNTS)
  for (const { writer, commits, latest } of counts) expect(commits, `${writer} has a gap`).toBe(latest)
  return new Map(counts.map(({ writer, commits }) => [writer, commits]))
}

/** Writes without an end, on one handle. Returns the number of the last commit that was acknowledged, and how to stop. */
function keepWriting(db: Database, writer: string): { acknowledged: () => number; stop: () => Promise<void> } {
  const state = { acknowledged: 0, stopped: false }
  const writing = (async () => {
    for (let n = 1; !state.stopped; n++) {
      await db.run('INSERT INTO commits (writer, n) VALUES (?, ?)', [writer, n])
      state.acknowledged = n
    }
  })()
  const stop = (): Promise<void> => {
    state.stopped = true
    return writing
  }
  onTestFinished(stop)
  return { acknowledged: () => state.acknowledged, stop }
}

/** Reads what a conversation says until it ends, and keeps the last number. */
function follow(conversation: Conversation): { latest: () => number } {
  let latest = 0
  void (async () => {
    for (;;) latest = Number(await conversation.line())
  })().catch(() => {})
  return { latest: () => latest }
}

describe('under writes', () => {
  it('no copy lacks a commit that an earlier one had, or that was acknowledged before its reload was called for', async () => {
    const path = scratchPath()
    const db = await openCommits(path)
    const handle = db.handle()
    const published: number[] = []
    const mirror = await db.mirror({ watch: true, pollMs: 5, debounceMs: 1, onReload: (copy) => void published.push(copy.handleCount) })
    const here = keepWriting(db, 'here')
    const too = keepWriting(handle, 'here too')
    const child = converse(OTHER_WRITER, { args: [path] })
    const there = follow(child)
    const seen = new Map<string, number>()
    let generation = 0
    const look = async (): Promise<void> => {
      const snapshot = mirror.snapshot()
      try {
        expect(snapshot.generation).toBeGreaterThanOrEqual(generation)
        generation = snapshot.generation
        const commits = await commitsIn(snapshot)
        for (const [writer, count] of seen) expect(commits.get(writer) ?? 0, `commits of ${writer}`).toBeGreaterThanOrEqual(count)
        for (const [writer, count] of commits) seen.set(writer, count)
      } finally {
        snapshot.release()
      }
    }
    const state = { reloading: true }
    const looking = (async () => {
      while (state.reloading) await look()
    })()
    for (let round = 0; round < 150 || there.latest() === 0; round++) {
      const before = new Map([['here', here.acknowledged()], ['here too', too.acknowledged()], ['there', there.latest()]])
      await Promise.all([mirror.reload(), mirror.reload()])
      const commits = await commitsIn(mirror)
      for (const [writer, count] of before) expect(commits.get(writer) ?? 0, `commits of ${writer}`).toBeGreaterThanOrEqual(count)
    }
    state.reloading = false
    await looking
    await Promise.all([here.stop(), too.stop()])
    child.say('stop')
    await within(child.ended, 'the other process ends')
    await mirror.reload()
    await look()
    expect(await commitsIn(mirror)).toEqual(await commitsIn(db))
    expect(mirror.generation).toBeGreaterThan(150)
    expect([...seen.keys()].sort()).toEqual(['here', 'here too', 'there'])
    // A copy that was asked for by the watch may be in its hook.
    await until(() => published.length === mirror.generation, 'every hook was for a copy')
  }, 60_000)

  it('D09: every reload of a database with pages of 8 KiB lands, and several readers read it', async () => {
    const db = await openCommits(scratchPath(), { pragmas: { page_size: 8_192 }, maxReaders: 3 })
    const mirror = await db.mirror()
    expect(await mirror.pluck('PRAGMA page_size')).toEqual([8_192])
    const writer = keepWriting(db, 'here')
    for (let round = 0; round < 50; round++) {
      const before = writer.acknowledged()
      const generation = mirror.generation
      await mirror.reload()
      expect(mirror.generation).toBe(generation + 1)
      const inside = [gate(), gate()]
      const reads = inside.map((own, index) =>
        mirror.read(async (r) => {
          own.open()
          await inside[1 - index]!.opened
          return commitsIn(r)
        }),
      )
      for (const commits of await within(Promise.all(reads), 'two read callbacks at once')) {
        expect(commits.get('here') ?? 0).toBeGreaterThanOrEqual(before)
      }
    }
    await writer.stop()
    await mirror.reload()
    expect(await commitsIn(mirror)).toEqual(await commitsIn(db))
  }, 60_000)
})

async function openWatching(options: MirrorOptions = {}, opening: OpenOptions = {}, path = scratchPath()): Promise<{ db: Database; mirror: Mirror; path: string }> {
  const db = await openCommits(path, opening)
  return { db, mirror: await db.mirror({ watch: true, ...options }), path }
}

function write(db: Database, n: number): Promise<unknown> {
  return db.run("INSERT INTO commits (writer, n) VALUES ('here', ?)", [n])
}

async function untilItHas(mirror: Mirror, writer: string, n: number): Promise<void> {
  const latest = async (): Promise<number> => (await commitsIn(mirror)).get(writer) ?? 0
  const deadline = performance.now() + 15_000
  while ((await latest()) < n) {
    if (performance.now() > deadline) throw new Error(`the mirror does not get commit ${n} of ${writer}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Longer than any test: nothing comes of a look at the file. */
const NEVER_MS = 2 ** 31 - 1

describe('a reload that is refused at once', () => {
  it.each<[string, string, (db: Database, mirror: Mirror, refused: () => Promise<void>) => Promise<unknown>]>([
    ['of a mirror that is closed', 'ERR_SLUICE_CLOSED', (_db, mirror, refused) => mirror.close().then(refused)],
    ['of a database that is closed', 'ERR_SLUICE_CLOSED', (db, _mirror, refused) => db.close().then(refused)],
    ['in a read callback', 'ERR_SLUICE_REENTRANT', (db, _mirror, refused) => db.read(refused)],
    ['in a writeMode callback', 'ERR_SLUICE_REENTRANT', (db, _mirror, refused) => db.writeMode(refused)],
  ])('%s tells that, and nothing of what it was to wait for', async (_name, code, inside) => {
    const db = await openCommits(scratchPath())
    const mirror = await db.mirror()
    const unhandled: unknown[] = []
    const listen = (reason: unknown): unknown => unhandled.push(reason)
    process.on('unhandledRejection', listen)
    onTestFinished(() => void process.off('unhandledRejection', listen))
    await within(inside(db, mirror, async () => {
      const after = [Promise.reject(new Error('at once')), turn().then(() => { throw new Error('later') })]
      for (const write of after) expect(await codeOf(mirror.reload({ after: write }))).toBe(code)
      // What is rejected in this turn of the event loop is reported before the next.
      for (let time = 0; time < 3; time++) await turn()
    }), 'the callback ends')
    expect(unhandled).toEqual([])
  })
})

describe('a reload in its own onReload', () => {
  it('is rejected at once, and the one around it goes on when the hook catches that', async () => {
    const db = await openCommits(scratchPath())
    const outcomes: string[] = []
    let again: (() => Promise<void>) | undefined
    const onReload = async (): Promise<void> => {
      if (again !== undefined) outcomes.push(await outcomeOf(again()))
    }
    const mirror = await db.mirror({ onReload })
    again = () => mirror.reload()
    await write(db, 1)
    await within(mirror.reload(), 'the reload')
    expect(outcomes).toEqual(['ERR_SLUICE_REENTRANT'])
    expect(mirror.generation).toBe(2)
    expect(await commitsIn(mirror)).toEqual(await commitsIn(db))
  })

  it('fails the one around it when the hook does not, and the next one is made', async () => {
    const db = await openCommits(scratchPath())
    let again: (() => Promise<void>) | undefined
    const mirror = await db.mirror({ onReload: () => again?.() })
    again = () => mirror.reload()
    const { code, message } = await within(failureOf(mirror.reload()), 'the reload')
    expect(code).toBe('ERR_SLUICE_REENTRANT')
    expect(message).toContain('onReload')
    expect(message).not.toContain('detached')
    again = undefined
    expect(mirror.generation).toBe(1)
    await within(mirror.reload(), 'the next reload')
    expect(mirror.generation).toBe(2)
  })

  it('that was started in it and is made after it is not caught', async () => {
    const db = await openCommits(scratchPath())
    const over = gate()
    const outlives: Promise<string>[] = []
    let again: (() => Promise<void>) | undefined
    const onReload = (): void => {
      const reload = again
      again = undefined
      if (reload !== undefined) outlives.push(over.opened.then(() => outcomeOf(reload())))
    }
    const mirror = await db.mirror({ onReload })
    again = () => mirror.reload()
    await within(mirror.reload(), 'the reload')
    over.open()
    expect(await within(Promise.all(outlives), 'the reload after it')).toEqual(['done'])
    expect(mirror.generation).toBe(3)
  })
})

describe('a mirror that watches', () => {
  it('follows every way to commit in this process, without a look at the file', async () => {
    const databases = [
      await openWatching({ pollMs: NEVER_MS }),
      await openWatching({ pollMs: NEVER_MS }, { concurrency: 'exclusive' }),
      await openWatching({ pollMs: NEVER_MS }, { maxReaders: 0 }),
      await openWatching({ pollMs: NEVER_MS }, {}, ':memory:'),
    ]
    for (const { db, mirror } of databases) {
      const own = db.handle()
      const insert = (n: number): string => `INSERT INTO commits (writer, n) VALUES ('here', ${n})`
      const ways: Array<(sql: string) => Promise<unknown>> = [
        (sql) => db.run(sql),
        (sql) => db.batch([sql]),
        (sql) => db.exec(sql),
        (sql) => db.transaction((tx) => tx.run(sql)),
        (sql) => db.writeMode((w) => w.run(sql)),
        (sql) => own.exec(`BEGIN; ${sql}; COMMIT`),
        async (sql) => {
          await own.run('BEGIN')
          await own.run(sql)
          await own.run('COMMIT')
        },
      ]
      let n = 0
      for (const way of ways) {
        await way(insert(++n))
        await untilItHas(mirror, 'here', n)
      }
      expect(await commitsIn(mirror)).toEqual(await commitsIn(db))
    }
  })

  it('follows commits of other processes, and of other handles in this one', async () => {
    for (const journal of ['wal', 'delete']) {
      const path = scratchPath()
      const { db, mirror } = await openWatching({ pollMs: 5, debounceMs: 0 }, {}, path)
      await db.pragma('journal_mode', journal)
      const child = converse(OBEDIENT_WRITER, { args: [path] })
      expect(await child.line()).toBe('open')
      const second = await openForTest(path)
      for (let n = 1; n <= 5; n++) {
        child.say(String(n))
        await untilItHas(mirror, 'there', n)
        await write(second, n)
        await untilItHas(mirror, 'here', n)
      }
    }
  })

  it('goes on after writeMode, for which its connection is closed', async () => {
    const { db, mirror } = await openWatching({ pollMs: 1 })
    for (const [at, mode] of ['delete', 'wal'].entries()) {
      await db.writeMode((w) => w.run('VACUUM'))
      await db.pragma('journal_mode', mode)
      await write(db, at + 1)
      await untilItHas(mirror, 'here', at + 1)
    }
    expect(await commitsIn(mirror)).toEqual(new Map([['here', 2]]))
  })

  it('makes one copy of all commits that come while another is made', async () => {
    const hooks: Array<() => void> = []
    let held = false
    const onReload = (): Promise<void> | undefined => (held ? new Promise((resolve) => hooks.push(resolve)) : undefined)
    const { db, mirror } = await openWatching({ onReload, debounceMs: 0, pollMs: NEVER_MS })
    held = true
    await write(db, 1)
    await until(() => hooks.length === 1, 'a reload is in its hook')
    held = false
    for (let n = 2; n <= 100; n++) await write(db, n)
    hooks[0]!()
    await untilItHas(mirror, 'here', 100)
    // The look that saw the last commit may have come after the copy that has it.
    expect(mirror.generation).toBeLessThanOrEqual(4)
  })

  it('makes no copy when nothing was changed', async () => {
    const { db, mirror } = await openWatching({ pollMs: 1, debounceMs: 0 })
    const rollback = db.transaction(async (tx) => {
      await tx.run("INSERT INTO commits (writer, n) VALUES ('here', 1)")
      throw new Error('no')
    })
    await expect(rollback).rejects.toThrow('no')
    await db.run('DELETE FROM commits WHERE n > 0')
    await db.all(COUNTS)
    await write(db, 1)
    await untilItHas(mirror, 'here', 1)
    expect(mirror.generation).toBe(2)
  })

  it('warns of a reload that failed, keeps its copy, and tries again by itself', async () => {
    let fails = false
    let calls = 0
    const onReload = (): void => {
      calls++
      if (fails) throw new Error('not now')
    }
    const { db, mirror } = await openWatching({ onReload, debounceMs: 0, pollMs: NEVER_MS })
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    fails = true
    await write(db, 1)
    expect(await within(warned, 'a warning')).toMatchObject({ code: 'SLUICE_MIRROR_RELOAD', message: expect.stringContaining('not now') as string })
    expect((await commitsIn(mirror)).size).toBe(0)
    fails = false
    const before = calls
    await untilItHas(mirror, 'here', 1)
    expect(calls).toBe(before + 1)
  })

  it('reports a reload that failed to onError, instead of a warning', async () => {
    let fails = false
    const errors: unknown[] = []
    const warnings: Error[] = []
    const warn = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', warn)
    onTestFinished(() => void process.off('warning', warn))
    const onReload = (): void => {
      if (fails) throw new Error('not now')
    }
    const { db, mirror } = await openWatching({ onReload, onError: (error) => errors.push(error), debounceMs: 0 })
    fails = true
    await write(db, 1)
    await until(() => errors.length > 0, 'the error is reported')
    expect(mirror.status().lastError).toBe(errors[0])
    await mirror.close()
    expect(warnings).toEqual([])
  })

  it('has one connection that watches, and none any more when it is closed', async () => {
    const script = `main(async () => {
      const { readdirSync, readFileSync } = require('node:fs')
      const names = () => readdirSync('/proc/self/task').map((id) => { try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim() } catch { return '' } })
      const watchers = () => names().filter((name) => name.endsWith('watcher') || name.endsWith('watche') || name.includes('watch')).length
      const db = await open(process.argv[1])
      await db.exec('CREATE TABLE t (x)')
      const before = watchers()
      const mirrors = await Promise.all([db.mirror({ watch: true }), db.mirror({ watch: true }), db.mirror()])
      await db.run('INSERT INTO t VALUES (1)')
      const during = watchers()
      for (const mirror of mirrors) await mirror.close()
      while (watchers() > 0) await new Promise((resolve) => setTimeout(resolve, 1))
      console.log(before, during)
      await db.close()
    })`
    if (process.platform !== 'linux') return
    // Linux shows 15 bytes of a name.
    const ended = await runScript(script, { args: [scratchPath('a')] })
    expect(ended).toMatchObject({ code: 0, stdout: '0 1\n', stderr: '' })
  })
})
