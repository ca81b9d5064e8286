// Packs what would be published, installs it into empty applications outside the repository, and uses it there.
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import esbuild from 'esbuild'
import { runChecks } from './checks.mjs'
import { newerNode, newerNodeExists } from './newer-node.mjs'
import { inRoot } from './paths.mjs'
import { hostPlatform } from './platform.mjs'
import { capture, npm } from './run.mjs'
import { publishedManifest, readManifest, stageMain, stagePlatform } from './stage-package.mjs'

const TIMEOUT_MS = 60_000
const platform = hostPlatform()
const bindingName = readManifest(`npm/${platform}/package.json`).name
const folder = mkdtempSync(join(tmpdir(), 'sluice-package-'))
const app = join(folder, 'app')
const bareApp = join(folder, 'bare-app')
/** An application for each line of drizzle-orm: its folder, and the name under which that line is installed here. */
const DRIZZLE = {
  'drizzle-045': { app: join(folder, 'drizzle-045'), installed: 'drizzle-orm' },
  'drizzle-v1': { app: join(folder, 'drizzle-v1'), installed: 'drizzle-orm-v1' },
}
const tarballs = {}
let databases = 0

/** Packs a staged folder and returns the tarball's path. */
function pack(staged) {
  const [{ filename }] = JSON.parse(capture(npm('pack', '--json', '--pack-destination', folder), { cwd: staged }))
  return join(folder, filename)
}

function packAll() {
  const [main, binding] = [join(folder, 'staged', 'sluice'), join(folder, 'staged', platform)]
  stageMain(main)
  stagePlatform(platform, binding)
  tarballs.main = pack(main)
  tarballs.binding = pack(binding)
}

/**
 * Installs tarballs into a new application that also holds the test programs.
 * Offline and with an empty cache: the other platforms' packages cannot be found, as for a release that is only half
 * published, and npm must leave them out; nor may a registry be asked for names that are not ours yet.
 */
function install(into, packages, programs = 'app') {
  mkdirSync(into)
  writeFileSync(join(into, 'package.json'), '{ "name": "app", "private": true }\n')
  capture(npm('install', '--offline', '--cache', join(folder, 'npm-cache'), '--no-audit', '--no-fund', ...packages), { cwd: into })
  cpSync(inRoot(`__test__/package/${programs}`), into, { recursive: true })
}

function installedPackages(where) {
  const lock = JSON.parse(readFileSync(join(where, 'node_modules', '.package-lock.json'), 'utf8'))
  return Object.keys(lock.packages).map((path) => path.replace('node_modules/', '')).sort()
}

/** Gives a plugin of the application its own copy of the package. */
function addPluginCopy() {
  cpSync(join(app, 'node_modules'), join(app, 'plugin', 'node_modules'), { recursive: true })
}

/** Node's types, which every TypeScript application on Node has. */
function addNodeTypes(where) {
  for (const name of ['@types/node', 'undici-types']) {
    cpSync(inRoot(`node_modules/${name}`), join(where, 'node_modules', name), { recursive: true })
  }
}

/** Makes an application with one line of drizzle-orm. */
function installDrizzle({ app, installed }) {
  install(app, [tarballs.main, tarballs.binding], 'drizzle-app')
  cpSync(inRoot(`node_modules/${installed}`), join(app, 'node_modules', 'drizzle-orm'), { recursive: true })
  addNodeTypes(app)
}

/** The command line of a development dependency's program. */
function tool(name, program) {
  const { bin } = readManifest(`node_modules/${name}/package.json`)
  return [process.execPath, inRoot(join('node_modules', name, bin[program]))]
}

/** Runs a program of an application, which must end by itself. */
function run(node, where, program, argument) {
  capture([node, program, argument], { cwd: where, timeout: TIMEOUT_MS })
}

/** Runs a program of the main application on a new database file. */
function runOnDatabase(node, program, where = app) {
  databases += 1
  run(node, where, program, join(folder, `${databases}.db`))
}

/** Runs the command of the package, as npm has installed it, on a new database file. */
function runCommand(node) {
  const command = join(app, 'node_modules', 'sluice', readManifest().bin.sluice)
  const path = join(folder, 'command.db')
  writeFileSync(path, '')
  assert.equal(capture([node, command, '--version'], { cwd: app, timeout: TIMEOUT_MS }).trim(), readManifest().version)
  assert.equal(JSON.parse(capture([node, command, 'doctor', path, '--json'], { cwd: app, timeout: TIMEOUT_MS })).counts.problem, 0)
}

/** Bundles a program with the package left outside, as docs/DEPLOYMENT.md tells applications to. */
async function bundle(format, outfile) {
  await esbuild.build({
    entryPoints: [join(app, format === 'esm' ? 'esm.mjs' : 'cjs.cjs')],
    outfile: join(app, outfile),
    bundle: true,
    platform: 'node',
    format,
    external: ['sluice'],
    logLevel: 'error',
  })
}

/** Compiles the TypeScript program under one name with one kind of module resolution. */
function compile(source, module, where = app, program = 'consumer.ts', more = {}) {
  cpSync(join(where, program), join(where, module, source), { recursive: true })
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2022', 'ESNext.Disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    module,
    moduleResolution: module === 'nodenext' ? 'nodenext' : 'bundler',
    ...more,
  }
  const config = join(where, module, `${source}.json`)
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [source] }))
  capture([...tool('typescript', 'tsc'), '--project', config], { cwd: where })
}

