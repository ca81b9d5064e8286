import { symlinkSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'

import { openLog } from '../index.js'
import type { Log, LogLevel, LogOptions, LogRecord } from '../index.js'
import { PACKAGE, holdLock, runScript } from './support/child-process.js'
import { until } from './support/deadline.js'
import { outcomeOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'

/** Opens a log that ends with the test, and keeps what it tells. */
function keepLog(options?: LogOptions): { log: Log; records: LogRecord[] } {
  const records: LogRecord[] = []
  const log = openLog((record) => records.push(record), options)
  onTestFinished(() => log.close())
  return { log, records }
}

/** Waits for the first record of a kind. */
async function recordOf(records: readonly LogRecord[], target: string, message: string): Promise<LogRecord> {
  const isMeant = (record: LogRecord): boolean => record.target === target && record.message === message
  await until(() => records.some(isMeant), `'${target}' '${message}' is told`)
  return records.find(isMeant)!
}

const sqlOf = (records: readonly LogRecord[]): unknown[] =>
  records.filter(({ target }) => target === 'statement').map(({ fields }) => fields['sql'])

/** What a record of a statement holds, but for times. */
function untimed({ fields: { queuedUs, ranUs, startedMs, ...rest } }: LogRecord): object {
  expect([queuedUs, ranUs, startedMs].map((time) => typeof time)).toEqual(['number', 'number', 'number'])
  return rest
}

describe('a log of statements', () => {
  it('tells of each that ran: where, what it did, and how long it took', async () => {
    const db = await openWithTable()
    const { records } = keepLog({ level: 'trace', database: db.path })
    const before = Date.now()
    await db.run('INSERT INTO t VALUES (?), (?)', ['secret', 2])
    await db.all('SELECT x FROM t')
    const first = await recordOf(records, 'statement', 'ran')
    await until(() => sqlOf(records).length === 2, 'both are told')
    expect(records.filter(({ target }) => target === 'statement').map(untimed)).toEqual([
      { worker: 'writer', sql: 'INSERT INTO t VALUES (?), (?)', route: 'write', rows: 0, changes: 2 },
      { worker: expect.stringMatching(/^(?:reader\.\d+|writer)$/), sql: 'SELECT x FROM t', route: expect.any(String), rows: 2, changes: 0 },
    ])
    expect(first).toMatchObject({ level: 'trace', database: db.path })
    expect(first.fields['startedMs']).toBeGreaterThan(before - 1_000)
    expect(first.timeMs).toBeGreaterThanOrEqual(first.fields['startedMs'] as number)
    expect(JSON.stringify(records)).not.toContain('secret')
  })

  it('tells the code of one that failed, and of one that never ran', async () => {
    const db = await openWithTable()
    await db.exec('CREATE UNIQUE INDEX i ON t (x)')
    const { records } = keepLog({ level: 'trace', database: db.path })
    await db.run('INSERT INTO t VALUES (1)')
    expect(await outcomeOf(db.run('INSERT INTO t VALUES (1)'))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    await until(() => records.some(({ fields }) => fields['code'] === 'SQLITE_CONSTRAINT_UNIQUE'), 'the failure is told')
    await db.transaction(async () => {
      expect(await outcomeOf(db.run('INSERT INTO t VALUES (2)', [], { detached: true, timeoutMs: 1 }))).toBe('ERR_SLUICE_TIMEOUT')
    })
    const refused = await recordOf(records, 'statement', 'refused')
    expect(refused.fields).toEqual({ sql: 'INSERT INTO t VALUES (2)', queuedUs: expect.any(Number), code: 'ERR_SLUICE_TIMEOUT' })
  })

  it('counts all rows of a large result, and shortens a long text', async () => {
    const db = await openScratch()
    const { records } = keepLog({ level: 'trace', database: db.path })
    const sql = `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50000) SELECT n FROM c -- ${'ä'.repeat(10_000)}`
    await db.all(sql)
    const { fields } = await recordOf(records, 'statement', 'ran')
    expect(fields).toMatchObject({ rows: 50_000, sql: `${sql.slice(0, 10_000)}…` })
  })

  it('tells of every statement of groups, batches and transactions, of scripts as a whole, and of the first rows of an iterator', async () => {
    const db = await openWithTable()
    const { records } = keepLog({ level: 'trace', database: db.path })
    await Promise.all(Array.from({ length: 5 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x])))
    await db.batch(['UPDATE t SET x = 1', 'SELECT count(*) FROM t'])
    await db.transaction(async (tx) => {
      await tx.run('DELETE FROM t WHERE x = 2')
      await tx.exec('SELECT 3; SELECT 4')
    })
    const iterator = db.iterate('SELECT x FROM t', [], { chunkRows: 2 })
    for await (const row of iterator) expect(row).toEqual({ x: 1 })
    await until(() => sqlOf(records).length === 10, 'all are told')
    const insert = 'INSERT INTO t VALUES (?)'
    expect(sqlOf(records)).toEqual([
      ...Array.from({ length: 5 }, () => insert),
      'UPDATE t SET x = 1',
      'SELECT count(*) FROM t',
      'DELETE FROM t WHERE x = 2',
      'SELECT 3; SELECT 4',
      'SELECT x FROM t',
    ])
  })
})

describe('a log of what the driver does', () => {
  it('tells of opening and closing, readers, pruning, groups, transactions, mode switches and checkpoints', async () => {
    const path = scratchPath()
    const { records } = keepLog({ level: 'debug', database: path })
    const db = await openForTest(path, { idleTtlMs: 1, maxReaders: 1 })
    await db.exec('CREATE TABLE t (x)')
    await db.all('SELECT x FROM t')
    await until(() => db.status().readers.open === 0, 'the reader is pruned')
    await Promise.all(Array.from({ length: 50 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x])))
    await db.transaction((tx) => tx.run('DELETE FROM t'))
    await expect(db.transaction(() => Promise.reject(new Error('enough')))).rejects.toThrow('enough')
    await db.writeMode((w) => w.run('VACUUM'))
    await db.checkpoint('truncate')
    await db.close()
    await recordOf(records, 'close', 'closed')
    const told = [...new Set(records.map(({ target, message }) => `${target}: ${message}`))]
    expect(told.sort()).toEqual([
      'checkpoint: done',
      'close: closed',
      'gate: mode switched',
      'group: committed',
      'open: opened',
      'reader: closed',
      'reader: opened',
      'reader: pruned',
      'transaction: began',
      'transaction: committed',
      'transaction: rolled back',
    ])
    expect(records.filter(({ database }) => database !== path)).toEqual([])
    expect(new Set(records.map(({ level }) => level))).toEqual(new Set(['debug']))
    const fieldsOf = async (target: string, message: string): Promise<object> => (await recordOf(records, target, message)).fields
    const took = { tookUs: expect.any(Number) }
    expect(await fieldsOf('gate', 'mode switched')).toEqual({ from: 'read', to: 'write', ...took })
    expect(await fieldsOf('reader', 'pruned')).toEqual({ worker: 'reader.1' })
    expect(await fieldsOf('group', 'committed')).toMatchObject({ worker: 'writer', statements: expect.any(Number), commitUs: expect.any(Number), ...took })
    expect(await fieldsOf('transaction', 'committed')).toEqual({ worker: 'writer', why: 'asked', ...took })
    expect(await fieldsOf('checkpoint', 'done')).toMatchObject({ mode: 'truncate', moved: expect.any(Number), pages: expect.any(Number), ...took })
  })

  it('tells why a transaction was rolled back', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 20 })
    await db.exec('CREATE UNIQUE INDEX i ON t (x); INSERT INTO t VALUES (1)')
    const { records } = keepLog({ level: 'debug', database: db.path })
    const reasons = (): unknown[] => records.filter(({ message }) => message === 'rolled back').map(({ fields }) => fields['why'])
    const tx = await db.begin()
    expect(await outcomeOf(tx.run('INSERT OR ROLLBACK INTO t VALUES (1)'))).toBe('SQLITE_CONSTRAINT_UNIQUE')
    await tx[Symbol.asyncDispose]()
    await db.begin()
    await until(() => reasons().length === 2, 'both ends are told')
    expect(reasons()).toEqual(['SQLITE_CONSTRAINT_UNIQUE', 'the session has ended'])
  })

  it('tells of waiting for another process', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { busyTimeoutMs: 50 })
    await db.exec('CREATE TABLE t (x)')
    const { records } = keepLog({ level: 'debug', database: path })
    const letGo = await holdLock(path, 'BEGIN IMMEDIATE')
    expect(await outcomeOf(db.run('INSERT INTO t VALUES (1)'))).toBe('SQLITE_BUSY')
    await letGo()
    const { fields } = await recordOf(records, 'writer', 'busy')
    expect(fields['retries']).toBeGreaterThan(0)
    expect(fields['waitedUs']).toBeGreaterThan(1_000)
  })
})

