import { SluiceError } from 'sluice'
import type { Database } from 'sluice'
import { settingsOf } from './options.js'
import type { InspectorOptions } from './options.js'
import { InspectorServer } from './server.js'

export type { InspectorOptions } from './options.js'

/** An inspector that is running. */
export interface Inspector {
  /** Where its page is. The URL holds a secret, without which it answers nothing. */
  readonly url: string
  /** The port that it listens on. */
  readonly port: number
  /** Stops it: pages are disconnected, and the log is closed. May be called more than once. The database stays open. */
  close(): Promise<void>
}

/**
 * Serves a page that shows what a database does while it does it: who runs which statement when, what waits, switches of the mode, slow
 * statements and their plans, errors. Values of parameters are not part of it: they never leave the process.
 *
 * Only this machine can reach it, and only with the URL that it returns. It costs something only while a page is connected: then the log of
 * the database is open at the level `trace`. It does not keep the process from ending, unless `keepAlive` is set.
 *
 * @param db - the database; the inspector shows what all its handles in this process do
 * @param options - what to do differently from the defaults
 * @throws `ERR_SLUICE_INVALID_ARGUMENT` for what is no database, `ERR_SLUICE_INVALID_OPTION`; why a database of `connect` could not be
 * opened, which is waited for; what Node throws when it cannot listen, such as `EADDRINUSE`
 *
 * @example
 * ```ts
 * import { open } from 'sluice'
 * import { startInspector } from 'sluice/inspector'
 *
 * const db = await open('app.db')
 * const inspector = await startInspector(db, { port: 4321 })
 * console.log(`inspector: ${inspector.url}`)
 * ```
 */
export async function startInspector(db: Database, options: InspectorOptions = {}): Promise<Inspector> {
  if (typeof (db as Partial<Database> | undefined)?.status !== 'function') {
    throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'the first argument must be a Database of sluice')
  }
  const settings = settingsOf(options)
  if (!db.closed) await db.ready()
  const server = new InspectorServer(db, settings)
  const port = await server.listen()
  const { url } = server
  return { url, port, close: () => server.close() }
}
