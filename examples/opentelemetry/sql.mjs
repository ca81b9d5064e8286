// What spans tell of a text of SQL. Nothing is decided by it: a text that is read wrong makes a worse name.

/** Comments, quoted names, and literals: texts, BLOBs, numbers. Words are taken whole, so that `t1` is no number. */
const TOKEN = /--[^\n]*|\/\*[\s\S]*?\*\/|("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[?:@$][\p{L}\p{N}_$]*)|(x?'(?:[^']|'')*'?|\b\d[\p{L}\p{N}_.]*)|[\p{L}_][\p{L}\p{N}_$]*/giu
const FIRST_WORD = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*([a-z]+)/iu

/** Returns a text with `?` for each literal. */
export function withoutLiterals(sql) {
  return sql.replaceAll(TOKEN, (token, name, literal) => {
    if (literal !== undefined) return '?'
    return name === undefined && /^(?:--|\/\*)/u.test(token) ? '' : token
  }).trim()
}

/** Returns the first word of a statement, or what a batch of several is called; `undefined` for what begins with no word. */
export function operationOf(sql, batchSize) {
  if (batchSize === undefined || batchSize === 1) return firstWord(sql)
  const words = new Set(sql.split('; ').map(firstWord))
  return words.size === 1 ? `BATCH ${[...words][0] ?? ''}`.trim() : 'BATCH'
}

function firstWord(sql) {
  return FIRST_WORD.exec(sql)?.[1]?.toUpperCase()
}
