import { openLog } from 'sluice'
import type { Database, Log } from 'sluice'
import type { Batch, Sample } from './browser/protocol.js'
import { History } from './history.js'
import { OWN_PREFIX } from './plans.js'

/** How often pages are told what is new. */
const TICK_MS = 100
/** Every how many ticks they get the numbers. */
const TICKS_PER_SAMPLE = 3
/** How many events a page can follow in one tick. */
const BATCH_LIMIT = 1_000

/** A page that is connected. */
export interface Viewer {
  /** The number of the last event that it knows. */
  seen: number
  /** Whether it has taken what it was sent before. */
  readonly ready: boolean
  entries(batch: Batch): void
  sample(sample: Sample): void
}

/** Follows a database while somebody looks. */
export class Feed {
  readonly history: History
  readonly #db: Database
  readonly #viewers = new Set<Viewer>()
  #log: Log | undefined
  #timer: NodeJS.Timeout | undefined
  #ticks = 0

  constructor(db: Database, history: number, slowMs: number) {
    this.#db = db
    this.history = new History(history, slowMs)
  }

  /** Begins to tell a viewer what happens. The first one switches the log on. */
  add(viewer: Viewer): void {
    this.#viewers.add(viewer)
    // What is kept is sent whole: a page that comes back finds what it missed.
    if (viewer.seen < this.history.lastId) this.#tell(viewer, Number.POSITIVE_INFINITY)
    if (this.#timer !== undefined) return
    this.#log = openLog(({ level, target, message, timeMs, fields }) => {
      if (String(fields['sql']).startsWith(OWN_PREFIX)) return
      this.history.add({ level, target, message, timeMs, fields })
    }, { level: 'trace', database: this.#db.path })
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  /** Forgets a viewer. The last one switches the log off. */
  delete(viewer: Viewer): void {
    this.#viewers.delete(viewer)
    if (this.#viewers.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#log?.close()
    this.#log = undefined
  }

  /** Takes the numbers of now. */
  sample(): Sample {
    return { nowMs: Date.now(), status: this.#db.status(), lost: this.#log?.lost ?? 0 }
  }

  #tick(): void {
    const isSampled = this.#ticks++ % TICKS_PER_SAMPLE === 0
    const sample = isSampled ? this.sample() : undefined
    for (const viewer of this.#viewers) {
      // What a page is too slow for stays in the history, or is forgotten there.
      if (!viewer.ready) continue
      if (viewer.seen < this.history.lastId) this.#tell(viewer, BATCH_LIMIT)
      if (sample !== undefined) viewer.sample(sample)
    }
  }

  #tell(viewer: Viewer, limit: number): void {
    const batch = this.history.since(viewer.seen, limit)
    viewer.seen = this.history.lastId
    viewer.entries(batch)
  }
}
