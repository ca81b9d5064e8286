import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { open } from '../index.js'
import { installPackages } from './support/application.js'
import { anchors, blocksLeftOut, codeBlocks, documents, programs, prose, readDocument } from './support/markdown.js'
import type { Program } from './support/markdown.js'

const TIMEOUT_MS = 25_000
const COMPILER_OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts'],
}

const all = documents().flatMap((path) => programs(path).map((program) => [program.name, program] as const))

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-docs-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Checks the types of a program and returns what is left without them. */
function compile(program: Program): string {
  const file = join(folder, 'program.mts')
  writeFileSync(file, program.code)
  const found = ts.getPreEmitDiagnostics(ts.createProgram([file], COMPILER_OPTIONS))
  expect(found.map((one) => ts.flattenDiagnosticMessageText(one.messageText, '\n'))).toEqual([])
  return ts.transpileModule(program.code, { compilerOptions: COMPILER_OPTIONS, fileName: file }).outputText
}

/** Runs a program in a folder of its own, and returns the lines it prints. */
async function run(program: Program): Promise<string[]> {
  installPackages(folder, program.name.includes('DRIZZLE_V1') ? 'drizzle-orm-v1' : 'drizzle-orm')
  const isTyped = program.extension === 'mts'
  const file = join(folder, `program.${isTyped ? 'mjs' : program.extension}`)
  writeFileSync(file, isTyped ? compile(program) : program.code)
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, timeout: TIMEOUT_MS })
  return stdout.split('\n').slice(0, -1)
}

describe('the programs in the documents', () => {
  it.each(all)('%s runs, ends by itself, and prints what its comments say', async (_, program) => {
    const printed = await run(program)
    // Without such comments a program may print what it likes.
    expect(printed).toEqual(program.output.length > 0 ? program.output : printed)
  })

  it.each(documents())('%s gives a reason for each block that is not run', (path) => {
    const silent = blocksLeftOut(readDocument(path)).filter(({ note }) => !/^no-run: \S/.test(note))
    expect(silent.map(({ line }) => line)).toEqual([])
  })

  it('names the language of every block', () => {
    const nameless = documents().flatMap((path) =>
      codeBlocks(readDocument(path)).filter(({ language }) => language === '').map(({ line }) => `${path}:${line}`),
    )
    expect(nameless).toEqual([])
  })
})

/** A path of the repository, in backticks: under one of its folders, or one of its own files. */
const NAMED_PATH = /`((?:\.ci|\.cargo|\.github|__test__|benches|crates|docs|examples|js|npm|scripts|src)\/[\w./*-]*|[\w.-]+\.(?:md|json|toml|cjs|mts|yml))`/g
/** Files of other projects, and files that come and go. */
const NOT_OURS = new Set(['vite.config.mts', 'node_modules'])

