import { makeDatabase } from './database.js'
import type { Database } from './database.js'
import { Handle } from './handle.js'
import { locate } from './location.js'
import { openConfig } from './options.js'
import type { OpenOptions } from './options.js'

/**
 * Opens a database. The file is created if there is none, and gets a write-ahead log if it is new.
 *
 * A file that is open in this process already, under any name and in any worker thread, is not opened again: the handles share its
 * connections, its queue and its status. `integers`, `dates`, `rowMode`, `ordering` and the limits of transactions and read sessions belong to
 * the handle; other options must be those it was opened with, or be left out. Handles that are `readonly`, and those opened by a URI, have
 * connections of their own, and meet the others as another process would. Close every handle when it is no longer needed: the file is closed
 * with the last one.
 *
 * @param path - the file: a path, a `file:` URL, or the raw bytes of a path; `':memory:'` and `''` stand for a private database in
 * memory. A relative path is made absolute at once.
 * @param options - what to do differently from the defaults
 * @throws `SluiceError` before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION` also
 * where the file is open with other options
 * @throws `SqliteError`: `SQLITE_CANTOPEN` for a file that is missing, a directory or out of bounds; `SQLITE_NOTADB`; `SQLITE_BUSY`
 * when another process has it for itself
 * @throws `SluiceError`: `ERR_SLUICE_NETWORK_FILE_SYSTEM` where a write-ahead log cannot work
 *
 * @example
 * ```ts
 * import { open } from 'sluice'
 *
 * const db = await open('app.db')
 * try {
 *   await db.exec('CREATE TABLE IF NOT EXISTS visits (at TEXT NOT NULL)')
 *   await db.run('INSERT INTO visits (at) VALUES (?)', [new Date().toISOString()])
 *   console.log(await db.get('SELECT count(*) AS visits FROM visits'))
 * } finally {
 *   await db.close()
 * }
 * ```
 */
export async function open(path: string | URL | Uint8Array, options?: OpenOptions): Promise<Database> {
  const db = connect(path, options)
  await db.ready()
  return db
}

/**
 * Starts to open a database, and returns it at once: for where nothing can be awaited, such as the top of a CommonJS module. Otherwise it
 * is {@link open}.
 *
 * Calls wait until the database is open; each is rejected with the reason if it cannot be opened, and so is {@link Database.ready}. Until
 * then `iterate`, `handle` and `status`, which cannot wait, throw `ERR_SLUICE_INVALID_ARGUMENT`.
 *
 * @throws at once, before anything is touched: `ERR_SLUICE_INVALID_ARGUMENT` for what is no path, `ERR_SLUICE_INVALID_OPTION`
 *
 * @example
 * ```ts
 * const db = connect('app.db')
 *
 * export async function countUsers() {
 *   const [n] = await db.pluck<number>('SELECT count(*) FROM users')
 *   return n
 * }
 * ```
 */
export function connect(path: string | URL | Uint8Array, options?: OpenOptions): Database {
  const { config, mode, leases, tracing } = openConfig(options)
  const handle = Handle.first(locate(path, config.uri), config, mode, leases, tracing)
  handle.open()
  return makeDatabase(handle)
}
