import { describe } from 'vitest'

import { describeConnections } from './connections.js'
import { describeControlled } from './controlled.js'
import { describeErrors } from './errors.js'
import type { Line } from './line.js'
import { describeMigrations } from './migrations.js'
import { describeQueries } from './queries.js'
import { describeStreams } from './streams.js'
import { describeTransactions } from './transactions.js'
import { describeValues } from './values.js'

/** What holds with every line of Kysely. */
export function describeAll(line: Line): void {
  describe(`the dialect with Kysely ${line.name}`, () => {
    describeQueries(line)
    describeValues(line)
    describeErrors(line)
    describeStreams(line)
    describeTransactions(line)
    describeControlled(line)
    describeConnections(line)
    describeMigrations(line)
  })
}
