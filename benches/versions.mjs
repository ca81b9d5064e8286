// What stands beside the figures: the versions of everything that took part.
import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { newerNode } from '../scripts/newer-node.mjs'
import { root } from '../scripts/paths.mjs'
import { capture } from '../scripts/run.mjs'
import { spreadOf } from './statistics.mjs'

const PAGE = 4_096
const SYNCS = 50
/** The magic numbers of file systems that answer fsync in their own way. */
const FILE_SYSTEMS = { 0xef53: 'ext4', 0x58465342: 'xfs', 0x9123683e: 'btrfs', 0x01021994: 'tmpfs', 0x794c7630: 'overlayfs' }

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
  return {
    sqlite,
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    fileSystem: FILE_SYSTEMS[statfsSync(tmpdir()).type] ?? 'another file system',
    syncMs: syncTime(),
    commit: commit(),
  }
}

/** Returns the commit that was measured; `+` says that there were changes. */
function commit() {
  try {
    return capture(['git', 'describe', '--always', '--dirty=+', '--exclude', '*']).trim()
  } catch {
    return 'unknown'
  }
}

/** Returns how long it takes to append a page to a file and to wait for the disk, in milliseconds: the median of some. */
function syncTime() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const file = openSync(join(folder, 'pages'), 'w')
  try {
    const page = Buffer.alloc(PAGE, 1)
    const times = Array.from({ length: SYNCS }, () => {
      const start = performance.now()
      writeSync(file, page)
      fsyncSync(file)
      return performance.now() - start
    })
    return spreadOf(times).median
  } finally {
    closeSync(file)
    rmSync(folder, { recursive: true })
  }
}
