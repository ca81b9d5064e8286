import { copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

const DATABASES = 20
const REST_MS = 50
const MEBIBYTE = 1_048_576
const KIBIBYTE = 1_024

/** Returns the memory of this process without garbage. */
async function residentBytes() {
  globalThis.gc()
  await setTimeout(REST_MS)
  globalThis.gc()
  return process.memoryUsage().rss
}

/** Returns how many bytes the addons have that this process has loaded; `null` where there are none. */
function addonBytes() {
  process.report.excludeNetwork = true
  const { sharedObjects } = process.report.getReport()
  const addons = sharedObjects.filter((path) => path.endsWith('.node'))
  return addons.length === 0 ? null : addons.reduce((sum, path) => sum + statSync(path).size, 0)
}

async function start({ peer, open, path, folder }) {
  const before = await residentBytes()
  const start = performance.now()
  await peer.load()
  const loaded = performance.now()
  const driver = await open()
  const row = await readOne(driver)
  const answered = performance.now()
  if (row.id !== 1) throw new Error(`the row is ${row.id}`)
  const first = await residentBytes()
  const more = []
  for (let number = 0; number < DATABASES; number++) {
    const copy = join(folder, `${number}.db`)
    copyFileSync(path, copy)
    more.push(await open({ path: copy }))
  }
  const idle = (await residentBytes()) - first
  const bytes = addonBytes()
  for (const one of [driver, ...more]) await one.close()
  return {
    importMs: loaded - start,
    firstMs: answered - loaded,
    bothMs: answered - start,
    addon: bytes === null ? null : bytes / MEBIBYTE,
    memory: (first - before) / MEBIBYTE,
    idle: idle / DATABASES / KIBIBYTE,
  }
}

function readOne(driver) {
  return driver.prepare('SELECT id FROM items WHERE id = ?', 'first')([1])
}

/** @type {import('../scenario.mjs').Scenario} */
export default {
  id: 'W20',
  title: 'start',
  about:
    'A fresh process imports the package, opens a file of one small table, and reads a row; then it opens 20 more. node-sqlite is part ' +
    'of Node. The least is that of the peers that are addons and run SQL in the process itself.',
  durability: 'normal',
  processes: 1,
  file: 'small',
  seconds: 0.4,
  roles: { '*': start },
  figures: {
    importMs: { title: 'import', unit: 'ms', least: true },
    firstMs: { title: 'open and first query', unit: 'ms', least: true },
    bothMs: { title: 'from import to the first row', unit: 'ms', least: true },
    addon: { title: 'size of the addon', unit: 'MiB', least: true },
    memory: { title: 'memory of the first database, with the package', unit: 'MiB', least: true },
    idle: { title: 'memory of each further open database', unit: 'KiB', least: true },
  },
}
