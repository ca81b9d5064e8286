// What both sides of a comparison are told.
import { availableParallelism } from 'node:os'

/** The default of Sluice and of better-sqlite3; of other peers it is less, or none. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * @typedef {object} Settings
 * @property {'equal' | 'packaged'} profile - the same settings for all, or what each peer is shipped with
 * @property {number} readers - connections of a peer that has several
 * @property {'normal' | 'full'} durability - PRAGMA synchronous
 * @property {number} cacheSize - PRAGMA cache_size, in KiB when negative
 */

/**
 * Returns the settings of a profile. The peers' own defaults differ: better-sqlite3 has a cache of 16,000 KiB, most others 2,000.
 *
 * @param {Settings['profile']} profile
 * @returns {Settings}
 */
export function settingsFor(profile) {
  return { profile, readers: Math.min(Math.max(availableParallelism(), 2), 8), durability: 'normal', cacheSize: -16_000 }
}

/** Returns the value of PRAGMA synchronous. */
export function synchronousOf({ durability }) {
  return durability.toUpperCase()
}

/** Returns the PRAGMAs that a Sluice user sets by option: `synchronous` is its `durability`, `journal_mode` is in the file. */
export function pragmasOf({ cacheSize }) {
  return { cache_size: cacheSize, mmap_size: 0 }
}

/** Returns the PRAGMA statements for a peer; none where it runs as packaged. */
export function pragmaTexts(settings) {
  if (settings.profile === 'packaged') return []
  return [
    `PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`,
    'PRAGMA journal_mode=WAL',
    `PRAGMA synchronous=${synchronousOf(settings)}`,
    `PRAGMA cache_size=${settings.cacheSize}`,
    'PRAGMA mmap_size=0',
  ]
}

/** Hands each PRAGMA, without the word itself, to `run`. */
export function applySettings(settings, run) {
  for (const text of pragmaTexts(settings)) run(text.slice('PRAGMA '.length))
}
