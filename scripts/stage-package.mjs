// Lays out what is published. The repository's own manifest cannot be: it builds in `prepare`, and must not name platform
// packages that may not exist yet, because `npm ci` would fail on them. So the published one is made from it.
//
//   node scripts/stage-package.mjs <folder>     → <folder>/sluice, and one folder per platform that has a binary here
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inRoot } from './paths.mjs'

const NOT_PUBLISHED = new Set(['scripts', 'devDependencies', 'napi', 'overrides', 'allowScripts'])

/** Reads a manifest of the repository. */
export function readManifest(path = 'package.json') {
  return JSON.parse(readFileSync(inRoot(path), 'utf8'))
}

/** Makes the published manifest from the repository's. */
export function publishedManifest() {
  const manifest = readManifest()
  const kept = Object.entries(manifest).filter(([key]) => !NOT_PUBLISHED.has(key))
  const platforms = readdirSync(inRoot('npm')).sort()
  const optionalDependencies = Object.fromEntries(
    platforms.map((platform) => [`${manifest.napi.packageName}-${platform}`, manifest.version]),
  )
  return { ...Object.fromEntries(kept), optionalDependencies }
}

/** Lays out the main package in `folder`. */
export function stageMain(folder) {
  const manifest = publishedManifest()
  mkdirSync(folder, { recursive: true })
  for (const path of [...manifest.files, 'LICENSE', 'README.md']) {
    if (existsSync(inRoot(path))) cpSync(inRoot(path), join(folder, path), { recursive: true })
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Lays out one platform package in `folder`; throws when its binary has not been built. */
export function stagePlatform(platform, folder) {
  const { main } = readManifest(`npm/${platform}/package.json`)
  cpSync(inRoot(`npm/${platform}`), folder, { recursive: true })
  copyFileSync(inRoot('LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(inRoot(main), join(folder, main))
}

/** Stages the main package and every platform package whose binary lies in the root. */
function stageAll(folder) {
  stageMain(join(folder, 'sluice'))
  for (const platform of readdirSync(inRoot('npm'))) {
    if (!existsSync(inRoot(`sluice.${platform}.node`))) continue
    stagePlatform(platform, join(folder, platform))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2)
  if (folder === undefined) throw new Error('usage: node scripts/stage-package.mjs <folder>')
  stageAll(resolve(folder))
}
