import { AsyncResource } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'

import type { Database } from './database.js'
import { SluiceError } from './errors.js'
import type { Handle } from './handle.js'
import type { MirrorMode, MirrorStatus } from './mirror-options.js'
import { Scope, expectOutside } from './scope.js'
import type { Watch } from './watch.js'

/** How long after a reload that failed a mirror that watches tries again, if nothing changes before, in milliseconds. */
const RETRY_MS = 1_000
/** How often a copy that is not current any more is looked at while somebody reads it, in milliseconds. */
const CHECK_MS = 20

/** One copy of a database in memory. */
export class Copy {
  readonly handle: Handle
  readonly generation: number
  readonly bytes: number
  /** How many snapshots are of it. */
  pins = 0
  /** Whether it is closed as soon as nobody reads it. */
  isDue = false

  constructor(handle: Handle, generation: number, bytes: number) {
    this.handle = handle
    this.generation = generation
    this.bytes = bytes
  }

  /** Whether nobody reads it, or waits to. */
  get isUnused(): boolean {
    if (this.pins > 0) return false
    const { readers, writer, queued } = this.handle.status()
    return readers.active === 0 && !writer.active && queued === 0
  }
}

/** The copies of one mirror: makes them one after another, so that a newer one is never replaced by an older. */
export class Copies {
  readonly #source: Handle
  readonly #mode: MirrorMode
  readonly #wrap: (handle: Handle) => Database
  /** Where the hooks were given, for them to run in. */
  readonly #context = new AsyncResource('SluiceMirror')
  readonly #superseded = new Set<Copy>()
  #current: Copy | null = null
  #watch: Watch | null = null
  /** The reload that has not begun yet, if there is one: it has whatever was committed before now. */
  #waiting: Promise<void> | null = null
  /** Settled when every reload so far is over. Never rejects. */
  #last: Promise<void> = Promise.resolve()
  #underWay = 0
  #lastError: unknown = null
  #lastReloadMs = 0
  #closing: Promise<void> | null = null
  /** The copies that were there when it was closed. */
  #closed: readonly Copy[] | null = null
  /** Ends the wait for what is being made. */
  #giveUp: (() => void) | null = null

  private constructor(source: Handle, mode: MirrorMode, wrap: (handle: Handle) => Database) {
    this.#source = source
    this.#mode = mode
    this.#wrap = wrap
  }

  /** Makes the first copy. */
  static async open(source: Handle, mode: MirrorMode, wrap: (handle: Handle) => Database): Promise<Copies> {
    const copies = new Copies(source, mode, wrap)
    source.mirrors.add(copies)
    try {
      // Before the copy, so that no change is missed.
      const watch = mode.watch ? await copies.#beginToWatch() : null
      await copies.reload()
      if (watch !== null) void copies.#follow(watch)
    } catch (error) {
      await copies.close(0)
      throw error
    }
    return copies
  }

  get closed(): boolean {
    return this.#closing !== null
  }

  get source(): Handle {
    return this.#source
  }

  /** The copy that whoever reads now should read. */
  get current(): Copy {
    if (this.#closing !== null || this.#current === null) throw closedError()
    return this.#current
  }

  status(): MirrorStatus {
    return {
      generation: this.#current?.generation ?? 0,
      reloading: this.#underWay > 0,
      lastError: this.#lastError,
      lastReloadMs: this.#lastReloadMs,
      bytes: this.#current?.bytes ?? 0,
      superseded: this.#superseded.size,
    }
  }

  /** Throws unless a new copy may be made, and may be waited for here. */
  expectReloadable(): void {
    if (this.#closing !== null) throw closedError()
    this.#source.expectCopyable('reload')
    expectOutside(this, 'reload', 'elsewhere')
  }

  /** Makes a new copy the current one, when those that were begun before are over. Calls that come before it begins share it. */
  reload(): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closedError())
    if (this.#waiting !== null) return this.#waiting
    this.#underWay++
    const turn = this.#next(this.#last)
    this.#waiting = turn
    this.#last = this.#untilOver(turn)
    return turn
  }

  async #next(before: Promise<void>): Promise<void> {
    await before
    this.#waiting = null
    await this.#load()
  }

