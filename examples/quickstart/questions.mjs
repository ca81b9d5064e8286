// The questions: SQL, the values of its parameters, and how each column of the answer is shown.

const LARGEST_BY_COUNTRY = `
  WITH ranked AS (
    SELECT country, name, population, id,
           row_number() OVER (PARTITION BY country ORDER BY population DESC, id) AS place,
           sum(population) OVER (PARTITION BY country) AS people
    FROM towns
  )
  SELECT countries.name AS country, ranked.name AS city, ranked.population
  FROM ranked JOIN countries ON countries.code = ranked.country
  WHERE place <= :each
  ORDER BY people DESC, countries.code, place
  LIMIT :each * :countries`

const LARGEST_BY_REGION = `
  WITH ranked AS (
    SELECT region, countries.name AS country, towns.name AS city, population,
           row_number() OVER (PARTITION BY region ORDER BY population DESC, id) AS place
    FROM towns JOIN countries ON countries.code = towns.country
  )
  SELECT region, city, country, population
  FROM ranked
  WHERE place <= :each
  ORDER BY region, place`

// The haversine formula, on a sphere of the earth's mean radius. min() keeps rounding from leaving the domain of asin().
const NEAREST = `
  WITH measured AS (
    SELECT towns.name AS city, countries.name AS country, population, id,
           2 * 6371.0088 * asin(min(1, sqrt(
             pow(sin(radians(latitude - :latitude) / 2), 2)
             + cos(radians(:latitude)) * cos(radians(latitude)) * pow(sin(radians(longitude - :longitude) / 2), 2)
           ))) AS distance
    FROM towns JOIN countries ON countries.code = towns.country
  )
  SELECT city, country, population, distance
  FROM measured
  ORDER BY distance, id
  LIMIT :limit`

const DENSITY = `
  SELECT countries.name AS country, sum(population) AS people, area_km2 AS area, sum(population) / area_km2 AS density
  FROM towns JOIN countries ON countries.code = towns.country
  WHERE area_km2 >= :minimumArea
  GROUP BY countries.code
  ORDER BY density DESC, countries.code
  LIMIT :limit`

const SEARCH = `
  SELECT highlight(city_names, 0, '[', ']') AS city, countries.name AS country, population
  FROM city_names
  JOIN towns ON towns.id = city_names.rowid
  JOIN countries ON countries.code = towns.country
  WHERE city_names MATCH :words
  ORDER BY population DESC, towns.id
  LIMIT :limit`

const TEXT = { unit: undefined, digits: undefined, group: false }
/** Rows that follow each other with the same value belong together. */
const GROUP = { ...TEXT, group: true }
const PEOPLE = measured('people', 0)

function measured(unit, digits) {
  return { unit, digits, group: false }
}

export const QUESTIONS = [
  {
    title: 'Largest cities of the five countries with most people in cities',
    sql: LARGEST_BY_COUNTRY,
    params: { each: 3, countries: 5 },
    columns: { country: GROUP, city: TEXT, population: PEOPLE },
  },
  {
    title: 'Largest cities of each region',
    sql: LARGEST_BY_REGION,
    params: { each: 3 },
    columns: { region: GROUP, city: TEXT, country: TEXT, population: PEOPLE },
  },
  {
    title: 'Nearest cities to the Eiffel Tower (48.8584 N, 2.2945 E)',
    sql: NEAREST,
    params: { latitude: 48.8584, longitude: 2.2945, limit: 5 },
    columns: { city: TEXT, country: TEXT, population: PEOPLE, distance: measured('km', 1) },
  },
  {
    title: 'Nearest cities to Point Nemo, far from any land (48.8767 S, 123.3933 W)',
    sql: NEAREST,
    params: { latitude: -48.8767, longitude: -123.3933, limit: 5 },
    columns: { city: TEXT, country: TEXT, population: PEOPLE, distance: measured('km', 0) },
  },
  {
    title: 'People in cities by area, of countries from 500 km²',
    sql: DENSITY,
    params: { minimumArea: 500, limit: 8 },
    columns: { country: TEXT, people: PEOPLE, area: measured('km²', 0), density: measured('people/km²', 1) },
  },
  {
    title: "Names with 'sao paulo', however it is accented",
    sql: SEARCH,
    params: { words: '"sao paulo"', limit: 5 },
    columns: { city: TEXT, country: TEXT, population: PEOPLE },
  },
  {
    title: "Names with a word that begins with 'newc'",
    sql: SEARCH,
    params: { words: 'newc*', limit: 5 },
    columns: { city: TEXT, country: TEXT, population: PEOPLE },
  },
]

/** Prepares every question. A prepared statement belongs to no connection: it runs on whichever reader is free. */
export function prepareQuestions(db) {
  return QUESTIONS.map((question) => ({ question, statement: db.prepare(question.sql) }))
}