/** What must hold for an application with one line of drizzle-orm. */
function drizzleChecks([line, one]) {
  return [
    ['installs', () => installDrizzle(one)],
    ['runs as an ES module', () => runOnDatabase(process.execPath, `${line}.mjs`, one.app)],
    ['runs as CommonJS', () => runOnDatabase(process.execPath, `${line}.cjs`, one.app)],
    ...['mts', 'cts'].map((extension) => [`compiles and runs as .${extension}`, () => {
      // The types of drizzle-orm name drivers that are not installed.
      compile(`${line}.${extension}`, 'nodenext', one.app, `${line}.ts`, { skipLibCheck: true })
      runOnDatabase(process.execPath, `nodenext/${line}.${extension.replace('t', 'j')}`, one.app)
    }]),
  ].map(([name, check]) => [`${line}: ${name}`, check])
}

const once = [
  ['packs the main package and the one of this platform', packAll],
  ['stages a manifest without scripts and with every platform package', () => {
    const manifest = publishedManifest()
    const platforms = readManifest().napi.targets.length
    assert.equal(manifest.scripts ?? manifest.devDependencies ?? manifest.napi ?? manifest.dependencies, undefined)
    assert.equal(Object.keys(manifest.optionalDependencies).length, platforms)
  }],
  ['installs without the packages of other platforms', () => {
    install(app, [tarballs.main, tarballs.binding])
    assert.deepEqual(installedPackages(app), [bindingName, 'sluice'].sort())
  }],
  ['ships neither sources nor a binary in the main package', () => {
    const shipped = readdirSync(join(app, 'node_modules', 'sluice'))
    assert.deepEqual(shipped.filter((name) => /\.node$|^(js|src|crates|scripts|target|__test__)$/.test(name)), [])
    assert.ok(shipped.includes('LICENSE'))
  }],
  ['installs its command', () => capture(npm('exec', '--offline', '--', 'sluice', '--version'), { cwd: app })],
  ['is clean for publint', () => capture([...tool('publint', 'publint'), 'run', tarballs.main, '--strict'])],
  // Node 10 knows no entries of a package beside its main one.
  ['is clean for are-the-types-wrong', () =>
    capture([...tool('@arethetypeswrong/cli', 'attw'), tarballs.main, '--no-color', '--profile', 'node16'])],
  ['compiles as an ES module under nodenext', () => {
    addNodeTypes(app)
    compile('consumer.mts', 'nodenext')
  }],
  ['compiles as CommonJS under nodenext', () => compile('consumer.cts', 'nodenext')],
  ['compiles under bundler resolution', () => compile('consumer.ts', 'preserve')],
  ['is left outside a bundle of an ES module', () => bundle('esm', 'bundle.mjs')],
  ['is left outside a bundle of a CommonJS program', () => bundle('cjs', 'bundle.cjs')],
  ['installs a second time, for a plugin', addPluginCopy],
  ['installs without any binary', () => {
    install(bareApp, [tarballs.main])
    assert.deepEqual(installedPackages(bareApp), ['sluice'])
  }],
]

/** What must hold on every Node. */
function checksOn(label, node) {
  return [
    ['runs as an ES module', () => runOnDatabase(node(), 'esm.mjs')],
    ['runs as CommonJS', () => runOnDatabase(node(), 'cjs.cjs')],
    ['runs as compiled TypeScript, ES module', () => runOnDatabase(node(), 'nodenext/consumer.mjs')],
    ['runs as compiled TypeScript, CommonJS', () => runOnDatabase(node(), 'nodenext/consumer.cjs')],
    ['runs as a bundled ES module', () => runOnDatabase(node(), 'bundle.mjs')],
    ['runs as a bundled CommonJS program', () => runOnDatabase(node(), 'bundle.cjs')],
    ['is one core for import and require', () => runOnDatabase(node(), 'one-core.mjs')],
    ['serves the page of the inspector', () => runOnDatabase(node(), 'inspector.mjs')],
    ['runs its command', () => runCommand(node())],
    ['works beside a second installed copy', () => runOnDatabase(node(), 'two-copies.mjs')],
    ['names the package to install when there is no binary', () => run(node(), bareApp, 'missing-binding.mjs', bindingName)],
  ].map(([name, check]) => [`${label}: ${name}`, check])
}

/** The same on Node 24. */
function newerChecks() {
  let binary
  const fetched = ['fetches Node 24', () => { binary = newerNode(); }]
  // Node 20 brings no SQLite of its own.
  const other = ['Node 24: acknowledges no write into a log that another SQLite removed', () => runOnDatabase(binary, 'other-sqlite.mjs')]
  return [fetched, ...checksOn('Node 24', () => binary), other]
}

try {
  await runChecks([
    ...once,
    ...Object.entries(DRIZZLE).flatMap(drizzleChecks),
    ...checksOn(`Node ${process.versions.node}`, () => process.execPath),
    ...(newerNodeExists ? newerChecks() : []),
  ])
} finally {
  rmSync(folder, { recursive: true, force: true })
}
