import { describe, expect, it } from 'vitest'

import { open } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import { migrate } from 'sluice/drizzle/migrator'
import { converse, holdLock } from '../support/child-process.js'
import { scratchPath } from '../support/scratch.js'
import { rejectionOf } from '../support/drizzle.js'
import { bundle } from './migration-sources.js'

const STEPS = ['CREATE TABLE log (step INTEGER)', ...[1, 2, 3].map((step) => `INSERT INTO log VALUES (${step})`)]

/** Opens the file, says so, and migrates when it is told to. */
const MIGRATING = `main(async () => {
  const [, path, source] = process.argv
  const { drizzle } = require('sluice/drizzle')
  const { migrate } = require('sluice/drizzle/migrator')
  const db = drizzle({ connection: { path, busyTimeoutMs: 20_000 } })
  await db.$client.ready()
  console.log('ready')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  await migrate(db, JSON.parse(source))
  console.log(JSON.stringify(await db.values('SELECT step FROM log')))
  await db.$client.close()
  process.exit()
})`

describe('processes that migrate at once', () => {
  it('apply each migration exactly once, and all see it', async () => {
    const path = scratchPath()
    const processes = Array.from({ length: 4 }, () => converse(MIGRATING, { args: [path, JSON.stringify(bundle(STEPS))] }))
    for (const { line } of processes) expect(await line()).toBe('ready')
    for (const { say } of processes) say('go')
    for (const { line, ended } of processes) {
      expect(await line()).toBe('[[1],[2],[3]]')
      expect((await ended).code).toBe(0)
    }
  })

  it('do not write when there is nothing to apply, whoever holds the file', async () => {
    const path = scratchPath()
    const db = drizzle(await open(path, { busyTimeoutMs: 50 }))
    try {
      await migrate(db, bundle(STEPS))
      const release = await holdLock(path, 'BEGIN IMMEDIATE')
      await migrate(db, bundle(STEPS))
      const rejection = await rejectionOf(migrate(db, bundle([...STEPS, 'INSERT INTO log VALUES (4)'])))
      expect(rejection.code).toBe('SQLITE_BUSY')
      await release()
      expect(await db.values('SELECT count(*) FROM log')).toEqual([[3]])
    } finally {
      await db.$client.close()
    }
  })
})
