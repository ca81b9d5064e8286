import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { open } from '../../index.js'
import type { Database, OpenOptions } from '../../index.js'

/** Makes a folder that goes with the test. Call it before anything is opened in it: what was asked for last ends first. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Returns the path of a database that does not exist yet, in a folder of its own. */
export function scratchPath(name = 'test.db'): string {
  return join(scratchFolder(), name)
}

/** Opens a database that is closed with the test, if it is not closed before. */
export async function openForTest(path: string | URL | Uint8Array, options?: OpenOptions): Promise<Database> {
  const db = await open(path, options)
  onTestFinished(() => db.close({ timeoutMs: 0 }))
  return db
}

/** Opens a new database file that goes with the test. */
export function openScratch(options?: OpenOptions): Promise<Database> {
  return openForTest(scratchPath(), options)
}

/** Opens a new database file with the table `t(x)`. */
export async function openWithTable(options?: OpenOptions): Promise<Database> {
  const db = await openScratch(options)
  await db.exec('CREATE TABLE t (x)')
  return db
}
