// Builds the JavaScript side: dist/ (CommonJS), the bundled public types and the ES module wrapper.
// Skips everything when neither a source nor an output changed since the last run.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateDtsBundle } from 'dts-bundle-generator'
import ts from 'typescript'
import { cacheFolder, inRoot, root } from './paths.mjs'

const ENTRY = inRoot('js/index.ts')
const PROJECT = inRoot('tsconfig.build.json')
const STAMP = join(cacheFolder, 'build-js.sha256')
const BANNER = '// Generated from js/ by `npm run build:js`; do not edit.\n'
const INPUTS = ['js', 'scripts/build-js.mjs', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']
const OUTPUTS = ['dist', 'index.d.ts', 'index.d.mts', 'index.mjs']

/** Lists the files of a file or folder, sorted, relative to the root; none if it does not exist. */
function filesOf(path) {
  const stats = statSync(inRoot(path), { throwIfNoEntry: false })
  if (stats === undefined) return []
  if (!stats.isDirectory()) return [path]
  return readdirSync(inRoot(path)).sort().flatMap((name) => filesOf(`${path}/${name}`))
}

/** Hashes the names and contents of every input and output. */
function fingerprint() {
  const hash = createHash('sha256')
  for (const file of [...INPUTS, ...OUTPUTS].flatMap(filesOf)) {
    hash.update(`${file}\0`).update(readFileSync(inRoot(file)))
  }
  return hash.digest('hex')
}

/** Creates the TypeScript program of the sources, or fails with every diagnostic. */
function createProgram() {
  const config = ts.getParsedCommandLineOfConfigFile(PROJECT, {}, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]),
  })
  const program = ts.createProgram(config.fileNames, config.options)
  fail([...config.errors, ...ts.getPreEmitDiagnostics(program)])
  return program
}

/** Prints diagnostics and ends the process; does nothing when there are none. */
function fail(diagnostics) {
  if (diagnostics.length === 0) return
  process.stderr.write(ts.formatDiagnostics(diagnostics, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n',
  }))
  process.exit(1)
}

/** Names every value (not type) that the entry exports. */
function exportedValues(program) {
  const checker = program.getTypeChecker()
  const entry = checker.getSymbolAtLocation(program.getSourceFile(ENTRY))
  return checker.getExportsOfModule(entry)
    .filter((symbol) => isValue(checker, symbol))
    .map((symbol) => symbol.name)
    .sort()
}

function isValue(checker, symbol) {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const typeOnly = symbol.declarations?.some((node) => ts.isExportSpecifier(node) && ts.isTypeOnlyImportOrExportDeclaration(node))
  return (target.flags & ts.SymbolFlags.Value) !== 0 && !typeOnly
}

/** Writes the wrapper through which ES modules see the one copy of the core. */
function writeWrapper(names) {
  writeFileSync(inRoot('index.mjs'), `${BANNER}import loaded from './core.cjs'

if (loaded.error) throw loaded.error

export const {
${names.map((name) => `  ${name},\n`).join('')}} = loaded.core
`)
}

/** Bundles the public types into one file, and its twin for ES modules. */
function writeTypes() {
  const [types] = generateDtsBundle(
    [{ filePath: ENTRY, output: { noBanner: true, exportReferencedTypes: false } }],
    { preferredConfigPath: PROJECT },
  )
  writeFileSync(inRoot('index.d.ts'), BANNER + types)
  writeFileSync(inRoot('index.d.mts'), BANNER + types)
}

function build() {
  const program = createProgram()
  rmSync(inRoot('dist'), { recursive: true, force: true })
  program.emit()
  writeWrapper(exportedValues(program))
  writeTypes()
}

const stamp = existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : ''
if (stamp === fingerprint()) {
  console.log('build:js: up to date')
} else {
  build()
  mkdirSync(cacheFolder, { recursive: true })
  writeFileSync(STAMP, fingerprint())
}
