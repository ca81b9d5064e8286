import type { Database } from '../../index.js'
import { until } from './deadline.js'

/** Waits until nothing runs and nothing waits: an answer may arrive a moment before its permit is back. */
export function untilQuiet(db: Database): Promise<void> {
  return until(() => isQuiet(db), 'all permits are back')
}

function isQuiet(db: Database): boolean {
  const { readers, writer, queued } = db.status()
  return readers.active === 0 && !writer.active && queued === 0
}
