import { byId, element } from './elements.js'
import { clock, duration, number } from './format.js'
import type { Statement } from './model.js'
import type { Plan, PlanStep } from './protocol.js'

/** What is known about one statement, at the side of the page. */
export class Details {
  readonly #panel = byId('details')
  readonly #onClose: () => void
  #shown: number | undefined

  constructor(onClose: () => void) {
    this.#onClose = onClose
    byId('close-details').addEventListener('click', () => this.hide())
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !this.#panel.hidden) this.hide()
    })
  }

  /** Shows a statement, and asks for its plan. */
  async show(statement: Statement): Promise<void> {
    this.#shown = statement.id
    this.#panel.hidden = false
    byId('details-sql').textContent = statement.sql
    const facts = factsOf(statement).flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)])
    byId('details-facts').replaceChildren(...facts)
    const plan = byId('plan')
    plan.replaceChildren(element('p', { class: 'none' }, 'asking …'))
    const answer = await askPlan(statement.id)
    if (this.#shown === statement.id) plan.replaceChildren(shownPlan(answer))
  }

  hide(): void {
    this.#shown = undefined
    this.#panel.hidden = true
    this.#onClose()
  }
}

function factsOf({ worker, route, startedMs, queuedUs, ranUs, rows, changes, code }: Statement): [string, string][] {
  const facts: [string, string][] = [
    ['Ran on', worker === '' ? 'no connection' : worker],
    ['Route', route === '' ? 'none' : route],
    ['Began', clock(startedMs)],
    ['Waited', duration(queuedUs)],
    ['Ran', duration(ranUs)],
    ['Rows', number(rows)],
    ['Changes', number(changes)],
  ]
  return code === undefined ? facts : [...facts, ['Failed with', code]]
}

async function askPlan(id: number): Promise<Plan> {
  try {
    const response = await fetch(`plan/${id}`, { method: 'POST' })
    return response.ok ? ((await response.json()) as Plan) : { error: await response.text() }
  } catch {
    return { error: 'The inspector does not answer any more.' }
  }
}

function shownPlan(plan: Plan): HTMLElement {
  if ('error' in plan) return element('p', { class: 'none' }, plan.error)
  if (plan.steps.length === 0) return element('p', { class: 'none' }, 'SQLite has no steps to tell of.')
  return stepsUnder(0, plan.steps)
}

/** Makes a list of the steps that belong to one, each with those that belong to it. */
function stepsUnder(parent: number, steps: readonly PlanStep[]): HTMLElement {
  const own = steps.filter((step) => step.parent === parent)
  return element('ul', {}, ...own.map(({ id, detail }) => {
    const isScan = /^SCAN (?!CONSTANT)/.test(detail)
    const item = element('li', { class: isScan ? 'scan' : undefined }, element('code', {}, detail))
    if (isScan && !/ USING /.test(detail)) item.append(element('span', { class: 'hint' }, 'reads the whole table'))
    if (steps.some((step) => step.parent === id)) item.append(stepsUnder(id, steps))
    return item
  }))
}
