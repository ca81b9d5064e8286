import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

/** Makes one plain program of a TypeScript file in `__test__/` and what it imports, for a process of its own. */
export async function bundle(source: string, target: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL(`../${source}`, import.meta.url))],
    outfile: target,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'error',
  })
}
