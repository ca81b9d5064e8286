import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { describe, expect, it } from 'vitest'

import { PACKAGE, converse, runScript } from './support/child-process.js'
import { openForTest, scratchPath } from './support/scratch.js'

/** Each leaves something open that has written 2, after 1 was committed. */
const OPEN: { readonly [name: string]: string } = {
  begin: `const tx = await db.begin(); globalThis.kept = tx; await tx.run('INSERT INTO t VALUES (2)')`,
  'a transaction callback': `await new Promise((resolve) => db.transaction(async (tx) => { await tx.run('INSERT INTO t VALUES (2)'); resolve(); await new Promise(() => {}) }).catch(() => {}))`,
  'a nested transaction': `await new Promise((resolve) => db.transaction((tx) => tx.transaction(async (nested) => { await nested.run('INSERT INTO t VALUES (2)'); resolve(); await new Promise(() => {}) })).catch(() => {}))`,
  'BEGIN as text': `const own = db.handle(); globalThis.kept = own; await own.run('BEGIN'); await own.run('INSERT INTO t VALUES (2)')`,
  'a statement in a transaction': `const tx = await db.begin(); globalThis.kept = tx; await tx.run('INSERT INTO t VALUES (2)'); tx.run('INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c LIMIT 1000000000').catch(() => {})`,
  'a batch': `db.batch(['INSERT INTO t VALUES (2)', 'INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c']).catch(() => {}); while (db.status().writer.holder === null) await new Promise(setImmediate)`,
  'a writeMode transaction': `await new Promise((resolve) => db.writeMode((w) => w.transaction(async (tx) => { await tx.run('INSERT INTO t VALUES (2)'); resolve(); await new Promise(() => {}) })).catch(() => {}))`,
  'a read session and a loop': `await new Promise((resolve) => db.read(async (r) => { await r.all('SELECT x FROM t'); resolve(); await new Promise(() => {}) }).catch(() => {})); globalThis.kept = db.iterate('SELECT x FROM t'); await kept.next()`,
}

const ENDS: { readonly [name: string]: { readonly code: string; readonly expected: { code: number | null; signal: string | null } } } = {
  'process.exit': { code: 'process.exit(7)', expected: { code: 7, signal: null } },
  'an error that nobody catches': { code: `setImmediate(() => { throw new Error('out of the blue') })`, expected: { code: 1, signal: null } },
  SIGKILL: { code: `process.kill(process.pid, 'SIGKILL'); await new Promise(() => {})`, expected: { code: null, signal: 'SIGKILL' } },
}

async function expectRolledBack(path: string): Promise<void> {
  const db = await openForTest(path)
  expect(await db.pluck('SELECT DISTINCT x FROM t')).toEqual([1])
  expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  await db.run('INSERT INTO t VALUES (3)')
  await db.close()
  expect(readdirSync(dirname(path))).toEqual([basename(path)])
}

const CASES = Object.keys(OPEN).flatMap((open) => Object.keys(ENDS).map((end) => [open, end] as const))

describe('T20: the end of a process', () => {
  it.each(CASES)('with %s open, by %s: it is rolled back, and the next open is clean', async (open, end) => {
    const path = scratchPath()
    const script = `main(async () => {
      const db = await open(process.argv[1])
      await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
      ${OPEN[open]}
      ${ENDS[end]?.code}
    })`
    const { code, signal, stderr } = await runScript(script, { args: [path] })
    expect({ code, signal }, stderr).toEqual(ENDS[end]?.expected)
    expect(stderr).toMatch(end === 'an error that nobody catches' ? /out of the blue/ : /^$/)
    await expectRolledBack(path)
  })

  it.each(Object.keys(OPEN))('of a worker with %s open, by terminate: it is rolled back, and others go on', async (open) => {
    const path = scratchPath()
    const script = `main(async () => {
      const { Worker } = require('node:worker_threads')
      const db = await open(process.argv[1])
      await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
      const source = \`const { open } = require(\${JSON.stringify(${JSON.stringify(PACKAGE)})})
        const { parentPort, workerData } = require('node:worker_threads')
        open(workerData).then(async (db) => { ${OPEN[open]?.replaceAll('`', '\\`')}; parentPort.postMessage('open') })\`
      const worker = new Worker(source, { eval: true, workerData: process.argv[1] })
      await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
      await worker.terminate()
      await db.run('INSERT INTO t VALUES (1)')
      console.log(JSON.stringify(await db.pluck('SELECT DISTINCT x FROM t')))
      await db.close()
    })`
    const { code, signal, stdout, stderr } = await runScript(script, { args: [path] })
    expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: '[1]\n', stderr: '' })
    await expectRolledBack(path)
  })

  it.each(['begin', 'BEGIN as text', 'a read session and a loop'])('with %s open and nothing else to do ends by itself', async (open) => {
    const path = scratchPath()
    const { code, signal, stderr } = await runScript(
      `main(async () => {
        const db = await open(process.argv[1], { transactionIdleTimeoutMs: 0 })
        await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
        ${OPEN[open]}
      })`,
      { args: [path] },
    )
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    await expectRolledBack(path)
  })

  it('T08: what was acknowledged is there after SIGKILL, and no transaction is there by half', async () => {
    const path = scratchPath()
    const child = converse(
      `main(async () => {
        const db = await open(process.argv[1])
        await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1); CREATE TABLE u (n, half)')
        for (let n = 0; ; n++) {
          await Promise.all([
            db.transaction(async (tx) => { await tx.run('INSERT INTO u VALUES (?, 1)', [n]); await tx.run('INSERT INTO u VALUES (?, 2)', [n]) }),
            db.batch([{ sql: 'INSERT INTO u VALUES (?, 1)', params: [-n - 1] }, { sql: 'INSERT INTO u VALUES (?, 2)', params: [-n - 1] }]),
          ])
          console.log(n)
        }
      })`,
      { args: [path] },
    )
    let last = ''
    for (let time = 0; time < 30; time++) last = await child.line()
    child.kill('SIGKILL')
    await child.ended
    const db = await openForTest(path)
    expect(await db.all('SELECT n FROM u GROUP BY n HAVING count(*) <> 2')).toEqual([])
    const [there] = await db.pluck<number>('SELECT max(n) FROM u')
    expect(there).toBeGreaterThanOrEqual(Number(last))
    expect(await db.pluck('SELECT count(DISTINCT n) FROM u WHERE n BETWEEN ? AND ?', [-Number(last) - 1, Number(last)])).toEqual([2 * Number(last) + 2])
    expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  })
})
