import { chmodSync, copyFileSync, readFileSync, readdirSync, renameSync, statSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from '../index.js'
import type { Database } from '../index.js'
import { holdLock, runScript } from './support/child-process.js'
import { codeOf, failureOf } from './support/failure.js'
import { openForTest, openWithTable, scratchFolder, scratchPath } from './support/scratch.js'

/** A database file with the table `t(x)` and the rows 1 to 3, closed again. */
async function writtenFile(journalMode = 'wal'): Promise<string> {
  const path = scratchPath()
  const db = await openForTest(path)
  await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)')
  await db.pragma('journal_mode', journalMode)
  await db.close()
  return path
}

describe('P04: the file at the path is another one', () => {
  it('refuses to mix them when a reader opens, and says so for good', async () => {
    const path = await writtenFile()
    const other = await writtenFile()
    const db = await openForTest(path)
    renameSync(path, `${path}.moved`)
    copyFileSync(other, path)
    expect(db.status().readers.open).toBe(0)
    const { code, message } = await failureOf(db.all('SELECT x FROM t'))
    expect(code).toBe('ERR_SLUICE_DATABASE_REPLACED')
    expect(message).toContain(path)
    expect(await codeOf(db.run('INSERT INTO t VALUES (4)'))).toBe('ERR_SLUICE_DATABASE_REPLACED')
    expect(await codeOf(db.exec('DELETE FROM t'))).toBe('ERR_SLUICE_DATABASE_REPLACED')
    await db.close()
    expect(await (await openForTest(other)).pluck('SELECT x FROM t')).toEqual([1, 2, 3])
  })

  it('says so when the file is gone', async () => {
    const path = await writtenFile()
    const db = await openForTest(path)
    unlinkSync(path)
    expect(await codeOf(db.all('SELECT x FROM t'))).toBe('ERR_SLUICE_DATABASE_REPLACED')
    await db.close()
    expect(readdirSync(dirname(path))).not.toContain(basename(path))
  })
})

describe('P05: the write-ahead log is deleted while the database is open', () => {
  /** Deletes the log between two writes, and returns what became of those after it. */
  async function codesWithoutLog(db: Database, path: string): Promise<Set<string>> {
    await db.run('INSERT INTO t VALUES (1)')
    unlinkSync(`${path}-wal`)
    const codes = [await codeOf(db.run('INSERT INTO t VALUES (2)')), await codeOf(db.run('INSERT INTO t VALUES (3)')), await codeOf(db.exec('INSERT INTO t VALUES (4)'))]
    await db.close()
    return new Set(codes)
  }

  const GONE = new Set(['ERR_SLUICE_WAL_GONE'])

  it('acknowledges nothing more in a database that was just made', async () => {
    const path = scratchPath()
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    expect(await codesWithoutLog(db, path)).toEqual(GONE)
  })

  it('acknowledges nothing more in a database that existed', async () => {
    const path = await writtenFile()
    expect(await codesWithoutLog(await openForTest(path), path)).toEqual(GONE)
  })

  it('acknowledges nothing more in a database that was opened through a symbolic link', async () => {
    const path = await writtenFile()
    const link = join(scratchFolder(), 'link.db')
    symlinkSync(path, link)
    const db = await openForTest(link)
    expect(db.status().wal.bytes).toBe(0)
    await db.run('INSERT INTO t VALUES (0)')
    expect(db.status().wal.bytes).toBe(statSync(`${path}-wal`).size)
    expect(await codesWithoutLog(db, path)).toEqual(GONE)
  })

  it('acknowledges nothing more after the journal mode was switched back to WAL', async () => {
    const path = await writtenFile()
    const db = await openForTest(path)
    await db.pragma('journal_mode', 'delete')
    await db.pragma('journal_mode', 'wal')
    expect(await codesWithoutLog(db, path)).toEqual(GONE)
  })

  it('acknowledges nothing more when a setting was made after the deletion', async () => {
    const path = await writtenFile()
    const db = await openForTest(path)
    await db.run('INSERT INTO t VALUES (0)')
    unlinkSync(`${path}-wal`)
    expect(await codeOf(db.pragma('cache_size', 100).then(() => db.run('INSERT INTO t VALUES (1)')))).toBe('ERR_SLUICE_WAL_GONE')
  })
})

