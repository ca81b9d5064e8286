import { SqliteAdapter } from 'kysely'

/**
 * Says what the dialect can do beyond Kysely's own for SQLite: several connections at once, and migrations in a transaction.
 *
 * Migrations need no lock beside it. The transaction in which Kysely looks for what is left to do, and does it, begins IMMEDIATE: of
 * several processes one has it, and the others find everything done.
 *
 * @example
 * ```ts
 * db.getExecutor().adapter.supportsTransactionalDdl // true
 * ```
 */
export class SluiceAdapter extends SqliteAdapter {
  /** Always `true`: Kysely need not queue queries one behind the other. */
  override get supportsMultipleConnections(): boolean {
    return true
  }

  /** Always `true`: SQLite rolls CREATE, ALTER and DROP back like everything else. */
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}
