// A first program: loads the cities of the world into a database file, asks it questions while more cities arrive, and reports.
//
//   npm run quickstart
//   npm run quickstart -- --file world.db
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
// In an application: import { open } from 'sluice'
import { open } from '../index.mjs'
import { indexCities, insertCities, insertCountries, insertLateCities, SCHEMA } from './quickstart/load.mjs'
import { loopMonitor, sampleStatus, waitForPruning, workLeft } from './quickstart/observe.mjs'
import { progressBar } from './quickstart/progress.mjs'
import { prepareQuestions } from './quickstart/questions.mjs'
import { printReport } from './quickstart/report.mjs'
import { askWhile, compareWays } from './quickstart/rounds.mjs'
import { readSources } from './quickstart/sources.mjs'

const USAGE = `usage: quickstart [--file <path>] [--json]

  --file <path>  keep the database in this new file (default: a temporary file, removed at the end)
  --json         print what was found as JSON
  --help         print this`

/** How many cities are held back, to be inserted while the questions are asked. */
const LATE_CITIES = 5000
/** A minute by default; short here, so that the end of unused readers can be watched. */
const IDLE_TTL_MS = 250

/** Reads the command line. Returns `undefined`, with the exit code set, when there is nothing to run. */
function readArguments() {
  try {
    const { values } = parseArgs({
      options: { file: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    })
    if (values.help) {
      console.log(USAGE)
      return undefined
    }
    if (values.file !== undefined && existsSync(values.file)) throw new Error(`${values.file} exists already; name a new file`)
    return values
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`)
    process.exitCode = 2
    return undefined
  }
}

/** Calls `work` with the path to use; a temporary one is removed afterwards. */
async function withFile(path, work) {
  if (path !== undefined) return await work(path)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-quickstart-'))
  try {
    return await work(join(folder, 'world.db'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Inserts all but the late cities, and indexes them. */
async function load(db, sources, cities, signal) {
  const started = performance.now()
  await db.exec(SCHEMA)
  await insertCountries(db, sources.countries)
  const bar = progressBar('Loading cities', cities.length)
  // Nothing is read while cities are loaded, so no reader may be seen at work: the yardstick for what is seen later.
  const sampler = sampleStatus(db)
  try {
    await insertCities(db, cities, { signal, onProgress: bar.update })
  } finally {
    sampler.stop()
    bar.stop()
  }
  const loaded = performance.now()
  await indexCities(db)
  return {
    cities: cities.length,
    countries: sources.countries.length,
    loadMs: loaded - started,
    indexMs: performance.now() - loaded,
    samples: sampler.summary(),
  }
}

/** Asks all questions again and again, all at once, while the late cities are inserted a few at a time. */
async function askDuringWrites(db, questions, late, signal) {
  const before = db.status().counters
  const started = performance.now()
  const sampler = sampleStatus(db)
  try {
    let writing = true
    const writes = insertLateCities(db, late, signal).finally(() => {
      writing = false
    })
    const [written, asked] = await Promise.all([writes, askWhile(db, questions, () => writing)])
    const after = db.status().counters
    return {
      ...written,
      ...asked,
      reads: after.reads - before.reads,
      writes: after.writes - before.writes,
      ms: performance.now() - started,
      samples: sampler.summary(),
    }
  } finally {
    sampler.stop()
  }
}

/** Does everything there is to do with an open database. */
async function explore(db, sources, signal) {
  const early = sources.cities.slice(0, -LATE_CITIES)
  const late = sources.cities.slice(-LATE_CITIES)
  const loaded = await load(db, sources, early, signal)
  const questions = prepareQuestions(db)
  const during = await askDuringWrites(db, questions, late, signal)
  // Every insert has been acknowledged, so every reader sees all cities from here on.
  const compared = await compareWays(questions)
  return {
    sqlite: await db.get('SELECT sqlite_version() AS version'),
    total: await db.get('SELECT count(*) AS cities, sum(population) AS people FROM cities'),
    loaded,
    during,
    ...compared,
    pruning: await waitForPruning(db, IDLE_TTL_MS),
  }
}

/** Opens the database, explores it, and closes it whatever happens. */
async function run(path, sources, signal) {
  const loop = loopMonitor()
  const db = await open(path, { idleTtlMs: IDLE_TTL_MS })
  try {
    return { path: db.path, ...(await explore(db, sources, signal)), loop: loop.summary() }
  } finally {
    loop.stop()
    await db.close()
  }
}

async function main(options) {
  const stop = new AbortController()
  const interrupt = () => stop.abort(new Error('interrupted'))
  // The first Ctrl+C ends the work in order and removes the temporary file; the second one ends the process.
  process.once('SIGINT', interrupt)
  try {
    const sources = readSources()
    const found = await withFile(options.file, (path) => run(path, sources, stop.signal))
    const report = { ...found, kept: options.file !== undefined, sources: sources.credits, workLeft: await workLeft() }
    if (options.json) console.log(JSON.stringify(report, undefined, 2))
    else printReport(report)
  } catch (error) {
    if (error !== stop.signal.reason) throw error
    console.error(error.message)
    process.exitCode = 130
  } finally {
    process.off('SIGINT', interrupt)
  }
}

const options = readArguments()
if (options !== undefined) {
  try {
    await main(options)
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}
