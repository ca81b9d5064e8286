import type { Driver, TransactionSettings } from 'kysely'
import { SluiceError, open } from 'sluice'
import type { Database } from 'sluice'
import type { SluiceDialectConfig } from './config.js'
import { SluiceConnection } from './connection.js'

/** What marks a private handle: all of Kysely's connections would be that one, and the transaction that text begins on it everybody's. */
const PRIVATE = Symbol.for('sluice.private')

/** Opens the database for Kysely, hands out connections, and closes it. */
export class SluiceDriver implements Driver {
  readonly #config: SluiceDialectConfig
  #database: Database | undefined

  constructor(config: SluiceDialectConfig) {
    this.#config = config
  }

  async init(): Promise<void> {
    const database = await openDatabase(this.#config)
    try {
      await this.#config.onCreateConnection?.(new SluiceConnection(database))
    } catch (error) {
      // The next attempt opens it again; what belongs to the application is left alone.
      if ('path' in this.#config) await database.close()
      throw error
    }
    this.#database = database
  }

  async acquireConnection(): Promise<SluiceConnection> {
    if (this.#database === undefined) throw new Error('BUG: a connection was asked for before init')
    return new SluiceConnection(this.#database)
  }

  async beginTransaction(connection: SluiceConnection, settings: TransactionSettings): Promise<void> {
    await connection.begin(settings)
  }

  async commitTransaction(connection: SluiceConnection): Promise<void> {
    await connection.commit()
  }

  async rollbackTransaction(connection: SluiceConnection): Promise<void> {
    await connection.rollback()
  }

  async savepoint(connection: SluiceConnection, name: string): Promise<void> {
    await connection.transaction.savepoint(name)
  }

  async rollbackToSavepoint(connection: SluiceConnection, name: string): Promise<void> {
    await connection.transaction.rollbackToSavepoint(name)
  }

  async releaseSavepoint(connection: SluiceConnection, name: string): Promise<void> {
    await connection.transaction.releaseSavepoint(name)
  }

  async releaseConnection(connection: SluiceConnection): Promise<void> {
    await connection.release()
  }

  async destroy(): Promise<void> {
    await this.#database?.close()
  }
}

async function openDatabase(config: SluiceDialectConfig): Promise<Database> {
  if ('path' in config) {
    const { path, onCreateConnection: _, ...options } = config
    return open(path, options)
  }
  const database = typeof config.database === 'function' ? await config.database() : config.database
  if (typeof database?.ready !== 'function') throw invalid('database must be a Database of sluice, or a function that returns one')
  if (PRIVATE in database) throw invalid('database must not be made by handle(): open the file once more, and pass that')
  await database.ready()
  return database
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
