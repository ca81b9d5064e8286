/**
 * What every transaction of the crash test writes: some rows with one number, each of which says how many there are, so that half a
 * transaction can be told from a whole one.
 */
export const SCHEMA = `
  CREATE TABLE ledger (cycle INTEGER NOT NULL, number INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (cycle, number, part)) WITHOUT ROWID;
  CREATE INDEX by_sum ON ledger (sum)`

/** Adds one row. */
export const ADD = 'INSERT INTO ledger (cycle, number, part, parts, sum) VALUES (?, ?, ?, ?, ?)'

/** Finds transactions of a cycle that are not whole. */
export const HALVES = `
  SELECT number FROM ledger WHERE cycle = ? GROUP BY number
  HAVING count(*) <> max(parts) OR min(parts) <> max(parts) OR min(part) <> 0 OR max(part) <> max(parts) - 1
    OR sum(sum <> cycle * 1000003 + number * 31 + part) > 0`

/** Returns the values of one row. */
export function rowOf(cycle: number, number: number, part: number, parts: number): number[] {
  return [cycle, number, part, parts, cycle * 1_000_003 + number * 31 + part]
}
