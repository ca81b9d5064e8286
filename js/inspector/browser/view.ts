/** How long after an event a page may know of it: what is live ends that much before now. */
const DELAY_MS = 150
const SHORTEST_MS = 1
const LONGEST_MS = 600_000

/** The stretch of time that the timeline shows. Times are those of the process, in milliseconds since 1970. */
export class View {
  /** The clock of the process minus that of the browser. */
  clockOffsetMs = 0
  #spanMs = 10_000
  /** Where it ends; `undefined` follows the present. */
  #endMs: number | undefined

  get spanMs(): number {
    return this.#spanMs
  }

  get endMs(): number {
    return this.#endMs ?? this.nowMs
  }

  get startMs(): number {
    return this.endMs - this.#spanMs
  }

  get isLive(): boolean {
    return this.#endMs === undefined
  }

  get nowMs(): number {
    return Date.now() + this.clockOffsetMs - DELAY_MS
  }

  /** Stops following the present. */
  freeze(): void {
    this.#endMs ??= this.nowMs
  }

  /** Follows the present. */
  follow(): void {
    this.#endMs = undefined
  }

  /** Shows a longer or shorter stretch; the moment at `share` of the width, 0 to 1, stays where it is. What is live stays live. */
  zoom(factor: number, share: number): void {
    const fixedMs = this.startMs + this.#spanMs * share
    this.#spanMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, this.#spanMs * factor))
    if (this.#endMs !== undefined) this.#endMs = Math.min(this.nowMs, fixedMs + this.#spanMs * (1 - share))
  }

  /** Shows a stretch of this length. */
  setSpan(ms: number): void {
    this.zoom(ms / this.#spanMs, 1)
  }

  /** Moves by a share of what is shown. */
  move(share: number): void {
    this.freeze()
    this.#endMs = Math.min(this.nowMs, this.endMs + share * this.#spanMs)
  }

  /** Puts a moment into the middle, and a stretch around it that shows `durationMs` well. */
  focus(startMs: number, durationMs: number): void {
    if (startMs >= this.startMs && startMs + durationMs <= this.endMs) return
    this.#spanMs = Math.min(LONGEST_MS, Math.max(this.#spanMs, durationMs * 1.5))
    this.#endMs = Math.min(this.nowMs, startMs + durationMs / 2 + this.#spanMs / 2)
  }
}