describe('L11: a connection that broke is replaced, and the log is where it was', () => {
  it('after a write that found the file corrupt, and so had its connection replaced', async () => {
    const path = scratchPath()
    const made = await openForTest(path)
    await made.exec('PRAGMA page_size = 4096; CREATE TABLE t (x); CREATE TABLE broken (x); INSERT INTO broken VALUES (1)')
    const [page] = await made.pluck<number>("SELECT rootpage FROM sqlite_schema WHERE name = 'broken'")
    await made.close()
    const bytes = readFileSync(path)
    bytes.fill(0xee, (Number(page) - 1) * 4_096, Number(page) * 4_096)
    writeFileSync(path, bytes)

    const db = await openForTest(path)
    await db.run('INSERT INTO t VALUES (1)')
    expect(await codeOf(db.run('INSERT INTO broken VALUES (2)'))).toMatch(/^SQLITE_CORRUPT/)
    await db.run('INSERT INTO t VALUES (2)')
    expect(await codeOf(db.all('SELECT * FROM broken'))).toMatch(/^SQLITE_CORRUPT/)
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2])
    const { counters } = db.status()
    expect(counters).toMatchObject({ writerReplacements: 1, discards: 1 })
  })
})

describe('P12: a file that may only be read', () => {
  it('is read, and refuses writes', async () => {
    const path = await writtenFile()
    const db = await openForTest(path, { readonly: true })
    expect(await db.execute('SELECT x FROM t')).toMatchObject({ rows: [{ x: 1 }, { x: 2 }, { x: 3 }], route: 'read' })
    for (const sql of ['INSERT INTO t VALUES (4)', 'CREATE TABLE u (x)', 'DROP TABLE t', 'PRAGMA user_version = 1', 'VACUUM']) {
      expect(await codeOf(db.run(sql)), sql).toMatch(/^SQLITE_READONLY/)
    }
    expect(await codeOf(db.exec('DELETE FROM t'))).toMatch(/^SQLITE_READONLY/)
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2, 3])
  })

  it('sees what another handle writes meanwhile', async () => {
    const path = await writtenFile()
    const [readonly, db] = [await openForTest(path, { readonly: true }), await openForTest(path)]
    await db.run('INSERT INTO t VALUES (4)')
    expect(await readonly.pluck('SELECT x FROM t')).toEqual([1, 2, 3, 4])
  })

  it('is opened by its permissions without the option, in either journal mode', async () => {
    for (const mode of ['wal', 'delete']) {
      const path = await writtenFile(mode)
      chmodSync(path, 0o444)
      // Whoever is root may write all the same: only what is said must be true.
      const db = await openForTest(path)
      expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2, 3])
      const written = await db.run('INSERT INTO t VALUES (4)').then(() => 'done', (error: { code: string }) => error.code)
      expect(written).toMatch(process.getuid?.() === 0 ? /^done$/ : /^SQLITE_READONLY/)
    }
  })
})

