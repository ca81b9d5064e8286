// Takes the picture in docs/INSPECTOR.md: the inspector while the quickstart's cities are queried and more of them arrive.
//
//   npm run screenshot:inspector
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { open } from 'sluice'
import { startInspector } from 'sluice/inspector'
import { indexCities, insertCities, insertCountries, SCHEMA } from '../examples/quickstart/load.mjs'
import { readSources } from '../examples/quickstart/sources.mjs'
import { launchBrowser } from './browser.mjs'
import { inRoot } from './paths.mjs'

const TARGET = inRoot('docs/inspector.png')
const LARGEST_PICTURE = 200 * 1_024
const LATE_CITIES = 5_000
const LOAD_MS = 9_000

const QUESTIONS = [
  ['SELECT name, population FROM cities WHERE country = ? ORDER BY population DESC LIMIT 10', ['DE']],
  ['SELECT name, country FROM cities WHERE id = ?', [2_950_159]],
  ['SELECT c.name FROM city_names AS n JOIN cities AS c ON c.id = n.rowid WHERE city_names MATCH ? ORDER BY n.rank LIMIT 20', ['sao']],
  ['SELECT country, count(*) AS cities, sum(population) AS people FROM cities GROUP BY country ORDER BY people DESC LIMIT 20', []],
  ['SELECT name FROM cities WHERE latitude BETWEEN ? AND ? AND longitude BETWEEN ? AND ? ORDER BY population DESC LIMIT 5', [47, 48, 8, 9]],
]

/** Asks questions, a few at a time, now and then at once, until the signal. */
async function ask(db, signal) {
  for (let asked = 0; !signal.aborted; asked++) {
    const [sql, values] = QUESTIONS[asked % QUESTIONS.length]
    await db.all(sql, values)
    if (asked % 40 === 0) await Promise.all(QUESTIONS.flatMap((one) => [db.all(...one), db.all(...one)]))
    await sleep(6 + (asked % 5) * 9)
  }
}

/** Lets cities arrive: one by one, some together, now and then one that is there already. */
async function arrive(db, cities, signal) {
  const insert = db.prepare('INSERT INTO cities (id, name, country, kind, population, latitude, longitude) VALUES (?, ?, ?, ?, ?, ?, ?)')
  for (let at = 0; at + 12 < cities.length && !signal.aborted; at += 12) {
    await Promise.all(cities.slice(at, at + 8).map((city) => insert.run(city)))
    await db.transaction(async (tx) => {
      for (const [id] of cities.slice(at + 8, at + 12)) await tx.run('UPDATE cities SET population = population + 1 WHERE id = ?', [id])
    })
    if (at % 240 === 120) await insert.run(cities[at]).catch(() => {})
    await sleep(90)
  }
}

/** Has the database for itself for a while, as a migration does. */
async function migrate(db) {
  await sleep(LOAD_MS * 0.6)
  await db.writeMode(async (w) => {
    await w.exec('CREATE INDEX IF NOT EXISTS cities_by_kind ON cities (kind)')
    await sleep(150)
  })
}

async function run(db, late) {
  const inspector = await startInspector(db, { slowMs: 20 })
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage({ viewport: { width: 1_360, height: 850 }, colorScheme: 'light' })
    await page.goto(inspector.url)
    const signal = AbortSignal.timeout(LOAD_MS)
    await Promise.all([ask(db, signal), ask(db, signal), ask(db, signal), arrive(db, late, signal), migrate(db)])
    await page.click('#pause')
    // Where a picture is taken is of no interest in it.
    await page.locator('#database').evaluate((shown, name) => (shown.textContent = name), basename(db.path))
    await page.screenshot({ path: TARGET })
  } finally {
    await browser.close()
    await inspector.close()
  }
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-screenshot-'))
const { cities, countries } = readSources()
const db = await open(join(folder, 'world.db'), { maxReaders: 4 })
try {
  await db.exec(SCHEMA)
  await insertCountries(db, countries)
  await insertCities(db, cities.slice(0, -LATE_CITIES), { signal: new AbortController().signal, onProgress: () => {} })
  await indexCities(db)
  await run(db, cities.slice(-LATE_CITIES))
} finally {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
}
const { size } = statSync(TARGET)
console.log(`docs/inspector.png: ${size} bytes`)
if (size > LARGEST_PICTURE) throw new Error(`the picture is larger than ${LARGEST_PICTURE} bytes`)
