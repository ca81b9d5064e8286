import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { describe, expect, it } from 'vitest'

import { PACKAGE, runScript } from './support/child-process.js'
import { openForTest, scratchPath } from './support/scratch.js'

/** Runs a script that must end well and say nothing on stderr; returns what it printed. */
async function output(script: string, args: readonly string[] = [], flags: readonly string[] = []): Promise<string> {
  const { code, signal, stdout, stderr } = await runScript(script, { args, flags })
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  return stdout
}

describe('D15: a program with nothing else to do', () => {
  it.each([':memory:', 'file'])('has its call settled, and ends although %s is open', async (kind) => {
    const path = kind === 'file' ? scratchPath() : kind
    const said = await output(
      `main(async () => {
        const db = await open(process.argv[1])
        await db.exec('CREATE TABLE t (x)')
        await db.run('INSERT INTO t VALUES (1)')
        console.log(JSON.stringify(await db.all('SELECT x FROM t')))
      })`,
      [path],
    )
    expect(said).toBe('[{"x":1}]\n')
  })

  it('has a slow call settled that is all it waits for', async () => {
    const said = await output(
      `main(async () => {
        const db = await open(':memory:')
        console.log(await db.pluck('WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000) SELECT count(*) FROM c'))
      })`,
    )
    expect(said).toBe('[ 2000000 ]\n')
  })

  it('has open itself settled, also when it fails', async () => {
    expect(await output(`open('/no/such/folder/a.db').catch((error) => console.log(error.code.slice(0, 15)))`)).toBe('SQLITE_CANTOPEN\n')
  })

  it('has close settled', async () => {
    expect(await output(`open(':memory:').then((db) => db.close()).then(() => console.log('closed'))`)).toBe('closed\n')
  })

  it('leaves a file that any SQLite reads, and only that, when it ends without close', async () => {
    const path = scratchPath()
    await output(`main(async () => {
      const db = await open(process.argv[1])
      await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
      await db.all('SELECT x FROM t')
    })`, [path])
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    expect(await (await openForTest(path)).pluck('SELECT x FROM t')).toEqual([1])
  })
})

describe('a sudden end', () => {
  const BUSY = `
    const db = await open(process.argv[1], { maxReaders: 4 })
    await db.exec('CREATE TABLE IF NOT EXISTS t (x)')
    const endless = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c'
    await db.run('INSERT INTO t VALUES (1)')
    for (let n = 0; n < 100; n++) { db.run('INSERT INTO t VALUES (2)').catch(() => {}); db.all('SELECT * FROM t').catch(() => {}) }
    db.all(endless).catch(() => {})
    db.exec('BEGIN; INSERT INTO t VALUES (3); ' + endless).catch(() => {})`

  it('T20: process.exit in the middle of calls ends with its own code, and the next open is clean', async () => {
    const path = scratchPath()
    const { code, signal, stderr } = await runScript(`main(async () => { ${BUSY}; setTimeout(() => process.exit(7), 20) })`, { args: [path] })
    expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: '' })
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    const db = await openForTest(path)
    expect(await db.pluck('SELECT count(*) FROM t WHERE x = 3')).toEqual([0])
    expect(await db.pluck('SELECT count(*) FROM t WHERE x = 1')).toEqual([1])
    expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  })

  it('an error that nobody catches ends the process with its stack, and closes the database', async () => {
    const path = scratchPath()
    const { code, signal, stderr } = await runScript(`main(async () => { ${BUSY}; setTimeout(() => { throw new Error('out of the blue') }, 20) })`, { args: [path] })
    expect({ code, signal }).toEqual({ code: 1, signal: null })
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    expect(stderr).toContain('out of the blue')
  })

  it('a signal ends the process as it ends any other', async () => {
    const path = scratchPath()
    const { code, signal } = await runScript(`main(async () => { ${BUSY}; setTimeout(() => process.kill(process.pid, 'SIGTERM'), 20) })`, { args: [path] })
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' })
    expect(await (await openForTest(path)).pluck('SELECT count(*) FROM t WHERE x = 3')).toEqual([0])
  })
})

