import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from 'sluice'
import { installPackages } from '../support/application.js'
import { within } from '../support/deadline.js'
import { scratchFolder } from '../support/scratch.js'

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'],
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
}

/** Makes the folder of an application that has this package and drizzle-orm 1.0. */
function application(): string {
  const folder = scratchFolder()
  installPackages(folder, 'drizzle-orm-v1')
  cpSync('__test__/package/drizzle-app', folder, { recursive: true })
  return folder
}

async function run(folder: string, program: string, flags: string[] = []): Promise<void> {
  const command = [...flags, join(folder, program), join(folder, 'app.db')]
  await promisify(execFile)(process.execPath, command, { cwd: folder, timeout: 20_000 })
}

describe('an application with drizzle-orm 1.0', () => {
  it.each(['drizzle-v1.mjs', 'drizzle-v1.cjs'])('runs %s', async (program) => {
    const folder = application()
    await run(folder, program)
    const client = await open(join(folder, 'app.db'))
    onTestFinished(() => client.close())
    expect(await client.pluck('SELECT name FROM __drizzle_migrations')).toHaveLength(2)
  })

  it('does without compiled mappers where code may not be made from text', async () => {
    const folder = application()
    await expect(run(folder, 'drizzle-v1.mjs', ['--disallow-code-generation-from-strings'])).resolves.toBeUndefined()
  })

  it.each(['mts', 'cts'])('compiles strictly and runs as .%s', async (extension) => {
    const folder = application()
    const source = join(folder, `consumer.${extension}`)
    cpSync(join(folder, 'drizzle-v1.ts'), source)
    writeFileSync(join(folder, 'globals.d.ts'), 'declare const process: { argv: string[] }')
    const program = ts.createProgram([source, join(folder, 'globals.d.ts')], OPTIONS)
    const problems = ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    expect(problems).toEqual([])
    program.emit()
    await run(folder, `consumer.${extension === 'mts' ? 'mjs' : 'cjs'}`)
  })

  it('migrates a file from several processes at once, each migration once', async () => {
    const folder = application()
    const path = join(folder, 'app.db')
    const children = Array.from({ length: 4 }, () => spawn(process.execPath, [join(folder, 'migrate-v1.mjs'), path], { stdio: 'pipe' }))
    onTestFinished(() => children.forEach((child) => child.kill('SIGKILL')))
    const errors: string[] = []
    for (const child of children) child.stderr.on('data', (text) => errors.push(String(text)))
    const ends = children.map((child) => once(child, 'close'))
    const ready = Promise.all(children.map((child) => once(child.stdout, 'data')))
    await within(Promise.race([ready, Promise.all(ends)]), 'every process is ready')
    for (const child of children) child.stdin.write('go\n')
    expect(await within(Promise.all(ends), 'every process ends')).toEqual(children.map(() => [0, null]))
    expect(errors).toEqual([])
    const client = await open(path)
    onTestFinished(() => client.close())
    expect(await client.pluck('SELECT count(*) FROM __drizzle_migrations')).toEqual([20])
    expect(await client.pluck('SELECT count(*) FROM t0 UNION ALL SELECT count(*) FROM t19')).toEqual([1, 1])
  })
})
