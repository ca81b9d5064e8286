import { SluiceError, SqliteError, isSluiceError } from 'sluice'
import type { Database, ReadSession, Transaction } from 'sluice'
import { Held } from './held.js'

/** What queries run on. */
export type Work = Pick<Database, 'execute' | 'iterate'>

/** A transaction that Kysely has begun on a connection. */
export interface OpenTransaction {
  /** What its queries run on now. */
  readonly work: Work
  /** Returns what a query failed with, or rather why the transaction was over by then, if the driver knows only that it was. */
  reasonOf(failure: unknown): unknown
  commit(): Promise<void>
  /** Never fails because it has been rolled back already: that would hide the error for which Kysely calls it. */
  rollback(): Promise<void>
  savepoint(name: string): Promise<void>
  rollbackToSavepoint(name: string): Promise<void>
  releaseSavepoint(name: string): Promise<void>
}

/** How Kysely knows, from 0.29 on, that a commit found a transaction rolled back, so that there is nothing left to roll back. */
const ABORTED = Symbol.for('kysely.AbortedTransactionError')

/** Whether a commit failed with this because the transaction had been rolled back. */
export function foundItRolledBack(error: unknown): boolean {
  return isSluiceError(error) && ABORTED in error
}

const CLOSED = new Set(['ERR_SLUICE_TX_CLOSED'])
const ROLLED_BACK = new Set(['ERR_SLUICE_TX_ABORTED', 'ERR_SLUICE_TX_TIMEOUT'])
const OVER = new Set([...ROLLED_BACK, ...CLOSED, 'ERR_SLUICE_CLOSED', 'ERR_SLUICE_READ_LEASE_TIMEOUT'])
const SQLITE_ERROR = 1

/** A savepoint is a nested transaction, which lasts until it is released or rolled back. */
interface Savepoint {
  readonly name: string
  readonly tx: Transaction
}

/** A transaction that may write. */
export class WriteTransaction implements OpenTransaction {
  readonly #tx: Transaction
  /** The savepoints that are open, each within the one before it. */
  readonly #savepoints: Savepoint[] = []

  private constructor(tx: Transaction) {
    this.#tx = tx
  }

  static async begin(database: Database): Promise<WriteTransaction> {
    return new WriteTransaction(await database.begin())
  }

  get work(): Transaction {
    return this.#savepoints.at(-1)?.tx ?? this.#tx
  }

  reasonOf(failure: unknown): unknown {
    return failure
  }

  async commit(): Promise<void> {
    try {
      await this.#endFrom(0, 'commit')
      await this.#tx.commit()
    } catch (error) {
      if (!hasCode(error, ROLLED_BACK)) throw error
      await this.rollback()
      throw Object.defineProperty(error, ABORTED, { value: true })
    }
  }

  async rollback(): Promise<void> {
    try {
      this.#savepoints.length = 0
      if (this.#tx.open) await this.#tx.rollback()
    } catch (error) {
      if (!hasCode(error, OVER)) throw error
    }
  }

  async savepoint(name: string): Promise<void> {
    this.#savepoints.push({ name, tx: await this.work.begin() })
  }

  async rollbackToSavepoint(name: string): Promise<void> {
    await this.#endFrom(this.#find(name), 'rollback')
    // To SQL, what is rolled back to is still there.
    await this.savepoint(name)
  }

  async releaseSavepoint(name: string): Promise<void> {
    await this.#endFrom(this.#find(name), 'commit')
  }

  /** Ends savepoints, innermost first, as SQLite does with all that are within the one that is named. */
  async #endFrom(first: number, how: 'commit' | 'rollback'): Promise<void> {
    while (this.#savepoints.length > first) await this.#savepoints.pop()!.tx[how]()
  }

  /** Finds the innermost savepoint of a name, in any case, as SQLite does. */
  #find(name: string): number {
    const index = this.#savepoints.map((savepoint) => savepoint.name.toLowerCase()).lastIndexOf(name.toLowerCase())
    if (index < 0) throw new SqliteError('SQLITE_ERROR', `no such savepoint: ${name}`, { errno: SQLITE_ERROR })
    return index
  }
}

/** A transaction that only reads: one snapshot, on a reader. */
export class ReadTransaction implements OpenTransaction {
  readonly #held: Held<ReadSession>

  private constructor(held: Held<ReadSession>) {
    this.#held = held
  }

  static async begin(database: Database): Promise<ReadTransaction> {
    return new ReadTransaction(await Held.begin((callback) => database.read(callback)))
  }

  get work(): ReadSession {
    return this.#held.value
  }

  reasonOf(failure: unknown): unknown {
    return hasCode(failure, CLOSED) ? (this.#held.lost ?? failure) : failure
  }

  async commit(): Promise<void> {
    await this.#held.keep()
  }

  async rollback(): Promise<void> {
    try {
      await this.#held.undo()
    } catch (error) {
      if (!hasCode(error, OVER)) throw error
    }
  }

  async savepoint(): Promise<void> {
    throw noSavepoints()
  }

  async rollbackToSavepoint(): Promise<void> {
    throw noSavepoints()
  }

  async releaseSavepoint(): Promise<void> {
    throw noSavepoints()
  }
}

function noSavepoints(): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a transaction that only reads has nothing that a savepoint could undo')
}

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return isSluiceError(error) && codes.has(error.code)
}
