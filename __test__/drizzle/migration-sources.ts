import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BundledMigrations } from 'sluice/drizzle/migrator'

import { scratchFolder } from '../support/scratch.js'

/** Migrations by their texts, the first one generated one second after 1970, the next one two seconds. */
export type Texts = readonly string[]

function journalOf(texts: Texts): BundledMigrations['journal'] {
  return { entries: texts.map((_, idx) => ({ idx, when: (idx + 1) * 1_000, tag: `000${idx}_step`, breakpoints: true })) }
}

/** Makes of migrations what an application bundles. */
export function bundle(texts: Texts): BundledMigrations {
  return { journal: journalOf(texts), migrations: Object.fromEntries(texts.map((text, idx) => [`m000${idx}`, text])) }
}

/** Writes migrations as drizzle-kit does. */
export function writeFolder(texts: Texts): string {
  const folder = scratchFolder()
  mkdirSync(join(folder, 'meta'))
  const { entries } = journalOf(texts)
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'sqlite', entries }))
  for (const { idx, tag } of entries) writeFileSync(join(folder, `${tag}.sql`), texts[idx] ?? '')
  return folder
}
