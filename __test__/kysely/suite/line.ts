import type * as KyselyPackage from 'kysely'
import type { Generated, Kysely, KyselyConfig } from 'kysely'
import type * as SqlitePackage from 'kysely/helpers/sqlite'
import type * as MigrationPackage from 'kysely/migration'
import { onTestFinished } from 'vitest'

import type { Database as DialectDatabase } from 'sluice'
import type * as DialectPackage from 'sluice/kysely'
import type { Database, OpenOptions } from '../../../index.js'
import { openForTest, scratchPath } from '../../support/scratch.js'

/** A line of Kysely: what its packages export, and the dialect that imports them. */
export interface Line {
  readonly name: string
  readonly kysely: typeof KyselyPackage
  readonly migration: typeof MigrationPackage
  readonly sqlite: typeof SqlitePackage
  readonly dialect: typeof DialectPackage
}

export interface Users {
  id: Generated<number>
  name: string
  age: number | null
}

export interface Pets {
  id: Generated<number>
  owner_id: number
  name: string
}

/** A column without a type keeps every value as it is. */
export interface Anything {
  x: unknown
}

export interface Tables {
  users: Users
  pets: Pets
  anything: Anything
}

const SCHEMA = `
  CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0));
  CREATE TABLE pets (
    id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES users(id) DEFERRABLE INITIALLY DEFERRED, name TEXT NOT NULL
  );
  CREATE TABLE anything (x)`

/** Makes a Kysely that goes with the test. */
export function kyselyOn<T>(line: Line, database: Database, config: Partial<KyselyConfig> = {}): Kysely<T> {
  // One class with two declarations: that of `require`, which tests share, and that of `import`.
  const dialect = new line.dialect.SluiceDialect({ database: database as unknown as DialectDatabase })
  const db = new line.kysely.Kysely<T>({ ...config, dialect })
  onTestFinished(() => db.destroy())
  return db
}

/** Opens a new database with the tables, for Kysely and for the driver: in a file, or where it is said. */
export async function openTables(
  line: Line,
  options?: OpenOptions,
  path: string = scratchPath(),
): Promise<{ db: Kysely<Tables>; database: Database }> {
  const database = await openForTest(path, options)
  await database.exec(SCHEMA)
  return { db: kyselyOn<Tables>(line, database), database }
}

/** Returns the names of all users, in their order. */
export async function namesOf(db: Kysely<Tables>): Promise<string[]> {
  const rows = await db.selectFrom('users').select('name').orderBy('id').execute()
  return rows.map(({ name }) => name)
}

/** Fills the users with so many. */
export async function addUsers(database: Database, count: number): Promise<void> {
  await database.run(
    `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)
     INSERT INTO users (name, age) SELECT 'user ' || n, n % 90 FROM c`,
    [count],
  )
}

/** Collects the warnings of the process while a test runs. */
export function collectWarnings(): Error[] {
  const warnings: Error[] = []
  const listen = (warning: Error): number => warnings.push(warning)
  process.on('warning', listen)
  onTestFinished(() => void process.off('warning', listen))
  return warnings
}
