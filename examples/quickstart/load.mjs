// Makes the tables, fills them, and indexes them.

export const SCHEMA = `
  CREATE TABLE countries (
    code      TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    region    TEXT NOT NULL,
    subregion TEXT,
    area_km2  REAL CHECK (area_km2 > 0)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE cities (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    country    TEXT NOT NULL REFERENCES countries,
    kind       TEXT NOT NULL,
    population INTEGER NOT NULL CHECK (population >= 0),
    latitude   REAL NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude  REAL NOT NULL CHECK (longitude BETWEEN -180 AND 180)
  ) STRICT;

  -- GeoNames lists sections of a city (PPLX) beside the city, and historical, abandoned and destroyed places beside living ones.
  CREATE VIEW towns AS SELECT * FROM cities WHERE kind NOT IN ('PPLX', 'PPLH', 'PPLQ', 'PPLW');
`

/** Made when the tables are full: sorting once is faster than keeping order row by row. */
const INDEXES = `
  CREATE INDEX cities_by_country ON cities (country, population DESC);

  -- Holds no copy of the names; finds 'São Paulo' by 'sao paulo'.
  CREATE VIRTUAL TABLE city_names USING fts5 (
    name, content = 'cities', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
  );
  INSERT INTO city_names (city_names) VALUES ('rebuild');

  CREATE TRIGGER city_names_insert AFTER INSERT ON cities BEGIN
    INSERT INTO city_names (rowid, name) VALUES (new.id, new.name);
  END;
  CREATE TRIGGER city_names_delete AFTER DELETE ON cities BEGIN
    INSERT INTO city_names (city_names, rowid, name) VALUES ('delete', old.id, old.name);
  END;
  CREATE TRIGGER city_names_update AFTER UPDATE OF id, name ON cities BEGIN
    INSERT INTO city_names (city_names, rowid, name) VALUES ('delete', old.id, old.name);
    INSERT INTO city_names (rowid, name) VALUES (new.id, new.name);
  END;

  ANALYZE;
`

// One INSERT of a thousand rows costs one commit, and one trip to the writer. More rows are hardly faster, and hold up the event loop
// while their values are copied; a JSON text taken apart by json_each takes nearly twice as long.
const ROWS_PER_INSERT = 1000
/** How many of the late cities arrive at a time: few, so that there are many writes to read beside. */
export const ROWS_PER_LATE_INSERT = 20

/** Writes an INSERT of `count` rows, for the values of all rows in one array. */
function insertInto(table, columns, count) {
  const row = `(${columns.map(() => '?').join(', ')})`
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${Array.from({ length: count }, () => row).join(', ')}`
}

function insertIntoCities(count) {
  return insertInto('cities', ['id', 'name', 'country', 'kind', 'population', 'latitude', 'longitude'], count)
}

/** Cuts rows into parts of at most `size`. */
function* parts(rows, size) {
  for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size)
}

/** Inserts all countries. */
export async function insertCountries(db, rows) {
  await db.run(insertInto('countries', ['code', 'name', 'region', 'subregion', 'area_km2'], rows.length), rows.flat())
}

/** Inserts cities in big steps; each is committed when its promise resolves. */
export async function insertCities(db, rows, { signal, onProgress }) {
  let done = 0
  for (const part of parts(rows, ROWS_PER_INSERT)) {
    signal.throwIfAborted()
    const { changes } = await db.run(insertIntoCities(part.length), part.flat())
    done += changes
    onProgress(done)
  }
}

/** Builds the indexes and the statistics for the query planner. */
export async function indexCities(db) {
  await db.exec(INDEXES)
}

/** Inserts cities in small steps, as they would arrive in a running application. */
export async function insertLateCities(db, rows, signal) {
  // The text is the same for each step, so each connection prepares it once.
  const insert = db.prepare(insertIntoCities(ROWS_PER_LATE_INSERT))
  let inserted = 0
  for (const part of parts(rows, ROWS_PER_LATE_INSERT)) {
    signal.throwIfAborted()
    const { changes } = await insert.run(part.flat())
    inserted += changes
  }
  return { inserted }
}
