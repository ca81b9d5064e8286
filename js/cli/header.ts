/** The first bytes of a database file: {@link https://sqlite.org/fileformat.html#the_database_header}. */
export interface Header {
  readonly pageSize: number
  /** Whether the file is written through a write-ahead log. */
  readonly isWal: boolean
  /** How many pages the file had when its header was written last; 0 where an old version did not say. */
  readonly pages: number
  readonly freePages: number
  readonly encoding: 'UTF-8' | 'UTF-16le' | 'UTF-16be'
  readonly userVersion: number
  readonly applicationId: number
  /** The version of SQLite that wrote to it last, such as `'3.45.1'`. */
  readonly writtenBy: string
}

export const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'
const ENCODINGS = ['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'] as const
/** The version in the header that stands for a write-ahead log. */
const WAL_VERSION = 2

/** Reads a header; `undefined` if these bytes are none. */
export function readHeader(bytes: Buffer): Header | undefined {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
  const version = bytes.readUInt32BE(96)
  // The number of pages counts only where the version that wrote it kept it.
  const isCounted = bytes.readUInt32BE(24) === bytes.readUInt32BE(92)
  const pageSize = bytes.readUInt16BE(16)
  return {
    pageSize: pageSize === 1 ? 65_536 : pageSize,
    isWal: bytes[18] === WAL_VERSION || bytes[19] === WAL_VERSION,
    pages: isCounted ? bytes.readUInt32BE(28) : 0,
    freePages: bytes.readUInt32BE(36),
    encoding: ENCODINGS[bytes.readUInt32BE(56)] ?? 'UTF-8',
    userVersion: bytes.readInt32BE(60),
    applicationId: bytes.readInt32BE(68),
    writtenBy: [Math.floor(version / 1_000_000), Math.floor(version / 1_000) % 1_000, version % 1_000].join('.'),
  }
}