function existsAsNamed(path: string): boolean {
  if (!path.includes('*')) return existsSync(path)
  const pattern = new RegExp(`^${path.slice(dirname(path).length + 1).replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
  return existsSync(dirname(path)) && readdirSync(dirname(path)).some((name) => pattern.test(name))
}

describe.each(documents())('%s', (path) => {
  const text = readDocument(path)

  it('links only to what is there', () => {
    const links = [...prose(text).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link]) => link ?? '')
    const broken = links.filter((link) => {
      const [target = '', fragment] = link.split('#')
      const file = target === '' ? path : join(dirname(path), target)
      if (!existsSync(file)) return true
      return fragment !== undefined && !anchors(readDocument(file)).includes(fragment)
    })
    expect(broken).toEqual([])
  })

  it('names only files that are there', () => {
    const named = [...prose(text).matchAll(NAMED_PATH)].map(([, name]) => name ?? '').filter((name) => !NOT_OURS.has(name))
    expect(named.filter((name) => !existsAsNamed(name))).toEqual([])
  })

  it('names only commands that npm knows', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name ?? '')
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
})

/** Lists the files of a folder, and of those in it, as paths from the root. */
function filesUnder(path: string, pattern: RegExp): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => `${path}/${name.replaceAll('\\', '/')}`)
    .filter((name) => pattern.test(name))
}

describe('the list of options in README.md', () => {
  it('is the list that open knows', async () => {
    const section = prose(readDocument('README.md')).split('\n## ').find((part) => part.startsWith('Options'))
    const listed = [...(section ?? '').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name ?? '')
    const error = await open(':memory:', { '': 0 } as never).catch((reason: unknown) => reason as Error)
    const known = /the options are (.*)$/.exec((error as Error).message)?.[1]?.split(', ')
    expect(listed.sort()).toEqual(known?.sort())
  })
})

describe('docs/ARCHITECTURE.md', () => {
  const text = readDocument('docs/ARCHITECTURE.md')

  it('has a place in its code map for every source file', () => {
    const sources = [...filesUnder('js', /\.ts$/), ...filesUnder('src', /\.rs$/), ...filesUnder('crates/core/src', /\.rs$/)]
    // A folder stands for the files in it.
    const isMapped = (file: string): boolean => text.includes(`\`${file}\``) || text.includes(`\`${dirname(file)}/\``)
    expect(sources.filter((file) => !isMapped(file))).toEqual([])
  })

  it('names a test for each invariant, and only tests that there are', () => {
    const rust = filesUnder('crates/core', /\/(?:src|tests)\/.*\.rs$/).map((file) => readFileSync(file, 'utf8')).join('\n')
    const named = [...text.matchAll(/`(i\d+_\w+)`/g)].map(([, name]) => name ?? '')
    expect(named.filter((name) => !rust.includes(`fn ${name}(`))).toEqual([])
    const invariants = new Set(named.map((name) => name.slice(1, name.indexOf('_'))))
    expect([...invariants].sort((a, b) => Number(a) - Number(b))).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'])
  })
})

describe('docs/CONCURRENCY.md', () => {
  it('holds the markers between which the matrix of states and operations is generated', () => {
    const text = readDocument('docs/CONCURRENCY.md')
    expect(text).toMatch(/<!-- matrix:begin -->[\s\S]*<!-- matrix:end -->/)
  })
})

describe('docs/SQLITE_BUILD.md', () => {
  const text = readDocument('docs/SQLITE_BUILD.md')

  it('gives every flag of the build configuration its line', () => {
    const flags = [...readFileSync('.cargo/config.toml', 'utf8').matchAll(/-[DU](SQLITE_\w+(?:=\w+)?)/g)].map(([, flag]) => flag ?? '')
    expect(flags.length).toBeGreaterThan(0)
    expect([...new Set(flags)].filter((flag) => !text.includes(`\`${flag}\``))).toEqual([])
  })

  it('gives every flag that the driver relies on its line', () => {
    const source = readFileSync('crates/core/src/connection/build.rs', 'utf8')
    const required = /const REQUIRED[^;]*;\s*\d+\] = \[([\s\S]*?)\];/.exec(source)?.[1] ?? ''
    const flags = [...required.matchAll(/\("([A-Z0-9_=]+)"/g)].map(([, flag]) => `SQLITE_${flag ?? ''}`)
    expect(flags.length).toBeGreaterThan(0)
    expect(flags.filter((flag) => !text.includes(`\`${flag}\``))).toEqual([])
  })
})

describe('CHANGELOG.md', () => {
  it('begins with the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    const latest = /^## (\S+)/m.exec(readDocument('CHANGELOG.md'))?.[1]
    expect(latest).toBe(version)
  })
})

describe('documents', () => {
  it('are all tracked or new, so that none is lost to .gitignore', () => {
    const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...documents()], { encoding: 'utf8' })
    expect(listed.split('\n').filter((file) => file !== '').sort()).toEqual([...documents()].sort())
  })
})
