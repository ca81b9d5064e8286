import { counted, ok, sized } from './findings.js'
import type { Finding } from './findings.js'
import type { Header } from './header.js'

const USUAL_PAGE_SIZE = 4_096
const MUCH_FREE = 0.25
const LITTLE = 1_024 ** 2

/** Looks at what the header of a database says. */
export function checkSettings(header: Header): Finding[] {
  return [checkJournalMode(header), checkPageSize(header), checkFreePages(header), checkEncoding(header), describe(header)]
}

function checkJournalMode({ isWal }: Header): Finding {
  const check = 'journal mode'
  if (isWal) return ok(check, 'It is written through a write-ahead log: reads run beside writes.')
  const why = 'Without a write-ahead log reads and writes take turns, and each commit costs more.'
  const advice =
    "Run `await db.pragma('journal_mode', 'wal')` once; the file keeps it. Leave it for a file on a network or on read-only media."
  return { check, level: 'note', what: 'It is written without a write-ahead log.', why, advice }
}

function checkPageSize({ pageSize }: Header): Finding {
  const check = 'page size'
  const what = `Pages have ${sized(pageSize)}.`
  if (pageSize >= USUAL_PAGE_SIZE) return ok(check, what)
  const why = 'Trees of small pages are deep, and disks read 4 KiB at once anyway.'
  const advice =
    'Set page_size and run VACUUM in `db.writeMode`, without a write-ahead log: https://sqlite.org/pragma.html#pragma_page_size'
  return { check, level: 'note', what, why, advice }
}

function checkFreePages({ freePages, pages, pageSize }: Header): Finding {
  const check = 'free pages'
  const share = pages === 0 ? 0 : freePages / pages
  const what =
    `${counted(freePages, 'page')} of ${pages.toLocaleString('en')} are unused (${(share * 100).toFixed(0)} %, ` +
    `${sized(freePages * pageSize)}).`
  if (share <= MUCH_FREE || freePages * pageSize < LITTLE) return ok(check, what)
  const why = 'They are used again for new rows, but until then the file is larger than what it holds.'
  return {
    check,
    level: 'note',
    what,
    why,
    advice: 'If the rows will not come back, VACUUM makes the file smaller. It needs as much free space as the database has.',
  }
}

function checkEncoding({ encoding }: Header): Finding {
  const check = 'encoding'
  if (encoding === 'UTF-8') return ok(check, 'Texts are UTF-8.')
  const why = 'Each text is converted on its way in and out.'
  return {
    check,
    level: 'note',
    what: `Texts are ${encoding}.`,
    why,
    advice: 'Only a new file can have another encoding: https://sqlite.org/pragma.html#pragma_encoding',
  }
}

function describe({ userVersion, applicationId, writtenBy }: Header): Finding {
  const application = applicationId === 0 ? 'none' : `0x${(applicationId >>> 0).toString(16).padStart(8, '0')}`
  return ok('identity', `user_version is ${userVersion}, application_id ${application}; SQLite ${writtenBy} wrote to it last.`)
}
