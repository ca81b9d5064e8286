import { describe, expect, it } from 'vitest'

import { check } from './checker.js'
import type { AnomalyKind, Entry, Operation, Outcome, Transaction } from './checker.js'

const append = (key: number, value: number): Operation => ({ kind: 'append', key, value })
const read = (key: number, ...values: number[]): Operation => ({ kind: 'read', key, values })
const entry = (key: number, value: number): Entry => ({ key, value })

/** A transaction that was asked for and answered at these moments. */
function from(invoked: number, completed: number, ...operations: Operation[]): Transaction {
  return { name: `T${invoked}`, operations, outcome: completed === Infinity ? 'unknown' : 'ok', reason: '', invoked, completed, line: null }
}

function as(outcome: Outcome, transaction: Transaction): Transaction {
  return { ...transaction, outcome }
}

function kinds(history: readonly Transaction[], ...committed: Entry[]): AnomalyKind[] {
  return check(history, committed).map(({ kind }) => kind)
}

describe('the history checker', () => {
  it('accepts what one after another would give', () => {
    const history = [
      from(1, 2, append(1, 10)),
      from(3, 4, read(1, 10), append(1, 11), append(2, 20), read(1, 10, 11)),
      from(5, 6, read(1, 10, 11), read(2, 20), read(3)),
    ]
    expect(kinds(history, entry(1, 10), entry(1, 11), entry(2, 20))).toEqual([])
  })

  it('accepts either order of what overlaps', () => {
    const [early, late] = [from(2, 4, read(1)), from(2, 4, read(1, 10))]
    expect(kinds([from(1, 5, append(1, 10)), early], entry(1, 10))).toEqual([])
    expect(kinds([from(1, 5, append(1, 10)), late], entry(1, 10))).toEqual([])
  })

  it('accepts both ends of what has no known outcome', () => {
    const history = [from(1, Infinity, append(1, 10), append(1, 11)), from(2, 3, read(1))]
    expect(kinds(history)).toEqual([])
    expect(kinds(history, entry(1, 10), entry(1, 11))).toEqual([])
  })

  it('accepts a transaction that saw its own appends and was rolled back', () => {
    expect(kinds([from(1, 2, append(1, 10)), as('failed', from(3, 4, append(1, 11), read(1, 10, 11)))], entry(1, 10))).toEqual([])
  })

  it('finds a lost acknowledgement', () => {
    expect(kinds([from(1, 2, append(1, 10))])).toEqual(['lost'])
  })

  it('finds half a transaction that was kept', () => {
    expect(kinds([from(1, Infinity, append(1, 10), append(1, 11))], entry(1, 10))).toEqual(['half'])
    expect(kinds([from(1, 2, append(1, 10), append(1, 11))], entry(1, 10))).toEqual(['lost', 'half'])
  })

  it('finds what was kept although it failed', () => {
    expect(kinds([as('failed', from(1, 2, append(1, 10)))], entry(1, 10))).toEqual(['dirty'])
  })

  it('finds a read of what was rolled back, or never committed', () => {
    expect(kinds([as('failed', from(1, 4, append(1, 10))), from(2, 3, read(1, 10))])).toEqual(['dirty'])
    expect(kinds([from(1, Infinity, append(1, 10)), from(2, 3, read(1, 10))])).toEqual(['dirty'])
  })

  it('finds a read in the middle of a transaction', () => {
    const history = [from(1, 9, append(1, 10), append(2, 20)), from(2, 3, read(1, 10), read(2))]
    expect(kinds(history, entry(1, 10), entry(2, 20))).toEqual(['half'])
  })

  it('finds a transaction that another one landed in', () => {
    const history = [from(1, 9, append(1, 10), append(1, 11)), from(1, 9, append(1, 12))]
    expect(kinds(history, entry(1, 10), entry(1, 12), entry(1, 11))).toContain('interleaved')
  })

  it('finds a value that is there twice', () => {
    expect(kinds([from(1, 2, append(1, 10))], entry(1, 10), entry(1, 10))).toContain('duplicate')
    expect(kinds([from(1, 2, append(1, 10)), from(3, 4, read(1, 10, 10))], entry(1, 10))).toEqual(['duplicate'])
  })

  it('finds a value that nobody appended', () => {
    expect(kinds([], entry(1, 10))).toEqual(['invented'])
    expect(kinds([from(1, 2, append(1, 10)), from(3, 4, read(2, 10))], entry(1, 10))).toContain('order')
    expect(kinds([from(1, 2, read(1, 10))])).toEqual(['invented'])
  })

  it('finds reads that disagree on the order', () => {
    const history = [from(1, 9, append(1, 10)), from(1, 9, append(1, 11)), from(2, 3, read(1, 11, 10))]
    expect(kinds(history, entry(1, 10), entry(1, 11))).toEqual(['order'])
  })

  it('finds reads of one session that saw different states', () => {
    const history = [from(1, 9, append(1, 10)), from(1, 9, append(2, 20)), from(1, 9, read(1), read(2, 20))]
    expect(kinds(history, entry(1, 10), entry(2, 20))).toEqual(['torn'])
  })

  it('finds a transaction that does not see its own appends', () => {
    expect(kinds([from(1, 2, append(1, 10), read(1))], entry(1, 10))).toEqual(['internal'])
  })

  it('finds a read that misses what was acknowledged before it began', () => {
    expect(kinds([from(1, 2, append(1, 10)), from(3, 4, read(1))], entry(1, 10))).toEqual(['stale'])
  })

  it('finds a read that misses what another read had seen before it began', () => {
    const history = [from(1, 9, append(1, 10)), from(2, 3, read(1, 10)), from(4, 5, read(1))]
    expect(kinds(history, entry(1, 10))).toEqual(['stale'])
  })

  it('finds a transaction that misses what was committed before its own appends', () => {
    const history = [from(1, 9, append(1, 10)), from(1, 9, read(1), append(1, 11))]
    expect(kinds(history, entry(1, 10), entry(1, 11))).toEqual(['stale'])
    expect(kinds(history, entry(1, 11), entry(1, 10))).toEqual([])
  })

  it('finds a write that took effect before one that was acknowledged before it began', () => {
    expect(kinds([from(1, 2, append(1, 10)), from(3, 4, append(2, 20))], entry(2, 20), entry(1, 10))).toEqual(['reordered'])
  })

  it('finds a write that took effect after a later read did not see it', () => {
    const history = [from(1, 2, append(1, 10)), from(3, 4, read(1, 10, 11)), from(5, 6, append(1, 11))]
    expect(kinds(history, entry(1, 10), entry(1, 11))).toEqual(['reordered'])
  })

  it('finds acknowledgements in another order than that of the commits', () => {
    const inLine = (line: string, transaction: Transaction): Transaction => ({ ...transaction, line })
    const [first, second] = [inLine('a', from(1, 5, append(1, 10))), from(1, 4, append(1, 11))]
    const committed = [entry(1, 10), entry(1, 11)] as const
    expect(kinds([first, inLine('a', second)], ...committed)).toEqual(['reordered'])
    expect(kinds([first, inLine('b', second)], ...committed)).toEqual([])
  })
})
