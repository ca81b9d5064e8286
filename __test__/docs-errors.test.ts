import { readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { open } from '../index.js'
import type { Database, OpenOptions, SluiceError } from '../index.js'
import { readDocument } from './support/markdown.js'

const CODE = /ERR_SLUICE_[A-Z_]+/g
const COUNT_TO = 'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) SELECT count(*) FROM c'
const ENDLESS = 1e15
const text = readDocument('docs/ERRORS.md')

let folder: string
let db: Database

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-errors-'))
  db = await open(join(folder, 'main.db'))
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true, force: true })
})

function codesIn(source: string): string[] {
  return [...new Set(source.match(CODE) ?? [])].sort()
}

function sourcesIn(path: string): string {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  return files.map((name) => readFileSync(join(path, name), 'utf8')).join('\n')
}

/** The codes of the core and of the JavaScript side. */
function codesInSource(): string[] {
  return codesIn(readFileSync('crates/core/src/error/mod.rs', 'utf8') + sourcesIn('js'))
}

/** The messages that the document gives as examples, by their code. */
function examples(): Map<string, string> {
  const sections = [...text.matchAll(/^### `(ERR_SLUICE_[A-Z_]+)`\n([\s\S]*?)(?=^#|(?![\s\S]))/gm)]
  return new Map(sections.map(([, code = '', body = '']) => [code, /^> (.*)$/m.exec(body)?.[1] ?? '']))
}

/** Runs calls on a database of its own, and closes it whatever they do. */
async function on<T>(name: string, options: OpenOptions, use: (other: Database) => Promise<T>): Promise<T> {
  const other = await open(name === '' ? '' : join(folder, name), options)
  try {
    return await use(other)
  } finally {
    await other.close({ timeoutMs: 0 })
  }
}

/** Starts reads that do not end, and returns what becomes of the first to fail. The text is known by then, as that of a read. */
async function crowd(other: Database, calls: number): Promise<unknown> {
  await other.get(COUNT_TO, [1])
  return Promise.race(Array.from({ length: calls }, () => other.get(COUNT_TO, [ENDLESS])))
}

/** What leads to each code, for those that a test can lead to. */
const CAUSES: { readonly [code: string]: () => Promise<unknown> } = {
  ERR_SLUICE_ACQUIRE_TIMEOUT: () => on('busy.db', { maxReaders: 1, acquireTimeoutMs: 20 }, (other) => crowd(other, 2)),
  ERR_SLUICE_CLOSED: async () => {
    const closed = await open(':memory:')
    await closed.close()
    return closed.get('SELECT 1')
  },
  ERR_SLUICE_CONNECTION_STATE: () => db.get('SELECT changes()'),
  ERR_SLUICE_DATABASE_REPLACED: () =>
    on('moved.db', {}, async (other) => {
      await rename(join(folder, 'moved.db'), join(folder, 'elsewhere.db'))
      return other.get('SELECT 1')
    }),
  ERR_SLUICE_INVALID_ARGUMENT: () => db.all('SELECT ?', 7 as never),
  ERR_SLUICE_INVALID_OPTION: () => open(':memory:', { maxReader: 4 } as never),
  ERR_SLUICE_INVALID_PARAMETER: () => db.all('SELECT ?, ?', [1]),
  ERR_SLUICE_MANUAL_TRANSACTION: () => db.exec('BEGIN'),
  ERR_SLUICE_MULTIPLE_STATEMENTS: () => db.run('SELECT 1; SELECT 2'),
  ERR_SLUICE_NOT_AUTHORIZED: () => db.get("SELECT load_extension('x')"),
  ERR_SLUICE_OUT_OF_RANGE: () => db.get('SELECT 9007199254740993 AS n', [], { integers: 'number' }),
  ERR_SLUICE_OVERLOADED: () => on('crowd.db', { maxReaders: 1, maxQueued: 2 }, (other) => crowd(other, 4)),
  ERR_SLUICE_PRAGMA: () => db.pragma('synchronous', 'OFF'),
  ERR_SLUICE_READ_LEASE_TIMEOUT: () => on('lease.db', { maxReadLeaseMs: 300 }, (other) => other.read((r) => r.get(COUNT_TO, [ENDLESS]))),
  ERR_SLUICE_REENTRANT: () => db.transaction(() => db.run('CREATE TABLE never_made (x)')),
  ERR_SLUICE_TIMEOUT: () => db.get(COUNT_TO, [ENDLESS], { timeoutMs: 20 }),
  ERR_SLUICE_TOO_LARGE: () => on('', { maxResultBytes: 1000 }, (other) => other.get('SELECT zeroblob(2000)')),
  ERR_SLUICE_TX_ABORTED: () =>
    on('', {}, async (other) => {
      await other.exec('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)')
      return other.transaction((tx) => tx.run('INSERT OR ROLLBACK INTO t VALUES (1)').catch(() => undefined))
    }),
  ERR_SLUICE_TX_CLOSED: async () => {
    const tx = await db.begin()
    await tx.rollback()
    return tx.commit()
  },
  ERR_SLUICE_TX_TIMEOUT: () => on('idle.db', { transactionIdleTimeoutMs: 20 }, (other) => other.transaction(() => new Promise(() => {}))),
  ERR_SLUICE_WAL_GONE: () =>
    on('gone.db', {}, async (other) => {
      await other.exec('CREATE TABLE t (x)')
      await rm(join(folder, 'gone.db-wal'))
      return other.run('INSERT INTO t VALUES (1)')
    }),
}

/** What no test can lead to without another machine, another build or a planted fault. Their messages are those of the source. */
const NOT_PROVOKED = [
  'ERR_SLUICE_BINDING_MISSING',
  'ERR_SLUICE_DECODE',
  'ERR_SLUICE_NETWORK_FILE_SYSTEM',
  'ERR_SLUICE_OUTCOME_UNKNOWN',
  'ERR_SLUICE_PANIC',
  'ERR_SLUICE_SQLITE_BUILD',
]

describe('docs/ERRORS.md', () => {
  it('explains every code in the source, and no other', () => {
    expect([...examples().keys()].sort()).toEqual(codesInSource())
  })

  it('lists its codes in order', () => {
    const codes = [...examples().keys()]
    expect(codes).toEqual([...codes].sort())
  })

  it('names no code elsewhere that it does not explain', () => {
    expect(codesIn(text).filter((code) => !examples().has(code))).toEqual([])
  })

  it('gives an example of each message', () => {
    expect([...examples()].filter(([, message]) => message === '')).toEqual([])
  })

  it('leaves no code untried but those with a reason', () => {
    expect([...Object.keys(CAUSES), ...NOT_PROVOKED].sort()).toEqual(codesInSource())
  })

  it.each(Object.entries(CAUSES))('%s has the message that is shown', async (code, cause) => {
    const error = await cause().then(
      () => undefined,
      (reason: unknown) => reason as SluiceError,
    )
    expect(error?.code).toBe(code)
    expect(error?.message.replaceAll(`${folder}/`, '/data/')).toBe(examples().get(code))
  })
})

describe('the closed list of codes', () => {
  it('is the same in the types and in the core, but for what only one side can meet', () => {
    const typed = codesIn(readFileSync('js/errors.ts', 'utf8'))
    const core = codesIn(readFileSync('crates/core/src/error/mod.rs', 'utf8'))
    expect(core.filter((code) => !typed.includes(code))).toEqual([])
    expect(typed.filter((code) => !core.includes(code))).toEqual(['ERR_SLUICE_BINDING_MISSING', 'ERR_SLUICE_DECODE'])
  })
})
