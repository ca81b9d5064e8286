import { Cache } from 'drizzle-orm/cache/core'
import type { MutationOption } from 'drizzle-orm/cache/core'

import { nameKind } from './internals.js'

/**
 * Stands for the cache in a transaction, which sees what nobody else may: it keeps nothing, knows nothing, and tells the real one what has
 * changed only once that is committed.
 */
export class TransactionCache extends Cache {
  static {
    nameKind(this, 'SluiceTransactionCache')
  }

  readonly #cache: Cache
  readonly #mutations: MutationOption[] = []

  constructor(cache: Cache) {
    super()
    this.#cache = cache
  }

  strategy(): 'explicit' {
    return 'explicit'
  }

  async get(): Promise<undefined> {}

  async put(): Promise<void> {}

  async onMutate(mutation: MutationOption): Promise<void> {
    this.#mutations.push(mutation)
  }

  /** Tells the real cache what has changed. */
  async committed(): Promise<void> {
    for (const mutation of this.#mutations) await this.#cache.onMutate(mutation)
  }
}
