import type { Table } from 'drizzle-orm'
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
  readonly #tables = new Set<Table | string>()
  readonly #tags = new Set<string>()

  constructor(cache: Cache) {
    super()
    this.#cache = cache
  }

  strategy(): 'explicit' {
    return 'explicit'
  }

  async get(): Promise<undefined> {}

  async put(): Promise<void> {}

  async onMutate({ tables = [], tags = [] }: MutationOption): Promise<void> {
    for (const table of [tables].flat()) this.#tables.add(table)
    for (const tag of [tags].flat()) this.#tags.add(tag)
  }

  /** Tells the real cache what has changed: all at once, so that a failure keeps nothing from it. */
  async committed(): Promise<void> {
    const mutation: MutationOption = {
      ...(this.#tables.size > 0 && { tables: [...this.#tables] as string[] }),
      ...(this.#tags.size > 0 && { tags: [...this.#tags] }),
    }
    if (Object.keys(mutation).length > 0) await this.#cache.onMutate(mutation)
  }
}
