import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from '../index.js'
import { failureOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'

/** Every option of `open`: what it takes and what it refuses. A test below compares the list with the one in the error message. */
const OPTIONS: Record<string, { takes: readonly unknown[]; refuses: readonly unknown[] }> = {
  readonly: { takes: [false], refuses: ['true', 1, null] },
  create: { takes: [true], refuses: [0, null, 'yes'] },
  uri: { takes: [true, false], refuses: [1, null, 'file:'] },
  followLinks: { takes: [true, false], refuses: [1, null, 'no'] },
  concurrency: { takes: ['wal', 'exclusive'], refuses: ['WAL', '', true, null] },
  maxReaders: { takes: [0, 1, 1_024], refuses: [-1, 1_025, 1.5, '4', Number.NaN, Infinity, 4n, null] },
  idleTtlMs: { takes: [0, 1, 2 ** 31 - 1], refuses: [-1, 2 ** 31, 0.5, '0', Infinity, null] },
  ordering: { takes: ['acknowledged', 'submitted'], refuses: ['Submitted', 1, true, null] },
  durability: { takes: ['full', 'normal', 'off'], refuses: ['FULL', 1, true, null] },
  acquireTimeoutMs: { takes: [0, 2 ** 31 - 1], refuses: [-1, 2 ** 31, 0.5, Infinity, null] },
  busyTimeoutMs: { takes: [0, 2 ** 31 - 1], refuses: [-1, 2 ** 31, 0.5, Infinity, null] },
  groupCommit: {
    takes: [true, false, {}, { maxStatements: 1 }, { maxMs: 0, maxBytes: 0 }],
    refuses: ['on', 1, null, []],
  },
  transactionTimeoutMs: { takes: [0, 2 ** 31 - 1], refuses: [-1, 2 ** 31, 0.5, null] },
  transactionIdleTimeoutMs: { takes: [0, 2 ** 31 - 1], refuses: [-1, 2 ** 31, 0.5, null] },
  maxReadLeaseMs: { takes: [0, 2 ** 31 - 1], refuses: [-1, 2 ** 31, 0.5, null] },
  maxQueued: { takes: [1, 2 ** 32 - 1], refuses: [0, -1, 2 ** 32, 1.5, null] },
  maxResultBytes: { takes: [1, Number.MAX_SAFE_INTEGER], refuses: [0, -1, 2 ** 53, 1.5, null] },
  statementCacheSize: { takes: [1, 65_536], refuses: [0, -1, 65_537, 1.5, null] },
  inlineReads: { takes: ['auto', 'off'], refuses: ['on', false, true, null] },
  integers: { takes: ['auto', 'number', 'bigint'], refuses: ['string', true, null] },
  dates: { takes: ['reject', 'iso', 'ms'], refuses: ['s', 1, null] },
  rowMode: { takes: ['object', 'array'], refuses: ['map', true, null] },
  foreignKeys: { takes: [true, false], refuses: ['on', 1, null] },
  traceParameters: { takes: [true, false], refuses: ['yes', 1, null] },
  onSlowQuery: { takes: [() => {}], refuses: ['log', 1, null, {}] },
  // What it takes, it takes beside onSlowQuery: that is tested with the hook.
  slowQueryMs: { takes: [], refuses: [-1, 2 ** 31, 0.5, '200', Infinity, null, 200] },
  pragmas: {
    takes: [{}, { cache_size: -4_000 }, { CACHE_SIZE: '100', recursive_triggers: true }, { page_size: 8_192, encoding: 'UTF-16le' }],
    refuses: [null, [], 'cache_size=1', new Map(), 7],
  },
}

const cases = (kind: 'takes' | 'refuses') => Object.entries(OPTIONS).flatMap(([name, values]) => values[kind].map((value) => ({ name, value })))

describe('options of open', () => {
  it.each(cases('takes'))('takes $name: $value', async ({ name, value }) => {
    const db = await openScratch({ [name]: value })
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    expect(await db.all('SELECT x FROM t WHERE x > 1')).toEqual([])
  })

  it.each(cases('refuses'))('refuses $name: $value, naming it, and makes no file', async ({ name, value }) => {
    const path = scratchPath()
    const error = await failureOf(open(path, { [name]: value }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: name })
    expect(error.message).toContain(`'${name}'`)
    expect(readdirSync(dirname(path))).toEqual([])
  })

  it.each(Object.keys(OPTIONS))('takes %s: undefined for what is left out', async (name) => {
    const db = await openScratch({ [name]: undefined })
    expect(db.status().phase).toBe('open')
  })

  it('names every option when it cannot guess which was meant', async () => {
    const { message } = await failureOf(open(scratchPath(), { zzz: 1 } as never))
    const named = /the options are (.*)$/.exec(message)?.[1]?.split(', ')
    expect(named?.sort()).toEqual(Object.keys(OPTIONS).sort())
  })

  const typos = { maxReader: 'maxReaders', readOnly: 'readonly', idleTTLMs: 'idleTtlMs', busyTimeout: 'busyTimeoutMs', foreign_keys: 'foreignKeys', pragma: 'pragmas', Integers: 'integers', rowmode: 'rowMode' }
  it.each(Object.entries(typos))('guesses that %s was meant to be %s', async (typo, meant) => {
    const error = await failureOf(open(scratchPath(), { [typo]: 1 } as never))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: typo })
    expect(error.message).toContain(`did you mean '${meant}'?`)
  })

  it.each(['attach', 'mirror', 'retry', 'signal'])('refuses %s, which does not exist yet', async (name) => {
    expect(await failureOf(open(scratchPath(), { [name]: undefined } as never))).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: name })
  })

  it.each([
    [{ maxStatement: 1 }, 'groupCommit.maxStatement'],
    [{ maxStatements: 0 }, 'groupCommit.maxStatements'],
  ])('names what is wrong within groupCommit: %o', async (groupCommit, option) => {
    expect(await failureOf(open(scratchPath(), { groupCommit } as never))).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option })
  })

  it('does not take a key of Object.prototype for an option', async () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      const options = JSON.parse(`{ "${name}": 1 }`) as object
      expect(await failureOf(open(scratchPath(), options)), name).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: name })
    }
  })

  it.each([null, 7, 'readonly', [], true].map((options) => [options]))('refuses %j in the place of options', async (options) => {
    expect((await failureOf(open(scratchPath(), options as never))).code).toBe('ERR_SLUICE_INVALID_ARGUMENT')
  })

  it('counts inherited keys', async () => {
    const db = await openScratch(Object.create({ maxReaders: 3 }) as object)
    expect(db.status().readers.max).toBe(3)
  })

  it('reads as many at once as there are cores, at least 2 and at most 8', async () => {
    const db = await openScratch()
    expect(db.status().readers.max).toBe(Math.min(Math.max(availableParallelism(), 2), 8))
  })
})

