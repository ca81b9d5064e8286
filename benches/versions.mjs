// What stands beside the figures: the versions of everything that took part.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { newerNode } from '../scripts/newer-node.mjs'
import { root } from '../scripts/paths.mjs'
import { capture } from '../scripts/run.mjs'

/**
 * Finds the Node binary for what the user said: a major version or a path.
 *
 * @returns {{ binary: string, version: string, major: number }}
 */
export function findNode(said) {
  const binary = binaryFor(said)
  const version = capture([binary, '--print', 'process.versions.node']).trim()
  return { binary, version, major: Number(version.split('.')[0]) }
}

function binaryFor(said) {
  if (!/^\d+$/.test(said)) return said
  if (process.versions.node.startsWith(`${said}.`)) return process.execPath
  const newer = newerNode()
  if (capture([newer, '--version']).startsWith(`v${said}.`)) return newer
  throw new Error(`--node ${said}: only the running version and 24 are found by number; give the path of the binary instead`)
}

/** Returns the version of Sluice or of a peer's package; `null` for a peer that has no package. */
export function versionOf(name, packageName) {
  if (name === 'sluice') return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
  if (packageName === null) return null
  return JSON.parse(readFileSync(new URL(`node_modules/${packageName}/package.json`, import.meta.url), 'utf8')).version
}

/** Describes what the figures depend on beside the programs. */
export function environment() {
  const sqlite = createRequire(import.meta.url)(join(root, 'binding.cjs')).sqliteVersion()
  return { sqlite, platform: `${process.platform} ${process.arch}`, cores: availableParallelism(), processor: cpus()[0]?.model ?? 'unknown' }
}
