/** A read that never ends by itself. */
export const ENDLESS_READ: string = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c'

/** A write to `t(x)` that never ends by itself. */
export const ENDLESS_WRITE: string = `INSERT INTO t ${ENDLESS_READ}`

/** A read that counts to its parameter: 1,000,000 takes about a tenth of a second. */
export const COUNTING_READ: string =
  'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT count(*) AS n FROM c'

/** A write to `t(x)` that counts to its parameter first. */
export const COUNTING_WRITE: string = `INSERT INTO t ${COUNTING_READ}`
