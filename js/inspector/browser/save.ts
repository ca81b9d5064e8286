import { element } from './elements.js'
import type { Filter } from './filter.js'
import type { Statement } from './model.js'
import type { Store } from './store.js'

/** Saves what is shown as a file. */
export function save(database: string, filter: Filter, statements: readonly Statement[], { events, latest, leftOut }: Store): void {
  const content = { database, savedMs: Date.now(), filter, leftOut, status: latest?.status ?? null, statements, events }
  const url = URL.createObjectURL(new Blob([JSON.stringify(content, undefined, 2)], { type: 'application/json' }))
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
  element('a', { href: url, download: `sluice-${stamp}.json` }).click()
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
