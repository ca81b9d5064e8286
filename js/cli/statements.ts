/** A token of SQL, as far as it matters for where a statement ends. `open` is what goes on to the end of the text: a quote or comment. */
const TOKEN = /\s+|--[^\n]*|\/\*[^]*?\*\/|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|(?<open>['"`[][^]*|\/\*[^]*)|(?<word>[\p{L}\p{N}_$]+)|[^]/gu

const SPACE = /^(?:\s|--|\/\*)/

/** The words that a trigger begins with. `QUERY PLAN` and `TEMP` may be left out. */
const TRIGGER = /^(?:EXPLAIN (?:QUERY PLAN )?)?CREATE (?:TEMP |TEMPORARY )?TRIGGER$/
const LONGEST_HEAD = 6

/**
 * Whether a text ends with a whole statement, by the rules of {@link https://sqlite.org/c3ref/complete.html | sqlite3_complete}: the
 * semicolon that ends it is none of a literal, of a comment, or of the body of a trigger, which goes on until `; END;`.
 */
export function endsStatement(text: string): boolean {
  let head: string[] = []
  let isTrigger = false
  let [last, beforeLast] = ['', '']
  for (const [token, groups] of tokensOf(text)) {
    if (groups['open'] !== undefined) return false
    const word = groups['word']?.toUpperCase() ?? token
    if (word === ';' && !(isTrigger && !(last === 'END' && beforeLast === ';'))) {
      ;[head, isTrigger] = [[], false]
    } else if (head.length < LONGEST_HEAD) {
      head.push(word)
      isTrigger ||= TRIGGER.test(head.join(' '))
    }
    ;[last, beforeLast] = [word, last]
  }
  return last === ';' && head.length === 0
}

function* tokensOf(text: string): Generator<[string, Record<string, string | undefined>]> {
  for (const { 0: token, groups } of text.matchAll(TOKEN)) if (!SPACE.test(token) || groups!['open'] !== undefined) yield [token, groups!]
}
