import { DrizzleError } from 'drizzle-orm'
import type { Database, Transaction } from 'sluice'

/** How drizzle-kit begins and ends the rebuilding of a table. */
const SWITCHES = { off: 'PRAGMA foreign_keys=OFF;', on: 'PRAGMA foreign_keys=ON;' }

/** Tells whether statements of drizzle-kit want foreign keys off, because they rebuild a table. */
export function wantForeignKeysOff(statements: readonly string[]): boolean {
  return statements.some((statement) => statement.trim() === SWITCHES.off)
}

/** Tells whether a statement switches foreign keys, which has no effect in a transaction, and is a matter of how that begins. */
export function switchesForeignKeys(statement: string): boolean {
  const text = statement.trim()
  return text === SWITCHES.off || text === SWITCHES.on
}

/**
 * Runs `work` in a transaction in which foreign keys are not enforced. Fails, with nothing changed, when references are broken afterwards
 * that were not before, if they are enforced otherwise.
 *
 * Dropping a table deletes its rows first, and with them, where keys are enforced, the rows that refer to them `ON DELETE CASCADE`:
 * {@link https://sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes}.
 */
export async function withoutForeignKeys(client: Database, work: (tx: Transaction) => Promise<void>): Promise<void> {
  const [isEnforced] = await client.pluck('PRAGMA foreign_keys', [], { integers: 'auto' })
  const body = isEnforced === 1 ? checked(work) : work
  await client.transaction(body, { foreignKeys: false })
}

function checked(work: (tx: Transaction) => Promise<void>): (tx: Transaction) => Promise<void> {
  return async (tx) => {
    const before = await brokenReferences(tx)
    await work(tx)
    const after = before && (await brokenReferences(tx))
    for (const [tables, count] of after ?? []) {
      const more = count - (before?.get(tables) ?? 0)
      if (more > 0) throw new DrizzleError({ message: `the statements break ${more} references from ${tables}` })
    }
  }
}

/** Counts broken references by their tables; `undefined` where SQLite cannot tell, because a key points to what is not unique. */
async function brokenReferences(tx: Transaction): Promise<Map<string, number> | undefined> {
  const counts = `SELECT "table" || ' to ' || parent, count(*) FROM pragma_foreign_key_check GROUP BY 1`
  const rows = await tx.values(counts, [], { integers: 'auto' }).catch(unlessMismatched)
  return rows && new Map(rows as [string, number][])
}

/** Takes the refusal to check references at all; what else is wrong must not be taken for it. */
function unlessMismatched(error: unknown): undefined {
  if (error instanceof Error && error.message.startsWith('foreign key mismatch')) return
  throw error
}
