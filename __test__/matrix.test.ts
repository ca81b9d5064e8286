import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { Database, Statement } from '../index.js'
import { OPERATIONS, STATES, cell } from './support/matrix.js'
import { scratchFolder } from './support/scratch.js'

const DOCUMENT = join(__dirname, '..', 'docs', 'CONCURRENCY.md')
const [BEGIN, END] = ['<!-- matrix:begin -->', '<!-- matrix:end -->']

async function table(pathOf: (name: string) => string): Promise<string> {
  const rows: string[] = []
  for (const [name, operation] of OPERATIONS) {
    const cells: string[] = []
    for (const state of STATES) cells.push(await cell(state, operation, pathOf(`${rows.length}-${cells.length}.db`)))
    rows.push(`| ${name} | ${cells.join(' | ')} |`)
  }
  return [`| | ${STATES.join(' | ')} |`, `|---${'|---'.repeat(STATES.length)}|`, ...rows].join('\n')
}

/** Returns the text before the table, the table, and the text after it. */
function documented(): [string, string, string] {
  const text = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : `# Concurrency\n\n${BEGIN}\n${END}\n`
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`docs/CONCURRENCY.md lacks ${BEGIN} and ${END}`)
  return [text.slice(0, begin + BEGIN.length), text.slice(begin + BEGIN.length, end), text.slice(end)]
}

/** Names what a class offers to its users. */
function publicNames(prototype: object, object: string): string[] {
  const inherited: object = Object.getPrototypeOf(prototype)
  const keys = Reflect.ownKeys(prototype)
  return [...(inherited === Object.prototype ? [] : publicNames(inherited, object)), ...namesOf(keys, object)]
}

function namesOf(keys: Array<string | symbol>, object: string): string[] {
  return keys
    .filter((key) => key !== 'constructor')
    // Node 20 describes this symbol in its own way.
    .map((key) => (key === Symbol.asyncDispose ? `${object}[Symbol.asyncDispose]` : `${object}.${String(key)}`))
}

describe('the state × operation matrix', () => {
  it('has a line for every public method and property', () => {
    const lines = new Set([...OPERATIONS.keys()].map((name) => name.split('`')[1]))
    expect([...lines].sort()).toEqual([...publicNames(Database.prototype, 'db'), ...publicNames(Statement.prototype, 'statement')].sort())
  })

  it('stands in docs/CONCURRENCY.md as it is observed (UPDATE_MATRIX=1 writes it)', { timeout: 180_000 }, async () => {
    const folder = scratchFolder()
    const observed = [
      '',
      'With `wal` concurrency:',
      '',
      await table((name) => join(folder, name)),
      '',
      'With `exclusive` concurrency:',
      '',
      await table(() => ':memory:'),
      '',
    ].join('\n')
    const [before, , after] = documented()
    if (process.env['UPDATE_MATRIX'] === '1') writeFileSync(DOCUMENT, before + observed + after)
    expect(documented()[1]).toBe(observed)
  })
})
