import { SluiceError } from './errors.js'

/** The text of each template literal: a literal is the same object each time it is evaluated. */
const texts = new WeakMap<TemplateStringsArray, string>()

/**
 * Returns the SQL of a template literal, with a `?` for each value.
 *
 * Throws `ERR_SLUICE_INVALID_ARGUMENT` when it was not called as a tag: then values may already be part of the text.
 */
export function templateText(strings: TemplateStringsArray): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  if (!Array.isArray(strings) || !Array.isArray(strings.raw)) {
    throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'sql is a template tag: write db.sql`SELECT …`, not db.sql(…)')
  }
  if (strings.includes(undefined as never)) {
    const message = 'the template holds an escape that JavaScript does not know: write \\\\ for a backslash'
    throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', message)
  }
  const text = strings.reduce(joinParts)
  texts.set(strings, text)
  return text
}

function joinParts(before: string, after: string): string {
  // A digit behind it would make another parameter of the `?`.
  return /^\d/u.test(after) ? `${before}? ${after}` : `${before}?${after}`
}
