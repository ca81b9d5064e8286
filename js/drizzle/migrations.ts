import type { MigrationConfig } from 'drizzle-orm/migrator'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { createHash } from 'node:crypto'

/** What drizzle-kit writes between two statements. */
const BREAKPOINT = '--> statement-breakpoint'

/** Migrations in the folder that `drizzle-kit generate` writes. */
export interface MigrationsFolder {
  /** The folder, relative to the working directory or absolute: the one that has `meta/_journal.json`. */
  readonly migrationsFolder: string
}

/** An entry of drizzle-kit's journal. */
export interface JournalEntry {
  readonly idx: number
  /** When it was generated, in milliseconds since 1970. */
  readonly when: number
  readonly tag: string
  readonly breakpoints: boolean
}

/** Migrations as values, for an application that is one file: what `migrations.js` of drizzle-kit's driver `'durable-sqlite'` exports. */
export interface BundledMigrations {
  /** The content of `meta/_journal.json`. */
  readonly journal: { readonly entries: readonly JournalEntry[] }
  /** The content of each file, by the number of its entry: `m0000`, `m0001` and so on. */
  readonly migrations: Readonly<Record<string, string>>
}

/** One migration. */
export interface Migration {
  readonly statements: readonly string[]
  /** When it was generated, in milliseconds since 1970. */
  readonly when: number
  /** The SHA-256 of its text. */
  readonly hash: string
}

/** Reads the migrations, in the order of the journal. */
export function readMigrations(source: MigrationsFolder | BundledMigrations): Migration[] {
  if ('journal' in source) return source.journal.entries.map((entry) => bundled(entry, source.migrations))
  return readMigrationFiles(source as MigrationConfig).map(({ sql, folderMillis, hash }) => ({ statements: sql, when: folderMillis, hash }))
}

function bundled({ idx, when, tag }: JournalEntry, texts: Readonly<Record<string, string>>): Migration {
  const text = texts[`m${String(idx).padStart(4, '0')}`]
  if (text === undefined) throw new Error(`Missing migration: ${tag}`)
  return { statements: text.split(BREAKPOINT), when, hash: createHash('sha256').update(text).digest('hex') }
}
