// Builds the JavaScript side: dist/ (CommonJS), the bundled public types and the ES module wrapper; and the adapters, as both.
// Skips everything when neither a source nor an output changed since the last run.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { generateDtsBundle } from 'dts-bundle-generator'
import { buildSync } from 'esbuild'
import ts from 'typescript'
import { buildPage } from './build-page.mjs'
import { cacheFolder, inRoot, root } from './paths.mjs'

const ENTRY = inRoot('js/index.ts')
const PROJECT = inRoot('tsconfig.build.json')
const ADAPTERS = inRoot('tsconfig.adapters.json')
const DRIZZLE_V1 = inRoot('tsconfig.drizzle-v1.json')
const STAMP = join(cacheFolder, 'build-js.sha256')
const BANNER = '// Generated from js/ by `npm run build:js`; do not edit.\n'
const INPUTS = [
  'js', 'scripts/build-js.mjs', 'scripts/build-page.mjs', 'package.json', 'package-lock.json',
  'tsconfig.json', 'tsconfig.build.json', 'tsconfig.adapters.json', 'tsconfig.drizzle-v1.json',
]
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

/** Reads a project's options and files; fails with every diagnostic. */
function readProject(file) {
  const config = ts.getParsedCommandLineOfConfigFile(file, {}, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]),
  })
  fail(config.errors)
  return config
}

/** Creates the TypeScript program of some files, or fails with every diagnostic. */
function createProgram(files, options) {
  const program = ts.createProgram(files, options)
  fail(ts.getPreEmitDiagnostics(program))
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

/** Makes the core, which exists once, one CommonJS file: each file of a package takes time to find and load. */
function buildCore() {
  const { fileNames, options } = readProject(PROJECT)
  const program = createProgram(fileNames, options)
  buildSync({
    entryPoints: [ENTRY],
    outfile: inRoot('dist/index.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['../binding.cjs'],
    // Constants of other files become their values.
    minifySyntax: true,
    charset: 'utf8',
    logLevel: 'warning',
  })
  writeWrapper(exportedValues(program))
  writeTypes()
}

/** A module of the same adapter, as an import names it. */
const RELATIVE_IMPORT = /((?:from |import\()'\.[^']*)\.js'/g

/** Whether a source is needed as CommonJS too: what is only declared is not compiled, and nothing imports the command. */
function isTwin(file) {
  return !file.endsWith('.d.ts') && !file.startsWith(inRoot('js/cli/'))
}

/** Compiles adapters, both as ES modules and as CommonJS, so that each kind of application gets its own kind of peers. */
function buildAdapters(files, paths) {
  const options = { ...readProject(ADAPTERS).options, ...paths }
  createProgram(files, options).emit(undefined, writeAsModule)
  for (const file of files.filter(isTwin)) writeTwin(relative(inRoot('js'), file).replace(/\.ts$/, ''), options)
}

/** Writes what was compiled under the names that only ES modules have: the package itself is CommonJS. */
function writeAsModule(path, text) {
  const named = path.replace(/\.d\.ts$/, '.d.mts').replace(/\.js$/, '.mjs')
  mkdirSync(dirname(named), { recursive: true })
  writeFileSync(named, text.replaceAll(RELATIVE_IMPORT, "$1.mjs'"))
}

/** Writes one source as CommonJS too: it has been checked as an ES module, and its types are the same. */
function writeTwin(name, options) {
  const compilerOptions = { ...options, module: ts.ModuleKind.CommonJS, verbatimModuleSyntax: false }
  const { outputText } = ts.transpileModule(readFileSync(inRoot(`js/${name}.ts`), 'utf8'), { compilerOptions })
  writeFileSync(inRoot(`dist/${name}.js`), outputText)
  const types = readFileSync(inRoot(`dist/${name}.d.mts`), 'utf8')
  writeFileSync(inRoot(`dist/${name}.d.ts`), types.replaceAll(".mjs'", ".js'"))
}

function build() {
  rmSync(inRoot('dist'), { recursive: true, force: true })
  buildCore()
  buildAdapters(readProject(ADAPTERS).fileNames, {})
  buildPage()
  const { fileNames, options } = readProject(DRIZZLE_V1)
  buildAdapters(fileNames.filter((file) => file.startsWith(inRoot('js/'))), { paths: options.paths, pathsBasePath: root })
}

const stamp = existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : ''
if (stamp === fingerprint()) {
  console.log('build:js: up to date')
} else {
  build()
  mkdirSync(cacheFolder, { recursive: true })
  writeFileSync(STAMP, fingerprint())
}
