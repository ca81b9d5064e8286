import { scratchPath } from './scratch.js'

/** Where the suites of both lines of drizzle run: reads beside the writer, and in turns with it. */
export const PLACES = ['a file', ':memory:'] as const
export type Place = (typeof PLACES)[number]

/** Returns what to open for a new database in a place. */
export function pathOf(place: Place): string {
  return place === 'a file' ? scratchPath() : place
}

/** An error of drizzle, and what caused it. */
export interface Rejection extends Error {
  readonly code?: string
  readonly query?: string
  readonly params?: unknown[]
  readonly cause?: Error & { readonly code?: string }
}

/** Returns what a call was rejected with. */
export async function rejectionOf(call: PromiseLike<unknown>): Promise<Rejection> {
  try {
    await call
  } catch (error) {
    return error as Rejection
  }
  throw new Error('the call was expected to be rejected, but it resolved')
}

/** Returns the code of what caused a call to be rejected. */
export async function causeOf(call: PromiseLike<unknown>): Promise<string | undefined> {
  return (await rejectionOf(call)).cause?.code
}
