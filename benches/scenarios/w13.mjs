import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { COLD_ROWS, COLD_ROW_BYTES } from '../files.mjs'
import { NotOffered } from '../peer.mjs'
import { integers } from '../random.mjs'

const READS = 200
const FEW = 1
const MANY = 4
const SQL = 'SELECT bytes FROM pages WHERE id = ?'

/** Takes the file out of the page cache of the system. */
function evict(path) {
  const { status, error } = spawnSync('dd', ['if=/dev/null', `of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'])
  if (error !== undefined || status !== 0) throw new NotOffered('files are evicted by the dd of GNU coreutils')
}

/** Returns how many bytes this process has had read from a disk. */
function bytesFromDisk() {
  return Number(/^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))[1])
}

/** Distinct rows at random, the same ones for all. */
function randomRows(seed) {
  const draw = integers(seed)
  const rows = new Set()
  while (rows.size < READS) rows.add(1 + draw(COLD_ROWS))
  return [...rows]
}

/** Makes all reads, with an open driver whose caches are empty, and returns how long they take. */
async function readAll({ open, path, peer }, readers) {
  const driver = await open({ readers })
  const read = driver.prepare(SQL, 'first')
  // Opens every connection, whose first statement reads the schema.
  const warm = driver.prepare('SELECT id FROM few WHERE id = ?', 'first')
  await Promise.all(Array.from({ length: readers * 4 }, () => warm([1])))
  evict(path)
  const rows = randomRows(readers)
  const diskBefore = bytesFromDisk()
  const start = performance.now()
  const read200 = peer.synchronous ? rows.map((id) => read([id])) : await Promise.all(rows.map((id) => read([id])))
  const ms = performance.now() - start
  const mebibytes = (bytesFromDisk() - diskBefore) / 1_048_576
  const bytes = read200.reduce((sum, row) => sum + row.bytes.byteLength, 0)
  if (bytes !== READS * COLD_ROW_BYTES) throw new Error(`${bytes} bytes were read`)
  await driver.close()
  return { ms, mebibytes }
}

/** Reads as much without SQLite, with so many reads at once. */
async function diskAlone(path, atOnce) {
  evict(path)
  const file = await openFile(path)
  const places = randomRows(100 + atOnce).map((row) => row * COLD_ROW_BYTES)
  let next = 0
  async function lane() {
    const buffer = Buffer.alloc(COLD_ROW_BYTES)
    while (next < places.length) await file.read(buffer, 0, COLD_ROW_BYTES, places[next++])
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: atOnce }, lane))
  const ms = performance.now() - start
  await file.close()
  return ms
}

async function oneConnection(stage) {
  const { ms, mebibytes } = await readAll(stage, FEW)
  return { one: ms, many: null, speedup: null, disk: null, mebibytes }
}

async function oneAndMany(stage) {
  const one = await readAll(stage, FEW)
  const many = await readAll(stage, MANY)
  return { one: one.ms, many: many.ms, speedup: one.ms / many.ms, disk: null, mebibytes: many.mebibytes }
}

async function withDisk(stage) {
  const figures = await oneAndMany(stage)
  const one = await diskAlone(stage.path, FEW)
  return { ...figures, disk: one / (await diskAlone(stage.path, MANY)) }
}

/** @type {import('../scenario.mjs').Scenario} */
export default {
  id: 'W13',
  title: 'cold reads',
  about:
    `${READS} rows of 16 KiB at random places of a file of 125 MiB that is not in the page cache, all asked for at once. The disk itself ` +
    'is measured with as many reads of 16 KiB without SQLite.',
  durability: 'normal',
  processes: 1,
  file: 'cold',
  shared: true,
  seconds: 0.6,
  roles: {
    sluice: withDisk,
    'better-sqlite3': oneConnection,
    'better-sqlite3-threads': oneAndMany,
    '@photostructure/sqlite': oneAndMany,
    '@tursodatabase/database': 'cannot: locks the file that all read',
    '*': oneConnection,
  },
  figures: {
    one: { title: 'with 1 reader', unit: 'ms' },
    many: { title: `with ${MANY} readers`, unit: 'ms' },
    speedup: { title: `${MANY} readers relative to 1`, unit: 'times', target: '>= 1.8' },
    disk: { title: `the disk itself, ${MANY} reads at once relative to 1`, unit: 'times' },
    mebibytes: { title: 'read from the disk', unit: 'MiB' },
  },
}
