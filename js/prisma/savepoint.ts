import type { Transaction } from 'sluice'

/** How a savepoint ends. */
export type SavepointEnd = 'keep' | 'undo'

/** Thrown in the callback of a nested transaction to undo it. */
class Undone extends Error {}

/** A nested transaction that is ended from outside, as Prisma does it, and not by the callback that the driver wants. */
export class Savepoint {
  /** What Prisma calls it. */
  readonly name: string
  /** What runs in it. */
  readonly transaction: Transaction
  readonly #decide: (how: SavepointEnd) => void
  readonly #ended: Promise<void>

  private constructor(name: string, transaction: Transaction, decide: (how: SavepointEnd) => void, ended: Promise<void>) {
    this.name = name
    this.transaction = transaction
    this.#decide = decide
    this.#ended = ended
  }

  /** Begins a nested transaction. */
  static async create(outer: Transaction, name: string): Promise<Savepoint> {
    let decide!: (how: SavepointEnd) => void
    const decision = new Promise<SavepointEnd>((resolve) => (decide = resolve))
    let begun!: (transaction: Transaction) => void
    const beginning = new Promise<Transaction>((resolve) => (begun = resolve))
    const ended = outer.transaction(async (transaction) => {
      begun(transaction)
      if ((await decision) === 'undo') throw new Undone()
    })
    // Who ends it is told how that went. Until then it may have been lost with the whole transaction.
    ended.catch(() => {})
    const transaction = await Promise.race([beginning, ended.then(() => beginning)])
    return new Savepoint(name, transaction, decide, ended)
  }

  /** Ends it, and waits until that is done. */
  async end(how: SavepointEnd): Promise<void> {
    this.#decide(how)
    try {
      await this.#ended
    } catch (error) {
      if (!(error instanceof Undone)) throw error
    }
  }
}
