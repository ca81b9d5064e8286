import { symlinkSync } from 'node:fs'
import { request } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'

import { connect } from 'sluice'
import { startInspector } from 'sluice/inspector'
import type { Inspector, InspectorOptions } from 'sluice/inspector'
import { History } from '../dist/inspector/history.mjs'
import type { Database } from '../index.js'
import { PACKAGE, runScript } from './support/child-process.js'
import { failureOf } from './support/failure.js'
import { connectTo, imported, inspectForTest } from './support/inspector.js'
import type { SentEntry } from './support/inspector.js'
import { openForTest, openWithTable, scratchPath } from './support/scratch.js'

interface Answer {
  readonly status: number | undefined
  readonly body: string
}

/** Asks with any headers at all: `fetch` sets some by itself. */
function ask(inspector: Inspector, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: inspector.port, path, headers, method }, (response) => {
      let body = ''
      response.on('data', (text) => (body += String(text)))
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

function pathOf({ url }: Inspector): string {
  return new URL(url).pathname
}

const ranSql = (sql: string) => ({ target, fields }: SentEntry): boolean => target === 'statement' && fields['sql'] === sql

describe('startInspector', () => {
  it('listens on this machine alone, under an address that cannot be guessed', async () => {
    const db = await openWithTable()
    const [one, other] = [await inspectForTest(db), await inspectForTest(db)]
    expect(one.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/$/)
    expect(new URL(one.url).port).toBe(String(one.port))
    expect(pathOf(one)).not.toBe(pathOf(other))
  })

  it.each([
    [{ host: '0.0.0.0' }, 'host'],
    [{ host: '192.168.1.1' }, 'host'],
    [{ host: 'example.com' }, 'host'],
    [{ host: '' }, 'host'],
    [{ port: -1 }, 'port'],
    [{ port: 65_536 }, 'port'],
    [{ port: 1.5 }, 'port'],
    [{ slowMs: -1 }, 'slowMs'],
    [{ slowMs: Number.NaN }, 'slowMs'],
    [{ history: 99 }, 'history'],
    [{ history: '1000' }, 'history'],
    [{ keepAlive: 1 }, 'keepAlive'],
    [{ allowRemote: 'yes' }, 'allowRemote'],
    [{ token: 'secret' }, 'token'],
  ])('refuses %j', async (options, option) => {
    const db = await openForTest(':memory:')
    const error = await failureOf(startInspector(imported(db), options as InspectorOptions))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option })
  })

  it('refuses what is no database', async () => {
    expect(await failureOf(startInspector({} as never))).toMatchObject({ code: 'ERR_SLUICE_INVALID_ARGUMENT' })
    expect(await failureOf(startInspector(undefined as never))).toMatchObject({ code: 'ERR_SLUICE_INVALID_ARGUMENT' })
  })

  it('waits until the database is open, and rejects with the reason when it cannot be', async () => {
    const missing = connect(`${scratchPath()}/none/app.db`)
    expect(await failureOf(startInspector(missing))).toMatchObject({ code: 'SQLITE_CANTOPEN' })
    const db = connect(scratchPath())
    onTestFinished(() => db.close())
    const inspector = await startInspector(db)
    onTestFinished(() => inspector.close())
    expect(db.status().phase).toBe('open')
  })

  it('listens on every address when it is told to', async () => {
    const inspector = await inspectForTest(await openForTest(':memory:'), { host: '0.0.0.0', allowRemote: true })
    expect((await ask(inspector, pathOf(inspector), { host: `10.1.2.3:${inspector.port}` })).status).toBe(200)
    expect((await ask(inspector, pathOf(inspector), { host: `evil.example:${inspector.port}` })).status).toBe(403)
  })

  it('rejects when its port is taken', async () => {
    const db = await openForTest(':memory:')
    const { port } = await inspectForTest(db)
    await expect(startInspector(imported(db), { port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  it('stops with close, more than once, and ends connections', async () => {
    const inspector = await inspectForTest(await openForTest(':memory:'))
    const stream = await connectTo(inspector)
    await stream.next('greeting')
    await Promise.all([inspector.close(), inspector.close()])
    await inspector.close()
    await expect(stream.next('never')).rejects.toThrow(/terminated|closed the connection/)
    await expect(fetch(inspector.url)).rejects.toThrow('fetch failed')
  })

  const START = `const { startInspector } = require('${PACKAGE.replace(/index\.js$/, 'dist/inspector/index.js')}')`

  it('lets the process end', async () => {
    const script = `main(async () => {
      ${START}
      await startInspector(await open(':memory:'))
    })`
    expect(await runScript(script)).toMatchObject({ code: 0, stderr: '' })
  })

  it('keeps the process alive when it is told to', async () => {
    const script = `main(async () => {
      ${START}
      const inspector = await startInspector(await open(':memory:'), { keepAlive: true })
      // A timer that keeps nothing alive itself: it runs only if something else does.
      setTimeout(() => { console.log('alive'); inspector.close() }, 50).unref()
    })`
    expect(await runScript(script)).toMatchObject({ code: 0, stdout: 'alive\n', stderr: '' })
  })
})

describe('the server of the inspector', () => {
  it('serves one page that needs nothing else, and forbids it to load anything', async () => {
    const inspector = await inspectForTest(await openForTest(':memory:'))
    const response = await fetch(inspector.url)
    const page = await response.text()
    expect(page).not.toMatch(/<(?:script|img|iframe)[^>]* src=|<link[^>]* href="(?!data:,")|@import|url\(/)
    expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'content-security-policy': expect.stringMatching(
        /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      ) as string,
    })
  })

  it('answers nothing without its secret', async () => {
    const inspector = await inspectForTest(await openWithTable())
    const path = pathOf(inspector)
    const wrong = ['/', '/events', `${path.slice(0, -2)}x/`, `${path.slice(0, -1)}x/events`, '//events']
    const others = [...wrong, `/x${path}`, `${path}other`, `${path}events/1/2`]
    for (const other of others) expect(await ask(inspector, other), other).toMatchObject({ status: 404 })
    expect((await ask(inspector, `${path.slice(0, -2)}x/plan/1`, {}, 'POST')).status).toBe(404)
  })

  const FOREIGN = ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '10.0.0.1', 'a b']

  it.each(FOREIGN)('answers nobody who calls it %j', async (host) => {
    const inspector = await inspectForTest(await openForTest(':memory:'))
    expect((await ask(inspector, pathOf(inspector), { host })).status).toBe(403)
  })

  it.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])('answers to %s', async (name) => {
    const inspector = await inspectForTest(await openForTest(':memory:'))
    expect((await ask(inspector, pathOf(inspector), { host: `${name}:${inspector.port}` })).status).toBe(200)
  })

  it('answers no page of another origin', async () => {
    const inspector = await inspectForTest(await openForTest(':memory:'))
    const host = `127.0.0.1:${inspector.port}`
    expect((await ask(inspector, pathOf(inspector), { host, origin: 'http://evil.example' })).status).toBe(403)
    expect((await ask(inspector, pathOf(inspector), { host, origin: 'null' })).status).toBe(403)
    expect((await ask(inspector, pathOf(inspector), { host, origin: `http://${host}` })).status).toBe(200)
  })

  it('answers only to the methods it knows', async () => {
    const inspector = await inspectForTest(await openForTest(':memory:'))
    const path = pathOf(inspector)
    expect((await ask(inspector, path, {}, 'POST')).status).toBe(405)
    expect((await ask(inspector, path, {}, 'OPTIONS')).status).toBe(405)
    expect((await ask(inspector, `${path}events`, {}, 'POST')).status).toBe(405)
    expect((await ask(inspector, `${path}plan/1`)).status).toBe(405)
  })
})