describe('the option pragmas', () => {
  it('holds on the writer and on every reader', async () => {
    const db = await openScratch({ pragmas: { cache_size: -1_234, page_size: 8_192 } })
    for (const route of ['write', 'read']) {
      // A temporary object makes the writer answer.
      if (route === 'write') await db.exec('CREATE TEMP TABLE u (x)')
      expect(await db.execute('SELECT cache_size FROM pragma_cache_size', [], { rowMode: 'array' })).toMatchObject({ rows: [[-1_234]], route })
      if (route === 'write') await db.exec('DROP TABLE u')
    }
    expect(await db.pluck('PRAGMA page_size')).toEqual([8_192])
  })

  const refused = ['synchronous', 'journal_mode', 'locking_mode', 'query_only', 'writable_schema', 'trusted_schema', 'hard_heap_limit', 'soft_heap_limit', 'temp_store_directory', 'busy_timeout', 'user_version', 'no_such_pragma', 'wal_checkpoint', 'table_info']
  it.each(refused)('refuses %s, which is not a setting of one connection', async (name) => {
    const path = scratchPath()
    const { code, message } = await failureOf(open(path, { pragmas: { [name]: 1 } }))
    expect(code).toBe('ERR_SLUICE_INVALID_OPTION')
    expect(message).toContain(name)
    expect(readdirSync(dirname(path))).toEqual([])
  })

  it.each(['', 'a b', 'cache_size; DROP TABLE t', 'a-b', "x'"])('refuses %j, which is no name', async (name) => {
    expect(await failureOf(open(scratchPath(), { pragmas: { [name]: 1 } }))).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: `pragmas.${name}` })
  })

  it.each([null, undefined, {}, 1n, Number.NaN, Infinity, Symbol('a')].map((value) => [value]))('refuses the value %s', async (value) => {
    const error = await failureOf(open(scratchPath(), { pragmas: { cache_size: value as never } }))
    expect(error).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'pragmas.cache_size' })
  })

  it('never takes a value for SQL', async () => {
    const db = await openScratch({ pragmas: { cache_size: '1; CREATE TABLE injected (x)' } })
    expect(await db.all('SELECT name FROM sqlite_schema')).toEqual([])
  })
})

describe('options of a call', () => {
  it('refuses unknown ones with a guess, and those of the wrong kind', async () => {
    const db = await openWithTable()
    expect((await failureOf(db.all('SELECT 1', [], { rowmode: 'array' } as never))).message).toContain("did you mean 'rowMode'?")
    expect(await failureOf(db.all('SELECT 1', [], { integers: 'big' } as never))).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'integers' })
    expect(await failureOf(db.run('INSERT INTO t VALUES (1)', [], { rowMode: 'array' } as never))).toMatchObject({ option: 'rowMode' })
    expect(await failureOf(db.close({ timeoutMS: 1 } as never))).toMatchObject({ code: 'ERR_SLUICE_INVALID_OPTION', option: 'timeoutMS' })
    for (const timeoutMs of [-1, Number.NaN, Infinity, '1', 2 ** 31]) {
      expect(await failureOf(db.close({ timeoutMs: timeoutMs as never }))).toMatchObject({ option: 'timeoutMs' })
    }
    expect(db.closed).toBe(false)
    expect(await db.all('SELECT * FROM t')).toEqual([])
  })

  it('belongs to the handle: two handles on one file deliver as each was told', async () => {
    const path = scratchPath()
    const objects = await openForTest(path)
    const arrays = await openForTest(path, { rowMode: 'array', integers: 'bigint' })
    expect(await objects.all('SELECT 1 AS x')).toEqual([{ x: 1 }])
    expect(await arrays.all('SELECT 1 AS x')).toEqual([[1n]])
    expect(await arrays.all('SELECT 1 AS x', [], { rowMode: 'object', integers: 'auto' })).toEqual([{ x: 1 }])
  })
})
