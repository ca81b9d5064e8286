import { entityKind } from 'drizzle-orm'
import type { Query } from 'drizzle-orm'
import type { SelectedFieldsOrdered } from 'drizzle-orm/sqlite-core'
import * as drizzleUtils from 'drizzle-orm/utils'

/** Which tables of a join cannot be missing from a row, by their names. */
export type NotNullableTables = Record<string, boolean>

/** What drizzle exports for its own drivers, and leaves out of its types. */
interface DriverTools {
  /** Makes a row of what a query selected, from the values of its columns in order. */
  readonly mapResultRow: (fields: SelectedFieldsOrdered, row: readonly unknown[], joined: NotNullableTables | undefined) => unknown
}

/** A query of a batch, ready to be sent, which knows how to read what comes back. */
export interface BatchEntry {
  getQuery(): Query
  mapResult(response: unknown, isFromBatch?: boolean): unknown
}

/** What every query that can be part of a batch has, and its types do not say. */
interface Preparable {
  _prepare(): BatchEntry
}

export const mapResultRow: DriverTools['mapResultRow'] = (drizzleUtils as unknown as DriverTools).mapResultRow

/** Gives a class the name by which drizzle tells what its objects are, whichever copy of drizzle made them. */
export function nameKind(type: object, name: string): void {
  Object.defineProperty(type, entityKind, { value: name })
}

/** Prepares a query for a batch. */
export function prepareForBatch(query: object): BatchEntry {
  return (query as Preparable)._prepare()
}