describe('the level of a log', () => {
  it("is 'info' at first, and what it does not ask for is not told", async () => {
    const { log, records } = keepLog()
    expect(log.level).toBe('info')
    const path = scratchPath()
    const all = keepLog({ level: 'trace', database: path })
    const db = await openForTest(path)
    await db.all('SELECT 1')
    await recordOf(all.records, 'statement', 'ran')
    expect(records.filter(({ database }) => database === path)).toEqual([])
  })

  it('may be set at any time', async () => {
    const db = await openScratch()
    const { log, records } = keepLog({ level: 'error', database: db.path })
    await db.all('SELECT 1')
    log.level = 'trace'
    await db.all('SELECT 2')
    await until(() => sqlOf(records).length > 0, 'the second is told')
    log.level = 'warn'
    await db.all('SELECT 3')
    log.level = 'trace'
    await db.all('SELECT 4')
    await until(() => sqlOf(records).length > 1, 'the fourth is told')
    expect(sqlOf(records)).toEqual(['SELECT 2', 'SELECT 4'])
    expect(log.level).toBe('trace')
  })

  it('belongs to one log: others go on as they were', async () => {
    const db = await openScratch()
    const [loud, calm] = [keepLog({ level: 'trace', database: db.path }), keepLog({ level: 'debug', database: db.path })]
    await db.all('SELECT 1')
    await recordOf(loud.records, 'statement', 'ran')
    await recordOf(calm.records, 'reader', 'opened')
    loud.log.close()
    await db.all('SELECT 2')
    calm.log.level = 'trace'
    await db.all('SELECT 3')
    await recordOf(calm.records, 'statement', 'ran')
    expect(sqlOf(loud.records)).toEqual(['SELECT 1'])
    expect(sqlOf(calm.records)).toEqual(['SELECT 3'])
  })
})