describe('the events of the inspector', () => {
  it('begin with what the page needs to know, and the numbers', async () => {
    const db = await openWithTable()
    const stream = await connectTo(await inspectForTest(db, { slowMs: 7, history: 500 }))
    const { content } = await stream.next('greeting')
    expect(content).toEqual({ database: db.path, slowMs: 7, history: 500, nowMs: expect.any(Number) as number })
    const sample = await stream.next('sample')
    expect(sample.content).toMatchObject({ lost: 0, status: { phase: 'open', handles: 1, writer: { active: false } } })
  })

  it('tell who ran what, and how it went', async () => {
    const db = await openWithTable()
    const stream = await connectTo(await inspectForTest(db))
    await stream.next('greeting')
    await db.run('INSERT INTO t VALUES (1), (2)')
    const written = await stream.entry(ranSql('INSERT INTO t VALUES (1), (2)'))
    expect(written.fields).toMatchObject({ worker: 'writer', route: 'write', changes: 2 })
    await db.all('SELECT x FROM t')
    const { fields } = await stream.entry(ranSql('SELECT x FROM t'))
    expect(fields).toMatchObject({ worker: expect.stringMatching(/^reader\.\d+$/) as string, route: 'read', rows: 2 })
    expect(fields['ranUs']).toBeGreaterThanOrEqual(0)
    expect(fields['queuedUs']).toBeGreaterThanOrEqual(0)
    await db.run('SELECT nothing_of_the_kind').catch(() => {})
    await db.exec('CREATE UNIQUE INDEX t_x ON t (x)')
    await db.run('INSERT INTO t VALUES (?)', [1]).catch(() => {})
    expect((await stream.entry(({ fields }) => fields['code'] === 'SQLITE_CONSTRAINT_UNIQUE')).fields).toMatchObject({ route: 'write' })
  })

  it('hold no value of a parameter', async () => {
    const db = await openWithTable()
    const stream = await connectTo(await inspectForTest(db))
    await stream.next('greeting')
    const secrets = ['correct horse', 'battery staple', 'hunter2']
    await db.run('INSERT INTO t VALUES (?), (:name)'.replace('?', ':other'), { other: secrets[0], name: secrets[1] })
    await db.all('SELECT x FROM t WHERE x = ?', [secrets[1]])
    await db.sql`SELECT x FROM t WHERE x = ${secrets[2]}`
    await db.exec('CREATE UNIQUE INDEX t_x ON t (x)')
    await db.run('INSERT INTO t VALUES (?)', [secrets[0]]).catch(() => {})
    await db.transaction(async (tx) => tx.run('INSERT INTO t VALUES (?)', [secrets[2]]))
    await db.all('SELECT 1 AS last')
    await stream.entry(ranSql('SELECT 1 AS last'))
    expect(stream.text()).toContain('SELECT x FROM t WHERE x = ?')
    for (const secret of secrets) expect(stream.text()).not.toContain(secret)
  })

  it('are about this database alone', async () => {
    const [db, other] = [await openWithTable(), await openWithTable()]
    const stream = await connectTo(await inspectForTest(db))
    await stream.next('greeting')
    await other.all('SELECT x AS other FROM t')
    await db.all('SELECT x AS mine FROM t')
    await stream.entry(ranSql('SELECT x AS mine FROM t'))
    expect(stream.text()).not.toContain('AS other')
  })

  it('are told by whichever of its names it was opened', async () => {
    const path = scratchPath(String.raw`it's "a\b" ${'\n'}.db`)
    const [db, other] = [await openForTest(path), `${path}.link`]
    symlinkSync(path, other)
    const again = await openForTest(other)
    expect([again.path, again.handleCount]).toEqual([other, 2])
    const stream = await connectTo(await inspectForTest(again))
    await stream.next('greeting')
    for (const each of [db, again]) {
      await each.all(`SELECT ${each === db} AS first`)
      await stream.entry(ranSql(`SELECT ${each === db} AS first`))
    }
  })

  it('are recorded only while a page is connected, and go on after it was gone', async () => {
    const db = await openWithTable()
    const inspector = await inspectForTest(db)
    await db.all('SELECT 1 AS unseen')
    const first = await connectTo(inspector)
    await first.next('greeting')
    await db.all('SELECT 2 AS seen')
    await first.entry(ranSql('SELECT 2 AS seen'))
    // A page that comes back says what it has seen.
    const second = await connectTo(inspector, { 'last-event-id': '0' })
    expect((await second.entry(ranSql('SELECT 2 AS seen'))).id).toBeGreaterThan(0)
    expect(second.text()).not.toContain('unseen')
    first.close()
    await db.all('SELECT 3 AS seen')
    await second.entry(ranSql('SELECT 3 AS seen'))
  })

  it('leave out what a page has seen that comes back', async () => {
    const db = await openWithTable()
    const inspector = await inspectForTest(db)
    const first = await connectTo(inspector)
    await first.next('greeting')
    await db.all('SELECT 1 AS before')
    const { id } = await first.entry(ranSql('SELECT 1 AS before'))
    const second = await connectTo(inspector, { 'last-event-id': String(id) })
    await second.next('greeting')
    await db.all('SELECT 2 AS after')
    await second.entry(ranSql('SELECT 2 AS after'))
    expect(second.text()).not.toContain('SELECT 1 AS before')
  })

  it('stay within the history', async () => {
    const db = await openWithTable()
    const inspector = await inspectForTest(db, { history: 100 })
    const stream = await connectTo(inspector)
    await stream.next('greeting')
    await Promise.all(Array.from({ length: 500 }, () => db.get('SELECT 1 AS many')))
    await db.all('SELECT 2 AS last')
    await stream.entry(ranSql('SELECT 2 AS last'))
    const late = await connectTo(inspector)
    const { content } = await late.next('entries')
    expect((content['entries'] as SentEntry[]).length).toBe(100)
  })
})

