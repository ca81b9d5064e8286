// Runs tests on an addon whose SQLite is compiled with AddressSanitizer: `npm run test:sanitized`. Linux, with gcc.
//
//   npm run test:sanitized -- __test__/mirror.test.ts    other tests than those of hostile files
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cacheFolder, inRoot } from './paths.mjs'
import { capture, tee } from './run.mjs'

const FOLDER = join(cacheFolder, 'sanitized')
/** Files that mean harm, damaged ones, and values and texts of every kind. */
const FILES = ['hostile-files', 'files', 'values', 'texts-and-blobs', 'parameters'].map((name) => `__test__/${name}.test.ts`)
/** What compiled code calls to report a bad access: without it nothing would be found. */
const REPORT = '__asan_report_load'

const { positionals } = parseArgs({ allowPositionals: true })

/** Builds the addon, and returns its path. */
async function buildAddon() {
  const target = inRoot('target/sanitized')
  const flags = '-fsanitize=address -fno-omit-frame-pointer -g1'
  const { code } = await tee(['cargo', 'build', '--release', '--target-dir', target], { env: { ...process.env, CC: 'gcc', CFLAGS: flags } })
  if (code !== 0) throw new Error('the addon could not be built')
  mkdirSync(FOLDER, { recursive: true })
  const addon = join(FOLDER, 'sluice-sanitized.node')
  copyFileSync(join(target, 'release', 'libsluice.so'), addon)
  if (!readFileSync(addon).includes(REPORT)) throw new Error('the addon was not compiled with AddressSanitizer')
  return addon
}

/** Throws if a process that is started so does not have what it should. */
function expectLoaded(children, addon) {
  const look = "require(process.argv[1]); console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8'))"
  const env = { ...process.env, ...children, NAPI_RS_NATIVE_LIBRARY_PATH: addon }
  const maps = capture([process.execPath, '-e', look, inRoot('index.js')], { env })
  if (!maps.includes(addon) || !maps.includes('libasan')) throw new Error('AddressSanitizer is not in force')
}

/**
 * Starts vitest in a process that has its children begin with AddressSanitizer, as they must, because Node was compiled without it. Its own
 * tools do not run with that.
 */
function vitest(addon, files) {
  const runtime = capture(['gcc', '-print-file-name=libasan.so']).trim()
  // V8 keeps memory until the end on purpose.
  const options = 'detect_leaks=0:halt_on_error=1:abort_on_error=1'
  const children = { LD_PRELOAD: runtime, ASAN_OPTIONS: options, SLUICE_TEST_ADDON: addon }
  expectLoaded(children, addon)
  const prelude = `data:text/javascript,Object.assign(process.env, ${JSON.stringify(children)})`
  return tee([process.execPath, '--import', prelude, inRoot('node_modules/vitest/vitest.mjs'), 'run', ...files])
}

const { code } = await vitest(await buildAddon(), positionals.length > 0 ? positionals : FILES)
process.exitCode = code
