import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { counted, ok, some } from './findings.js'
import type { Finding } from './findings.js'
import type { Subject } from './subject.js'

/** Packages that bring a SQLite of their own. */
const DRIVERS = ['better-sqlite3', 'better-sqlite3-multiple-ciphers', 'sqlite3', '@vscode/sqlite3', 'libsql', '@journeyapps/sqlcipher']
/** How libraries are called that hold a SQLite: after it, or after a driver. */
const NAMED = /^(?:lib)?(?:_?sqlite3|better_sqlite3|node_sqlite3|vscode-sqlite3|sqlcipher|libsql|sluice)(?![a-z])/i
const LIBRARY = /\.(?:so[\d.]*|node|dylib|dll)$/i

const WHY =
  'Two copies of SQLite in one process do not know of each other. When one closes the file, the locks of the other are gone, and both ' +
  'may write at once.'
const ADVICE =
  'Open a file with one driver per process. ' +
  'https://sqlite.org/howtocorrupt.html#_multiple_copies_of_sqlite_linked_into_the_same_application'

/** A process that has the database open. */
export interface User {
  readonly pid: number
  readonly command: string
  /** The files that it has loaded which hold a SQLite. */
  readonly libraries: readonly string[]
}

/** Finds the SQLite libraries among files that were loaded. */
export function librariesAmong(paths: readonly string[]): string[] {
  return [...new Set(paths.filter((path) => LIBRARY.test(path) && NAMED.test(path.split(/[\\/]/).at(-1) ?? '')))].sort()
}

/** Finds the processes that have a file open, but for this one; `undefined` where the system does not tell. */
export function usersOf({ stats }: Subject): User[] | undefined {
  if (process.platform !== 'linux') return undefined
  const pids = readdirSync('/proc').map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid)
  return pids.filter((pid) => hasOpen(pid, stats)).map(describeUser)
}

/** What belongs to other users may not be read; it counts as not there. */
function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}

function hasOpen(pid: number, { dev, ino }: { dev: number; ino: number }): boolean {
  const folder = `/proc/${pid}/fd`
  return attempt(() => readdirSync(folder), []).some((fd) => {
    // A look at the link first: to ask what a pipe or a socket is would be for nothing.
    if (!attempt(() => readlinkSync(`${folder}/${fd}`), '').startsWith('/')) return false
    const stats = attempt(() => statSync(`${folder}/${fd}`), undefined)
    return stats?.dev === dev && stats.ino === ino
  })
}

function describeUser(pid: number): User {
  const command = attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), 'unknown')
  const maps = attempt(() => readFileSync(`/proc/${pid}/maps`, 'utf8'), '')
  return {
    pid,
    command,
    libraries: librariesAmong(maps.split('\n').map((line) => line.slice(line.indexOf('/')).replace(/ \(deleted\)$/, ''))),
  }
}

/** Says who has the database open, and with how many copies of SQLite. */
export function checkUsers(users: readonly User[] | undefined): Finding {
  const check = 'other processes'
  if (users === undefined) return { check, level: 'note', what: 'This system does not tell which processes have the file open.' }
  const mixed = users.filter(({ libraries }) => libraries.length > 1)
  if (mixed.length > 0) {
    const names = (libraries: readonly string[]): string => libraries.map((path) => basename(path)).join(' and ')
    const what = some(mixed.map(({ pid, command, libraries }) => `${command} (${pid}) has loaded ${names(libraries)}`))
    return {
      check,
      level: 'warning',
      what: `A process that has the file open holds more than one SQLite: ${what}.`,
      why: WHY,
      advice: ADVICE,
    }
  }
  if (users.length === 0) return ok(check, 'No process that this user can see has the file open.')
  const named = some(users.map(({ pid, command }) => `${command} (${pid})`))
  return ok(check, `${counted(users.length, 'process has', 'processes have')} the file open: ${named}.`)
}

/** Says which copies of SQLite this process has loaded: NODE_OPTIONS can load the modules of an application into it. */
export function checkThisProcess(): Finding {
  const check = 'this process'
  const { sharedObjects } = process.report.getReport() as { sharedObjects: string[] }
  const loaded = librariesAmong(sharedObjects).map((path) => basename(path))
  const builtIn = (process as { moduleLoadList?: string[] }).moduleLoadList?.some((name) => /\bsqlite$/.test(name)) === true
  const all = builtIn ? [...loaded, 'node:sqlite'] : loaded
  if (all.length <= 1) return ok(check, 'It has loaded one SQLite, that of Sluice.')
  return {
    check,
    level: 'warning',
    what: `It has loaded ${counted(all.length, 'copy', 'copies')} of SQLite: ${all.join(', ')}.`,
    why: WHY,
    advice: ADVICE,
  }
}

/** Says which other drivers an application in this folder could load. */
export function checkInstalled(folder: string): Finding {
  const check = 'other drivers'
  const { resolve } = createRequire(join(folder, 'package.json'))
  const installed = DRIVERS.filter((name) => attempt(() => resolve(`${name}/package.json`) !== '', false))
  if (installed.length === 0) return ok(check, 'No other driver is installed for the current folder.')
  return {
    check,
    level: 'note',
    what: `Other drivers are installed for the current folder: ${installed.join(', ')}.`,
    why: WHY,
    advice: ADVICE,
  }
}
