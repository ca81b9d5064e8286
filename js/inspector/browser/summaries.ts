import { byId, element } from './elements.js'
import { clock, duration, number, oneLine } from './format.js'
import type { Statement } from './model.js'
import type { Entry } from './protocol.js'

const EVENTS = 200
const TEXTS = 100

/** What is known of all runs of one text. */
interface Summary {
  readonly slowest: Statement
  readonly runs: number
  readonly slowRuns: number
  readonly totalUs: number
}

/** Adds statements up by their text. */
function summarise(statements: readonly Statement[], slowUs: number): Summary[] {
  const found = new Map<string, Summary>()
  for (const statement of statements) {
    const known = found.get(statement.sql)
    found.set(statement.sql, {
      slowest: known !== undefined && known.slowest.ranUs >= statement.ranUs ? known.slowest : statement,
      runs: (known?.runs ?? 0) + 1,
      slowRuns: (known?.slowRuns ?? 0) + Number(statement.ranUs >= slowUs),
      totalUs: (known?.totalUs ?? 0) + statement.ranUs,
    })
  }
  return [...found.values()]
}

/** Lists the texts of which a run was slow, the slowest first. Returns how many they are. */
export function showSlow(statements: readonly Statement[], slowUs: number, onSelect: (statement: Statement) => void): number {
  const slow = summarise(statements, slowUs).filter(({ slowRuns }) => slowRuns > 0)
  slow.sort((a, b) => b.slowest.ranUs - a.slowest.ranUs)
  replaceRows('slow', slow.slice(0, TEXTS).map(({ slowest, runs, slowRuns, totalUs }) => {
    const button = element('button', { type: 'button', class: 'sql', title: 'Show details and plan' }, oneLine(slowest.sql))
    button.addEventListener('click', () => onSelect(slowest))
    return [button, number(slowRuns), number(runs), duration(slowest.ranUs), duration(totalUs / runs), duration(totalUs)]
  }), 'No statement that is shown was slow.')
  return slow.length
}

/** Lists the errors by code. Returns how many statements failed. */
export function showErrors(statements: readonly Statement[], onSelect: (statement: Statement) => void): number {
  const failed = statements.filter(({ code }) => code !== undefined)
  const codes = new Map<string, Statement[]>()
  for (const statement of failed) codes.set(statement.code!, [...(codes.get(statement.code!) ?? []), statement])
  const rows = [...codes].sort(([, a], [, b]) => b.length - a.length).map(([code, all]) => {
    const last = all.at(-1)!
    const button = element('button', { type: 'button', class: 'sql', title: 'Show details' }, oneLine(last.sql))
    button.addEventListener('click', () => onSelect(last))
    return [code, number(all.length), clock(last.startedMs), button]
  })
  replaceRows('errors', rows, 'No statement that is shown failed.')
  return failed.length
}

/** Lists what happened beside statements, the newest first. */
export function showEvents(events: readonly Entry[]): void {
  const rows = events.slice(-EVENTS).toReversed().map(({ timeMs, level, target, message, fields }) => {
    const shown = Object.entries(fields).map(([name, value]) => `${name} ${shownField(name, value)}`)
    return [clock(timeMs), element('span', { class: `chip ${level}` }, level), `${target} ${message}`, shown.join(' · ')]
  })
  replaceRows('events', rows, 'Nothing happened yet beside statements.')
}

/** Names in the log end with the unit of their value. */
function shownField(name: string, value: string | number | boolean): string {
  return name.endsWith('Us') ? duration(Number(value)) : String(value)
}

/** Fills the body of a table; the first row of its head says how wide it is. */
function replaceRows(id: string, rows: readonly (readonly (Node | string)[])[], none: string): void {
  const body = byId<HTMLTableSectionElement>(id)
  if (body.contains(document.activeElement)) return
  const columns = body.parentElement?.querySelectorAll('thead th').length ?? 1
  const empty = element('tr', {}, element('td', { colspan: String(columns), class: 'none' }, none))
  const made = rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell))))
  body.replaceChildren(...(made.length > 0 ? made : [empty]))
}
