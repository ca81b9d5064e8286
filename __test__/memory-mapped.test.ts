import { describe, expect, it } from 'vitest'

import { converse } from './support/child-process.js'
import type { Conversation } from './support/child-process.js'
import { openForTest, openScratch, scratchPath } from './support/scratch.js'

/** How often each process fills the file, empties it, and has the log moved and cut off. */
const ROUNDS = 30

/** The file shrinks by megabytes and grows again, while it is mapped and read: a page that is gone would end the process with SIGBUS. */
const PROGRAM = `main(async () => {
  const [, path, rounds, name] = process.argv
  const db = await open(path, { durability: 'off', maxReaders: 2, busyTimeoutMs: 20000, pragmas: { mmap_size: 268435456 } })
  console.log('open')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  let isOn = true
  const read = async () => { while (isOn) await db.all('SELECT length(x), substr(x, 1, 1) FROM t') }
  const reads = [read(), read()]
  let truncated = 0
  for (let round = 0; round < Number(rounds); round++) {
    await db.run("WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500) INSERT INTO t SELECT ?, randomblob(4000) FROM c", [name])
    await db.run('INSERT INTO rounds VALUES (?, ?)', [name, round])
    await db.run('DELETE FROM t WHERE owner = ?', [name])
    await db.run('PRAGMA incremental_vacuum')
    const { busy } = await db.checkpoint('truncate')
    if (!busy) truncated++
  }
  isOn = false
  await Promise.all(reads)
  const [mapped] = await db.pluck('PRAGMA mmap_size')
  await db.close()
  console.log(JSON.stringify({ truncated, mapped }))
  process.exit()
})`

describe('L21: memory-mapped files', () => {
  it('are not used unless they are asked for', async () => {
    const db = await openScratch({ maxReaders: 3 })
    await db.exec('CREATE TABLE t (x)')
    expect(await Promise.all([1, 2, 3].map(() => db.read((r) => r.pluck('PRAGMA mmap_size'))))).toEqual([[0], [0], [0]])
    expect(await db.transaction((tx) => tx.pluck('PRAGMA mmap_size'))).toEqual([0])
  })

  it('survive that two processes cut the file and its log off, again and again', { timeout: 120_000 }, async () => {
    const path = scratchPath()
    const made = await openForTest(path, { pragmas: { auto_vacuum: 'incremental' } })
    await made.exec('CREATE TABLE t (owner, x); CREATE TABLE rounds (owner, round)')
    await made.close()
    const processes: Conversation[] = ['one', 'other'].map((name) => converse(PROGRAM, { args: [path, String(ROUNDS), name] }))
    for (const child of processes) expect(await child.line()).toBe('open')
    processes.forEach((child) => child.say('go'))
    const ends = await Promise.all(processes.map(({ ended }) => ended))
    for (const { code, signal, stdout, stderr } of ends) {
      expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
      const { truncated, mapped } = JSON.parse(stdout.split('\n').at(-2) ?? '') as { truncated: number; mapped: number }
      expect(mapped).toBe(268_435_456)
      expect(truncated).toBeGreaterThan(0)
    }
    const db = await openForTest(path)
    expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
    expect(await db.values('SELECT owner, count(*) FROM rounds GROUP BY owner ORDER BY owner')).toEqual([['one', ROUNDS], ['other', ROUNDS]])
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
  })
})
