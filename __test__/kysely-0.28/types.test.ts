import { readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'

import { scratchFolder } from '../support/scratch.js'

const PROGRAM = `
import { Kysely } from 'kysely'
import type { Dialect, DialectAdapter } from 'kysely'
import { SluiceAdapter, SluiceDialect } from 'sluice/kysely'

const dialect: Dialect = new SluiceDialect({ path: 'app.db', maxReaders: 2 })
const adapter: DialectAdapter = new SluiceAdapter()
export const db: Kysely<{ users: { id: number } }> = new Kysely({ dialect })
export const rows: Promise<{ id: number }[]> = db.selectFrom('users').select('id').execute()
export { adapter }
`

/** Compiles a program against the types of a line of Kysely, and those of the dialect as built. */
function errorsOf(program: string, kysely: string): string[] {
  const file = join(scratchFolder(), 'program.mts')
  writeFileSync(file, program)
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Preserve,
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'],
    types: [],
    paths: {
      kysely: [resolve('node_modules', kysely)],
      sluice: [resolve('index.d.mts')],
      'sluice/kysely': [resolve('dist', 'kysely', 'index.d.mts')],
    },
  }
  const found = ts.getPreEmitDiagnostics(ts.createProgram([file], options))
  return found.map((one) => `${one.file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(one.messageText, '\n')}`)
}

it.each(['kysely', 'kysely-0.28'])('the published types fit those of %s', (kysely) => {
  expect(readdirSync(resolve('dist', 'kysely'))).toContain('index.d.mts')
  expect(errorsOf(PROGRAM, kysely)).toEqual([])
})

it('the check of the types finds what does not fit', () => {
  expect(errorsOf(PROGRAM.replace('maxReaders', 'maxReader'), 'kysely-0.28')).not.toEqual([])
})