describe('P17: what is no database', () => {
  const contents = {
    'a text': [Buffer.from('this is a text, not a database'.repeat(200)), /^SQLITE_NOTADB$/],
    'a header with page size 0': [Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8_192)]), /^SQLITE_NOTADB$/],
  } as const

  it.each(Object.entries(contents))('refuses %s, and leaves it as it was', async (_what, [bytes, expected]) => {
    const path = scratchPath()
    writeFileSync(path, bytes)
    const { code, message } = await failureOf(open(path))
    expect(code).toMatch(expected)
    expect(message).toContain(path)
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
  })

  it('reports a truncated file, and closes', async () => {
    const path = scratchPath()
    const made = await openForTest(path)
    await made.exec('CREATE TABLE t (x)')
    await made.run('WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500) INSERT INTO t SELECT randomblob(500) FROM c')
    await made.close()
    truncateSync(path, 3 * 4_096)
    const before = readFileSync(path)
    const read = async (): Promise<void> => {
      const db = await openForTest(path)
      try {
        await db.all('SELECT * FROM t')
      } finally {
        await db.close()
      }
    }
    expect(await codeOf(read())).toMatch(/^SQLITE_(?:CORRUPT|IOERR_SHORT_READ)/)
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  it('ignores the log of another database', async () => {
    const [path, other] = [await writtenFile(), scratchPath()]
    const writer = await openForTest(other)
    await writer.exec('CREATE TABLE u (y); INSERT INTO u VALUES (1)')
    copyFileSync(`${other}-wal`, `${path}-wal`)
    const result = await openForTest(path).then((db) => db.pluck('SELECT x FROM t')).catch((error: { code: string }) => error.code)
    // The salt and the checksums of a log do not say whose it is: SQLite may take it for its own, and then finds nonsense.
    expect([[1, 2, 3], 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR']).toContainEqual(result)
  })

  it('opens an empty file as a new database', async () => {
    const path = scratchPath()
    writeFileSync(path, '')
    const db = await openForTest(path)
    await db.exec('CREATE TABLE t (x)')
    expect(db.status().concurrency).toBe('wal')
  })
})

describe('P20, P21: another process has the file', () => {
  it('P20: keeps the journal mode when a reader of a rollback journal is in the way of WAL', async () => {
    const path = await writtenFile('delete')
    const letGo = await holdLock(path, 'BEGIN IMMEDIATE')
    const db = await openForTest(path, { busyTimeoutMs: 50 })
    expect(db.status().concurrency).toBe('exclusive')
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2, 3])
    expect(await codeOf(db.run('INSERT INTO t VALUES (4)'))).toMatch(/^SQLITE_BUSY/)
    await letGo()
    await db.run('INSERT INTO t VALUES (4)')
    expect(await db.pluck('PRAGMA journal_mode')).toEqual(['delete'])
    expect(await db.pluck('PRAGMA integrity_check')).toEqual(['ok'])
  })

  it('P20: refuses to open when WAL is asked for and cannot be had', async () => {
    const path = await writtenFile('delete')
    const letGo = await holdLock(path, 'BEGIN IMMEDIATE')
    expect(await codeOf(open(path, { busyTimeoutMs: 50, concurrency: 'wal' }))).toMatch(/^SQLITE_BUSY/)
    await letGo()
    const db = await openForTest(path, { concurrency: 'wal' })
    expect(await db.pluck('PRAGMA journal_mode')).toEqual(['wal'])
  })

  it('P21: is busy at open, after the timeout, when another process has it for itself', async () => {
    const path = await writtenFile('delete')
    const letGo = await holdLock(path, 'BEGIN EXCLUSIVE')
    const { code, message } = await failureOf(open(path, { busyTimeoutMs: 50 }))
    expect(code).toMatch(/^SQLITE_BUSY/)
    expect(message).toContain(path)
    const patient = openForTest(path, { busyTimeoutMs: 20_000 })
    await letGo()
    expect(await (await patient).pluck('SELECT x FROM t')).toEqual([1, 2, 3])
  })

  it('L13: a writer held up by another process fails alone, reads go on, and the queue drains', async () => {
    const path = await writtenFile()
    const db = await openForTest(path, { busyTimeoutMs: 100 })
    const letGo = await holdLock(path, 'BEGIN IMMEDIATE')
    const write = codeOf(db.run('INSERT INTO t VALUES (4)'))
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2, 3])
    expect(await write).toMatch(/^SQLITE_BUSY/)
    await letGo()
    await Promise.all([5, 6, 7].map((x) => db.run('INSERT INTO t VALUES (?)', [x])))
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 2, 3, 5, 6, 7])
  })
})

