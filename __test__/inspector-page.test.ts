import { setTimeout as delay } from 'node:timers/promises'
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import type { InspectorOptions } from 'sluice/inspector'
import type { Database, OpenOptions } from '../index.js'
import { launchBrowser } from '../scripts/browser.mjs'
import { inspectForTest } from './support/inspector.js'
import { openWithTable } from './support/scratch.js'
import { COUNTING_READ } from './support/slow-sql.js'

/** How long the page may take for anything: a hang must fail. */
const PATIENCE_MS = 15_000

let browser: Browser

beforeAll(async () => {
  browser = await launchBrowser()
})

afterAll(() => browser.close())

/** A page that shows a database. */
interface Shown {
  readonly db: Database
  readonly page: Page
  readonly close: () => Promise<void>
}

/** Opens the page of a database that has the table `t(x)`. What the browser complains about fails the test. */
async function show(options: InspectorOptions = {}, openOptions: OpenOptions = {}): Promise<Shown> {
  const db = await openWithTable(openOptions)
  const inspector = await inspectForTest(db, options)
  const context = await browser.newContext({ viewport: { width: 1_300, height: 900 }, colorScheme: 'light' })
  onTestFinished(() => context.close())
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    // A connection that ends is what some tests are about.
    if (message.type() === 'error' && !message.text().includes('net::ERR_')) complaints.push(message.text())
  })
  onTestFinished(() => expect(complaints).toEqual([]))
  await page.goto(inspector.url)
  await page.locator('#state[data-state=live]').waitFor()
  return { db, page, close: () => inspector.close() }
}

/** Finds the rows of a table that hold a text. */
function rows(page: Page, table: string, text: string): ReturnType<Page['locator']> {
  return page.locator(`#${table} tr`, { hasText: text })
}

/** Runs in the page: counts the pixels of the timeline that have the colour of a kind, and finds the place of one of them. */
const PIXELS = `(kind) => {
  const canvas = document.querySelector('canvas')
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--' + kind).trim()
  const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)).concat(255).join()
  const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
  const found = []
  for (let at = 0; at < bytes.length; at += 4) if (bytes.slice(at, at + 4).join() === wanted) found.push(at / 4)
  const middle = found[Math.floor(found.length / 2)] ?? 0
  const { left, top } = canvas.getBoundingClientRect()
  return { count: found.length, x: left + (middle % canvas.width), y: top + Math.floor(middle / canvas.width) }
}`

function pixels(page: Page, kind: string): Promise<{ count: number; x: number; y: number }> {
  return page.evaluate(`(${PIXELS})('${kind}')`)
}

/** Waits until the timeline has pixels of a kind. */
async function untilDrawn(page: Page, kind: string): Promise<void> {
  await expect.poll(async () => (await pixels(page, kind)).count, { timeout: PATIENCE_MS }).toBeGreaterThan(0)
}

/** Waits until an element is there that holds what is looked for, and returns its text. */
async function textOf(page: Page, selector: string, hasText: string | RegExp): Promise<string | null> {
  const found = page.locator(selector, { hasText }).first()
  await found.waitFor()
  return found.textContent()
}

