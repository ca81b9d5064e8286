import { accessSync, constants, statfsSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import { counted, ok, sized } from './findings.js'
import type { Finding } from './findings.js'
import type { Subject } from './subject.js'

const WORLD_WRITABLE = 0o002
const LITTLE_SPACE = 256 * 1_024 ** 2
/** Folders that a program copies elsewhere while they are written to. */
const SYNCED = /^(?:Dropbox|OneDrive(?: - .*)?|Google ?Drive|iCloud ?Drive|com~apple~CloudDocs|Nextcloud|pCloud ?Drive)$/i

/** What Linux calls file systems that do not keep what is written to them, by the number that `statfs` gives. */
const PASSING: { readonly [magic: number]: { readonly name: string; readonly until: string } } = {
  0x0102_1994: { name: 'tmpfs', until: 'the machine restarts' },
  0x8584_58f6: { name: 'ramfs', until: 'the machine restarts' },
  0x794c_7630: { name: 'overlayfs', until: 'its container is removed' },
}

/** Looks at the file from outside: who may use it, where it lies, and whether it is whole. */
export function checkFile(subject: Subject): Finding[] {
  return [checkPermissions, checkFolder, checkLinks, checkPlace, checkSpace, checkLength].map((check) => check(subject))
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

function checkPermissions({ path, stats }: Subject): Finding {
  const check = 'permissions'
  if (!may(path, constants.R_OK)) {
    const advice = 'Run this as the user that the application runs as, or give this user the right to read.'
    return { check, level: 'problem', what: 'The file may not be read by this user.', why: 'Nothing in it can be used or checked.', advice }
  }
  if (process.platform !== 'win32' && (stats.mode & WORLD_WRITABLE) !== 0) {
    const why = 'Any program of any user can change or destroy the database.'
    return { check, level: 'warning', what: 'Every user of this machine may write to the file.', why, advice: `chmod o-w '${path}'` }
  }
  if (!may(path, constants.W_OK)) {
    const why = 'Writes by this user fail with SQLITE_READONLY.'
    return { check, level: 'note', what: 'The file may be read by this user, but not written to.', why }
  }
  return ok(check, 'This user may read the file and write to it.')
}

function checkFolder({ path }: Subject): Finding {
  const check = 'folder'
  if (may(dirname(path), constants.W_OK | constants.X_OK)) return ok(check, 'Files can be made beside it.')
  const why = 'SQLite keeps its journal or write-ahead log in the same folder. Without it, writes fail, and so may reads.'
  const advice = 'Give the user of the application the right to write to the folder, or put the database into a folder of its own.'
  return { check, level: 'warning', what: 'This user may not make files in the folder of the database.', why, advice }
}

function checkLinks({ path, stats, isLinked }: Subject): Finding {
  const check = 'links'
  if (stats.nlink > 1) {
    const what = `The file has ${stats.nlink} names (hard links).`
    const why =
      'Journals are named after the database. A program that opens it by another name does not find the journal of a crash, and ' +
      'damages the file.'
    return { check, level: 'warning', what, why, advice: 'Keep one name and remove the others. https://sqlite.org/howtocorrupt.html' }
  }
  if (isLinked) {
    return {
      check,
      level: 'note',
      what: `It is a symbolic link to ${path}.`,
      why: 'The write-ahead log and journals lie beside that file, not beside the link.',
    }
  }
  return ok(check, 'The file has one name.')
}

function checkPlace({ path }: Subject): Finding {
  const check = 'file system'
  const synced = path.split(sep).find((part) => SYNCED.test(part))
  if (synced !== undefined) {
    const why = 'A program that copies files while they are written to makes copies that do not fit together, and may put one back.'
    return {
      check,
      level: 'warning',
      what: `The file lies in a synchronised folder (${synced}).`,
      why,
      advice: 'Keep the database elsewhere, and synchronise backups of it.',
    }
  }
  // On other systems the number says nothing.
  const passing = process.platform === 'linux' ? PASSING[statfsSync(path).type >>> 0] : undefined
  if (passing === undefined) return ok(check, 'It lies on a file system of this machine, as far as the system tells.')
  const advice = 'Put a database that is to stay on a disk or a volume.'
  return { check, level: 'note', what: `It lies on ${passing.name}.`, why: `It is gone when ${passing.until}.`, advice }
}

function checkSpace({ path, stats }: Subject): Finding {
  const check = 'space'
  const { bavail, bsize } = statfsSync(path)
  const free = bavail * bsize
  const what = `${sized(free)} are free on its disk; the file has ${sized(stats.size)}.`
  if (free < LITTLE_SPACE) {
    const why = 'When the disk is full, writes fail with SQLITE_FULL, and the write-ahead log cannot grow.'
    return { check, level: 'warning', what, why, advice: 'Make room.' }
  }
  if (free < stats.size) return { check, level: 'note', what, why: 'VACUUM and a backup beside it need as much as the database has.' }
  return ok(check, what)
}

function checkLength({ stats, header }: Subject): Finding {
  const check = 'length'
  if (header === undefined || header.pages === 0) return ok(check, `The file has ${sized(stats.size)}.`)
  const expected = header.pages * header.pageSize
  const what = `The file has ${sized(stats.size)}: ${counted(header.pages, 'page')} of ${sized(header.pageSize)}.`
  // With a write-ahead log the header may be ahead of the file or behind it.
  if (header.isWal || stats.size >= expected) return ok(check, what)
  const why = `By its header it has ${sized(expected)}. Its end is missing, as after a copy that was cut off.`
  const advice =
    'Restore a backup. What is left may be saved with the `.recover` command of the sqlite3 shell: https://sqlite.org/recovery.html'
  return { check, level: 'problem', what: `The file has only ${sized(stats.size)}.`, why, advice }
}
