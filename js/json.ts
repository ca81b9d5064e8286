import type { Call } from './call.js'
import type { Inbox } from './inbox.js'
import { HEADER_JSON_ROWS, JSON_ARRAYS, TAKE_JSON } from './layout.js'
import type { NodeBuffer, RowMode } from './types.js'

/** The rows of one result as a JSON text. */
export class JsonRows {
  /** How many rows there are. */
  readonly count: number
  readonly bytes: Buffer

  /** Takes the present result from the inbox. */
  constructor(inbox: Inbox) {
    this.count = inbox.header(HEADER_JSON_ROWS)
    this.bytes = inbox.bytes(inbox.cell++)
  }
}

/** The request flags that ask for rows as a JSON text. */
export function jsonTake(rows: RowMode): number {
  return rows === 'array' ? TAKE_JSON | JSON_ARRAYS : TAKE_JSON
}

/** Returns what a statement returned, as a JSON text. */
export function jsonResult(call: Call): NodeBuffer {
  return call.rows === null ? Buffer.from('[]') : ((call.rows[0] as JsonRows).bytes as NodeBuffer)
}
