import type { Database } from './database.js'
import { MAX_MS, complete, count, flag } from './options.js'
import type { Rule, Rules } from './options.js'

/** The largest database that SQLite keeps in memory. */
const MAX_BYTES = 2 ** 30

/** Options of {@link Database.mirror}. */
export interface MirrorOptions {
  /**
   * Whether a commit leads to a new copy: one of this process at once, one of another when the file is looked at next (`pollMs`).
   * @defaultValue false
   */
  readonly watch?: boolean | undefined
  /**
   * How often the file is looked at for commits of other processes, in milliseconds, at least 1. A database in memory has no others.
   * @defaultValue 250
   */
  readonly pollMs?: number | undefined
  /**
   * How long to wait after a change, in milliseconds, so that the next copy has what is committed meanwhile too.
   * @defaultValue 20
   */
  readonly debounceMs?: number | undefined
  /**
   * For how long a copy is kept at least after there is a newer one, in milliseconds. It is always kept until its last reader is done.
   * @defaultValue 0
   */
  readonly graceMs?: number | undefined
  /**
   * The largest database that is copied, in bytes, up to 1 GiB. A larger one fails the reload with `ERR_SLUICE_TOO_LARGE`.
   * @defaultValue 1_073_741_824
   */
  readonly maxBytes?: number | undefined
  /**
   * Is given each new copy before anyone can see it, and may write to it: indexes, tables of results. When it is done the copy is closed for
   * writes and made the current one; if it throws, the copy before it stays. What it began and did not wait for is rolled back.
   * @defaultValue none
   */
  readonly onReload?: ((copy: Database) => unknown) | undefined
  /**
   * Is given the error of each reload that failed.
   * @defaultValue none: a reload that nobody called for and that failed is a warning of the process (`SLUICE_MIRROR_RELOAD`)
   */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** Options of {@link Mirror.reload}. */
export interface ReloadOptions {
  /** A write to wait for, so that the copy has what it wrote. When it is rejected, so is the reload, and nothing is copied. */
  readonly after?: PromiseLike<unknown> | undefined
}

/** What a mirror is doing, and has done. */
export interface MirrorStatus {
  /** Counts the copies that were made current: 1 is the first. */
  readonly generation: number
  /** Whether another copy is being made. */
  readonly reloading: boolean
  /** What the last reload failed with; `null` when it did not. */
  readonly lastError: unknown
  /** How long the reload took that made the current copy, in milliseconds, `onReload` included. */
  readonly lastReloadMs: number
  /** The size of the current copy in bytes. */
  readonly bytes: number
  /** How many copies that are not current any more are kept, for `graceMs` or for their readers. */
  readonly superseded: number
}

/** What `mirror` was told, complete and checked. */
export type MirrorMode = Required<{ [K in keyof MirrorOptions]: MirrorOptions[K] }> & {
  readonly watch: boolean
  readonly pollMs: number
  readonly debounceMs: number
  readonly graceMs: number
  readonly maxBytes: number
}

function callback<F>(): Rule<F | undefined> {
  return { initial: undefined, expected: 'a function', accepts: (value) => typeof value === 'function' }
}

const MIRROR_RULES: Rules<MirrorMode> = {
  watch: flag(false),
  pollMs: count(250, 1, MAX_MS),
  debounceMs: count(20, 0, MAX_MS),
  graceMs: count(0, 0, MAX_MS),
  maxBytes: count(MAX_BYTES, 1, MAX_BYTES),
  onReload: callback(),
  onError: callback(),
}

/** Checks the options of a mirror. */
export function mirrorMode(options: MirrorOptions | undefined): MirrorMode {
  return complete<MirrorMode>(MIRROR_RULES, options)
}

const RELOAD_RULES: Rules<Required<ReloadOptions>> = {
  after: {
    initial: undefined,
    expected: 'a promise',
    accepts: (value) => typeof (value as Partial<PromiseLike<unknown>> | null)?.then === 'function',
  },
}

/** Checks the options of a reload, and returns what it is to wait for. */
export function reloadAfter(options: ReloadOptions | undefined): PromiseLike<unknown> | undefined {
  return complete<Required<ReloadOptions>>(RELOAD_RULES, options).after
}
