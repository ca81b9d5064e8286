/** The program of a process that runs clients: `process.js <package> <file> <journal> <work as JSON>`. */
import { openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'

import type { open as Open } from '../../index.js'
import { runClients } from './clients.js'
import type { Work } from './clients.js'

const [, , packagePath = '', path = '', journalPath = '', json = ''] = process.argv
const { open } = createRequire(import.meta.url)(packagePath) as { open: typeof Open }
const work = JSON.parse(json) as Work
const journal = openSync(journalPath, 'a')

function write(line: unknown): void {
  writeSync(journal, `${JSON.stringify(line)}\n`)
}

await runClients(work, { open: (options) => open(path, options), plant: (db) => db }, { asked: write, answered: write })
