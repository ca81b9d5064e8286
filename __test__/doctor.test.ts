import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from 'sluice'
import type { OpenOptions } from 'sluice'
import { librariesAmong } from '../dist/cli/check-copies.mjs'
import { refusal } from '../dist/cli/examine.mjs'
import { converse } from './support/child-process.js'
import { runCommand } from './support/command.js'
import { openForTest, scratchFolder, scratchPath } from './support/scratch.js'

interface Finding {
  readonly check: string
  readonly level: string
  readonly what: string
  readonly why?: string
  readonly advice?: string
}

/** Matches a text that holds another. */
function holding(text: string): string {
  return expect.stringContaining(text) as string
}

function matching(pattern: RegExp): string {
  return expect.stringMatching(pattern) as string
}

interface Report {
  readonly code: number | null
  readonly path: string
  readonly sqlite: string
  readonly findings: readonly Finding[]
  readonly counts: { readonly [level: string]: number }
}

async function diagnose(path: string, args: readonly string[] = [], cwd?: string): Promise<Report> {
  const { code, stdout, stderr } = await runCommand(['doctor', path, '--json', ...args], cwd)
  expect(stderr).toBe('')
  return { code, ...(JSON.parse(stdout) as Omit<Report, 'code'>) }
}

/** Returns the finding of one check. */
async function found(path: string, check: string): Promise<Finding> {
  const { findings } = await diagnose(path)
  const finding = findings.find((one) => one.check === check)
  if (finding === undefined) throw new Error(`nothing was checked under the name ${check}`)
  return finding
}

/** Makes a database that is closed again. */
async function make(sql: string, options?: OpenOptions): Promise<string> {
  const path = scratchPath()
  const db = await open(path, options)
  await db.exec(sql)
  await db.close()
  return path
}

const CITIES = `
  CREATE TABLE countries (code TEXT PRIMARY KEY);
  CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT, country TEXT REFERENCES countries);
  CREATE INDEX cities_by_country ON cities (country);
  CREATE VIRTUAL TABLE names USING fts5 (name);
  INSERT INTO countries VALUES ('DE'), ('FR');
  INSERT INTO cities (name, country) VALUES ('Berlin', 'DE'), ('Paris', 'FR');
  ANALYZE;
`

/** Overwrites a text in the page of a kind that holds it: https://sqlite.org/fileformat.html#b_tree_pages. */
function damage(path: string, text: string, pageType: number): void {
  const bytes = readFileSync(path)
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    if (bytes[at - (at % 4_096)] === pageType) bytes.write('?'.repeat(text.length), at)
  }
  writeFileSync(path, bytes)
}

const INDEX_LEAF = 0x0a

