import * as kysely from 'kysely'
import * as sqlite from 'kysely/helpers/sqlite'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, it } from 'vitest'

import { describeAll } from '../kysely/suite/all.js'
import type { Line } from '../kysely/suite/line.js'

// The dialect as built, in an application that has installed this line of Kysely.
const application = mkdtempSync(join(tmpdir(), 'sluice-kysely-'))
const built = join(application, 'dist', 'kysely')
mkdirSync(join(application, 'node_modules'))
symlinkSync(resolve('node_modules', 'kysely-0.28'), join(application, 'node_modules', 'kysely'), 'junction')
symlinkSync(resolve('.'), join(application, 'node_modules', 'sluice'), 'junction')
cpSync(resolve('dist', 'kysely'), built, { recursive: true })
afterAll(() => rmSync(application, { recursive: true, force: true }))

const dialect = (await import(/* @vite-ignore */ pathToFileURL(join(built, 'index.mjs')).href)) as Line['dialect']
// In this line the migrator is exported by the package itself.
const migration = kysely as unknown as Line['migration']

it('is tested with the line it says', () => {
  const { version } = JSON.parse(readFileSync(resolve('node_modules', 'kysely-0.28', 'package.json'), 'utf8')) as { version: string }
  expect(version).toMatch(/^0\.28\./)
  expect(Object.keys(kysely)).toContain('Migrator')
  expect(new dialect.SluiceDialect({ path: ':memory:' }).createQueryCompiler()).toBeInstanceOf(kysely.SqliteQueryCompiler)
})

describeAll({ name: '0.28', kysely, migration, sqlite, dialect })