describe('the page of the inspector', () => {
  it('has a lane for the writer and for each reader that ran something, and draws what they did', async () => {
    const { db, page } = await show()
    await db.run('INSERT INTO t VALUES (1)')
    // From then on it is known to be a read, and does not go to the writer where a reader takes long to open.
    await db.all(COUNTING_READ, [300_000])
    await db.read(async (r) => {
      await r.all(COUNTING_READ, [300_000])
      await db.all(COUNTING_READ, [300_000])
    })
    await page.locator('#lanes [data-lane="reader.1"]').waitFor()
    await page.locator('#lanes [data-lane="reader.2"]').waitFor()
    expect(await page.locator('#lanes li').allTextContents()).toEqual(['writer', 'reader.1', 'reader.2'])
    await untilDrawn(page, 'read')
    await untilDrawn(page, 'write')
  })

  it('lists statements, the newest first, and follows the database', async () => {
    const { db, page } = await show()
    await db.run('INSERT INTO t VALUES (1), (2)')
    await rows(page, 'statements', 'INSERT INTO t').waitFor()
    await db.all('SELECT x\n  FROM t')
    const newest = page.locator('#statements tr').first()
    await newest.filter({ hasText: 'SELECT x FROM t' }).waitFor()
    expect(await newest.locator('td').nth(5).textContent()).toBe('2')
    await db.all('SELECT x FROM t LIMIT 1')
    await newest.filter({ hasText: 'LIMIT 1' }).waitFor()
    expect(await page.title()).toBe(`${db.path} – Sluice inspector`)
  })

  it('shows the numbers of now', async () => {
    const { db, page } = await show()
    const tx = await db.begin()
    expect(await textOf(page, '[data-tile=writer] .value', 'busy')).toBe('busy')
    await tx.rollback()
    expect(await textOf(page, '[data-tile=writer] .value', 'idle')).toBe('idle')
    expect(await page.textContent('[data-tile=readers] .value')).toContain(`of ${db.status().readers.max}`)
    expect(await textOf(page, '[data-tile=wal] .value', 'KiB')).toMatch(/^\d+\.\d+ KiB$/)
  })

  it('filters by text, route, duration and failure', async () => {
    const { db, page } = await show()
    await db.run('INSERT INTO t VALUES (1)')
    await db.all('SELECT x AS quick FROM t')
    await db.all(COUNTING_READ, [1_000_000])
    await db.exec('CREATE UNIQUE INDEX t_x ON t (x)')
    await db.run('INSERT INTO t VALUES (?)', [1]).catch(() => {})
    await rows(page, 'statements', 'SQLITE_CONSTRAINT_UNIQUE').waitFor()
    const listed = (): Promise<string[]> => page.locator('#statements tr .sql').allTextContents()
    const shows = async (isWanted: (sql: string) => boolean): Promise<void> => {
      await expect.poll(async () => (await listed()).map(isWanted).join(), { timeout: PATIENCE_MS }).toMatch(/^true(?:,true)*$/)
    }
    await page.fill('[name=text]', 'quick  SELECT')
    await shows((sql) => sql === 'SELECT x AS quick FROM t')
    await page.fill('[name=text]', '')
    await page.selectOption('[name=route]', 'write')
    await shows((sql) => !sql.startsWith('SELECT'))
    await page.selectOption('[name=route]', '')
    await rows(page, 'statements', 'AS quick').waitFor()
    await page.fill('[name=min]', '10')
    await rows(page, 'statements', 'AS quick').waitFor({ state: 'detached' })
    const durations = await page.locator('#statements td:nth-child(5)').allTextContents()
    expect(durations.filter((text) => !/^\d\d[\d.]* ms$| s$/.test(text))).toEqual([])
    expect(await listed()).toContain(COUNTING_READ)
    await page.fill('[name=min]', '')
    await page.fill('[name=text]', '')
    await page.check('[name=failed]')
    await shows((sql) => sql === 'INSERT INTO t VALUES (?)')
    await page.fill('[name=text]', 'no such text')
    await expect.poll(() => page.locator('#statements tr').count(), { timeout: PATIENCE_MS }).toBe(0)
  })

  it('stands still while it is paused, and has what happened meanwhile when it goes on', async () => {
    const { db, page } = await show()
    await db.all('SELECT 1 AS before')
    await rows(page, 'statements', 'AS before').waitFor()
    await page.click('#pause')
    await page.locator('#state[data-state=paused]').waitFor()
    await db.all('SELECT 2 AS meanwhile')
    await page.locator('#pause', { hasText: /^Resume \(\d+ new\)$/ }).waitFor()
    expect(await rows(page, 'statements', 'AS meanwhile').count()).toBe(0)
    expect(await page.getAttribute('#pause', 'aria-pressed')).toBe('true')
    await page.click('#pause')
    await rows(page, 'statements', 'AS meanwhile').waitFor()
    await page.locator('#state[data-state=live]').waitFor()
  })

  it('takes the lane of a reader away when it is closed and what it did is out of sight', async () => {
    const { db, page } = await show({}, { idleTtlMs: 50 })
    await page.selectOption('#span', '1000')
    await db.all('SELECT 1')
    await page.locator('[data-lane="reader.1"]').waitFor()
    await page.locator('[data-lane="reader.1"]').waitFor({ state: 'detached' })
    expect(await page.locator('#lanes li').allTextContents()).toEqual(['writer'])
  })

  it('forgets everything with Clear', async () => {
    const { db, page } = await show()
    await db.all('SELECT 1 AS before')
    await rows(page, 'statements', 'AS before').waitFor()
    await page.click('#clear')
    await rows(page, 'statements', 'AS before').waitFor({ state: 'detached' })
    // The table and the lanes are not written in the same frame.
    await page.locator('[data-lane="reader.1"]').waitFor({ state: 'detached' })
    expect(await page.locator('#lanes li').allTextContents()).toEqual(['writer'])
    await db.all('SELECT 2 AS after')
    await rows(page, 'statements', 'AS after').waitFor()
  })

  it('exports what is shown', async () => {
    const { db, page } = await show()
    await db.all('SELECT 1 AS wanted WHERE ? = ?', ['secret', 'secret'])
    await db.all('SELECT 2 AS other')
    await rows(page, 'statements', 'AS other').waitFor()
    await page.fill('[name=text]', 'wanted')
    await rows(page, 'statements', 'AS other').waitFor({ state: 'detached' })
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')])
    expect(download.suggestedFilename()).toMatch(/^sluice-[\dTZ-]+\.json$/)
    const text = readFileSync(await download.path(), 'utf8')
    expect(JSON.parse(text)).toMatchObject({
      database: db.path,
      filter: { text: 'wanted' },
      statements: [{ sql: 'SELECT 1 AS wanted WHERE ? = ?', route: 'read', rows: 1 }],
      status: { phase: 'open' },
    })
    expect(text).not.toContain('secret')
  })

  it('lists slow statements, and explains them', async () => {
    const { db, page } = await show({ slowMs: 5 })
    await db.exec('CREATE TABLE numbers (n); INSERT INTO numbers VALUES (1)')
    const slow = `${COUNTING_READ} JOIN numbers`
    await db.all(slow, [1_000_000])
    await db.all('SELECT 1 AS quick')
    await page.click('#tab-slow')
    await page.locator('#slow .sql').first().waitFor()
    expect(await rows(page, 'slow', 'AS quick').count()).toBe(0)
    await rows(page, 'slow', 'JOIN numbers').locator('.sql').click()
    await page.locator('#plan .scan', { hasText: 'SCAN numbers' }).filter({ hasText: 'reads the whole table' }).waitFor()
    expect(await page.textContent('#details-sql')).toBe(slow)
    await page.keyboard.press('Escape')
    expect(await page.isHidden('#details')).toBe(true)
  })

  it('counts errors by their code', async () => {
    const { db, page } = await show()
    await db.exec('CREATE UNIQUE INDEX t_x ON t (x); INSERT INTO t VALUES (1)')
    for (let time = 0; time < 3; time++) await db.run('INSERT INTO t VALUES (?)', [1]).catch(() => {})
    await page.click('#tab-errors')
    const row = rows(page, 'errors', 'SQLITE_CONSTRAINT_UNIQUE')
    await row.filter({ has: page.locator('td', { hasText: /^3$/ }) }).waitFor()
    await untilDrawn(page, 'failed')
    await row.locator('.sql').click()
    expect(await textOf(page, '#details-facts', 'Failed with')).toContain('Failed withSQLITE_CONSTRAINT_UNIQUE')
  })

  it('lists what was refused and never ran', async () => {
    const { db, page } = await show()
    await db.all('SELECT x FROM t WHERE x = ?', [1], { signal: AbortSignal.abort() }).catch(() => {})
    await db.all('PRAGMA locking_mode = EXCLUSIVE').catch(() => {})
    expect(await textOf(page, '#statements tr', 'locking_mode')).toContain('ERR_SLUICE_PRAGMA')
  })

  it('shows exclusive mode and transactions', async () => {
    const { db, page } = await show()
    await db.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      // Long enough to be seen on a line of some seconds.
      await delay(500)
    })
    await db.writeMode(async (w) => {
      await w.run('VACUUM')
    })
    await page.click('#tab-events')
    expect(await textOf(page, '#events tr', 'gate mode switched')).toMatch(/to (?:read|write)/)
    expect(await textOf(page, '#events tr', 'transaction committed')).toContain('tookUs')
    await untilDrawn(page, 'transaction')
  })

  it('says what a bar is when the pointer is on it, and shows more with a click', async () => {
    const { db, page } = await show()
    await page.selectOption('#span', '1000')
    await db.all(COUNTING_READ, [1_000_000])
    await untilDrawn(page, 'read')
    await page.click('#pause')
    await page.locator('#state[data-state=paused]').waitFor()
    const { x, y } = await pixels(page, 'read')
    await page.mouse.move(x, y)
    expect(await textOf(page, '#tip', 'RECURSIVE')).toMatch(/reader\.1 · waited .* · ran /)
    await page.mouse.down()
    await page.mouse.up()
    expect(await textOf(page, '#details-facts', 'reader.1')).toContain('Ran onreader.1')
  })

  it('can be used with the keyboard alone', async () => {
    const { db, page } = await show()
    await db.all('SELECT 1 AS before')
    await rows(page, 'statements', 'AS before').waitFor()
    await page.focus('canvas')
    await page.keyboard.press('+')
    expect(await page.locator('#state').textContent()).toBe('live')
    await page.keyboard.press('ArrowLeft')
    await page.locator('#state[data-state=paused]').waitFor()
    await page.focus('#tab-statements')
    await page.keyboard.press('ArrowRight')
    expect(await page.getAttribute('#tab-slow', 'aria-selected')).toBe('true')
    expect(await page.isVisible('#panel-slow')).toBe(true)
    await page.keyboard.press('ArrowLeft')
    await rows(page, 'statements', 'AS before').locator('.sql').focus()
    await page.keyboard.press('Enter')
    await page.locator('#details').waitFor()
  })

  it('reads SQL as text, whatever it holds', async () => {
    const { db, page } = await show()
    const sql = `SELECT '<img src=x onerror=alert(1)>' AS "</script><b>bold</b>"`
    await db.all(sql)
    await rows(page, 'statements', '<img src=x').locator('.sql').click()
    expect(await page.textContent('#details-sql')).toBe(sql)
    expect(await page.locator('img, b').count()).toBe(0)
  })

  it('is light or dark as the system is', async () => {
    const { page } = await show()
    const background = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const light = await background()
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await background()).not.toBe(light)
  })

  it('says so when the inspector is gone', async () => {
    const { page, close } = await show()
    await close()
    expect(await textOf(page, '#state', 'disconnected')).toBe('disconnected')
  })

  it('tells of a database that is closed', async () => {
    const { db, page } = await show()
    await db.close()
    expect(await textOf(page, '[data-tile=mode] .note', 'closed')).toBe('closed')
  })
})