describe('workers', () => {
  const WORKER = `
    const { Worker, workerData, parentPort } = require('node:worker_threads')
    const start = (source, workerData) => new Worker('const sluice = require(' + JSON.stringify(${JSON.stringify(PACKAGE)}) + '); const { open } = sluice; const { parentPort, workerData } = require("node:worker_threads");' + source, { eval: true, workerData })
    const ended = (worker) => new Promise((resolve, reject) => { worker.once('error', reject); worker.once('exit', resolve) })`

  it('H01: worker.terminate() in a tight loop of calls, 25 times', { timeout: 60_000 }, async () => {
    const path = scratchPath()
    const said = await output(
      `${WORKER}
      main(async () => {
        const source = \`open(workerData).then(async (db) => {
          await db.exec('CREATE TABLE IF NOT EXISTS t (x)')
          parentPort.postMessage('running')
          for (;;) await Promise.all([db.run('INSERT INTO t VALUES (1)'), db.all('SELECT count(*) FROM t'), db.pluck('SELECT 1')])
        })\`
        for (let round = 0; round < 25; round++) {
          const worker = start(source, process.argv[1])
          await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
          for (let turn = 0; turn < round; turn++) await new Promise(setImmediate)
          await worker.terminate()
        }
        const db = await open(process.argv[1])
        console.log(await db.pluck('PRAGMA integrity_check'))
        await db.close()
      })`,
      [path],
    )
    expect(said).toBe("[ 'ok' ]\n")
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('H02: the addon loaded in workers alone, which end while its threads run', async () => {
    const script = `'use strict'
      const { Worker } = require('node:worker_threads')
      const { join } = require('node:path')
      const source = 'const { open } = require(' + JSON.stringify(process.argv[1]) + '); const { parentPort } = require("node:worker_threads");' +
        'open(":memory:").then((db) => { db.all("WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c").catch(() => {}); parentPort.postMessage(0) })'
      ;(async () => {
        for (let round = 0; round < 10; round++) {
          const worker = new Worker(source, { eval: true })
          await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
          await worker.terminate()
        }
        console.log('alive')
      })()`
    const { code, signal, stdout, stderr } = await runScript(script, { args: [PACKAGE], bare: true })
    expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: 'alive\n', stderr: '' })
  })

  it('P09: opened in the main thread and in four workers, each right, and closing one leaves the others', async () => {
    const path = scratchPath()
    const said = await output(
      `${WORKER}
      main(async () => {
        const path = process.argv[1]
        const db = await open(path)
        await db.exec('CREATE TABLE t (x)')
        const source = \`(async () => {
          const db = await open(workerData)
          for (let x = 0; x < 50; x++) {
            await db.run('INSERT INTO t VALUES (?)', [x])
            if ((await db.pluck('SELECT count(*) FROM t'))[0] <= x) throw new Error('its own write was not seen')
          }
          await db.close()
        })()\`
        const codes = Promise.all([1, 2, 3, 4].map(() => ended(start(source, path))))
        for (let x = 0; x < 50; x++) await db.run('INSERT INTO t VALUES (?)', [x])
        const exits = await codes
        console.log(exits.join(), await db.pluck('SELECT count(*) FROM t'))
        await db.close()
      })`,
      [path],
    )
    expect(said).toBe('0,0,0,0 [ 250 ]\n')
  })

  it('end by themselves when they have nothing else to do', async () => {
    const said = await output(
      `${WORKER}
      main(async () => {
        const code = await ended(start('open(":memory:").then((db) => db.all("SELECT 1"))'))
        console.log(code)
      })`,
    )
    expect(said).toBe('0\n')
  })
})

