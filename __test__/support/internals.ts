import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

import { scratchFolder } from './scratch.js'

const SOURCES = fileURLToPath(new URL('../../js/', import.meta.url))
const ADDON = fileURLToPath(new URL('../../binding.cjs', import.meta.url))

/** Makes one CommonJS file of some modules of `js/`, which the package does not export, and returns its path. */
export async function bundleInternals(...names: string[]): Promise<string> {
  const outfile = join(scratchFolder(), 'internals.cjs')
  await build({
    stdin: { contents: names.map((name) => `export * from './${name}.js'`).join('\n'), resolveDir: SOURCES },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    plugins: [
      { name: 'addon', setup: (bundler) => void bundler.onResolve({ filter: /\/binding\.cjs$/ }, () => ({ path: ADDON, external: true })) },
    ],
  })
  return outfile
}
