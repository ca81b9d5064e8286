/** Says that a command was not used as it is meant to be: its message is followed by how it is. */
export class Misuse extends Error {}

/** Returns the one file that a command is for. */
export function oneFile(positionals: readonly string[]): string {
  const [file, ...more] = positionals
  if (file === undefined) throw new Misuse('name a database file')
  if (more.length > 0) throw new Misuse(`name one file, not ${positionals.length}`)
  return file
}
