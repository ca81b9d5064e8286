import { Cache } from 'drizzle-orm/cache/core'
import type { MutationOption } from 'drizzle-orm/cache/core'

import { nameEntity } from './entity.js'

type Mutated = Exclude<MutationOption['tables'], undefined | readonly unknown[]>

/**
 * Stands for the cache in a transaction: what a transaction reads may never be committed, and what others have cached is not what it sees.
 * It only remembers what was changed.
 */
export class TransactionCache extends Cache {
  static {
    nameEntity(this, 'SluiceTransactionCache')
  }

  readonly #behind: Cache
  readonly #mutated: Set<Mutated> = new Set<Mutated>()

  constructor(behind: Cache) {
    super()
    this.#behind = behind
  }

  override strategy(): 'explicit' {
    return 'explicit'
  }

  override async get(): Promise<undefined> {}

  override async put(): Promise<void> {}

  override async onMutate({ tables = [] }: MutationOption): Promise<void> {
    for (const table of [tables].flat()) this.#mutated.add(table)
  }

  /** Tells the cache what the transaction, which is committed, has changed. */
  async invalidate(): Promise<void> {
    if (this.#mutated.size > 0) await this.#behind.onMutate({ tables: [...this.#mutated] as string[] })
  }
}
