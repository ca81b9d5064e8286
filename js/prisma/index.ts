import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils'
import { SluiceError, open } from 'sluice'
import type { Database, OpenOptions } from 'sluice'

import { SluiceClientConnection } from './connection.js'
import type { TimestampFormat } from './parameters.js'
import { ADAPTER_NAME } from './queryable.js'

export type { SluiceClientConnection } from './connection.js'
export type { SluiceQueryable } from './queryable.js'
export type { TimestampFormat } from './parameters.js'

/** What marks a private handle: the transaction that text begins on it would be that of all queries of the client. */
const PRIVATE = Symbol.for('sluice.private')

/** Where the database is: at a path or URL, with the options of `open`; or there already. */
export type SluicePrismaSource = OpenPath | OpenUrl | UseClient

/** A database that is opened when the client of Prisma connects, and closed when it disconnects. */
export interface OpenPath extends OpenOptions {
  /** The file, as `open` takes it. */
  readonly path: string | URL
}

/** The same, for a path that is written as in `DATABASE_URL`. */
export interface OpenUrl extends OpenOptions {
  /** `file:` and a path, which is relative to the working directory; or a `file://` URL; or `:memory:`. It takes no parameters. */
  readonly url: string
}

/** A database that the client of Prisma uses and leaves open: from `open` or `connect`, not made by `handle()`. */
export interface UseClient {
  readonly client: Database
}

/** Options of {@link SluicePrismaAdapter}. */
export interface SluicePrismaOptions {
  /**
   * How a `DateTime` is stored: as text such as `2026-01-31T12:00:00.000+00:00` (`'iso8601'`), or as an INTEGER, milliseconds since 1970
   * (`'unixepoch-ms'`), as Prisma did before version 7. Both are read, whatever it says; but what is compared must be stored alike.
   * @defaultValue 'iso8601'
   */
  readonly timestampFormat?: TimestampFormat | undefined
  /**
   * The file of the shadow database.
   * @defaultValue ':memory:'
   */
  readonly shadowDatabasePath?: string | URL | undefined
}

/**
 * Lets a client of {@link https://www.prisma.io | Prisma} 7 run on `sluice`.
 *
 * Reads of the client run beside each other and beside the writer. A transaction has the writer from its beginning to its end; reads and
 * transactions outside it go on or wait for their turn. Errors that Prisma has a code for come with it, and those of SQLite keep theirs in
 * `error.meta.driverAdapterError.cause.originalCode`; others of the driver come as they are.
 *
 * @example
 * ```ts
 * import { SluicePrismaAdapter } from 'sluice/prisma'
 * import { PrismaClient } from './generated/client.js'
 *
 * const prisma = new PrismaClient({ adapter: new SluicePrismaAdapter({ path: 'app.db' }) })
 * const users = await prisma.user.findMany()
 * await prisma.$disconnect()
 * ```
 */
export class SluicePrismaAdapter implements SqlMigrationAwareDriverAdapterFactory {
  /** The kind of database, which the schema has to name too. */
  readonly provider = 'sqlite'
  /** The name of the adapter in Prisma's messages. */
  readonly adapterName: string = ADAPTER_NAME
  readonly #source: SluicePrismaSource
  readonly #timestampFormat: TimestampFormat
  readonly #shadowDatabasePath: string | URL

  /**
   * @param source - what to open or to use
   * @param options - what to do differently from the defaults
   * @throws `ERR_SLUICE_INVALID_OPTION` at once for a format that there is not; what is wrong with `source` is found by `connect`
   */
  constructor(source: SluicePrismaSource, { timestampFormat = 'iso8601', shadowDatabasePath = ':memory:' }: SluicePrismaOptions = {}) {
    if (timestampFormat !== 'iso8601' && timestampFormat !== 'unixepoch-ms') {
      const message = `timestampFormat must be 'iso8601' or 'unixepoch-ms', not ${JSON.stringify(timestampFormat)}`
      throw new SluiceError('ERR_SLUICE_INVALID_OPTION', message, { option: 'timestampFormat' })
    }
    this.#source = source
    this.#timestampFormat = timestampFormat
    this.#shadowDatabasePath = shadowDatabasePath
  }

  /**
   * Opens the database. Called by Prisma, with the first query or `$connect()`.
   *
   * @throws as `open`; `ERR_SLUICE_INVALID_ARGUMENT` for a `client` that is no database or was made by `handle()`, and a `url` that is no text or has
   * parameters
   */
  async connect(): Promise<SluiceClientConnection> {
    const source = expectSource(this.#source)
    if (!('client' in source)) return this.#open(...located(source))
    if (typeof source.client?.ready !== 'function') throw invalid('client must be a Database of sluice')
    if (PRIVATE in source.client) throw invalid('client must not be made by handle(): pass what open returns')
    await source.client.ready()
    return new SluiceClientConnection(source.client, false, this.#timestampFormat)
  }

  /**
   * Opens the shadow database, in which migrations are tried out.
   *
   * @throws as `connect`
   */
  async connectToShadowDb(): Promise<SluiceClientConnection> {
    const source = expectSource(this.#source)
    const options = 'client' in source ? {} : located(source)[1]
    return this.#open(this.#shadowDatabasePath, options)
  }

  async #open(path: string | URL, options: OpenOptions): Promise<SluiceClientConnection> {
    return new SluiceClientConnection(await open(path, options), true, this.#timestampFormat)
  }
}

function expectSource(source: SluicePrismaSource): SluicePrismaSource {
  if (typeof source === 'object' && source !== null) return source
  throw invalid('the adapter needs an object with a path, a url or a client')
}

function located(source: OpenPath | OpenUrl): [path: string | URL, options: OpenOptions] {
  if ('path' in source) {
    const { path, ...options } = source
    return [path, options]
  }
  const { url, ...options } = source
  return [fileOf(url), options]
}

function fileOf(url: string): string | URL {
  if (typeof url !== 'string') throw invalid('url must be a string, unless there is a path or a client')
  const parameters = url.indexOf('?')
  if (parameters >= 0) {
    throw invalid(`url must not have parameters (${url.slice(parameters)}): options go beside it, and a file with ? in its name is a path`)
  }
  if (!url.startsWith('file://')) return url.startsWith('file:') ? url.slice('file:'.length) : url
  if (!URL.canParse(url)) throw invalid(`url names no file: ${url}`)
  return new URL(url)
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
