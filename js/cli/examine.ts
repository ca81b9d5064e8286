import { open } from 'sluice'
import type { Database } from 'sluice'
import { statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { checkContent } from './check-content.js'
import { checkInstalled, checkThisProcess, checkUsers, usersOf } from './check-copies.js'
import { checkFile } from './check-file.js'
import { checkSettings } from './check-settings.js'
import { checkSidecars } from './check-sidecars.js'
import { ok } from './findings.js'
import type { Finding } from './findings.js'
import { lookAt, sidecarOf } from './subject.js'
import type { Subject } from './subject.js'

/** What an examination gave. */
export interface Examination {
  /** Where the file really is. */
  readonly path: string
  /** The version of SQLite that read it; `undefined` if it could not be opened. */
  readonly sqlite: string | undefined
  readonly findings: readonly Finding[]
}

/** Checks a database file, and never changes it. Fails where there is no file. */
export async function examine(given: string, isQuick: boolean): Promise<Examination> {
  const subject = lookAt(given)
  const users = usersOf(subject)
  // Where the system does not tell, nobody may be said to be missing.
  const isOpenElsewhere = users === undefined || users.length > 0
  const { header } = subject
  const settings = header === undefined ? [] : checkSettings(header)
  const outside = [...checkFile(subject), ...checkSidecars(subject, isOpenElsewhere), ...settings]
  const { sqlite, findings } = await readInside(subject, isQuick, users !== undefined && users.length > 0)
  const copies = [checkUsers(users), checkThisProcess(), checkInstalled(process.cwd())]
  return { path: subject.path, sqlite, findings: [...findings, ...outside, ...copies] }
}

type Inside = Omit<Examination, 'path'>

/** Reads the content; again, if the file has been written to meanwhile by a program that was not expected. */
async function readInside(subject: Subject, isQuick: boolean, isUsed: boolean): Promise<Inside> {
  if (subject.stats.size === 0) return { sqlite: undefined, findings: [ok('format', 'The file is empty: a database without tables.')] }
  if (!isUsed && isUnused(subject)) {
    const inside = await readWith(subject, isQuick, true)
    if (isUnused(subject)) return inside
  }
  return readWith(subject, isQuick, false)
}

/** Whether the file is as it was, and has nothing beside it: then nobody has it open for writing. */
function isUnused(subject: Subject): boolean {
  const { mtimeMs, size } = statSync(subject.path)
  const isSame = mtimeMs === subject.stats.mtimeMs && size === subject.stats.size
  return isSame && sidecarOf(subject, '-wal') === undefined && sidecarOf(subject, '-journal') === undefined
}

async function readWith(subject: Subject, isQuick: boolean, isFixed: boolean): Promise<Inside> {
  let db: Database
  try {
    db = await openToRead(subject.path, isFixed)
  } catch (error) {
    return { sqlite: undefined, findings: [refusal(error as Error)] }
  }
  try {
    const [sqlite] = await db.pluck<string>('SELECT sqlite_version()')
    return { sqlite, findings: [ok('format', 'It is a database of SQLite 3.'), ...(await checkContent(db, isQuick))] }
  } finally {
    await db.close()
  }
}

/** Opens a file that nobody writes to without a trace: otherwise even a reader makes the files of a write-ahead log beside it. */
function openToRead(path: string, isFixed: boolean): Promise<Database> {
  const options = { readonly: true, create: false, maxReaders: 1 }
  return isFixed ? open(`${pathToFileURL(path).href}?immutable=1`, { ...options, uri: true }) : open(path, options)
}

/** Explains why a file could not be opened. */
export function refusal(error: Error): Finding {
  const code = String((error as { code?: unknown }).code ?? 'unknown')
  const unknown: Explanation = { why: `SQLite or the driver refuses it (${code}).` }
  const { why, advice } = REFUSALS.find(({ pattern }) => pattern.test(code)) ?? unknown
  return {
    check: 'format',
    level: 'problem',
    what: `It cannot be opened: ${error.message.replace(/^cannot open .*: (?=[^:]*$)/, '')}.`,
    why,
    ...(advice === undefined ? {} : { advice }),
  }
}

interface Explanation {
  readonly why: string
  readonly advice?: string
}

const REFUSALS: readonly ({ readonly pattern: RegExp } & Required<Explanation>)[] = [
  {
    pattern: /^ERR_SLUICE_NETWORK_FILE_SYSTEM$/,
    why: 'Locks and shared memory do not work reliably over a network: two programs may write at once.',
    advice: 'Move the file to a disk of this machine. See ERR_SLUICE_NETWORK_FILE_SYSTEM in docs/ERRORS.md.',
  },
  {
    pattern: /^SQLITE_NOTADB$/,
    why: 'It does not begin as a database does: it is another kind of file, encrypted, or overwritten.',
    advice: 'Look at its first bytes. Restore a backup if it should be a database.',
  },
  {
    pattern: /^SQLITE_READONLY_(?:ROLLBACK|RECOVERY)$/,
    why: 'A transaction was cut off, and must be undone before anything can be read. That changes the file, so it is not done here.',
    advice: 'Make a copy of the file and of those beside it, and open the database once for writing.',
  },
  {
    pattern: /^SQLITE_BUSY/,
    why: 'Another program has the file locked for itself.',
    advice: 'Try again when it has finished.',
  },
  {
    pattern: /^SQLITE_(?:CANTOPEN|READONLY|PERM|AUTH)/,
    why: 'This user may not open the file, or may not make the files beside it that reading needs.',
    advice: 'Run this as the user that the application runs as.',
  },
  {
    pattern: /^SQLITE_(?:CORRUPT|IOERR)/,
    why: 'What was read makes no sense, or could not be read at all.',
    advice:
      'Restore a backup. What is left may be saved with the `.recover` command of the sqlite3 shell: https://sqlite.org/recovery.html',
  },
]