describe('the history of the inspector', () => {
  const fast = { level: 'trace', target: 'statement', message: 'ran', timeMs: 0, fields: { ranUs: 10 } }

  it('gives what came after, and forgets the oldest', () => {
    const history = new History(100, 50)
    for (let made = 0; made < 250; made++) history.add(fast)
    expect(history.since(0, 1_000).entries.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, index) => index + 151))
    expect(history.since(0, 1_000).leftOut).toBe(150)
    expect(history.since(247, 1_000)).toMatchObject({ leftOut: 0, entries: [{ id: 248 }, { id: 249 }, { id: 250 }] })
    expect(history.find(150)).toBeUndefined()
    expect(history.find(151)?.id).toBe(151)
    expect(history.find(251)).toBeUndefined()
  })

  it('gives all that is rare and a sample of the rest when that is too much', () => {
    const history = new History(1_000, 50)
    const [slow, failed] = [{ ranUs: 50_000 }, { ranUs: 1, code: 'SQLITE_BUSY' }]
    const rare = [{ ...fast, fields: slow }, { ...fast, fields: failed }, { ...fast, target: 'gate' }]
    for (let made = 0; made < 900; made++) history.add(made % 300 === 7 ? rare[Math.floor(made / 300)]! : fast)
    const { entries, leftOut } = history.since(0, 100)
    expect({ count: entries.length, leftOut }).toEqual({ count: 100, leftOut: 800 })
    const ids = entries.map(({ id }) => id)
    expect(ids).toEqual(expect.arrayContaining([8, 308, 608]))
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    const gaps = ids.slice(1).map((id, index) => id - ids[index]!)
    expect(Math.max(...gaps)).toBeLessThan(20)
  })
})

