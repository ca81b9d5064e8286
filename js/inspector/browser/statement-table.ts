import { byId, element } from './elements.js'
import { clock, duration, number, oneLine } from './format.js'
import type { Statement } from './model.js'

/** How many rows the table has at most; the filter finds the others. */
const ROWS = 200
const SHOWN_SQL = 400

/** The list of statements, the newest first. */
export class StatementTable {
  readonly #body = byId<HTMLTableSectionElement>('statements')
  readonly #onSelect: (statement: Statement) => void
  #slowUs = 0
  /** The rows that are there, by the number of their statement. */
  #rows = new Map<number, HTMLTableRowElement>()

  constructor(onSelect: (statement: Statement) => void) {
    this.#onSelect = onSelect
  }

  /** Shows the last statements. Rows that are there already stay, and with them the focus. */
  update(shown: readonly Statement[], slowUs: number, selected: number | undefined): void {
    if (slowUs !== this.#slowUs) this.#forget()
    this.#slowUs = slowUs
    const rows = new Map<number, HTMLTableRowElement>()
    for (const statement of shown.slice(-ROWS).toReversed()) {
      rows.set(statement.id, this.#rows.get(statement.id) ?? this.#makeRow(statement))
    }
    for (const [id, row] of this.#rows) if (!rows.has(id)) row.remove()
    this.#place([...rows.values()])
    this.#rows = rows
    for (const [id, row] of rows) row.setAttribute('aria-selected', String(id === selected))
  }

  #forget(): void {
    this.#rows.clear()
    this.#body.replaceChildren()
  }

  #place(rows: readonly HTMLTableRowElement[]): void {
    let next = this.#body.firstElementChild
    for (const row of rows) {
      if (row === next) next = next.nextElementSibling
      else this.#body.insertBefore(row, next)
    }
  }

  #makeRow(statement: Statement): HTMLTableRowElement {
    const { id, sql, worker, route, queuedUs, ranUs, rows, changes, code, startedMs } = statement
    const button = element('button', { type: 'button', class: 'sql', title: 'Show details' }, oneLine(sql).slice(0, SHOWN_SQL))
    const row = element('tr', { 'data-id': String(id), 'data-route': route, 'data-failed': code === undefined ? undefined : '' },
      element('td', { class: 'time' }, clock(startedMs)),
      element('td', {}, element('span', { class: `chip ${route}` }, worker === '' ? 'never ran' : worker)),
      element('td', { class: 'wide' }, button),
      element('td', { class: 'amount' }, duration(queuedUs)),
      element('td', { class: ranUs >= this.#slowUs ? 'amount slow' : 'amount' }, duration(ranUs)),
      element('td', { class: 'amount' }, number(rows)),
      element('td', { class: 'amount' }, number(changes)),
      element('td', { class: 'code' }, code ?? ''),
    )
    row.addEventListener('click', () => this.#onSelect(statement))
    return row
  }
}
