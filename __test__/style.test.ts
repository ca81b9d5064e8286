import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, extname } from 'node:path'
import { describe, expect, it } from 'vitest'

const MAX_LINES = 500
const SOURCE = /\.(?:rs|ts|mts|js|mjs|cjs)$/
const GENERATED = /^(?:binding\.(?:cjs|d\.cts)|index\.(?:d\.ts|d\.mts|mjs)|package-lock\.json|Cargo\.lock)$/
/** Code that runs in an application, once the tests at the end of a file are cut off. */
const SHIPPED_RUST = /^(?:crates\/core\/)?src\/(?!.*\btests\b).*\.rs$/
const RUST_TESTS = /^#\[cfg\((?:all\()?test\b.*\]\s*(?:#\[.*\]\s*)*mod \w+ \{[\s\S]*/m

/** Words that name nothing. */
const EMPTY_WORDS = /^(?:helper|util|common|misc)s?$/
/** Words that say nothing of a type. */
const EMPTY_TYPE_WORDS = /^(?:data|info|native)$/
const RUST_DECLARATION = /\b(?:fn|struct|enum|trait|type|mod|const|static|let(?:\s+mut)?)\s+([A-Za-z_]\w*)/g
const SCRIPT_DECLARATION = /\b(?:function|class|interface|type|enum|const|let)\s+([A-Za-z_$][\w$]*)/g
const FILE_ACCESS = /\b(?:File::(?:open|create|options)|OpenOptions::new|fs::(?:read|write|copy|rename|remove_file|hard_link)\b)/

const files = listFiles()

/** Lists what git tracks or would track. */
function listFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { encoding: 'utf8' })
  return listed.split('\0').filter((file) => file !== '' && !GENERATED.test(file) && existsSync(file))
}

function sources(pattern: RegExp = SOURCE): { file: string; text: string }[] {
  return files.filter((file) => pattern.test(file)).map((file) => ({ file, text: readFileSync(file, 'utf8') }))
}

/** Comments and strings. A quote in Rust is a lifetime unless it closes after one character. */
const RUST_TEXT = /\/\/.*|\/\*[\s\S]*?\*\/|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\\n]|\\[^'\n]+|\\')'/g
const SCRIPT_TEXT = /\/\/.*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g

/** Blanks comments and strings, and keeps the lines. */
function codeOf(file: string, text: string): string {
  const pattern = extname(file) === '.rs' ? RUST_TEXT : SCRIPT_TEXT
  return text.replaceAll(pattern, (match) => match.replaceAll(/[^\n]/g, ' '))
}

/** Splits `readLease`, `READ_LEASE` and `read-lease` into `read` and `lease`. */
function wordsOf(name: string): string[] {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}

function isEmptyName(name: string): boolean {
  const words = wordsOf(name)
  const isType = /^[A-Z]/.test(name) && /[a-z]/.test(name)
  return (
    words.some((word) => EMPTY_WORDS.test(word)) ||
    (isType && words.some((word) => EMPTY_TYPE_WORDS.test(word))) ||
    (words.length > 1 && (words[0] === 'do' || words.at(-1) === 'impl'))
  )
}

function declaredNames(file: string, text: string): string[] {
  const pattern = extname(file) === '.rs' ? RUST_DECLARATION : SCRIPT_DECLARATION
  return [...codeOf(file, text).matchAll(pattern)].map(([, name]) => name ?? '')
}

/** Finds `file:line` of every line that matches. */
function linesMatching(pattern: RegExp, texts: { file: string; text: string }[]): string[] {
  return texts.flatMap(({ file, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  )
}

describe('style', () => {
  it('names every file after what it holds', () => {
    expect(files.filter((file) => isEmptyName(basename(file, extname(file))))).toEqual([])
  })

  it('declares no name that says nothing', () => {
    const found = sources().flatMap(({ file, text }) =>
      declaredNames(file, text)
        .filter(isEmptyName)
        .map((name) => `${file}: ${name}`),
    )
    expect(found).toEqual([])
  })

  it(`keeps every source file within ${MAX_LINES} lines`, () => {
    const long = sources().flatMap(({ file, text }) => {
      const lines = text.split('\n').length
      return lines > MAX_LINES ? [`${file}: ${lines}`] : []
    })
    expect(long).toEqual([])
  })

  it('never trusts bytes to be UTF-8', () => {
    const code = sources(/\.rs$/).map(({ file, text }) => ({ file, text: codeOf(file, text) }))
    expect(linesMatching(/from_utf8_unchecked/, code)).toEqual([])
  })

  it('leaves opening files to SQLite, whose locks another open and close would drop', () => {
    const code = sources(SHIPPED_RUST).map(({ file, text }) => ({ file, text: codeOf(file, text.replace(RUST_TESTS, '')) }))
    // What is left of a copy that was broken off is nobody's database.
    const isRemoval = (line: string): boolean => /^crates\/core\/src\/connection\/new_file\.rs:.*fs::remove_file/.test(line)
    expect(linesMatching(FILE_ACCESS, code).filter((line) => !isRemoval(line))).toEqual([])
  })

  it('loads the addon in one place', () => {
    const loading = sources(/^js\/.*\.ts$/).filter(({ text }) => text.includes('binding.cjs'))
    expect(loading.map(({ file }) => file)).toEqual(['js/binding.ts'])
  })

  it('lets adapters know the driver by its public interface alone', () => {
    const adapters = sources(/^js\/[\w-]+\/.*\.ts$/)
    expect(adapters.length).toBeGreaterThan(0)
    expect(linesMatching(/from '\.\.\//, adapters)).toEqual([])
  })

  it('keeps Node out of the core', () => {
    expect(linesMatching(/\bnapi\b|\bnapi_/, sources(/^crates\/core\/(?:src\/.*\.rs|Cargo\.toml)$/))).toEqual([])
  })

  it('gives every exception to a lint its reason', () => {
    const texts = sources().filter(({ file }) => file !== '__test__/style.test.ts')
    expect(linesMatching(/#!?\[allow\(|@ts-ignore|(?:eslint|oxlint)-disable(?!.* -- )/, texts)).toEqual([])
  })

  it('names no folder of one machine', () => {
    const text = sources(/\.(?:rs|ts|mts|js|mjs|cjs|json|md|toml|yml)$|^\.ci\/run$/)
    expect(linesMatching(/(?<![\w.$*])\/(?:root|work)\/|\/(?:home|Users)\/\w/, text)).toEqual([])
  })

  it('locks dependencies without naming a registry host', () => {
    expect(readFileSync('package-lock.json', 'utf8')).not.toMatch(/"resolved": "https?:/)
  })
})
