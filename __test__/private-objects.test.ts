import { describe, expect, it } from 'vitest'

import type { Database, Route } from '../index.js'
import { openScratch } from './support/scratch.js'

const MAKE = "CREATE TEMP TABLE IF NOT EXISTS x AS SELECT 'temp' AS a"
const READ = 'SELECT a FROM x'

async function openWithMain(): Promise<Database> {
  const db = await openScratch()
  await db.exec("CREATE TABLE x (a); INSERT INTO x VALUES ('main')")
  return db
}

/** Reads the table `x`, and says which one was found, and by whom. */
async function found(db: Database): Promise<[unknown, Route]> {
  const { rows, route } = await db.execute<{ a: string }>(READ)
  return [rows[0]?.a, route]
}

describe('a temporary table that hides one of its name', () => {
  it('does so each time it is made by the same text', async () => {
    const db = await openWithMain()
    for (let time = 0; time < 3; time++) {
      expect(await found(db)).toEqual(['main', 'read'])
      await db.run(MAKE)
      await db.run(MAKE)
      expect(await found(db)).toEqual(['temp', 'write'])
      await db.run('DROP TABLE temp.x')
    }
  })

  it('does so when a batch makes it, and no more when one drops it, wherever in the batch that stands', async () => {
    const db = await openWithMain()
    const other = 'UPDATE x SET a = a'
    for (const [make, drop] of [[[MAKE, other], [other, 'DROP TABLE temp.x']], [[other, MAKE], ['DROP TABLE temp.x', other]]] as const) {
      await db.batch(make)
      expect(await found(db)).toEqual(['temp', 'write'])
      await db.batch([other])
      expect(await found(db)).toEqual(['temp', 'write'])
      await expect(db.batch(['DROP TABLE temp.x', 'no SQL'])).rejects.toThrow('syntax error')
      expect(await found(db)).toEqual(['temp', 'write'])
      await db.batch(drop)
      expect(await found(db)).toEqual(['main', 'read'])
    }
  })

  it('goes back to the readers when it is dropped by a text that had nothing to drop when it was first run', async () => {
    const db = await openWithMain()
    const drop = 'DROP TABLE IF EXISTS temp.x'
    await db.run(drop)
    for (let time = 0; time < 3; time++) {
      await db.run(MAKE)
      expect(await found(db)).toEqual(['temp', 'write'])
      await db.run(drop)
      expect(await found(db)).toEqual(['main', 'read'])
    }
  })

  it('goes back to the readers when it is dropped by a text that dropped a table of the file before', async () => {
    const db = await openWithMain()
    await db.exec("CREATE TABLE y (a); CREATE TABLE z (a); INSERT INTO z VALUES ('main')")
    const drop = 'DROP TABLE IF EXISTS y'
    await db.run(drop)
    await db.run('CREATE TEMP TABLE y (a)')
    expect((await db.execute('SELECT a FROM z')).route).toBe('write')
    await db.run(drop)
    expect((await db.execute('SELECT a FROM z')).route).toBe('read')
  })

  it('is dropped before the one of the file, by one text run twice', async () => {
    const db = await openWithMain()
    await db.run(MAKE)
    const drop = 'DROP TABLE IF EXISTS x'
    await db.run(drop)
    expect(await found(db)).toEqual(['main', 'read'])
    await db.run(drop)
    expect(await db.pluck("SELECT name FROM sqlite_schema WHERE name = 'x'")).toEqual([])
  })
})

describe('an attached database', () => {
  it('keeps reads on the writer until it is detached, each time, by the same texts', async () => {
    const db = await openWithMain()
    for (let time = 0; time < 3; time++) {
      await db.run("ATTACH ':memory:' AS other")
      await db.exec("CREATE TABLE other.only_here (a); INSERT INTO only_here VALUES ('other')")
      expect(await db.execute('SELECT a FROM only_here')).toMatchObject({ rows: [{ a: 'other' }], route: 'write' })
      expect(await found(db)).toEqual(['main', 'write'])
      await db.run('DETACH other')
      expect(await found(db)).toEqual(['main', 'read'])
    }
  })

  it('does so when the batch that attached it fails: no rollback takes it away', async () => {
    const db = await openWithMain()
    await expect(db.batch(["ATTACH ':memory:' AS other", 'INSERT INTO nowhere VALUES (1)'])).rejects.toMatchObject({ statementIndex: 1 })
    expect(await found(db)).toEqual(['main', 'write'])
    await db.run('DETACH other')
    expect(await found(db)).toEqual(['main', 'read'])
  })
})
