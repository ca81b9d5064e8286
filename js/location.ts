import { isAbsolute, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { SluiceError } from './errors.js'
import { kindOf } from './kinds.js'

/** Where a database is: a text, or raw bytes for a file name that is not UTF-8. */
export type Location = string | Uint8Array

/**
 * Fixes where the database is: a relative path would mean another file after `process.chdir()`.
 *
 * Throws `ERR_SLUICE_INVALID_ARGUMENT` for what cannot name a file.
 */
export function locate(path: unknown, uri: boolean): Location {
  if (typeof path === 'string') return locateText(path, uri)
  if (path instanceof Uint8Array) return locateBytes(path, uri)
  if (isUrl(path)) return locateText(fileOf(path), false)
  throw invalid(`path must be a string, a file: URL or a Buffer, not ${kindOf(path)}`)
}

/** Returns the location as a text for people. */
export function locationText(location: Location): string {
  return typeof location === 'string' ? location : Buffer.from(location).toString()
}

function locateText(path: string, uri: boolean): string {
  if (path.includes('\0')) throw invalid('path must not hold a NUL character: the system would stop reading there')
  if (/\p{Surrogate}/u.test(path)) throw invalid('path holds a lone surrogate, which no file name can')
  if (path === '' || path === ':memory:') return path
  if (uri && path.startsWith('file:')) return path
  return resolve(path)
}

/** Bytes that are UTF-8 mean the same as the text they spell. */
function locateBytes(bytes: Uint8Array, uri: boolean): Location {
  const text = decodeUtf8(bytes)
  if (text !== undefined) return locateText(text, uri)
  if (bytes.includes(0)) throw invalid('path must not hold a NUL byte: the system would stop reading there')
  if (process.platform === 'win32') throw invalid('path must be UTF-8')
  // Latin-1 has a character for each byte, and what is asked is in ASCII.
  if (isAbsolute(Buffer.from(bytes).toString('latin1'))) return Uint8Array.from(bytes)
  return Uint8Array.from(Buffer.concat([Buffer.from(`${process.cwd()}/`), bytes]))
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** A URL of another realm is no instance of this realm's class. */
function isUrl(value: unknown): value is URL {
  return typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object URL]'
}

function fileOf(url: URL): string {
  if (url.protocol !== 'file:') throw invalid(`path must be a file: URL, not ${url.protocol}`)
  if (url.search !== '' || url.hash !== '') {
    throw invalid("path must be a URL without query and fragment; for SQLite's URI parameters give a string, and the option 'uri'")
  }
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', `path is a URL that names no file: ${url.href}`, { cause })
  }
}

function invalid(message: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
}