describe('P22, P23: what the system lends', () => {
  it('P22: 1,000 databases opened and closed leave no thread and no descriptor', { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await runScript(
      `const { mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs')
      const { join } = require('node:path')
      const folder = mkdtempSync(join(require('node:os').tmpdir(), 'sluice-test-'))
      const count = () => [readdirSync('/proc/self/task').length, readdirSync('/proc/self/fd').length]
      const openAndClose = async (name) => {
        const db = await open(join(folder, name))
        await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
        await db.all('SELECT * FROM t')
        await db.close()
      }
      main(async () => {
        await openAndClose('first')
        // A thread that has closed its connection still has to end.
        const settled = async (isReached) => {
          const deadline = Date.now() + 5_000
          while (!isReached() && Date.now() < deadline) await new Promise(setImmediate)
          return count()
        }
        // A thread may end between being listed and being looked at.
        const nameOf = (id) => { try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8') } catch { return '' } }
        const workers = () => readdirSync('/proc/self/task').filter((id) => nameOf(id).startsWith('sluice:first'))
        const before = await settled(() => workers().length === 0)
        for (let from = 0; from < 1_000; from += 50) {
          await Promise.all(Array.from({ length: 50 }, (_, i) => openAndClose(String(from + i))))
        }
        console.log(JSON.stringify({ before, after: await settled(() => String(count()) === String(before)) }))
        rmSync(folder, { recursive: true })
      })`,
      { patienceMs: 55_000 },
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const { before, after } = JSON.parse(stdout) as { before: number[]; after: number[] }
    expect(after).toEqual(before)
  })

  it('P23: reads wait for the readers there are when no further one can be opened', async () => {
    const { code, stdout, stderr } = await runScript(
      `const { openSync, closeSync } = require('node:fs')
      main(async () => {
        const [, path] = process.argv
        const db = await open(path, { maxReaders: 8 })
        await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)')
        await db.all('SELECT x FROM t')
        const taken = []
        try { for (;;) taken.push(openSync('/dev/null')) } catch {}
        const sql = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50000) SELECT count(*) + (SELECT count(*) FROM t) AS n FROM c'
        const results = await Promise.allSettled(Array.from({ length: 50 }, () => db.get(sql)))
        const few = db.status().readers.open
        taken.forEach((fd) => closeSync(fd))
        await new Promise((resolve) => setTimeout(resolve, 150))
        await Promise.all(Array.from({ length: 50 }, () => db.get(sql)))
        const { open: many } = db.status().readers
        console.log(JSON.stringify({ failed: results.filter((r) => r.status === 'rejected').map((r) => r.reason.code), few, many }))
        await db.close()
      })`,
      { args: [scratchPath()], descriptors: 64 },
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const { failed, few, many } = JSON.parse(stdout) as { failed: string[]; few: number; many: number }
    expect(failed).toEqual([])
    expect(few).toBe(1)
    expect(many).toBeGreaterThan(1)
  })
})

describe('P15: databases in memory', () => {
  it.each([':memory:', ''])('%j is one database for the writer and all readers', async (path) => {
    const db = await openForTest(path, { maxReaders: 4 })
    expect(db.path).toBe(path)
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)')
    const results = await Promise.all(Array.from({ length: 16 }, () => db.execute('SELECT sum(x) AS s FROM t')))
    for (const { rows, route } of results) expect({ rows, route }).toEqual({ rows: [{ s: 3 }], route: 'read' })
    expect(db.status()).toMatchObject({ concurrency: 'exclusive', wal: { bytes: 0 } })
  })

  it('is private to its handle', async () => {
    const [one, two] = [await openForTest(':memory:'), await openForTest(':memory:')]
    await one.exec('CREATE TABLE t (x)')
    expect(await two.all('SELECT name FROM sqlite_schema')).toEqual([])
  })

  it('survives the pruning of every reader', async () => {
    const db = await openForTest(':memory:', { idleTtlMs: 0 })
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    for (let round = 0; round < 20; round++) {
      expect(await db.pluck('SELECT x FROM t')).toEqual([1])
      await expect.poll(() => db.status().readers.open).toBe(0)
    }
    expect(db.status().counters['prunes']).toBe(20)
  })

  it('refuses concurrency: wal, which it cannot have', async () => {
    expect(await codeOf(open(':memory:', { concurrency: 'wal' }))).toBe('ERR_SLUICE_INVALID_OPTION')
  })

  it('writes no file', async () => {
    const db = await openWithTable()
    const folder = scratchFolder()
    await db.close()
    const before = process.cwd()
    process.chdir(folder)
    try {
      const memory = await openForTest(':memory:')
      await memory.exec('CREATE TABLE t (x)')
      await memory.close()
    } finally {
      process.chdir(before)
    }
    expect(readdirSync(folder)).toEqual([])
  })
})
