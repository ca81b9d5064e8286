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

/** Has AddressSanitizer in the process from its start, as it must be, although Node was compiled without it. */
function environment(addon) {
  const runtime = capture(['gcc', '-print-file-name=libasan.so']).trim()
  // V8 keeps memory until the end on purpose.
  const options = 'detect_leaks=0:halt_on_error=1:abort_on_error=1'
  return { ...process.env, LD_PRELOAD: runtime, ASAN_OPTIONS: options, NAPI_RS_NATIVE_LIBRARY_PATH: addon }
}

const addon = await buildAddon()
const vitest = [process.execPath, inRoot('node_modules/vitest/vitest.mjs'), 'run']
const { code } = await tee([...vitest, ...(positionals.length > 0 ? positionals : FILES)], { env: environment(addon) })
process.exitCode = code