describe('sluice doctor', () => {
  it('finds nothing wrong with a good database, and leaves it and its folder as they were', async () => {
    const path = await make(CITIES)
    const before = { bytes: readFileSync(path), files: readdirSync(dirname(path)), changedMs: statSync(path).mtimeMs }
    const { code, findings, counts, sqlite } = await diagnose(path)
    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([])
    expect({ code, counts }).toEqual({ code: 0, counts: { ok: findings.length, note: 0, warning: 0, problem: 0 } })
    expect(sqlite).toMatch(/^3\.\d+\.\d+$/)
    expect({ bytes: readFileSync(path), files: readdirSync(dirname(path)), changedMs: statSync(path).mtimeMs }).toEqual(before)
  })

  it('names each check once', async () => {
    const names = (await diagnose(await make(CITIES))).findings.map(({ check }) => check)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(20)
  })

  it('prints for people what it prints as JSON', async () => {
    const path = await make(CITIES, { concurrency: 'exclusive' })
    const { code, stdout } = await runCommand(['doctor', path])
    expect(code).toBe(0)
    expect(stdout).toContain(path)
    expect(stdout).toMatch(/^note {5}journal mode: It is written without a write-ahead log\.$/m)
    expect(stdout).toMatch(/^ {9}→ Run `await db\.pragma/m)
    expect(stdout).toMatch(/0 problems, 0 warnings, 1 note; \d+ checks found nothing to say\.\n$/)
  })

  it('says what --quick leaves out', async () => {
    const path = await make(CITIES)
    damage(path, 'DE', INDEX_LEAF)
    expect((await diagnose(path, ['--quick'])).findings.find(({ check }) => check === 'integrity')).toMatchObject({
      level: 'ok',
      what: holding('indexes were not compared'),
    })
  })
})

describe('sluice doctor tells of damage:', () => {
  it('an index that does not fit its table', async () => {
    const path = await make(CITIES)
    damage(path, 'DE', INDEX_LEAF)
    const { code, findings } = await diagnose(path)
    expect(code).toBe(1)
    expect(findings.find(({ check }) => check === 'integrity')).toMatchObject({
      level: 'problem',
      what: holding('missing from index cities_by_country'),
      advice: holding('REINDEX'),
    })
  })

  it('a page that makes no sense', async () => {
    const path = await make(CITIES)
    const bytes = readFileSync(path)
    bytes.fill(0xee, 4_096, 8_192)
    writeFileSync(path, bytes)
    expect(await found(path, 'integrity')).toMatchObject({ level: 'problem', advice: holding('.recover') })
  })

  it('a file whose end is missing', async () => {
    const path = await make(CITIES, { concurrency: 'exclusive' })
    truncateSync(path, 8_192)
    expect(await found(path, 'length')).toMatchObject({ level: 'problem', what: 'The file has only 8.0 KiB.' })
  })

  it('a file that is no database', async () => {
    const path = scratchPath()
    writeFileSync(path, 'Dear diary, '.repeat(1_000))
    const { code, findings } = await diagnose(path)
    expect(code).toBe(1)
    const what = 'It cannot be opened: file is not a database.'
    expect(findings.find(({ check }) => check === 'format')).toMatchObject({ level: 'problem', what })
  })

  it('references that lead nowhere', async () => {
    const path = await make(`${CITIES} INSERT INTO cities (country) VALUES ('XX'), ('YY');`, { foreignKeys: false })
    expect(await found(path, 'foreign keys')).toMatchObject({
      level: 'problem',
      what: '2 rows of cities refer to rows of countries that are not there.',
    })
  })

  it('tables that are referred to and missing', async () => {
    const path = await make('CREATE TABLE a (b REFERENCES gone)')
    expect(await found(path, 'referenced tables')).toMatchObject({ level: 'warning', what: 'Tables are missing: a refers to gone.' })
  })

  it('a transaction that was cut off', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { concurrency: 'exclusive', pragmas: { cache_size: 1 } })
    await db.exec('CREATE TABLE t (x)')
    const tx = await db.begin()
    for (let row = 0; row < 500; row++) await tx.run('INSERT INTO t VALUES (zeroblob(3000))')
    const copy = join(scratchFolder(), 'copy.db')
    copyFileSync(path, copy)
    copyFileSync(`${path}-journal`, `${copy}-journal`)
    await tx.rollback()
    const before = readFileSync(copy)
    const { code, findings } = await diagnose(copy)
    expect(code).toBe(1)
    expect(findings.find(({ check }) => check === 'format')).toMatchObject({ level: 'problem', why: holding('must be undone') })
    expect(findings.find(({ check }) => check === 'journal')).toMatchObject({ level: 'warning', advice: holding('never remove') })
    expect(readFileSync(copy).equals(before)).toBe(true)
  })
})

describe('sluice doctor tells of what lies beside a database:', () => {
  async function copyWithLog(): Promise<string> {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    const copy = join(scratchFolder(), 'copy.db')
    copyFileSync(path, copy)
    copyFileSync(`${path}-wal`, `${copy}-wal`)
    return copy
  }

  it('a write-ahead log that was left behind', async () => {
    const copy = await copyWithLog()
    const before = [readFileSync(copy), readFileSync(`${copy}-wal`)]
    expect(await found(copy, 'write-ahead log')).toMatchObject({ level: 'note', advice: holding('Keep both files together') })
    expect([readFileSync(copy), readFileSync(`${copy}-wal`)]).toEqual(before)
  })

  it('a write-ahead log of another file', async () => {
    const log = `${await copyWithLog()}-wal`
    const path = await make('CREATE TABLE t (x)', { concurrency: 'exclusive' })
    copyFileSync(log, `${path}-wal`)
    expect(await found(path, 'write-ahead log')).toMatchObject({ level: 'warning', why: holding('may belong to another file') })
  })

  it('an index of a write-ahead log that is gone', async () => {
    const path = await make('CREATE TABLE t (x)')
    writeFileSync(`${path}-shm`, '')
    expect(await found(path, 'shared memory')).toMatchObject({ level: 'note' })
  })

  it('a second name, and a symbolic link', async () => {
    const path = await make('CREATE TABLE t (x)')
    symlinkSync(path, `${path}.link`)
    expect(await found(`${path}.link`, 'links')).toMatchObject({ level: 'note', what: `It is a symbolic link to ${path}.` })
    linkSync(path, `${path}.name`)
    expect(await found(path, 'links')).toMatchObject({ level: 'warning', what: 'The file has 2 names (hard links).' })
  })

  it('who may write to it', async () => {
    const path = await make('CREATE TABLE t (x)')
    chmodSync(path, 0o666)
    expect(await found(path, 'permissions')).toMatchObject({ level: 'warning', what: 'Every user of this machine may write to the file.' })
  })

  it('a synchronised folder', async () => {
    const folder = join(scratchFolder(), 'Dropbox')
    mkdirSync(folder)
    const path = join(folder, 'app.db')
    copyFileSync(await make('CREATE TABLE t (x)'), path)
    expect(await found(path, 'file system')).toMatchObject({ level: 'warning', what: 'The file lies in a synchronised folder (Dropbox).' })
  })
})

describe('sluice doctor tells of settings:', () => {
  it('an empty file', async () => {
    const path = scratchPath()
    writeFileSync(path, '')
    const { code, findings } = await diagnose(path)
    expect(code).toBe(0)
    expect(findings[0]).toMatchObject({ level: 'ok', what: 'The file is empty: a database without tables.' })
  })

  it('small pages, and another encoding', async () => {
    const path = await make("PRAGMA page_size = 1024; PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x)", { concurrency: 'exclusive' })
    expect(await found(path, 'page size')).toMatchObject({ level: 'note', what: 'Pages have 1.0 KiB.' })
    expect(await found(path, 'encoding')).toMatchObject({ level: 'note', what: 'Texts are UTF-16le.' })
  })

  it('user_version and application_id', async () => {
    const path = await make('PRAGMA user_version = 7; PRAGMA application_id = 1234')
    const what = matching(/^user_version is 7, application_id 0x000004d2; SQLite 3\.\d+\.\d+ wrote to it last\.$/)
    expect(await found(path, 'identity')).toMatchObject({ level: 'ok', what })
  })

  it('pages that are not used', async () => {
    const path = await make('CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(4000000)); DELETE FROM t')
    expect(await found(path, 'free pages')).toMatchObject({ level: 'note', advice: holding('VACUUM') })
  })

  it('foreign keys without an index, and indexes without statistics', async () => {
    const path = await make('CREATE TABLE a (id INTEGER PRIMARY KEY, n); CREATE TABLE b (a REFERENCES a, c); CREATE INDEX b_c ON b (c)')
    expect(await found(path, 'indexes of foreign keys')).toMatchObject({ level: 'note', what: 'Foreign keys without an index: b.a.' })
    expect(await found(path, 'statistics')).toMatchObject({ level: 'note', what: 'No statistics are kept of 1 index.' })
  })
})

describe('sluice doctor tells of other copies of SQLite:', () => {
  const HOLDER = `main(async () => {
    const [, path, other] = process.argv
    if (other !== undefined) process.dlopen({ exports: {} }, other)
    // A handle that is collected closes.
    const db = (globalThis.kept = await open(path))
    await db.run('CREATE TABLE IF NOT EXISTS t (x)')
    console.log('open')
    process.stdin.resume()
  })`

  it.runIf(process.platform === 'linux')('processes that have the file open', async () => {
    const path = scratchPath()
    expect(await converse(HOLDER, { args: [path] }).line()).toBe('open')
    const what = matching(/^1 process has the file open: \w.* \(\d+\)\.$/)
    expect(await found(path, 'other processes')).toMatchObject({ level: 'ok', what })
  })

  it.runIf(process.platform === 'linux')('a process that has the file open and two drivers loaded', async () => {
    const path = scratchPath()
    const other = join(dirname(path), 'better_sqlite3.node')
    copyFileSync(readdirSync('.').find((name) => name.endsWith('.node')) ?? '', other)
    expect(await converse(HOLDER, { args: [path, other] }).line()).toBe('open')
    expect(await found(path, 'other processes')).toMatchObject({ level: 'warning', what: matching(/has loaded .*better_sqlite3\.node/) })
  })

  it('drivers that an application here could load', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'node_modules', 'better-sqlite3'), { recursive: true })
    writeFileSync(join(folder, 'node_modules', 'better-sqlite3', 'package.json'), '{}')
    const { findings } = await diagnose(await make('CREATE TABLE t (x)'), [], folder)
    expect(findings.find(({ check }) => check === 'other drivers')).toMatchObject({ level: 'note', what: holding('better-sqlite3') })
  })

  it('libraries by the names of their files', () => {
    const libraries = [
      '/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6',
      '/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node',
      '/app/node_modules/sluice/sluice.linux-x64-gnu.node',
      String.raw`C:\app\node_sqlite3.node`,
      '/usr/lib/python3.11/lib-dynload/_sqlite3.cpython-311-x86_64-linux-gnu.so',
    ]
    expect(librariesAmong([...libraries, '/usr/lib/libc.so.6', '/app/sqlite3.db', '/app/sluices.node'])).toEqual(libraries.sort())
  })
})

describe('sluice doctor explains why a file cannot be opened:', () => {
  it.each([
    ['ERR_SLUICE_NETWORK_FILE_SYSTEM', 'over a network'],
    ['SQLITE_BUSY_RECOVERY', 'has the file locked'],
    ['SQLITE_READONLY_CANTINIT', 'make the files beside it'],
    ['SQLITE_CANTOPEN', 'may not open the file'],
    ['SQLITE_CORRUPT', 'makes no sense'],
    ['SQLITE_SOMETHING_NEW', 'refuses it (SQLITE_SOMETHING_NEW)'],
  ])('%s', (code, why) => {
    const finding = refusal(Object.assign(new Error('cannot open /x/y.db: because'), { code }))
    expect(finding).toMatchObject({ check: 'format', level: 'problem', what: 'It cannot be opened: because.', why: holding(why) })
  })
})
