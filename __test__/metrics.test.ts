import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { holdLock } from './support/child-process.js'
import { until } from './support/deadline.js'
import { outcomeOf } from './support/failure.js'
import { openForTest, openScratch, openWithTable, scratchPath } from './support/scratch.js'

interface Family {
  kind: string
  unit: string
  help: string
}

/** What the text says of each family of metrics, in order. */
function familiesOf(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  for (const line of text.split('\n')) {
    const [, what, name = '', told = ''] = /^# (HELP|TYPE|UNIT) (\S+) (.*)$/.exec(line) ?? []
    if (what === undefined) continue
    const family = families.get(name) ?? { kind: '', unit: '', help: '' }
    families.set(name, family)
    if (what === 'HELP') family.help = told
    else if (what === 'TYPE') family.kind = told
    else family.unit = told
  }
  return families
}

/** The names of the labels that the samples of a family have, but for those that all have. */
function labelsOf(text: string, family: string): string[] {
  const found = new Set<string>()
  for (const [, labels = ''] of text.matchAll(new RegExp(`^${family}(?:_\\w+)?\\{(.*)\\} `, 'gm'))) {
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) if (label !== 'database' && label !== 'le') found.add(label)
  }
  return [...found]
}

async function openBusy(): Promise<Database> {
  const db = await openWithTable()
  await Promise.all(Array.from({ length: 100 }, (_, x) => db.run('INSERT INTO t VALUES (?)', [x])))
  await db.all('SELECT x FROM t')
  await outcomeOf(db.all('SELECT nothing'))
  return db
}

describe('metrics()', () => {
  it('are those of docs/METRICS.md, in its order and words', async () => {
    const db = await openBusy()
    const text = db.metrics()
    const rows = [...familiesOf(text)].map(([name, { kind, unit, help }]) => {
      const labels = labelsOf(text, name).map((label) => `\`${label}\``).join(', ')
      // Histograms have no line of their own for that.
      const measured = unit === '' ? (/_(seconds|bytes)$/.exec(name)?.[1] ?? '') : unit
      return `| \`${name}\` | ${kind} | ${measured} | ${labels} | ${help.replace(/\.$/, '')} |`
    })
    const told = readFileSync('docs/METRICS.md', 'utf8').split('\n').filter((line) => line.startsWith('| `sluice_'))
    expect(told).toEqual(rows)
  })

  it('are a text that ends as it should, with the path of the database in every line', async () => {
    const db = await openBusy()
    const lines = db.metrics().split('\n')
    expect(lines.slice(-2)).toEqual(['# EOF', ''])
    const samples = lines.filter((line) => line !== '' && !line.startsWith('#'))
    expect(samples.length).toBeGreaterThan(100)
    expect(samples.filter((line) => !line.includes(`database="${db.path}"`))).toEqual([])
  })

  it('may be asked for after close, and not before the database is open', async () => {
    const db = await openScratch()
    await db.close()
    expect(db.metrics()).toContain('# EOF')
    expect(db.metric('sluice_handles')).toBe(0)
  })
})

