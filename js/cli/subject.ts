import { closeSync, lstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { HEADER_BYTES, readHeader } from './header.js'
import type { Header } from './header.js'

/** The file that is examined, as it was before anything opened it. */
export interface Subject {
  /** Where it really is: the files beside it are named after that. */
  readonly path: string
  /** Whether it was named by a symbolic link. */
  readonly isLinked: boolean
  readonly stats: Stats
  /** `undefined` where the file has none, or may not be read. */
  readonly header: Header | undefined
}

/** A file that belongs to the database, if it is there. */
export interface Sidecar {
  readonly path: string
  readonly stats: Stats
}

/** Looks at a file. Must not be called while the process has it open as a database: closing it here would drop the locks. */
export function lookAt(given: string): Subject {
  const path = realpathSync(given)
  const stats = statSync(path)
  if (!stats.isFile()) throw new Error(`${given} is not a file`)
  return { path, isLinked: lstatSync(given).isSymbolicLink(), stats, header: headerOf(path) }
}

function headerOf(path: string): Header | undefined {
  const bytes = firstBytes(path, HEADER_BYTES)
  return bytes === undefined ? undefined : readHeader(bytes)
}

/** Reads the beginning of a file; `undefined` if it may not be read. */
export function firstBytes(path: string, count: number): Buffer | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return undefined
  }
  try {
    const bytes = Buffer.alloc(count)
    return bytes.subarray(0, readSync(file, bytes, 0, count, 0))
  } finally {
    closeSync(file)
  }
}

/** Finds a file beside the database, by the end of its name. */
export function sidecarOf({ path }: Subject, ending: '-wal' | '-shm' | '-journal'): Sidecar | undefined {
  const stats = statSync(path + ending, { throwIfNoEntry: false })
  return stats === undefined ? undefined : { path: path + ending, stats }
}
