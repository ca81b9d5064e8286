import type { Database } from '../../index.js'
import { until } from './deadline.js'

/** Something that can be let go on by hand. */
export interface Gate {
  readonly opened: Promise<void>
  readonly open: () => void
}

/** Makes a gate that is closed. */
export function gate(): Gate {
  let open!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

/** Tells whether a promise is settled, without waiting for it. */
export function watch(promise: Promise<unknown>): { settled: boolean } {
  const state = { settled: false }
  const settle = (): boolean => (state.settled = true)
  promise.then(settle, settle)
  return state
}

/** Takes the right to write, and returns how to give it back: what is written meanwhile waits, and is seen together. */
export async function holdWriter(db: Database): Promise<() => Promise<void>> {
  const tx = await db.begin()
  return () => tx.rollback()
}

/** Waits until so many calls wait for their turn. */
export function untilWaiting(db: Database, count: number): Promise<void> {
  return until(() => db.status().queued === count, `${count} calls wait`)
}

/** Waits until the writer runs a statement whose text contains `sql`. */
export function untilWriterRuns(db: Database, sql: string): Promise<void> {
  return until(() => db.status().writer.holder?.sql.includes(sql) === true, `the writer runs ${sql}`)
}
