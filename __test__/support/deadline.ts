import { setTimeout as delay } from 'node:timers/promises'

const PATIENCE_MS = 15_000

/** Waits for `promise`, but not for ever: a hang must fail its own test, with a sentence that says what hung. */
export async function within<T>(promise: Promise<T>, what: string, patienceMs: number = PATIENCE_MS): Promise<T> {
  const stop = new AbortController()
  const late = delay(patienceMs, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`${what}: not within ${patienceMs} ms`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
    late.catch(() => {})
  }
}

/** Waits until `holds` returns true, looking again in each turn of the event loop. */
export async function until(holds: () => boolean, what: string, patienceMs: number = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${patienceMs} ms`)
    await delay(1)
  }
}
