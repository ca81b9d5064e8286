/** How many cells a result must have before the pauses of the garbage collector are worth thinking of. */
const LARGE_RESULT_CELLS = 100_000
/** What a row takes in V8's heap beside its values, in bytes. */
const ROW_BYTES = 48
/** What a value takes there on average: a slot, and often a string or a boxed number. */
const VALUE_BYTES = 24
/** How many bytes of garbage go with each byte of rows. */
const GARBAGE_RATIO = 2
/** A piece of garbage is a copy of this. One twice as long would not be allocated among the young objects. */
const PIECE: readonly null[] = Array.from({ length: 8_000 }, () => null)
const PIECE_BYTES = PIECE.length * 8

/** Holds the latest piece: what can never be seen need not be allocated. */
const latest: { piece: readonly null[] } = { piece: PIECE }

/**
 * Keeps the pauses of the garbage collector short while a large result is being made, of which `rows` rows with `columns`
 * columns came just now, and `total` in all.
 *
 * V8 collects the young generation when it is full, 16 MiB by default, and stands still while it copies what is alive. Garbage
 * costs nothing then, but of rows that are all kept everything is alive: 15 to 25 ms for each 16 MiB, and twice for most.
 * With garbage between the rows, only a part of each 16 MiB must be copied: more pauses, each a third as long, and no longer
 * in sum.
 */
export function dilute(rows: number, columns: number, total: number): void {
  if (total * columns < LARGE_RESULT_CELLS) return
  const pieces = Math.ceil((rows * (ROW_BYTES + columns * VALUE_BYTES) * GARBAGE_RATIO) / PIECE_BYTES)
  for (let made = 0; made < pieces; made++) latest.piece = PIECE.slice()
  latest.piece = PIECE
}
