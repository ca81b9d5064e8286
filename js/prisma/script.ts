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
    const before = await countBroken(transaction)
    await transaction.exec(rest.join('\n'))
    if ((await countBroken(transaction)) > before) throw new DriverAdapterError(foreignKeyError())
    await transaction.commit()
  } finally {
    await transaction[Symbol.asyncDispose]()
  }
}

/** Counts the rows that refer to rows that are not there. */
async function countBroken(transaction: Transaction): Promise<number> {
  return (await transaction.values('PRAGMA foreign_key_check')).length
}