describe('what is told of', () => {
  it('is every database of the process, or the one that is named', async () => {
    const [a, b, memory] = [await openScratch(), await openScratch(), await openForTest(':memory:')]
    const all = keepLog({ level: 'trace' })
    const [onlyB, onlyMemory] = [keepLog({ level: 'trace', database: b.path }), keepLog({ level: 'trace', database: '' })]
    const told = ({ records }: { records: LogRecord[] }): unknown[] =>
      records.filter(({ target }) => target === 'statement').map(({ database }) => database)
    for (const db of [a, b, memory]) await db.all('SELECT 1')
    await until(() => told(all).length === 3, 'all three are told')
    await until(() => told(onlyB).length === 1 && told(onlyMemory).length === 1, 'the filtered ones are told')
    expect(told(all)).toEqual([a.path, b.path, ':memory:'])
    expect(told(onlyB)).toEqual([b.path])
    expect(told(onlyMemory)).toEqual([':memory:'])
  })

  it('is a file under each of its names, which goes by the first', async () => {
    const first = await openScratch()
    const link = `${first.path}.link`
    symlinkSync(first.path, link)
    const second = await openForTest(link)
    const { records } = keepLog({ level: 'trace', database: second.path })
    await second.all('SELECT 1')
    expect((await recordOf(records, 'statement', 'ran')).database).toBe(first.path)
  })

  it('is told in order', async () => {
    const db = await openForTest(':memory:')
    const { records } = keepLog({ level: 'trace', database: ':memory:' })
    const texts = Array.from({ length: 3_000 }, (_, index) => `SELECT ${index}`)
    for (const text of texts) await db.all(text)
    await until(() => sqlOf(records).length === texts.length, 'all are told')
    expect(sqlOf(records)).toEqual(texts)
  })
})