describe('metric()', () => {
  it('counts what happened', async () => {
    const db = await openBusy()
    expect(db.metric('sluice_statements_total', { route: 'write' })).toBe(db.status().counters['writes'])
    expect(db.metric('sluice_statements_total')).toBe(102)
    expect(db.metric('sluice_errors_total', { code: 'SQLITE_ERROR' })).toBe(1)
    expect(db.metric('sluice_errors_total', { code: 'SQLITE_BUSY' })).toBe(0)
    expect(db.status().errors).toEqual({ SQLITE_ERROR: 1 })
    expect(db.metric('sluice_group_statements_count')).toBe(db.status().counters['groups'])
    expect(db.metric('sluice_group_statements_sum')).toBe(db.status().counters['groupedWrites'])
    expect(db.metric('sluice_wal_bytes')).toBe(db.status().wal.bytes)
    expect(db.metric('sluice_readers_open', { database: db.path })).toBe(db.status().readers.open)
    expect(db.metric('sluice_queue_wait_seconds_count', { class: 'write' })).toBeGreaterThan(0)
  })

  it('counts transactions, however they begin and end', async () => {
    const db = await openWithTable()
    await db.transaction((tx) => tx.run('INSERT INTO t VALUES (1)'))
    await expect(db.transaction(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    const own = db.handle()
    await own.run('BEGIN')
    await own.run('COMMIT')
    await own.close()
    expect(db.metric('sluice_transactions_total')).toBe(3)
    expect(db.metric('sluice_transaction_commits_total')).toBe(2)
    expect(db.metric('sluice_transaction_rollbacks_total')).toBe(1)
    expect(db.metric('sluice_transaction_seconds_count')).toBe(3)
  })

  it('counts waits for other processes', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { busyTimeoutMs: 50 })
    await db.exec('CREATE TABLE t (x)')
    const letGo = await holdLock(path, 'BEGIN IMMEDIATE')
    expect(await outcomeOf(db.run('INSERT INTO t VALUES (1)'))).toBe('SQLITE_BUSY')
    await letGo()
    expect(db.metric('sluice_busy_retries_total')).toBeGreaterThan(0)
    expect(db.metric('sluice_busy_retries_total')).toBe(db.status().counters['busyRetries'])
    expect(db.metric('sluice_busy_wait_seconds_count')).toBe(1)
    expect(db.metric('sluice_errors_total', { code: 'SQLITE_BUSY' })).toBe(1)
  })

  it('counts calls that never ran', async () => {
    const db = await openWithTable({ acquireTimeoutMs: 20 })
    await db.transaction(async () => {
      expect(await outcomeOf(db.run('INSERT INTO t VALUES (1)'))).toBe('ERR_SLUICE_REENTRANT')
      expect(await outcomeOf(db.run('INSERT INTO t VALUES (1)', [], { detached: true }))).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    })
    expect(db.status().errors).toEqual({ ERR_SLUICE_ACQUIRE_TIMEOUT: 1, ERR_SLUICE_REENTRANT: 1 })
  })

  it('counts calls of a transaction that has been ended', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 10 })
    const tx = await db.begin()
    await until(() => db.status().counters['sessionTimeouts'] === 1, 'the transaction is ended')
    expect(await outcomeOf(tx.run('INSERT INTO t VALUES (1)'))).toBe('ERR_SLUICE_TX_TIMEOUT')
    expect(db.metric('sluice_errors_total', { code: 'ERR_SLUICE_TX_TIMEOUT' })).toBe(1)
    expect(db.metric('sluice_session_timeouts_total')).toBe(1)
  })

  const WRONG: readonly (readonly [name: unknown, labels: unknown, message: RegExp])[] = [
    ['sluice_eror_total', undefined, /did you mean 'sluice_errors_total'/],
    ['sluice_errors', undefined, /there is no metric 'sluice_errors'/],
    ['requests', undefined, /docs\/METRICS\.md/],
    [5, undefined, /must be a string/],
    ['sluice_errors_total', 'SQLITE_BUSY', /must be an object/],
    ['sluice_errors_total', { code: 5 }, /'code'/],
    ['sluice_errors_total', { kode: 'SQLITE_BUSY' }, /no label 'kode'/],
    ['sluice_errors_total', { code: 'SQLITE_BUSSY' }, /SQLITE_BUSSY/],
    ['sluice_handles', { database: 'other.db' }, /no label 'database'/],
    ['sluice_queue_wait_seconds_bucket', { class: 'read', le: '3' }, /'le'/],
  ]

  it.each(WRONG)('%j with %j is an error, and not zero', async (name, labels, message) => {
    const db = await openScratch()
    const expected = expect.objectContaining({ code: 'ERR_SLUICE_INVALID_ARGUMENT', message: expect.stringMatching(message) })
    expect(() => db.metric(name as string, labels as never)).toThrow(expected)
  })
})
