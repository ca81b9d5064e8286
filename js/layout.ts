/**
 * The form in which requests and results cross into the addon and back. `src/request.rs` and `src/inbox.rs` hold the other half.
 *
 * A cell is eight bytes: a double verbatim, unless its upper half is a tag. Tagged cells are NaNs that no arithmetic
 * produces, and SQLite has no NaN values, so `v === v` tells numbers from everything else. Little-endian, like every
 * platform a binary is built for.
 */

/** The tags, as the signed upper half of a cell: an `Int32Array` element stays a small integer, an unsigned one would not. */
export const TAG_NULL: number = 0xffff_0001 | 0
export const TAG_TEXT: number = 0xffff_0002 | 0
export const TAG_BLOB: number = 0xffff_0003 | 0
export const TAG_INT64: number = 0xffff_0004 | 0
export const TAG_EXTRA: number = 0xffff_0005 | 0
/** In results: a text that later cells of the same result may mean too. */
export const TAG_REMEMBERED: number = 0xffff_0006 | 0
/** In results: a text that was remembered, by its number from 0. */
export const TAG_AGAIN: number = 0xffff_0007 | 0

/** Where things are in a request, in bytes. */
export const REQUEST_HEADER_BYTES = 24
/** Where things are in a request's header, in words of 32 bits. */
export const REQUEST_CALL = 0
export const REQUEST_QUERY = 1
export const REQUEST_FLAGS = 2
export const REQUEST_COUNT = 3
/** In bytes, with the header. The next request begins at the multiple of eight after it. */
export const REQUEST_LENGTH = 4

/** Which rows are wanted (request flags). */
export const TAKE_ALL = 0
export const TAKE_FIRST = 1
export const TAKE_NONE = 2
/** All of them, as one JSON text (request flags). */
export const TAKE_JSON = 3
/** Nothing is run; only the columns are wanted (request flags). */
export const DESCRIBE: number = 1 << 6

/** How INTEGER values are delivered (request flags). */
export const INTEGERS_AUTO: number = 0 << 2
export const INTEGERS_NUMBER: number = 1 << 2
export const INTEGERS_BIGINT: number = 2 << 2

/** How values find their parameters (request flags). */
export const PARAMS_NONE: number = 0 << 4
export const PARAMS_POSITIONAL: number = 1 << 4
export const PARAMS_NAMED: number = 2 << 4

/** In whose callback a call is made (request flags). */
export const SCOPE_OUTSIDE: number = 0 << 7
export const SCOPE_READ: number = 1 << 7
export const SCOPE_TRANSACTION: number = 2 << 7
export const SCOPE_EXCLUSIVE: number = 3 << 7
/** By how many bits the scope is moved to the left (request flags). */
export const SCOPE_SHIFT = 7
/** The call may be stopped (request flags). */
export const CANCELLABLE: number = 1 << 9

/** The answer tells how long the call waited and ran (request flags); of a batch, when an item of it has the flag. */
export const TIMED: number = 1 << 10

/** The rows of a JSON text are arrays, not objects (request flags). */
export const JSON_ARRAYS: number = 1 << 11

/** Of the time that an inline read took, in nanoseconds: it has left a snapshot open, which `endBurst` ends. */
export const HELD: number = 1 << 30

/** What a wait for results came to where it is not how many are in the inbox: none came, or no core was free to wait on. */
export const WATCHED_NOTHING = 0
export const WATCHED_CROWDED: number = -1

/** Where the regions of the inbox begin, in bytes, and how large they are. */
export const MAX_HEADERS = 1_024
export const HEADER_WORDS = 16
export const CELLS_OFFSET = 65_536
export const CELLS_COUNT = 32_768
export const INTS_OFFSET = 327_680
export const INTS_COUNT = 32_768
export const TEXT_OFFSET = 589_824
export const BLOBS_OFFSET = 655_360
export const INBOX_BYTES = 720_896

/** Where things are in a result's header, in words of 32 bits. */
export const HEADER_CALL = 0
export const HEADER_KIND = 1
export const HEADER_FLAGS = 2
export const HEADER_SHAPE = 3
export const HEADER_ROWS = 4
export const HEADER_FAILURE_EXTRA = 5
/** How many rows a JSON text holds, which itself is one value of one row. */
export const HEADER_JSON_ROWS = 5
export const HEADER_SHAPE_EXTRA = 6
export const HEADER_COLUMNS = 7
export const HEADER_CHANGES = 8
export const HEADER_ROWID = 10
/** How long the call waited before a connection began it, and how long it ran there, in microseconds: floats of 32 bits. */
export const HEADER_QUEUED_US = 12
export const HEADER_RAN_US = 13
export const HEADER_TEXT_ASCII = 14
export const HEADER_TEXT_BYTES = 15

/** The kinds of a result. */
export const KIND_ROWS = 1
export const KIND_END = 2
export const KIND_FAILED = 3
export const KIND_DONE = 4
/** The last rows of this call; its cursor has more. */
export const KIND_MORE = 5

/** The flags of a result. */
export const HAS_EXTRAS: number = 1 << 0
export const SHAPE_NEW: number = 1 << 1
export const ROUTE_WRITE: number = 1 << 2
export const INSERTED: number = 1 << 3
/** The header holds times. */
export const HAS_TIMES: number = 1 << 4