describe('closing a log', () => {
  it('tells what was recorded before, and nothing after it', async () => {
    const db = await openScratch()
    const { log, records } = keepLog({ level: 'trace', database: db.path })
    await db.all('SELECT 1')
    log.close()
    expect(sqlOf(records)).toEqual(['SELECT 1'])
    log.close()
    const other = keepLog({ level: 'trace', database: db.path })
    await db.all('SELECT 2')
    await recordOf(other.records, 'statement', 'ran')
    expect(sqlOf(records)).toEqual(['SELECT 1'])
    expect(log.lost).toBe(0)
  })

  it('may be done by its listener', async () => {
    const db = await openForTest(':memory:')
    const seen: LogRecord[] = []
    const log = openLog(
      (record) => {
        seen.push(record)
        log.close()
      },
      { level: 'trace', database: ':memory:' },
    )
    await db.all('SELECT 1')
    await until(() => seen.length > 0, 'the first is told')
    const told = seen.length
    await db.all('SELECT 2')
    const other = keepLog({ level: 'trace', database: ':memory:' })
    await db.all('SELECT 3')
    await recordOf(other.records, 'statement', 'ran')
    expect(seen.length).toBe(told)
  })
})

describe('what a log is told', () => {
  const WRONG: readonly (readonly [name: string, use: () => unknown, code: string])[] = [
    ['no listener', () => openLog(undefined as never), 'ERR_SLUICE_INVALID_ARGUMENT'],
    ['a listener that is none', () => openLog({} as never), 'ERR_SLUICE_INVALID_ARGUMENT'],
    ['a level that is none', () => openLog(() => {}, { level: 'loud' as LogLevel }), 'ERR_SLUICE_INVALID_OPTION'],
    ['an option that is none', () => openLog(() => {}, { levels: 'info' } as LogOptions), 'ERR_SLUICE_INVALID_OPTION'],
    ['a database that is no path', () => openLog(() => {}, { database: {} as string }), 'ERR_SLUICE_INVALID_OPTION'],
    ['a level that is set to anything else', () => (keepLog().log.level = 'loud' as LogLevel), 'ERR_SLUICE_INVALID_ARGUMENT'],
  ]

  it.each(WRONG)('%s is an error', (_name, use, code) => {
    expect(use).toThrow(expect.objectContaining({ code }))
  })
})