describe('the plans of the inspector', () => {
  async function planOf(db: Database, sql: string, run: () => Promise<unknown>): Promise<{ steps?: { detail: string }[]; error?: string }> {
    const inspector = await inspectForTest(db)
    const stream = await connectTo(inspector)
    await stream.next('greeting')
    await run().catch(() => {})
    const { id } = await stream.entry(ranSql(sql))
    return (await fetch(`${inspector.url}plan/${id}`, { method: 'POST' })).json() as Promise<{ steps: { detail: string }[] }>
  }

  it.each([
    ['SELECT x FROM t WHERE x = ?', [1], /^SEARCH t USING COVERING INDEX t_x/],
    ['SELECT x FROM t WHERE x = ?2 OR x = ?1', [1, 2], /^SEARCH t USING/],
    ["-- it's a comment: ?\nSELECT x FROM t WHERE x <> '?' AND y = :y", { y: 1 }, /^SCAN t$/],
    ['SELECT x FROM t WHERE x > $a AND x < @b', { $a: 1, '@b': 2 }, /^SEARCH t USING/],
    ['UPDATE t SET y = ? WHERE x = ?', [1, 2], /^SEARCH t USING/],
  ])('tell how %j is run', async (sql, params, expected) => {
    const db = await openWithTable()
    await db.exec('ALTER TABLE t ADD COLUMN y; CREATE INDEX t_x ON t (x)')
    const { steps } = await planOf(db, sql, () => db.run(sql, params as unknown[] as never))
    expect(steps?.map(({ detail }) => detail)).toContainEqual(expect.stringMatching(expected))
  })

  it('are those of today, after an index was made', async () => {
    const db = await openWithTable()
    const inspector = await inspectForTest(db)
    const stream = await connectTo(inspector)
    await stream.next('greeting')
    await db.all('SELECT x FROM t WHERE x = 1')
    const { id } = await stream.entry(ranSql('SELECT x FROM t WHERE x = 1'))
    const ask = async (): Promise<string> => (await fetch(`${inspector.url}plan/${id}`, { method: 'POST' })).text()
    expect(await ask()).toContain('SCAN t')
    await db.exec('CREATE INDEX t_x ON t (x)')
    expect(await ask()).toContain('SEARCH t USING COVERING INDEX t_x')
  })

  it('change nothing, and are not shown themselves', async () => {
    const db = await openWithTable()
    const inspector = await inspectForTest(db)
    const stream = await connectTo(inspector)
    await stream.next('greeting')
    await db.run('INSERT INTO t VALUES (7)')
    const { id } = await stream.entry(ranSql('INSERT INTO t VALUES (7)'))
    await fetch(`${inspector.url}plan/${id}`, { method: 'POST' })
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([1])
    await stream.entry(ranSql('SELECT count(*) FROM t'))
    expect(stream.text()).not.toContain('EXPLAIN')
    expect(stream.text()).not.toContain('sqlite_schema')
  })

  it('are refused where preparing a statement could act already', async () => {
    const db = await openWithTable()
    const { error } = await planOf(db, 'PRAGMA user_version = 5', () => db.run('PRAGMA user_version = 5'))
    expect(error).toContain('have a plan')
  })

  it('are told only of what was seen', async () => {
    const inspector = await inspectForTest(await openWithTable())
    const response = await fetch(`${inspector.url}plan/12345`, { method: 'POST', body: 'SELECT 1' })
    expect(await response.json()).toEqual({ error: 'This statement has been forgotten.' })
  })

  it('are refused for a text that the log has cut', async () => {
    const db = await openWithTable()
    const inspector = await inspectForTest(db)
    const stream = await connectTo(inspector)
    await stream.next('greeting')
    await db.all(`SELECT x FROM t WHERE x <> '${'long'.repeat(4_000)}'`)
    const { id } = await stream.entry(({ fields }) => String(fields['sql']).endsWith('…'))
    const response = await fetch(`${inspector.url}plan/${id}`, { method: 'POST' })
    expect(await response.json()).toEqual({ error: expect.stringContaining('too long') as string })
  })

  it('say why there is none', async () => {
    const db = await openWithTable()
    const sql = 'SELECT x FROM t AS gone'
    const { error } = await planOf(db, sql, async () => {
      await db.all(sql)
      await db.exec('DROP TABLE t')
    })
    expect(error).toContain('no such table: t')
  })
})
