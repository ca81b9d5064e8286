import type { InlineTarget } from './outbox.js'
import { nextTurn } from './turn.js'

/**
 * Ends the snapshots that inline reads leave open, when the turn of the event loop ends in which they were made: what follows reads anew, and
 * nothing is kept while the loop waits.
 */
export class Bursts {
  readonly #targets = new Set<InlineTarget>()
  readonly #endTurn = (): void => {
    for (const target of this.#targets) target.endBurst()
    this.#targets.clear()
  }

  /** Remembers that a read of `target` has left one open. */
  begin(target: InlineTarget): void {
    if (this.#targets.size === 0) nextTurn(this.#endTurn)
    this.#targets.add(target)
  }
}
