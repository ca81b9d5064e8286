import type { Database } from 'sluice'
import type { Plan, PlanStep } from './browser/protocol.js'

/** How the inspector's own statements begin, so that it can leave them out. */
export const OWN_PREFIX = 'EXPLAIN QUERY PLAN /* sluice inspector */ '

const PLAN_TIMEOUT_MS = 5_000
/** How the log ends a text that it has cut. */
const CUT = /[^]{10000}…$/
/** What has a plan. Other statements have none, and some, such as PRAGMA, already act when they are prepared. */
const HAS_PLAN = /^(?:select|with|insert|update|delete|replace|values)\b/i
/** What may stand before a statement: blanks, comments and empty statements. */
const LEADING = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/
/** Parameters, and what may hold their characters without being one. */
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|\?(\d*)|[:@$][\p{L}\p{N}_$]+/gu

/** Asks SQLite how it would run a statement: {@link https://sqlite.org/eqp.html}. Nothing is run. */
export async function planOf(db: Database, sql: string): Promise<Plan> {
  if (CUT.test(sql)) return { error: 'The text is too long to be kept whole, so it cannot be explained.' }
  const statement = sql.replace(LEADING, '')
  if (!HAS_PLAN.test(statement)) return { error: 'Only SELECT, INSERT, UPDATE, DELETE, REPLACE and VALUES have a plan.' }
  try {
    const rows = await db.all<PlanStep>(OWN_PREFIX + statement, noValues(statement), {
      detached: true,
      integers: 'number',
      rowMode: 'object',
      timeoutMs: PLAN_TIMEOUT_MS,
    })
    return { steps: rows.map(({ id, parent, detail }) => ({ id, parent, detail })) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/** Gives every parameter NULL: the values of the call are not known here, and a plan hardly depends on them. */
function noValues(sql: string): null[] | { [name: string]: null } {
  const names: string[] = []
  let count = 0
  for (const [token, number] of sql.matchAll(TOKEN)) {
    if (token.startsWith('?')) count = number === '' ? count + 1 : Math.max(count, Number(number))
    else if (/^[:@$]/.test(token)) names.push(token)
  }
  return names.length > 0 ? Object.fromEntries(names.map((name) => [name, null])) : Array.from({ length: count }, () => null)
}