  async #untilOver(turn: Promise<void>): Promise<void> {
    try {
      await turn
    } catch {
      // It is for those who called for it.
    }
    this.#underWay--
  }

  async #load(): Promise<void> {
    const begun = performance.now()
    try {
      const { handle, bytes } = await this.#unlessClosed(this.#make())
      // It may have been closed since the copy was made.
      if (this.#closing !== null) {
        handle.close(0)
        throw closedError()
      }
      this.#publish(new Copy(handle, (this.#current?.generation ?? 0) + 1, bytes))
      this.#lastError = null
      this.#lastReloadMs = performance.now() - begun
    } catch (error) {
      if (this.#closing === null) this.#report(error)
      throw error
    }
  }

  /** Waits for what is being made, or until the mirror is closed. */
  async #unlessClosed<T>(making: Promise<T>): Promise<T> {
    const closed = new Promise<never>((_resolve, reject) => {
      this.#giveUp = () => reject(closedError())
    })
    if (this.#closing !== null) this.#giveUp?.()
    try {
      return await Promise.race([making, closed])
    } finally {
      this.#giveUp = null
    }
  }

  async #make(): Promise<{ handle: Handle; bytes: number }> {
    if (this.#closing !== null) throw closedError()
    const { maxBytes, onReload } = this.#mode
    const copy = await opened(this.#source.copy(maxBytes, onReload !== undefined))
    const handle = onReload === undefined ? copy : await this.#overlay(copy, onReload)
    try {
      const bytes = await sizeOf(handle)
      if (this.#closing !== null) throw closedError()
      return { handle, bytes }
    } catch (error) {
      handle.close(0)
      throw error
    }
  }

  /** Lets the hook write to a copy that nobody else can see, and closes it for writes. */
  async #overlay(copy: Handle, onReload: (copy: Database) => unknown): Promise<Handle> {
    try {
      await this.#context.runInAsyncScope(() => new Scope(this, 'onReload').run(() => onReload(this.#wrap(copy))))
      return await opened(copy.freeze())
    } finally {
      if (!copy.closed) copy.close(0)
    }
  }

  #publish(copy: Copy): void {
    const before = this.#current
    this.#current = copy
    if (before === null) return
    this.#superseded.add(before)
    if (this.#mode.graceMs === 0) this.#endGrace(before)
    else setTimeout(() => this.#endGrace(before), this.#mode.graceMs).unref()
  }

  #endGrace(copy: Copy): void {
    copy.isDue = true
    this.retire(copy)
  }

  /** Closes a copy whose time is over, or looks again later when somebody reads it. A snapshot that ends looks by itself. */
  retire(copy: Copy): void {
    if (!copy.isDue || copy.pins > 0 || !this.#superseded.has(copy)) return
    if (!copy.isUnused) {
      setTimeout(() => this.retire(copy), CHECK_MS).unref()
      return
    }
    this.#superseded.delete(copy)
    copy.handle.close(0)
  }

  /** The first copy is reported by the promise that it was to fulfil. */
  #report(error: unknown): void {
    this.#lastError = error
    const { onError } = this.#mode
    if (onError === undefined || this.#current === null) return
    try {
      this.#context.runInAsyncScope(onError, undefined, error)
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown
      })
    }
  }

  async #beginToWatch(): Promise<Watch> {
    const watch = this.#source.watch(this.#mode.pollMs)
    this.#watch = watch
    await watch.begun.settled
    watch.begun.expectSuccess()
    return watch
  }

  /** Makes a new copy after each change, until the mirror or the database is closed. */
  async #follow(watch: Watch): Promise<void> {
    let next = watch.next()
    let failed = false
    for (;;) {
      await (failed ? Promise.race([next.settled, delay(RETRY_MS, undefined, { ref: false })]) : next.settled)
      if (next.failure !== null) return
      if (this.#mode.debounceMs > 0) await delay(this.#mode.debounceMs, undefined, { ref: false })
      if (this.#closing !== null) return
      const { isSettled } = next
      // What was committed so far will be in the copy.
      if (isSettled) watch.forget()
      const reload = this.reload()
      if (isSettled) next = watch.next()
      failed = !(await this.#succeeds(reload))
    }
  }

  async #succeeds(reload: Promise<void>): Promise<boolean> {
    try {
      await reload
      return true
    } catch (error) {
      if (this.#closing === null && this.#mode.onError === undefined) warn(error)
      return false
    }
  }

  /** Throws if to close it here would wait for the callback in which that is done. */
  expectClosable(): void {
    for (const { handle } of this.#copies()) handle.expectClosable()
  }

  #copies(): readonly Copy[] {
    if (this.#closed !== null) return this.#closed
    return this.#current === null ? [...this.#superseded] : [...this.#superseded, this.#current]
  }

  /** Closes every copy, when those who read have done so, or after `timeoutMs`. */
  close(timeoutMs: number): Promise<void> {
    this.expectClosable()
    if (this.#closing !== null) return this.#closing
    const copies = this.#copies()
    const closing = copies.map(({ handle }) => handle.close(timeoutMs).settled)
    this.#closing = all(closing)
    this.#closed = copies
    this.#superseded.clear()
    this.#source.mirrors.delete(this)
    this.#watch?.close()
    this.#giveUp?.()
    return this.#closing
  }
}

async function all(promises: Array<Promise<void>>): Promise<void> {
  await Promise.all(promises)
}

/** Waits until a copy is there. */
async function opened(handle: Handle): Promise<Handle> {
  while (handle.busy !== null) await handle.busy
  handle.expectOpen()
  return handle
}

/** Asks a copy for its size, which opens its first reader too. */
async function sizeOf(handle: Handle): Promise<number> {
  const sql = 'SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size'
  const call = handle.ownRead(sql, 'pluck')
  await call.settled
  call.expectSuccess()
  return Number(call.takeFirst())
}

function warn(error: unknown): void {
  const message = `a mirror could not be reloaded, and shows what it has: ${error instanceof Error ? error.message : String(error)}`
  process.emitWarning(message, { type: 'SluiceWarning', code: 'SLUICE_MIRROR_RELOAD' })
}

export function closedError(): SluiceError {
  return new SluiceError('ERR_SLUICE_CLOSED', 'the mirror has been closed')
}
