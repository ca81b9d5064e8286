import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { TestContext } from 'vitest'

import { PACKAGE } from './support/child-process.js'
import { scratchFolder } from './support/scratch.js'

/** Uses a database in every way that opens, closes, looks at or replaces files of it. */
const PROGRAM = `'use strict'
const { readFileSync } = require('node:fs')
const [, packagePath, path, also] = process.argv
const { open } = require(packagePath)
async function main() {
  const db = await open(path, { maxReaders: 2, idleTtlMs: 0 })
  await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  const again = await open(path)
  await Promise.all([db.all('SELECT x FROM t'), db.read((r) => r.all('SELECT x FROM t')), again.all('SELECT x FROM t')])
  for await (const row of db.iterate('SELECT x FROM t'));
  await db.transaction((tx) => tx.run('INSERT INTO t VALUES (2)'))
  await db.writeMode((w) => w.run('VACUUM'))
  await db.pragma('journal_mode', 'delete')
  await db.pragma('journal_mode', 'wal')
  await db.checkpoint('truncate')
  const mirror = await db.mirror({ watch: true, pollMs: 1 })
  await db.run('INSERT INTO t VALUES (3)')
  await mirror.reload()
  await mirror.close()
  const reader = await open(path, { readonly: true })
  await reader.all('SELECT x FROM t')
  await reader.close()
  if (also === 'reads the file itself') readFileSync(path)
  db.status()
  db.metrics()
  await again.close()
  await db.close()
}
main()`

/** A file of the database that was opened: by which thread, and how. */
interface Opening {
  readonly thread: string
  readonly file: string
  readonly flags: string
}

/** Runs the program, and returns what opened files of the database. */
function openings(also: string): Opening[] {
  const folder = scratchFolder()
  const log = join(folder, 'trace')
  const strace = ['-f', '-s', '4096', '-e', 'trace=open,openat,openat2,creat,prctl', '-e', 'signal=none', '-o', log]
  const program = [process.execPath, '--eval', PROGRAM, '--', PACKAGE, join(folder, 'a.db'), also]
  const { status, stderr } = spawnSync('strace', [...strace, ...program], { encoding: 'utf8', timeout: 60_000 })
  if (status !== 0) throw new Error(`the traced program ended with ${status}: ${stderr}`)
  return openingsIn(readFileSync(log, 'latin1').split('\n'), join(folder, 'a.db'))
}

function openingsIn(lines: readonly string[], path: string): Opening[] {
  const names = new Map<string, string>()
  return lines.flatMap((line) => {
    const [, id = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const [, name] = /^prctl\(PR_SET_NAME, "([^"]*)"/.exec(call) ?? []
    if (name !== undefined) names.set(id, name)
    const [, opened = '', rest = ''] = /^(?:open|openat|openat2|creat)\((?:AT_FDCWD, )?"([^"]*)"(.*)/.exec(call) ?? []
    const file = opened.slice(path.length)
    if (!opened.startsWith(path) || !/^(?:-wal|-shm|-journal)?$/.test(file)) return []
    return [{ thread: names.get(id) ?? 'of Node', file, flags: /O_[A-Z_|]+/.exec(rest)?.[0] ?? '' }]
  })
}

/** SQLite never follows the last link of a path, for it has done so itself: Node and Rust do not say that when they open a file. */
function isOfSqlite({ thread, flags }: Opening): boolean {
  return thread.startsWith('sluice:') && flags.includes('O_NOFOLLOW')
}

function expectStrace({ skip }: TestContext): void {
  const { status } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'])
  skip(status !== 0, 'there is no strace here, or it may not trace: install it to see who opens the files')
}

describe('P07: the files of a database', () => {
  it('are opened by SQLite alone, on threads of their connections', { timeout: 90_000 }, (context) => {
    expectStrace(context)
    const found = openings('')
    expect(found.filter((opening) => !isOfSqlite(opening))).toEqual([])
    // Every kind of file, by every kind of thread.
    expect(new Set(found.map(({ file }) => file))).toEqual(new Set(['', '-wal', '-shm', '-journal']))
    expect(found.map(({ thread }) => thread)).toEqual(expect.arrayContaining([expect.stringMatching(/^sluice:a.db:wri/), expect.stringMatching(/^sluice:a.db:rea/)]))
    expect(found.length).toBeGreaterThan(10)
  })

  it('are seen to be opened by an application that reads one of them itself', { timeout: 90_000 }, (context) => {
    expectStrace(context)
    const strangers = openings('reads the file itself').filter((opening) => !isOfSqlite(opening))
    expect(strangers).toEqual([{ thread: 'of Node', file: '', flags: expect.stringContaining('O_RDONLY') }])
  })
})
