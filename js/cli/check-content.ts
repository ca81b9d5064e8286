import type { Database } from 'sluice'
import { counted, ok, some } from './findings.js'
import type { Finding } from './findings.js'

/** How many faults are asked for: more say nothing more. */
const FAULTS = 20

/** Looks at what is in a database. Nothing but PRAGMAs and SELECTs that read. */
export async function checkContent(db: Database, isQuick: boolean): Promise<Finding[]> {
  const checks: [name: string, check: () => Promise<Finding>][] = [
    ['integrity', () => checkIntegrity(db, isQuick)],
    ['foreign keys', () => checkReferences(db)],
    ['referenced tables', () => checkParents(db)],
    ['indexes of foreign keys', () => checkChildren(db)],
    ['statistics', () => checkStatistics(db)],
    ['virtual tables', () => checkModules(db)],
  ]
  const found: Finding[] = []
  for (const [name, check] of checks) found.push(await check().catch((error: Error) => unreadable(name, error)))
  return found
}

/** What SQLite could not read is damaged, or written in a way that it does not know. */
function unreadable(check: string, error: Error): Finding {
  const code = String((error as { code?: unknown }).code ?? '')
  const advice =
    'Restore a backup. What is left may be saved with the `.recover` command of the sqlite3 shell: https://sqlite.org/recovery.html'
  return { check, level: 'problem', what: `It could not be checked: ${error.message}`, why: `SQLite gave up (${code}).`, advice }
}

async function checkIntegrity(db: Database, isQuick: boolean): Promise<Finding> {
  const check = 'integrity'
  const faults = await db.pluck<string>(`PRAGMA ${isQuick ? 'quick_check' : 'integrity_check'}(${FAULTS})`)
  if (faults.length === 1 && faults[0] === 'ok') {
    const partly = 'All pages and rows are in order; indexes were not compared with their tables.'
    return ok(check, isQuick ? partly : 'All pages, rows and indexes are in order.')
  }
  const what = `${faults.length === FAULTS ? 'At least ' : ''}${counted(faults.length, 'fault')}: ${faults.join('; ')}`
  const isIndex = faults.every((fault) => /missing from index|wrong # of entries in index|non-unique entry in index/.test(fault))
  if (isIndex) {
    const why = 'An index does not fit its table: queries that use it give wrong answers.'
    return {
      check,
      level: 'problem',
      what,
      why,
      advice: 'REINDEX makes indexes anew. Then find out what damaged it: https://sqlite.org/howtocorrupt.html',
    }
  }
  const advice =
    'Restore a backup. What is left may be saved with the `.recover` command of the sqlite3 shell: https://sqlite.org/recovery.html. ' +
    'Then find the cause: https://sqlite.org/howtocorrupt.html'
  return { check, level: 'problem', what, why: 'Queries fail or give wrong answers, and writes make it worse.', advice }
}

async function checkReferences(db: Database): Promise<Finding> {
  const check = 'foreign keys'
  const rows = await db.all<{ table: string; parent: string; n: number }>(
    'SELECT "table", parent, count(*) AS n FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY n DESC',
  )
  if (rows.length === 0) return ok(check, 'Every reference leads to a row.')
  const broken = rows.map(({ table, parent, n }) => {
    return `${counted(n, 'row')} of ${table} ${n === 1 ? 'refers' : 'refer'} to rows of ${parent} that are not there`
  })
  const why =
    'They were written while foreign keys were not enforced, which is the default of SQLite, but not of Sluice. Updates of such rows ' +
    'fail.'
  return {
    check,
    level: 'problem',
    what: `${some(broken)}.`,
    why,
    advice: 'PRAGMA foreign_key_check names the rows. Delete or correct them in a transaction with `foreignKeys: false`.',
  }
}

const REFERENCES = `FROM pragma_table_list AS child JOIN pragma_foreign_key_list(child.name) AS key
  WHERE child.schema = 'main' AND child.type = 'table'`

async function checkParents(db: Database): Promise<Finding> {
  const check = 'referenced tables'
  const rows = await db.pluck<string>(`
    SELECT DISTINCT child.name || ' refers to ' || key."table" ${REFERENCES}
      AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = key."table" COLLATE NOCASE)`)
  if (rows.length === 0) return ok(check, 'Every table that is referred to is there.')
  const why = 'Every INSERT into such a table fails while foreign keys are enforced.'
  return {
    check,
    level: 'warning',
    what: `Tables are missing: ${some(rows)}.`,
    why,
    advice: 'Make the table, or rebuild the one that refers to it.',
  }
}

async function checkChildren(db: Database): Promise<Finding> {
  const check = 'indexes of foreign keys'
  // A rowid alias needs no index.
  const rows = await db.pluck<string>(`
    SELECT DISTINCT child.name || '.' || key."from" ${REFERENCES} AND key.seq = 0
      AND NOT EXISTS (
        SELECT 1 FROM pragma_index_list(child.name) AS list JOIN pragma_index_info(list.name) AS part
        WHERE part.seqno = 0 AND part.name = key."from" COLLATE NOCASE AND list.partial = 0)
      AND NOT EXISTS (
        SELECT 1 FROM pragma_table_info(child.name) WHERE pk = 1 AND name = key."from" COLLATE NOCASE AND upper(type) = 'INTEGER')`)
  if (rows.length === 0) return ok(check, 'Every foreign key has an index.')
  const why = 'Each DELETE and each change of a key in the table that is referred to reads the whole table that refers to it.'
  return {
    check,
    level: 'note',
    what: `Foreign keys without an index: ${some(rows)}.`,
    why,
    advice: 'Make an index on these columns, unless the tables are small.',
  }
}

async function checkStatistics(db: Database): Promise<Finding> {
  const check = 'statistics'
  const names = await db.pluck<string>("SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')")
  if (names.length > 0) return ok(check, `The query planner has statistics (${names.join(', ')}).`)
  const indexes = await db.pluck<number>("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
  if (indexes[0] === 0) return ok(check, 'There are no indexes to have statistics of.')
  const why = 'Where several indexes fit a query, the planner has to guess.'
  return {
    check,
    level: 'note',
    what: `No statistics are kept of ${counted(indexes[0]!, 'index', 'indexes')}.`,
    why,
    advice: 'Run ANALYZE once, and PRAGMA optimize now and then.',
  }
}

async function checkModules(db: Database): Promise<Finding> {
  const check = 'virtual tables'
  const names = await db.pluck<string>("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual' ORDER BY name")
  const failed: string[] = []
  for (const name of names) {
    await db.all(`SELECT * FROM "${name.replaceAll('"', '""')}" LIMIT 0`).catch((error: Error) => failed.push(`${name} (${error.message})`))
  }
  if (names.length === 0) return ok(check, 'There are none.')
  if (failed.length === 0) return ok(check, `${counted(names.length, 'virtual table')} can be read.`)
  const why = 'They need an extension that is not part of this SQLite.'
  return {
    check,
    level: 'warning',
    what: `Virtual tables that cannot be used: ${some(failed)}.`,
    why,
    advice: 'Use them with the program that made them.',
  }
}
