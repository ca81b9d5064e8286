import type { Statement } from './model.js'

/** Which statements are shown. */
export interface Filter {
  /** Text that the SQL, the connection or the code holds, in any case. */
  readonly text: string
  /** Who ran it; empty for anybody. */
  readonly route: '' | 'read' | 'write'
  /** How long it ran at least, in microseconds. */
  readonly minUs: number
  /** Whether only those that failed are shown. */
  readonly failed: boolean
}

/** Shows everything. */
export const NO_FILTER: Filter = { text: '', route: '', minUs: 0, failed: false }

/** Makes the test of a filter. */
export function matching({ text, route, minUs, failed }: Filter): (statement: Statement) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== '')
  return (statement) => {
    if (statement.ranUs < minUs || (route !== '' && statement.route !== route)) return false
    if (failed && statement.code === undefined) return false
    if (words.length === 0) return true
    const searched = `${statement.sql} ${statement.worker} ${statement.code ?? ''}`.toLowerCase()
    return words.every((word) => searched.includes(word))
  }
}
