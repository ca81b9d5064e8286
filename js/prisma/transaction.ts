import type { SqlQuery, SqlResultSet, Transaction as PrismaTransaction, TransactionOptions } from '@prisma/driver-adapter-utils'
import type { Transaction } from 'sluice'

import { withPrismaErrors } from './errors.js'
import type { TimestampFormat } from './parameters.js'
import { SluiceQueryable } from './queryable.js'

/** A nested transaction, by the name that Prisma gives it. */
interface Savepoint {
  readonly name: string
  readonly transaction: Transaction
}

/** A transaction of Prisma, which has the writer from its beginning to its end. */
export class SluiceClientTransaction extends SluiceQueryable implements PrismaTransaction {
  /** Tells Prisma to leave COMMIT and ROLLBACK to `commit` and `rollback`. */
  readonly options: TransactionOptions = { usePhantomQuery: true }
  readonly #transaction: Transaction
  /** Ends the transaction, whatever it runs. */
  readonly #stop: AbortController
  /** The open savepoints, the innermost last. */
  readonly #savepoints: Savepoint[] = []
  /** How many queries are under way. */
  #running = 0

  /** @internal */
  constructor(transaction: Transaction, stop: AbortController, timestampFormat: TimestampFormat) {
    super(timestampFormat)
    this.#transaction = transaction
    this.#stop = stop
  }

  /** @internal */
  protected override get target(): Transaction {
    return this.#savepoints.at(-1)?.transaction ?? this.#transaction
  }

  /** Runs a query and returns its rows. Called by Prisma. */
  override queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    return this.#counted(super.queryRaw(query))
  }

  /** Runs a query and returns how many rows it changed. Called by Prisma. */
  override executeRaw(query: SqlQuery): Promise<number> {
    return this.#counted(super.executeRaw(query))
  }

  /** Commits. What cannot be committed is rolled back, because Prisma does not come back to it. */
  async commit(): Promise<void> {
    try {
      await this.#endSavepoints(0, 'commit')
      await withPrismaErrors(this.#transaction.commit())
    } finally {
      if (this.#transaction.open) await this.rollback()
    }
  }

  /** Rolls back, and stops what is running. Succeeds too when SQLite or the driver has done so by itself. */
  async rollback(): Promise<void> {
    if (this.#running > 0 || this.#savepoints.length > 0) this.#stop.abort()
    // Whatever this says, nothing of the transaction is there afterwards.
    await this.#transaction[Symbol.asyncDispose]().catch(() => {})
  }

  /** Makes a savepoint: a nested transaction of Prisma. */
  async createSavepoint(name: string): Promise<void> {
    this.#savepoints.push({ name, transaction: await withPrismaErrors(this.target.begin()) })
  }

  /** Undoes what happened since a savepoint, which stays. */
  async rollbackToSavepoint(name: string): Promise<void> {
    await this.#endSavepoints(this.#indexOf(name), 'rollback')
    await this.createSavepoint(name)
  }

  /** Forgets a savepoint, and keeps what happened since. */
  async releaseSavepoint(name: string): Promise<void> {
    await this.#endSavepoints(this.#indexOf(name), 'commit')
  }

  async #counted<T>(query: Promise<T>): Promise<T> {
    this.#running += 1
    try {
      return await query
    } finally {
      this.#running -= 1
    }
  }

  #indexOf(name: string): number {
    const index = this.#savepoints.findIndex((savepoint) => savepoint.name === name)
    if (index < 0) throw new Error(`there is no savepoint ${name}`)
    return index
  }

  /** Ends the savepoint at `index` and those within it, which are ended first. */
  async #endSavepoints(index: number, how: 'commit' | 'rollback'): Promise<void> {
    while (this.#savepoints.length > index) await withPrismaErrors(this.#savepoints.pop()!.transaction[how]())
  }
}
