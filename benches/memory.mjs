// What a database costs that is only open, and a call that only waits.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** How long allocators and threads get to come to rest, in milliseconds. */
const REST_MS = 300

/** Returns the memory of this process once garbage is collected. */
export async function atRest() {
  globalThis.gc()
  await setTimeout(REST_MS)
  globalThis.gc()
  return process.memoryUsage()
}

/**
 * Opens copies of a small database and returns how many bytes of resident memory each takes: opened, and after one read.
 *
 * @param {import('./peer.mjs').Peer} peer
 */
export async function idleMemory(peer, { path, folder, settings, databases }) {
  const paths = Array.from({ length: databases + 1 }, (_, number) => join(folder, `${number}.db`))
  for (const copy of paths) copyFileSync(path, copy)
  const read = (driver) => driver.prepare('SELECT id FROM items WHERE id = ?', 'first')([1])
  // The first one brings what the process needs only once.
  const drivers = [await peer.open(paths[0], settings)]
  await read(drivers[0])
  const before = await atRest()
  for (const copy of paths.slice(1)) drivers.push(await peer.open(copy, settings))
  const open = await atRest()
  for (const driver of drivers) await read(driver)
  const used = await atRest()
  for (const driver of drivers) await driver.close()
  return { openBytes: (open.rss - before.rss) / databases, readBytes: (used.rss - before.rss) / databases }
}

/** Starts calls without waiting for any, and returns how many bytes each takes: resident, and in the heap of JavaScript. */
export async function queuedMemory(driver, { sql, params, calls }) {
  const run = driver.prepare(sql, 'first')
  await Promise.all(params.map((values) => run(values)))
  const before = await atRest()
  const promises = Array.from({ length: calls }, (_, call) => run(params[call % params.length]))
  const queued = process.memoryUsage()
  await Promise.all(promises)
  return { residentBytes: (queued.rss - before.rss) / calls, heapBytes: (queued.heapUsed - before.heapUsed) / calls }
}
