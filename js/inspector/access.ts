import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'

const TOKEN_BYTES = 24

/** Tells whether only this machine reaches a host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** Makes the secret that a URL must hold. */
export function makeToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url')
}

/** Compares two secrets in a time that tells nothing about them. */
export function isSameToken(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Writes a host as a URL does. */
export function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/**
 * Tells whether the `Host` of a request is one that the inspector is known by. A page of another site can have its own name point at
 * this machine, and then its requests say that name: {@link https://en.wikipedia.org/wiki/DNS_rebinding}. No name looks like an address.
 */
export function isOwnHost(header: string | undefined, host: string): boolean {
  if (header === undefined || !URL.canParse(`http://${header}`)) return false
  const name = new URL(`http://${header}`).hostname.replace(/^\[(.*)\]$/, '$1')
  return name === host.toLowerCase() || isLoopback(name) || (!isLoopback(host) && isIP(name) !== 0)
}

/** Tells whether a request comes from the inspector's own page, or from no page at all. */
export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  return origin === undefined || origin === `http://${host}`
}
