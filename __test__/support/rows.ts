import type { Database, OpenOptions } from '../../index.js'
import { openWithTable } from './scratch.js'

/** Opens a database with `t(x)` in which are 1, 2 and 3. */
export async function openWithRows(options?: OpenOptions): Promise<Database> {
  const db = await openWithTable(options)
  await db.exec('INSERT INTO t VALUES (1), (2), (3)')
  return db
}

/** Takes all rows of an iterator. */
export async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const row of rows) all.push(row)
  return all
}
