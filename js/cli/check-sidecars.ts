import { ok, sized } from './findings.js'
import type { Finding } from './findings.js'
import { firstBytes, sidecarOf } from './subject.js'
import type { Sidecar, Subject } from './subject.js'

const JOURNAL_MAGIC = 'd9d505f920a163d7'
const LARGE_WAL = 64 * 1_024 ** 2

/** Looks at the files beside the database, which belong to it. */
export function checkSidecars(subject: Subject, isOpenElsewhere: boolean): Finding[] {
  const [wal, shm, journal] = (['-wal', '-shm', '-journal'] as const).map((ending) => sidecarOf(subject, ending))
  const there = [wal, shm, journal].filter((sidecar) => sidecar !== undefined)
  return [checkWal(subject, wal, isOpenElsewhere), checkJournal(journal, isOpenElsewhere), checkShm(shm, wal), checkOwners(subject, there)]
}

function checkWal({ stats, header }: Subject, wal: Sidecar | undefined, isOpenElsewhere: boolean): Finding {
  const check = 'write-ahead log'
  const size = wal?.stats.size ?? 0
  if (size === 0) return ok(check, 'The write-ahead log is empty.')
  const what = `The write-ahead log has ${sized(size)}, the database ${sized(stats.size)}.`
  if (header?.isWal === false) {
    const why = 'The file says that it is written without one, so this log may belong to another file of that name.'
    return {
      check,
      level: 'warning',
      what,
      why,
      advice: 'Find out which program uses the file how, before anything opens it. Keep a copy of both.',
    }
  }
  if (size > LARGE_WAL && size > stats.size) {
    const why = 'Reads slow down as it grows. It can be reset only when no read that began before is still running.'
    const advice = 'Look for reads that do not end: `db.status().wal` names the oldest. `db.checkpoint(\'truncate\')` empties the log.'
    return { check, level: 'warning', what, why, advice }
  }
  if (isOpenElsewhere) return ok(check, what)
  const why = 'It holds transactions that are not in the file yet, left by a process that did not close the database. They count.'
  return {
    check,
    level: 'note',
    what,
    why,
    advice: 'Keep both files together. The next program that opens the database for writing moves them.',
  }
}

function checkJournal(journal: Sidecar | undefined, isOpenElsewhere: boolean): Finding {
  const check = 'journal'
  const magic = journal === undefined ? undefined : firstBytes(journal.path, JOURNAL_MAGIC.length / 2)
  if (journal === undefined || magic?.toString('hex') !== JOURNAL_MAGIC) return ok(check, 'No transaction was cut off.')
  const what = `There is a journal of ${sized(journal.stats.size)}.`
  if (isOpenElsewhere) {
    return {
      check,
      level: 'note',
      what,
      why: 'A process has the database open, and may be in the middle of a transaction.',
    }
  }
  const why = 'A process ended in the middle of a transaction. The file holds half of it, and the journal what is needed to undo it.'
  const advice =
    'Keep both files together, and never remove the journal. The next program that opens the database for writing undoes the ' +
    'transaction.'
  return { check, level: 'warning', what, why, advice }
}

function checkShm(shm: Sidecar | undefined, wal: Sidecar | undefined): Finding {
  const check = 'shared memory'
  if (shm === undefined || wal !== undefined) return ok(check, 'The index of the write-ahead log is where it belongs.')
  const why = 'The two come and go together. A write-ahead log that was removed by hand took its transactions with it.'
  return { check, level: 'note', what: 'There is a -shm file, but no write-ahead log.', why }
}

function checkOwners({ stats }: Subject, sidecars: readonly Sidecar[]): Finding {
  const check = 'owners'
  const foreign = sidecars.filter((sidecar) => sidecar.stats.uid !== stats.uid)
  if (foreign.length === 0) return ok(check, 'The files beside it belong to the same user.')
  const what = `${foreign.map(({ path }) => path).join(' and ')} belong to another user than the database.`
  const why =
    'The user of the application may not be able to write to them. It happens when another user, such as root, opens the database once.'
  return { check, level: 'warning', what, why, advice: 'Give them to the owner of the database with chown, while nothing has it open.' }
}
