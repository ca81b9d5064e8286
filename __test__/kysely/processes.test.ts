import { expect, it } from 'vitest'

import { open } from '../../index.js'
import { converse } from '../support/child-process.js'
import { scratchPath } from '../support/scratch.js'

const PROCESSES = 4

/** Says that it is ready, waits for a word, migrates, and says what it has applied. */
const MIGRATE = `(async () => {
  const { Kysely, sql } = await import('kysely')
  const { Migrator } = await import('kysely/migration')
  const { SluiceDialect } = await import('sluice/kysely')
  const [, path] = process.argv
  const db = new Kysely({ dialect: new SluiceDialect({ path, busyTimeoutMs: 20_000 }) })
  const migration = (name) => ({
    up: async (trx) => {
      await sql\`CREATE TABLE \${sql.table(name)} (pid INTEGER)\`.execute(trx)
      // Long enough for every other process to arrive.
      await new Promise((resolve) => setTimeout(resolve, 100))
      await trx.insertInto(name).values({ pid: process.pid }).execute()
    },
  })
  const provider = { getMigrations: async () => ({ a: migration('a'), b: migration('b') }) }
  await sql\`SELECT 1\`.execute(db)
  console.log('ready')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  const { error, results } = await new Migrator({ db, provider }).migrateToLatest()
  console.log(JSON.stringify({ error: error?.message, applied: results?.map((one) => one.migrationName) }))
  await db.destroy()
  process.exit()
})()`

it(`of ${PROCESSES} processes that migrate at the same time, exactly one applies the migrations`, async () => {
  const path = scratchPath()
  const processes = Array.from({ length: PROCESSES }, () => converse(MIGRATE, { args: [path], bare: true }))
  for (const { line } of processes) expect(await line()).toBe('ready')
  for (const { say } of processes) say('go')
  const answers = await Promise.all(processes.map(async ({ line }) => JSON.parse(await line()) as { error?: string; applied?: string[] }))
  for (const { ended } of processes) expect((await ended).code).toBe(0)
  expect(answers.flatMap(({ error }) => error ?? [])).toEqual([])
  expect(answers.flatMap(({ applied }) => applied).sort()).toEqual(['a', 'b'])
  const db = await open(path)
  expect(await db.pluck('SELECT count(*) FROM a UNION ALL SELECT count(*) FROM b')).toEqual([1, 1])
  await db.close()
})
