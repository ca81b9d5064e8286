// How long rows take as the bytes of a JSON text: `executeJson`, beside `JSON.stringify` of what `all` returns.
// node benches/json.mjs [rounds]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

import { open } from '../index.mjs'

const [rounds = 7] = process.argv.slice(2).map(Number)
/** How many rows a call returns, and how many calls a round has. */
const SIZES = [[10_000, 12], [1_000, 60], [100, 300], [1, 2_000]]
const WAYS = {
  executeJson: (db, sql, params) => db.executeJson(sql, params),
  'JSON.stringify': async (db, sql, params) => Buffer.from(JSON.stringify(await db.all(sql, params))),
}
const SQL = 'SELECT id, name, note, price, stock FROM articles WHERE id <= ?'

/** Makes calls one after another, and returns how long each took, and how long the event loop worked for it, in milliseconds. */
async function measure(call, calls) {
  const utilization = performance.eventLoopUtilization()
  const cpu = process.threadCpuUsage?.()
  const began = performance.now()
  for (let number = 0; number < calls; number++) await call()
  const elapsed = (performance.now() - began) / calls
  const used = cpu === undefined ? undefined : process.threadCpuUsage(cpu)
  const loop = used === undefined ? performance.eventLoopUtilization(utilization).active : (used.user + used.system) / 1_000
  return { elapsed, loop: loop / calls }
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]

async function compare(db, rows, calls) {
  const runs = Object.entries(WAYS).map(([name, way]) => ({ name, call: () => way(db, SQL, [rows]), figures: [] }))
  const [bytes, others] = await Promise.all(runs.map(({ call }) => call()))
  if (!bytes.equals(others)) throw new Error('the texts differ')
  for (let round = 0; round < rounds; round++) for (const { call, figures } of runs) figures.push(await measure(call, calls))
  console.log(`${rows} rows, ${bytes.length} bytes`)
  for (const { name, figures } of runs) {
    const [elapsed, loop] = ['elapsed', 'loop'].map((key) => median(figures.map((figure) => figure[key])))
    console.log(`  ${name.padEnd(15)} ${elapsed.toFixed(4)} ms, of which the event loop works ${loop.toFixed(4)}`)
  }
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
try {
  const db = await open(join(folder, 'json.db'))
  await db.exec('CREATE TABLE articles (id INTEGER PRIMARY KEY, name TEXT, note TEXT, price REAL, stock INTEGER)')
  await db.run(`
    WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000)
    INSERT INTO articles SELECT n, 'article number ' || n, 'note ' || (n % 50) || ' with some text', n * 1.37, (n * 7919) % 100000 FROM c`)
  for (const [rows, calls] of SIZES) await compare(db, rows, calls)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
