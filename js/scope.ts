import { AsyncLocalStorage } from 'node:async_hooks'

import { SluiceError } from './errors.js'
import { SCOPE_EXCLUSIVE, SCOPE_OUTSIDE, SCOPE_READ, SCOPE_TRANSACTION } from './layout.js'

/** What a callback holds. */
export type ScopeKind = 'read' | 'transaction' | 'writeMode' | 'onReload'

/**
 * A callback that holds something which calls made in it must not wait for.
 *
 * It is live until the callback has come to its end: work that was merely started in it and goes on is not caught.
 */
export class Scope {
  /** What calls must not be made on: the manager of a database, by its number, a transaction around a nested one, or a mirror. */
  readonly subject: object | number
  readonly kind: ScopeKind
  /** The nearest around it that was live when this one was made, or the last one in it. */
  outer: Scope | undefined
  /** The handle that must not be closed in it. */
  readonly handle: object | undefined
  live = true

  constructor(subject: object | number, kind: ScopeKind, handle?: object) {
    this.subject = subject
    this.kind = kind
    this.handle = handle
    this.outer = nearestLive(storage?.getStore())
    // Each may have ended since it was entered here: callbacks that start one another would keep all that were before them.
    for (let scope = this.outer; scope !== undefined; scope = scope.outer) scope.outer = nearestLive(scope.outer)
  }

  /** Runs `callback` in this scope, until what it returns is settled. */
  async run<R>(callback: () => Promise<R> | R): Promise<R> {
    // On Node 20 and 22 the first use slows every await of the process: so only with the first callback.
    storage ??= new AsyncLocalStorage<Scope>()
    try {
      return await storage.run(this, callback)
    } finally {
      this.live = false
    }
  }
}

let storage: AsyncLocalStorage<Scope> | undefined

/** Returns the innermost live scope of `scope` and those around it. */
function nearestLive(scope: Scope | undefined): Scope | undefined {
  let nearest = scope
  while (nearest !== undefined && !nearest.live) nearest = nearest.outer
  return nearest
}

/** Returns the innermost live scope around this call that holds something of `subject`. */
export function innermost(subject: object | number): Scope | undefined {
  if (storage === undefined) return undefined
  let scope = storage.getStore()
  while (scope !== undefined && !(scope.live && scope.subject === subject)) scope = scope.outer
  return scope
}

/** Returns the request flags that tell the addon of the scope of a call. */
export function scopeFlags(subject: object | number): number {
  const scope = innermost(subject)
  return scope === undefined ? SCOPE_OUTSIDE : FLAGS[scope.kind]
}

const FLAGS: { readonly [kind in ScopeKind]: number } = {
  read: SCOPE_READ,
  transaction: SCOPE_TRANSACTION,
  writeMode: SCOPE_EXCLUSIVE,
  // What it holds is no database.
  onReload: SCOPE_OUTSIDE,
}

const HINTS: { readonly [kind in ScopeKind]: string } = {
  read: 'use its r for reading, and write after it',
  transaction: 'use its tx',
  writeMode: 'use its w',
  onReload: 'let it return first',
}

/** What is left to whoever makes a call in a callback that it would wait for: its option `detached`, or only to make it elsewhere. */
export type Ways = 'detachable' | 'elsewhere'

/** Makes the error of a call that would wait for the callback in which it is made. */
export function reentrant(what: string, kind: ScopeKind, ways: Ways): SluiceError {
  const otherwise = ways === 'detachable' ? ', or pass { detached: true } if the callback does not wait for it' : ''
  return new SluiceError('ERR_SLUICE_REENTRANT', `${what} would wait for the ${kind} callback in which it is called: ${HINTS[kind]}${otherwise}`)
}

/** Throws if `what` is called in a callback that holds anything of `subject`. */
export function expectOutside(subject: object | number, what: string, ways: Ways): void {
  const scope = innermost(subject)
  if (scope !== undefined) throw reentrant(what, scope.kind, ways)
}

/** Throws if a handle is closed in a callback that it runs: that would wait for itself. */
export function expectClosable(handle: object): void {
  let scope = storage?.getStore()
  while (scope !== undefined && !(scope.live && scope.handle === handle)) scope = scope.outer
  if (scope !== undefined) throw reentrant('close', scope.kind, 'elsewhere')
}
