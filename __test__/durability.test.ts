import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { TestContext } from 'vitest'

import type { OpenOptions } from '../index.js'
import { PACKAGE } from './support/child-process.js'
import { scratchFolder } from './support/scratch.js'

/** Writes texts in every way there is, each once, so that it can be found in what is written, and says when it was acknowledged. */
const PROGRAM = `'use strict'
const { writeSync } = require('node:fs')
const [, packagePath, path, options] = process.argv
const { open } = require(packagePath)
const ADD = 'INSERT INTO t VALUES (?)'
const acknowledge = (...texts) => writeSync(1, 'acknowledged ' + texts.join(' ') + '\\n')
const three = (name) => [1, 2, 3].map((part) => name + '-' + part + ';')
async function main() {
  const db = await open(path, JSON.parse(options))
  await db.exec('CREATE TABLE t (x TEXT)')
  for (const text of three('alone')) {
    await db.run(ADD, [text])
    acknowledge(text)
  }
  await Promise.all(Array.from({ length: 64 }, async (_, member) => {
    const text = 'group-' + member + ';'
    await db.run(ADD, [text])
    acknowledge(text)
  }))
  await db.transaction(async (tx) => {
    for (const text of three('transaction')) await tx.run(ADD, [text])
  })
  acknowledge(...three('transaction'))
  const tx = await db.begin()
  for (const text of three('begin')) await tx.run(ADD, [text])
  await tx.commit()
  acknowledge(...three('begin'))
  await db.batch(three('batch').map((text) => ({ sql: ADD, params: [text] })))
  acknowledge(...three('batch'))
  await db.exec(three('script').map((text) => "INSERT INTO t VALUES ('" + text + "')").join(';'))
  acknowledge(...three('script'))
  await db.writeMode(async (w) => {
    await w.run(ADD, ['writeMode-1;'])
    acknowledge('writeMode-1;')
  })
  const own = db.handle()
  await own.run('BEGIN')
  await own.run(ADD, ['handle-1;'])
  await own.run('COMMIT')
  acknowledge('handle-1;')
  await db.close()
}
main()`

const WRITTEN_TEXTS = 3 + 64 + 3 + 3 + 3 + 3 + 1 + 1

/** Runs the program, and returns its system calls that write and synchronize, as lines in the order in which they happened. */
function trace(options: OpenOptions): string[] {
  const folder = scratchFolder()
  const log = join(folder, 'trace')
  const calls = 'trace=write,writev,pwrite64,pwritev,fsync,fdatasync,?statx,?fstat,?newfstatat'
  const strace = ['-f', '-y', '-s', '100000', '-e', calls, '-e', 'signal=none', '-o', log]
  const program = [process.execPath, '--eval', PROGRAM, '--', PACKAGE, join(folder, 'test.db'), JSON.stringify(options)]
  const { status, stderr } = spawnSync('strace', [...strace, ...program], { encoding: 'utf8', timeout: 60_000 })
  if (status !== 0) throw new Error(`the traced program ended with ${status}: ${stderr}`)
  return readFileSync(log, 'latin1').split('\n')
}

/** What was acknowledged, and what of it had not been synchronized by then. */
interface Acknowledgements {
  readonly acknowledged: string[]
  readonly early: string[]
}

/** Follows a trace: a text is durable once a synchronization of the log has ended that began after the text was written. */
function followTrace(lines: readonly string[]): Acknowledgements {
  const [written, durable] = [new Set<string>(), new Set<string>()]
  const syncing = new Map<string, string[]>()
  const acknowledged: string[] = []
  const early: string[] = []
  for (const line of lines) {
    const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (/^p?write(?:v|64)?\(\d+<[^>]*-wal>/.test(call)) for (const text of textsIn(call)) written.add(text)
    if (/^f(?:data)?sync\(\d+<[^>]*-wal>/.test(call)) syncing.set(thread, [...written])
    if (/^(?:f(?:data)?sync\(\d+<[^>]*-wal>\)|<\.\.\. f(?:data)?sync resumed>\)) += 0/.test(call)) {
      for (const text of syncing.get(thread) ?? []) durable.add(text)
      syncing.delete(thread)
    }
    if (/^write\(1<[^>]*>, "acknowledged /.test(call)) {
      const texts = textsIn(call)
      acknowledged.push(...texts)
      early.push(...texts.filter((text) => !durable.has(text)))
    }
  }
  return { acknowledged, early }
}

/** Finds the texts of the program among what a call has written. */
function textsIn(call: string): string[] {
  return call.match(/(?:alone|group|transaction|begin|batch|script|writeMode|handle)-\d+(?=;)/g) ?? []
}

function expectStrace({ skip }: TestContext): void {
  const { status } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'])
  skip(status !== 0, 'there is no strace here, or it may not trace: install it to see that acknowledgements follow the fsync')
}

describe('durability', () => {
  it('acknowledges a write after the log was synchronized: alone, in a group, a transaction, a batch, a script', { timeout: 90_000 }, (context) => {
    expectStrace(context)
    const { acknowledged, early } = followTrace(trace({ durability: 'full' }))
    expect(acknowledged.length).toBe(WRITTEN_TEXTS)
    expect(early).toEqual([])
  })

  it('does so by default', { timeout: 90_000 }, (context) => {
    expectStrace(context)
    expect(followTrace(trace({})).early).toEqual([])
  })

  it.for(['normal', 'off'] as const)('does not wait for it with %s, which the same trace shows', { timeout: 90_000 }, (durability, context) => {
    expectStrace(context)
    const { acknowledged, early } = followTrace(trace({ durability }))
    expect(acknowledged.length).toBe(WRITTEN_TEXTS)
    // A checkpoint in between may have synchronized some.
    expect(early.length).toBeGreaterThan(0)
  })

  // See `FileIdentity` in crates/core/src/connection/identity.rs.
  it('asks for no times of the log between commits, for which Linux would have every fsync wait for its inode, too', { timeout: 90_000 }, (context) => {
    expectStrace(context)
    const lines = trace({ durability: 'full' })
    const acknowledgements = [...lines.keys()].filter((index) => lines[index]?.includes('acknowledged'))
    const looks = lines.slice(acknowledgements[0], acknowledgements.at(-4)).filter((line) => /stat(?:x|at)?\(.*-wal[">]/.test(line))
    expect(looks.length).toBeGreaterThan(0)
    for (const look of looks) expect(look).toMatch(/statx\(.*, STATX_INO, /)
  })

  it('is not shown by a synchronization that began before the write, or has not ended', () => {
    const wal = '7</tmp/test.db-wal>'
    const write = `1  pwrite64(${wal}, "\\0alone-1;\\0", 9, 0) = 9`
    const acknowledge = '2  write(1<pipe:[1]>, "acknowledged alone-1;\\n", 22) = 22'
    const early = (...lines: string[]): string[] => followTrace([...lines, acknowledge]).early
    expect(early(write, `1  fdatasync(${wal}) = 0`)).toEqual([])
    expect(early(write, `1  fdatasync(${wal} <unfinished ...>`, '1  <... fdatasync resumed>) = 0')).toEqual([])
    expect(early(write, `1  fdatasync(${wal} <unfinished ...>`)).toEqual(['alone-1'])
    expect(early(`1  fdatasync(${wal} <unfinished ...>`, write, '1  <... fdatasync resumed>) = 0')).toEqual(['alone-1'])
    expect(early(write, `1  fdatasync(${wal}) = -1 EIO (Input/output error)`)).toEqual(['alone-1'])
    expect(early(write, '1  fdatasync(8</tmp/test.db>) = 0')).toEqual(['alone-1'])
  })
})
