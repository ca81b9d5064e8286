import { existsSync, linkSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from '../index.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openScratch, scratchFolder, scratchPath } from './support/scratch.js'

describe('P01: what is no path', () => {
  const noPaths = { undefined, null: null, number: 7, object: {}, array: ['a.db'], symbol: Symbol('a'), boolean: true, date: new Date() }

  it.each(Object.entries(noPaths))('rejects %s, and says what it takes', async (_name, path) => {
    const { code, message } = await failureOf(open(path as never))
    expect(code).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(message).toMatch(/path must be a string/)
  })

  it.each(['a\0b.db', Buffer.from('a\0b.db'), Buffer.from([0x61, 0, 0xff])])('rejects a NUL inside %j and makes no file', async (path) => {
    const folder = scratchFolder()
    const whole = typeof path === 'string' ? join(folder, path) : Buffer.concat([Buffer.from(`${folder}/`), path])
    expect(await codeOf(open(whole))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    expect(readdirSync(folder)).toEqual([])
  })

  it.each(['https://example.com/a.db', 'file:///a.db?mode=ro', 'file:///a.db#b', 'file:///a%2Fb.db', 'file:///a%00b.db'])(
    'rejects the URL %s',
    async (url) => {
      expect(await codeOf(open(new URL(url)))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    },
  )

  it('rejects a lone surrogate, which would become another name', async () => {
    expect(await codeOf(open(join(scratchFolder(), '\ud800.db')))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
  })
})

describe('paths', () => {
  it('takes a string, a Buffer and a file: URL for the same file', async () => {
    const path = scratchPath('a b%20#?.db')
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    for (const same of [Buffer.from(path), new Uint8Array(Buffer.from(path)), pathToFileURL(path)]) {
      const other = await openForTest(same)
      expect(other.path).toBe(path)
      expect(await other.pluck('SELECT x FROM t')).toEqual([1])
    }
  })

  it.each(['?nolock=1&immutable=1', '?vfs=unix-none', '?mode=memory', '#fragment', '%41'])(
    'P02: takes file:x.db%s as a literal file name',
    async (suffix) => {
      const folder = scratchFolder()
      const name = `file:x.db${suffix}`
      const db = await openForTest(join(folder, name))
      await db.exec('CREATE TABLE t (x)')
      await db.close()
      expect(readdirSync(folder)).toEqual([name])
    },
  )

  it('P02: takes a relative file:… as a literal file name too', async () => {
    const folder = scratchFolder()
    const before = process.cwd()
    process.chdir(folder)
    onTestFinished(() => process.chdir(before))
    const db = await openForTest('file:x.db?mode=memory')
    await db.exec('CREATE TABLE t (x)')
    await db.close()
    expect(readdirSync(folder)).toEqual(['file:x.db?mode=memory'])
  })

  it('P02: takes a URI as one with uri: true, parameters included', async () => {
    const path = scratchPath()
    await (await openForTest(path)).exec('CREATE TABLE t (x)')
    const db = await openForTest(`file:${path}?mode=ro`, { uri: true })
    expect(await db.all('SELECT * FROM t')).toEqual([])
    expect(await codeOf(db.run('INSERT INTO t VALUES (1)'))).toMatch(/^SQLITE_READONLY/)
  })

  it.each(['file::memory:', 'file:x?mode=memory', 'file:/x?vfs=memdb', 'file:'])(
    'P02, P15: refuses the URI %s, under which each connection would find another database',
    async (uri) => {
      const { code, message } = await failureOf(open(uri, { uri: true }))
      expect(code).toBe('ERR_SLUICE_INVALID_ARGUMENT')
      expect(message).toContain(uri)
    },
  )

  it('P03: keeps to the file of open when the working directory changes before a reader opens', async () => {
    const [folder, elsewhere] = [scratchFolder(), scratchFolder()]
    const before = process.cwd()
    onTestFinished(() => process.chdir(before))
    process.chdir(folder)
    const db = await openForTest('x.db')
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    process.chdir(elsewhere)
    expect(db.status().readers.open).toBe(0)
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
    expect(db.status().readers.open).toBe(1)
    expect(readdirSync(elsewhere)).toEqual([])
  })

  it('P03: fixes the path in the call to open, not later', async () => {
    const [folder, elsewhere] = [scratchFolder(), scratchFolder()]
    const before = process.cwd()
    onTestFinished(() => process.chdir(before))
    process.chdir(folder)
    const opening = openForTest('x.db')
    process.chdir(elsewhere)
    expect((await opening).path).toBe(join(folder, 'x.db'))
    expect(readdirSync(elsewhere)).toEqual([])
  })

  const names = { newline: 'a\nb.db', 'a question mark': 'a?b=1.db', 'a hash': 'a#b.db', 'a percent sign': 'a%41.db', quotes: `a'"b.db`, emoji: '🦭.db', blanks: '  .db ' }
  it.each(Object.entries(names))('P25: opens a name with %s literally', async (_what, name) => {
    const folder = scratchFolder()
    const db = await openForTest(join(folder, name))
    await db.exec('CREATE TABLE t (x)')
    expect(await db.all('SELECT * FROM t')).toEqual([])
    await db.close()
    expect(readdirSync(folder)).toEqual([name])
  })

  it('P25: opens a name that is not UTF-8, on every connection', async () => {
    const folder = scratchFolder()
    const name = Buffer.from([0x61, 0xff, 0xfe, 0x2e, 0x64, 0x62])
    const db = await openForTest(Buffer.concat([Buffer.from(`${folder}/`), name]))
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (7)')
    expect(await db.execute('SELECT x FROM t')).toMatchObject({ rows: [{ x: 7 }], route: 'read' })
    await db.close()
    expect(readdirSync(folder, { encoding: 'buffer' })).toEqual([name])
  })

  it('P25: refuses a path of 4,000 characters that does not exist, and truncates none that does', async () => {
    const folder = scratchFolder()
    const long = join(folder, 'd'.repeat(200), 'x'.repeat(4_000))
    expect(await codeOf(open(long))).toMatch(/^SQLITE_CANTOPEN/)
    expect(readdirSync(folder)).toEqual([])

    // 480 is within what SQLite's file layer takes (512), with room for "-journal".
    const deep = join(folder, ...Array.from({ length: 4 }, () => 'd'.repeat(Math.floor((480 - folder.length) / 4) - 1)))
    mkdirSync(dirname(deep), { recursive: true })
    const db = await openForTest(deep)
    await db.exec('CREATE TABLE t (x)')
    await db.close()
    expect(readdirSync(dirname(deep))).toEqual([basename(deep)])
  })
})

describe('P08: one file opened twice', () => {
  it('serves two handles, each seeing what the other wrote', async () => {
    const path = scratchPath()
    const first = await openForTest(path)
    await first.exec('CREATE TABLE t (x)')
    const second = await openForTest(path)
    for (let round = 0; round < 20; round++) {
      const [writes, reads] = round % 2 === 0 ? [first, second] : [second, first]
      await writes.run('INSERT INTO t VALUES (?)', [round])
      expect(await reads.get('SELECT count(*) AS n FROM t')).toEqual({ n: round + 1 })
    }
  })

  it('commits every write of two handles that write at once', async () => {
    const path = scratchPath()
    const handles = [await openForTest(path), await openForTest(path)]
    await handles[0]?.exec('CREATE TABLE t (x)')
    await Promise.all(handles.flatMap((db) => Array.from({ length: 100 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x]))))
    for (const db of handles) expect(await db.get('SELECT count(*) AS n FROM t')).toEqual({ n: 200 })
  })

  it('lets one handle close while the other goes on', async () => {
    const path = scratchPath()
    const first = await openForTest(path)
    const second = await openForTest(path)
    await first.exec('CREATE TABLE t (x)')
    await first.close()
    await second.run('INSERT INTO t VALUES (1)')
    expect(await second.pluck('SELECT x FROM t')).toEqual([1])
    await second.close()
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('knows the file through a symbolic link, a hard link and a relative path', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    const [soft, hard] = [join(dirname(path), 'soft.db'), join(scratchFolder(), 'linked')]
    symlinkSync(path, soft)
    for (const same of [soft, relative(process.cwd(), path)]) {
      const other = await openForTest(same)
      await other.run('INSERT INTO t VALUES (?)', [same])
      await other.close()
    }
    expect(await db.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2 })
    await db.close()
    linkSync(path, hard)
    const other = await openForTest(hard)
    expect(await other.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2 })
  })
})

describe('P10, P11: what cannot be opened', () => {
  it('P10: says which path has no folder', async () => {
    const path = join(scratchFolder(), 'missing', 'a.db')
    const { code, message } = await failureOf(open(path))
    expect(code).toMatch(/^SQLITE_CANTOPEN/)
    expect(message).toContain(path)
    expect(existsSync(dirname(path))).toBe(false)
  })

  it('P10: says which path is a folder', async () => {
    const path = scratchFolder()
    const { code, message } = await failureOf(open(path))
    expect(code).toMatch(/^SQLITE_CANTOPEN/)
    expect(message).toContain(path)
  })

  it('P10: says which path has a file where a folder should be', async () => {
    const path = scratchPath()
    await (await openForTest(path)).close()
    const { code, message } = await failureOf(open(join(path, 'a.db')))
    expect(code).toMatch(/^SQLITE_CANTOPEN/)
    expect(message).toContain(path)
  })

  it.each([{ create: false }, { readonly: true }])('P11: does not make a missing file with %j', async (options) => {
    const path = scratchPath()
    const { code, message } = await failureOf(open(path, options))
    expect(code).toMatch(/^SQLITE_CANTOPEN/)
    expect(message).toContain(path)
    expect(readdirSync(dirname(path))).toEqual([])
  })

  it('opens an existing file with create: false, and writes to it', async () => {
    const path = scratchPath()
    await (await openForTest(path)).exec('CREATE TABLE t (x)')
    const db = await openForTest(path, { create: false })
    expect(await db.run('INSERT INTO t VALUES (1)')).toEqual({ changes: 1, lastInsertRowid: 1 })
  })
})

describe('the SQLite inside', () => {
  it('is at least 3.51.3', async () => {
    const db = await openScratch()
    const [version] = await db.pluck<string>('SELECT sqlite_version()')
    const [major = 0, minor = 0, patch = 0] = String(version).split('.').map(Number)
    expect(major * 1_000_000 + minor * 1_000 + patch).toBeGreaterThanOrEqual(3_051_003)
  })

  it('enforces foreign keys unless it is told otherwise', async () => {
    const script = 'CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)'
    const strict = await openScratch()
    await strict.exec(script)
    expect(await codeOf(strict.run('INSERT INTO c VALUES (1)'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY')
    const lax = await openScratch({ foreignKeys: false })
    await lax.exec(script)
    expect(await lax.run('INSERT INTO c VALUES (1)')).toMatchObject({ changes: 1 })
  })

  it('writes a header that any SQLite reads', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    await db.close()
    expect(readFileSync(path).subarray(0, 15).toString()).toBe('SQLite format 3')
  })
})
