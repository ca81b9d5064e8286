import { byId } from './elements.js'

const NAMES = ['statements', 'slow', 'errors', 'events'] as const

/** What the lower part of the page shows. */
export type TabName = (typeof NAMES)[number]

/** The tabs: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ */
export class Tabs {
  active: TabName = 'statements'
  readonly #onChange: () => void

  constructor(onChange: () => void) {
    this.#onChange = onChange
    for (const [index, name] of NAMES.entries()) {
      const tab = tabOf(name)
      tab.addEventListener('click', () => this.#open(name))
      tab.addEventListener('keydown', ({ key }) => {
        const by = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0
        if (by === 0) return
        const next = NAMES[(index + by + NAMES.length) % NAMES.length]!
        this.#open(next)
        tabOf(next).focus()
      })
    }
  }

  /** Shows how many there are of what a tab holds. */
  count(name: TabName, value: number): void {
    const badge = tabOf(name).querySelector('.count')
    const text = value === 0 ? '' : String(value)
    if (badge !== null && badge.textContent !== text) badge.textContent = text
  }

  #open(name: TabName): void {
    this.active = name
    for (const other of NAMES) {
      const isOpen = other === name
      tabOf(other).setAttribute('aria-selected', String(isOpen))
      tabOf(other).tabIndex = isOpen ? 0 : -1
      byId(`panel-${other}`).hidden = !isOpen
    }
    this.#onChange()
  }
}

function tabOf(name: TabName): HTMLElement {
  return byId(`tab-${name}`)
}
