import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin, type ViteUserConfig } from 'vitest/config'

const root = fileURLToPath(new URL('.', import.meta.url))

/** Lets the files that match import another version of a package, which is installed under another name. */
function otherLine(name: string, installed: string, files: RegExp): Plugin {
  return {
    name: `${name} as ${installed}`,
    enforce: 'pre',
    async resolveId(source, importer) {
      const isIt = source === name || source.startsWith(`${name}/`)
      if (!isIt || importer === undefined || !files.test(importer)) return null
      return this.resolve(installed + source.slice(name.length), importer, { skipSelf: true })
    },
  }
}

const config: ViteUserConfig = defineConfig({
  resolve: {
    // Tests import the package by its name, through the same wrapper as an application.
    alias: [{ find: /^sluice$/, replacement: `${root}index.mjs` }],
  },
  plugins: [otherLine('drizzle-orm', 'drizzle-orm-v1', /drizzle-v1\//), otherLine('kysely', 'kysely-0.28', /kysely-0\.28\//)],
  test: {
    include: ['__test__/**/*.test.ts'],
    // One process per file: an addon's threads and handles must end with their file, and a crash must name it.
    pool: 'forks',
    // Timings are part of what is tested: leave cores to the threads of the addon.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    // Another addon: only the tests are to have it, for the runner's own tools ask this variable too.
    env: process.env['SLUICE_TEST_ADDON'] === undefined ? {} : { NAPI_RS_NATIVE_LIBRARY_PATH: process.env['SLUICE_TEST_ADDON'] },
    typecheck: {
      include: ['__test__/types/**/*.test-d.ts'],
      tsconfig: './__test__/types/tsconfig.json',
    },
    server: {
      // The package runs as built, never transformed by the test runner: but for the adapter of a line that has another name here.
      deps: {
        inline: [/\/dist\/drizzle-v1\//],
        external: [/\/index\.m?js$/, /\/(?:binding|core)\.cjs$/, /\/dist\//],
      },
    },
  },
})

export default config
