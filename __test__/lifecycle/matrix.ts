import type { Cell, Finding } from './cells.js'
import { nameOf } from './cells.js'
import { ENDING_NAMES, STATES, planOf } from './plan.js'

/** What stands around the matrix in docs/LIFECYCLE.md. */
export const [BEGIN, END] = ['<!-- life cycle:begin -->', '<!-- life cycle:end -->']

/** What was found of every cell, however often it ran. */
export class Findings {
  readonly #fates = new Map<string, Set<string>>()
  readonly faults: string[] = []

  /** Adds what one run found; `where` says on which Node. */
  add(cell: Cell, { fate, faults }: Finding, where: string): void {
    const fates = this.#fates.get(nameOf(cell)) ?? new Set()
    // Of a run that went wrong only that is told.
    if (faults.length === 0) this.#fates.set(nameOf(cell), fates.add(fate))
    this.faults.push(...faults.map((fault) => `${nameOf(cell)} on ${where}: ${fault}`))
  }

  /** Makes the matrix of them: a line for each ending, a column for each state. */
  table(): string {
    const lines = ENDING_NAMES.map((ending) => {
      const { title, code, signal } = planOf(ending)
      const cells = STATES.map((state) => [...(this.#fates.get(nameOf({ ending, state })) ?? [])].join(' or '))
      return `| ${[title, signal ?? code, ...cells].join(' | ')} |`
    })
    return [`| | exit code | ${STATES.join(' | ')} |`, `|---|---${'|---'.repeat(STATES.length)}|`, ...lines].join('\n')
  }
}

/** Returns `text` with the matrix in it. */
export function withMatrix(text: string, table: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`docs/LIFECYCLE.md lacks ${BEGIN} and ${END}`)
  return `${text.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${text.slice(end)}`
}