describe('a process with a log', () => {
  it('ends by itself, with databases open and closed', async () => {
    const script = `const { openLog } = sluice
      main(async () => {
        openLog(({ target, message }) => console.log(target, message), { level: 'debug' })
        const db = await open(process.argv[1])
        await db.all('SELECT 1')
      })`
    const path = scratchPath()
    const { code, stdout, stderr } = await runScript(script, { args: [path] })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('open opened\n')
    expect(stdout).toContain('reader opened\n')
  })

  it.each([
    ['process.exit', 'process.exit(7)', 7],
    ['an error that nobody catches', `setImmediate(() => { throw new Error('out of the blue') })`, 1],
  ])('tells what was recorded before its end by %s', async (_name, end, expected) => {
    const script = `const { openLog } = sluice
      main(async () => {
        const db = await open(':memory:')
        openLog(({ message, fields }) => console.log(message, fields.sql), { level: 'trace' })
        await db.all('SELECT 1')
        ${end}
      })`
    const { code, stdout } = await runScript(script)
    expect(code).toBe(expected)
    expect(stdout).toContain('ran SELECT 1\n')
  })

  it('tells the rest when a listener ends the process', async () => {
    const script = `const { openLog } = sluice
      main(async () => {
        const db = await open(':memory:')
        let told = 0
        openLog(({ message, fields }) => {
          console.log(message, fields.sql)
          if (++told > 1) return
          while (db.status().counters.reads < 5);
          process.exit(3)
        }, { level: 'trace', database: ':memory:' })
        // A log does not keep the process alive: at its own end a listener could not end it once more.
        setTimeout(() => process.exit(9), 20_000)
        const calls = [1, 2, 3, 4, 5].map((n) => db.all('SELECT ' + n))
        await Promise.all(calls)
      })`
    const { code, stdout } = await runScript(script)
    expect(code).toBe(3)
    for (const n of [1, 2, 3, 4, 5]) expect(stdout).toContain(`ran SELECT ${n}\n`)
  })

  it('sees what a listener throws as an uncaught exception, and goes on', async () => {
    const script = `const { openLog } = sluice
      const thrown = []
      process.on('uncaughtException', (error) => thrown.push(error.message))
      main(async () => {
        const db = await open(':memory:')
        let calls = 0
        openLog(() => { calls++; throw new Error('listener ' + calls) }, { level: 'trace' })
        for (let n = 0; n < 3; n++) await db.all('SELECT 1')
        while (thrown.length < 3) await new Promise(setImmediate)
        console.log(thrown.slice(0, 3).join(), (await db.all('SELECT 5 AS x'))[0].x)
      })`
    const { code, stdout } = await runScript(script)
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'listener 1,listener 2,listener 3 5\n' })
  })

  it('drops the newest records when a listener lets too many wait, and counts them', async () => {
    const script = `const { openLog } = sluice
      main(async () => {
        const db = await open(':memory:')
        const log = openLog(() => {}, { level: 'trace' })
        const { Worker } = require('node:worker_threads')
        const source = \`const { open } = require(${JSON.stringify(PACKAGE)})
          const { workerData } = require('node:worker_threads')
          open(':memory:').then(async (db) => {
            for (let n = 0; n < 70; n++) await Promise.all(Array.from({ length: 1000 }, () => db.all('SELECT 1')))
            await db.close()
            Atomics.store(workerData, 0, 1); Atomics.notify(workerData, 0)
          })\`
        const done = new Int32Array(new SharedArrayBuffer(4))
        const worker = new Worker(source, { eval: true, workerData: done })
        await new Promise((resolve) => worker.once('online', resolve))
        // Nothing is told while this thread waits.
        Atomics.wait(done, 0, 0)
        console.log(log.lost > 0)
        log.close()
      })`
    const { code, stdout, stderr } = await runScript(script)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'true\n', stderr: '' })
  })

  it('may have logs in worker threads, which end with them', async () => {
    const script = `const { openLog } = sluice
      const { Worker } = require('node:worker_threads')
      main(async () => {
        const db = await open(':memory:')
        const source = \`const { openLog } = require(${JSON.stringify(PACKAGE)})
          const { parentPort } = require('node:worker_threads')
          openLog(({ fields }) => parentPort.postMessage(fields.sql ?? 'other'), { level: 'trace' })
          parentPort.postMessage('open')
          setInterval(() => {}, 1000)\`
        const worker = new Worker(source, { eval: true })
        const heard = []
        worker.on('message', (message) => heard.push(message))
        while (!heard.includes('open')) await new Promise(setImmediate)
        await db.all('SELECT 42')
        while (!heard.includes('SELECT 42')) await new Promise(setImmediate)
        await worker.terminate()
        for (let n = 0; n < 1000; n++) await db.all('SELECT 43')
        await db.close()
        console.log('done')
      })`
    const { code, stdout, stderr } = await runScript(script)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'done\n', stderr: '' })
  })
})