describe('handles that nobody closes', () => {
  it('H05: are closed when they are collected', async () => {
    const said = await output(
      `const { readdirSync } = require('node:fs')
      const threads = () => readdirSync('/proc/self/task').length
      const use = async (n) => { const db = await open(':memory:'); await db.exec('CREATE TABLE t (x)'); await db.all('SELECT * FROM t'); return db }
      // Until they are counted, all are held.
      const useMany = async () => { const held = await Promise.all(Array.from({ length: 200 }, (_, n) => use(n))); return threads() + held.length - 200 }
      main(async () => {
        await use(0)
        const before = threads()
        const many = await useMany()
        const deadline = Date.now() + 8000
        while (threads() > before && Date.now() < deadline) { global.gc(); await new Promise(setImmediate) }
        console.log(many > before + 200, threads() <= before)
      })`,
      [],
      ['--expose-gc'],
    )
    expect(said).toBe('true true\n')
  })

  it.each(['', 'process.exit()'])('H05: 100,000 of one database do not keep the process from its end: %s', async (end) => {
    const said = await output(
      `main(async () => {
        const db = await open(process.argv[1])
        await db.exec('CREATE TABLE t (x)')
        const held = []
        for (let n = 0; n < 100_000; n++) {
          const handle = db.handle()
          if (n % 10 === 0) held.push(handle)
          if (n % 1_000 === 0) await handle.all('SELECT * FROM t')
        }
        console.log(db.handleCount > held.length)
        ${end}
      })`,
      [scratchPath()],
    )
    expect(said).toBe('true\n')
  })

  it('are closed although theirs was the last call of all', async () => {
    const said = await output(
      `const { readdirSync } = require('node:fs')
      const threads = () => readdirSync('/proc/self/task').length
      const use = async () => { const db = await open(':memory:'); await db.all('SELECT 1') }
      main(async () => {
        await (await open(':memory:')).close()
        const before = threads()
        await use()
        const during = threads()
        const deadline = Date.now() + 8000
        while (threads() > before && Date.now() < deadline) { global.gc(); await new Promise(setImmediate) }
        console.log(during > before, threads() <= before)
      })`,
      [],
      ['--expose-gc'],
    )
    expect(said).toBe('true true\n')
  })

  it('keep no result, not that of the last call either', async () => {
    const said = await output(
      `main(async () => {
        const db = await open(':memory:', { inlineReads: 'off' })
        const rows = async () => new WeakRef(await db.all('SELECT 1 AS x'))
        const error = async () => new WeakRef(await db.run('SELECT').catch((error) => error))
        for (const last of [rows, error]) {
          const result = await last()
          const deadline = Date.now() + 8000
          let kept = true
          while (kept && Date.now() < deadline) {
            // A look keeps it until the turn ends.
            await new Promise(setImmediate)
            global.gc()
            await new Promise(setImmediate)
            kept = result.deref() !== undefined
          }
          console.log(!kept)
        }
        await db.close()
      })`,
      [],
      ['--expose-gc'],
    )
    expect(said).toBe('true\ntrue\n')
  })

  it('stay open while a call is under way, or a statement of theirs is held', async () => {
    const said = await output(
      `main(async () => {
        const count = (n) => 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ' + n + ') SELECT count(*) FROM c'
        const call = await open(':memory:').then((db) => [db.pluck(count(500000))])
        const statement = await open(':memory:').then((db) => db.prepare(count(10)))
        for (let turn = 0; turn < 20; turn++) { global.gc(); await new Promise(setImmediate) }
        console.log(await call[0], await statement.pluck())
      })`,
      [],
      ['--expose-gc'],
    )
    expect(said).toBe('[ 500000 ] [ 10 ]\n')
  })
})

describe('errors', () => {
  it('H06: a rejection that nobody handles is reported once, with the stack of the caller, and none is invented', async () => {
    const said = await output(
      `const seen = []
      process.on('unhandledRejection', (error) => seen.push(error.code + ' ' + /at (\\w+)/.exec(error.stack.replace(/at async /g, 'at '))?.[0]))
      const caller = async (db) => { await db.all('nonsense') }
      main(async () => {
        const db = await open(':memory:')
        await Promise.allSettled([db.all('nonsense'), db.run('nonsense'), db.exec('nonsense'), db.pragma('nonsense'), db.get('SELECT ?'), db.sql([]), open(7), db.close({ timeoutMs: -1 })])
        const ending = db.all('SELECT 1')
        ending.catch(() => {})
        caller(db)
        await new Promise((resolve) => setTimeout(resolve, 50))
        const closing = [db.close(), db.all('SELECT 1').catch(() => {})]
        await Promise.all(closing)
        await new Promise(setImmediate)
        console.log(seen.length, seen[0].split(' ')[0])
      })`,
    )
    expect(said).toBe('1 SQLITE_ERROR\n')
  })

  it('D16: the CommonJS and the ES module entry are one package, in one process', async () => {
    const said = await output(
      `main(async () => {
        const module = await import(${JSON.stringify(PACKAGE)}.replace(/js$/, 'mjs'))
        console.log(module.open === open, module.SluiceError === sluice.SluiceError, module.Database === sluice.Database)
        const error = await module.open(7).catch((error) => error)
        console.log(error instanceof sluice.SluiceError, sluice.isSluiceError(error))
      })`,
    )
    expect(said).toBe('true true true\ntrue true\n')
  })
})
