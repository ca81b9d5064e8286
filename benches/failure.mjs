// Why there is no figure.

/** Turns the stack of an error from the process of a peer into words for a table. */
export function failureOf(stack) {
  const [line] = stack.split('\n')
  return line.startsWith('NotOffered: ') ? line.replace('NotOffered', 'not measured') : `failed: ${line.replace(/^Error: /, '')}`
}
