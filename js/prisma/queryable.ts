import type { SqlQuery, SqlQueryable, SqlResultSet } from '@prisma/driver-adapter-utils'
import type { Database, SqlValue, Transaction } from 'sluice'

import { withPrismaErrors } from './errors.js'
import { toParameters } from './parameters.js'
import type { TimestampFormat } from './parameters.js'
import { toResultSet } from './results.js'

/** The name under which Prisma shows the adapter. */
export const ADAPTER_NAME = 'sluice'

/** Runs the queries of Prisma on a database, or in a transaction. */
export abstract class SluiceQueryable implements SqlQueryable {
  /** The kind of database, by which Prisma picks the SQL it writes. */
  readonly provider = 'sqlite'
  /** The name of the adapter in Prisma's messages. */
  readonly adapterName: string = ADAPTER_NAME
  /** @internal How a DateTime is stored. */
  protected readonly timestampFormat: TimestampFormat

  /** @internal */
  constructor(timestampFormat: TimestampFormat) {
    this.timestampFormat = timestampFormat
  }

  /** @internal What a query runs on now. */
  protected abstract get target(): Database | Transaction

  /** Runs a query and returns its rows. Called by Prisma. */
  async queryRaw({ sql, args, argTypes }: SqlQuery): Promise<SqlResultSet> {
    const parameters = toParameters(args, argTypes, this.timestampFormat)
    const running = this.target.execute<SqlValue[]>(sql, parameters, { rowMode: 'array', integers: 'bigint' })
    return toResultSet(await withPrismaErrors(running))
  }

  /** Runs a query and returns how many rows it changed. Called by Prisma. */
  async executeRaw({ sql, args, argTypes }: SqlQuery): Promise<number> {
    const running = this.target.run(sql, toParameters(args, argTypes, this.timestampFormat))
    return (await withPrismaErrors(running)).changes
  }
}
