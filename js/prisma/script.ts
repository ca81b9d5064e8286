import { DriverAdapterError } from '@prisma/driver-adapter-utils'
import type { Database, Transaction } from 'sluice'

import { foreignKeyError } from './errors.js'

/** The lines between which Prisma's migrations make a table anew. The driver keeps this setting to itself. */
const FOREIGN_KEY_LINES: ReadonlySet<string> = new Set(['PRAGMA foreign_keys=OFF;', 'PRAGMA foreign_keys=ON;'])

/** Runs a script, and one that turns foreign keys off as a transaction without them. */
export async function runScript(database: Database, script: string): Promise<void> {
  const lines = script.split('\n')
  const rest = lines.filter((line) => !FOREIGN_KEY_LINES.has(line.trim()))
  if (rest.length === lines.length) return database.exec(script)
  const transaction = await database.begin({ foreignKeys: false })
  try {
    const before = await brokenReferences(transaction)
    await transaction.exec(rest.join('\n'))
    const after = before && (await brokenReferences(transaction))
    for (const [tables, count] of after ?? []) {
      if (count > (before?.get(tables) ?? 0)) throw new DriverAdapterError(foreignKeyError())
    }
    await transaction.commit()
  } finally {
    await transaction[Symbol.asyncDispose]()
  }
}

/** Counts broken references by their tables; `undefined` where SQLite cannot tell, because a key points to what is not unique. */
async function brokenReferences(transaction: Transaction): Promise<Map<string, number> | undefined> {
  const counts = `SELECT "table" || ' to ' || parent, count(*) FROM pragma_foreign_key_check GROUP BY 1`
  const rows = await transaction.values(counts, [], { integers: 'auto' }).catch(unlessMismatched)
  return rows && new Map(rows as [string, number][])
}

/** Takes the refusal to check references at all; what else is wrong must not be taken for it. */
function unlessMismatched(error: unknown): undefined {
  if (error instanceof Error && error.message.startsWith('foreign key mismatch')) return
  throw error
}
