// How long reads of a mirror take while it is reloaded again and again, beside how long they take in peace.
// node benches/mirror.mjs [megabytes] [seconds]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'

import { open } from '../index.mjs'
import { integers } from './random.mjs'

const [megabytes = 100, seconds = 10] = process.argv.slice(2).map(Number)
const ROW_BYTES = 1_000
const rows = megabytes * 1_000
const SELECT = 'SELECT n, length(filling) AS bytes FROM items WHERE n = ?'

/** Reads one row after another, with a pause in between, and returns how long each read took, in milliseconds. */
async function read(reader, isOver) {
  const statement = reader.prepare(SELECT)
  const pick = integers(1)
  const times = []
  while (!isOver()) {
    const began = performance.now()
    await statement.get([1 + pick(rows)])
    times.push(performance.now() - began)
    await delay(1)
  }
  return times
}

function report(what, times) {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(3)
  console.log(`${what.padEnd(28)} ${String(times.length).padStart(6)} reads  p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  most ${at(1)} ms`)
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
try {
  const db = await open(join(folder, 'mirror.db'))
  await db.exec('CREATE TABLE items (n INTEGER PRIMARY KEY, filling BLOB)')
  await db.run('WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) INSERT INTO items SELECT n, randomblob(?) FROM c', [rows, ROW_BYTES])
  await db.checkpoint('truncate')
  const mirror = await db.mirror()
  console.log(`a database of ${(mirror.status().bytes / 1e6).toFixed(0)} MB, reads of one row by its key, one after another`)
  const until = (end) => () => performance.now() > end
  await read(mirror, until(performance.now() + 1_000))

  report('in peace', await read(mirror, until(performance.now() + seconds * 1_000)))

  let reloads = 0
  const took = []
  let over = false
  const reading = read(mirror, () => over)
  const end = performance.now() + seconds * 1_000
  while (performance.now() < end) {
    await mirror.reload()
    took.push(mirror.status().lastReloadMs)
    reloads++
  }
  over = true
  report('while it is reloaded', await reading)
  const mean = took.reduce((sum, ms) => sum + ms, 0) / took.length
  console.log(`${reloads} reloads, one after another, ${mean.toFixed(0)} ms each; ${mirror.status().superseded} replaced copies kept at the end`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
