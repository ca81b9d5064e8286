import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const root = fileURLToPath(new URL('.', import.meta.url))

const config: ViteUserConfig = defineConfig({
  resolve: {
    // Tests import the package by its name, through the same wrapper as an application.
    alias: { sluice: `${root}index.mjs` },
  },
  test: {
    include: ['__test__/**/*.test.ts'],
    // One process per file: an addon's threads and handles must end with their file, and a crash must name it.
    pool: 'forks',
    // Timings are part of what is tested: leave cores to the threads of the addon.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    typecheck: {
      include: ['__test__/types/**/*.test-d.ts'],
      tsconfig: './__test__/types/tsconfig.json',
    },
    server: {
      // The package runs as built, never transformed by the test runner.
      deps: { external: [/\/index\.m?js$/, /\/(?:binding|core)\.cjs$/, /\/dist\//] },
    },
  },
})

export default config
