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
  /** Is over when the change of savepoints is that was asked for last. Never rejected: its error is for who has asked for it. */
  #changed: Promise<void> = Promise.resolve()
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
    return this.#inOrder(() => super.queryRaw(query))
  }

  /** Runs a query and returns how many rows it changed. Called by Prisma. */
  override executeRaw(query: SqlQuery): Promise<number> {
    return this.#inOrder(() => super.executeRaw(query))
  }

  /** Commits. What cannot be committed is rolled back, because Prisma does not come back to it. */
  async commit(): Promise<void> {
    try {
      await this.#change(() => this.#endSavepoints(0, 'commit'))
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
  createSavepoint(name: string): Promise<void> {
    return this.#change(() => this.#beginSavepoint(name))
  }

  /** Undoes what happened since a savepoint, which stays. */
  rollbackToSavepoint(name: string): Promise<void> {
    return this.#change(async () => {
      await this.#endSavepoints(this.#indexOf(name), 'rollback')
      await this.#beginSavepoint(name)
    })
  }

  /** Forgets a savepoint, and keeps what happened since. */
  releaseSavepoint(name: string): Promise<void> {
    return this.#change(() => this.#endSavepoints(this.#indexOf(name), 'commit'))
  }

  /** Changes the savepoints once no other change is under way. */
  #change(change: () => Promise<void>): Promise<void> {
    const changed = this.#changed.then(change)
    this.#changed = changed.catch(() => {})
    return changed
  }

  /** Runs a query after the change that is under way: while a savepoint begins or ends, there is none that would take the query. */
  async #inOrder<T>(run: () => Promise<T>): Promise<T> {
    this.#running += 1
    try {
      await this.#changed
      return await run()
    } finally {
      this.#running -= 1
    }
  }

  #indexOf(name: string): number {
    const index = this.#savepoints.findIndex((savepoint) => savepoint.name === name)
    if (index < 0) throw new Error(`there is no savepoint ${name}`)
    return index
  }

  async #beginSavepoint(name: string): Promise<void> {
    this.#savepoints.push({ name, transaction: await withPrismaErrors(this.target.begin()) })
  }

  /** Ends the savepoint at `index` and those within it, which are ended first. */
  async #endSavepoints(index: number, how: 'commit' | 'rollback'): Promise<void> {
    while (this.#savepoints.length > index) await withPrismaErrors(this.#savepoints.pop()!.transaction[how]())
  }
}
