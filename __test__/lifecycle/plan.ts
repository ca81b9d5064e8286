/** What the life-cycle test knows on both sides: in the children, and where they are judged. */

/** What the database is doing when the end comes. */
export const STATES = ['idle', 'reading', 'inline', 'writing', 'group', 'transaction', 'iterating', 'busy', 'mirroring', 'closing'] as const
export type State = (typeof STATES)[number]

/** How a child ends, or what ends in it. */
interface EndingPlan {
  /** What it is, for readers of the matrix. */
  readonly title: string
  /** How the process must end. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it says on stderr, if anything. */
  readonly stderr: RegExp
  /** Whether the work goes on until the end stops it. Otherwise it comes to its own end, and the child with it. */
  readonly stopsWork: boolean
  /** Who has the database open: the main thread; it and a worker, or two, of which one is in the state; or a worker alone. */
  readonly where: 'main' | 'worker beside main' | 'two workers beside main' | 'worker alone'
}

const SILENT = /^$/
const LOUD = /Error: out of the blue/

/** What is thrown where nobody catches it. */
export const UNCAUGHT = 'out of the blue'

/** The code with which `process.exit` is called. */
export const EXIT_CODE = 7

export const ENDINGS = {
  natural: { title: 'ends by itself', code: 0, signal: null, stderr: SILENT, stopsWork: false, where: 'main' },
  collected: { title: 'nobody has the handle any more, and it is collected', code: 0, signal: null, stderr: SILENT, stopsWork: false, where: 'main' },
  exit: { title: '`process.exit()`', code: EXIT_CODE, signal: null, stderr: SILENT, stopsWork: true, where: 'main' },
  throw: { title: 'an error that nobody catches', code: 1, signal: null, stderr: LOUD, stopsWork: true, where: 'main' },
  rejection: { title: 'a rejection that nobody handles', code: 1, signal: null, stderr: LOUD, stopsWork: true, where: 'main' },
  sigterm: { title: 'SIGTERM', code: null, signal: 'SIGTERM', stderr: SILENT, stopsWork: true, where: 'main' },
  'worker-natural': { title: 'a worker thread ends by itself', code: 0, signal: null, stderr: SILENT, stopsWork: false, where: 'worker beside main' },
  terminate: { title: '`worker.terminate()`', code: 0, signal: null, stderr: SILENT, stopsWork: true, where: 'worker beside main' },
  'worker-exit': { title: '`process.exit()` in a worker', code: 0, signal: null, stderr: SILENT, stopsWork: true, where: 'worker beside main' },
  'worker-throw': { title: 'an error in a worker that nobody catches', code: 0, signal: null, stderr: SILENT, stopsWork: true, where: 'worker beside main' },
  'two-workers': { title: '`worker.terminate()` of one of two workers', code: 0, signal: null, stderr: SILENT, stopsWork: true, where: 'two workers beside main' },
  'terminate-alone': { title: '`worker.terminate()`, only workers load the package', code: 0, signal: null, stderr: SILENT, stopsWork: true, where: 'worker alone' },
  'exit-alone': { title: '`process.exit()`, only workers load the package', code: EXIT_CODE, signal: null, stderr: SILENT, stopsWork: true, where: 'worker alone' },
} as const satisfies { readonly [name: string]: EndingPlan }
export type Ending = keyof typeof ENDINGS
export const ENDING_NAMES = Object.keys(ENDINGS) as Ending[]

/** Returns what is to be expected of an ending. */
export function planOf(ending: Ending): EndingPlan {
  return ENDINGS[ending]
}

/** The line with which a child says that the database is in its state. */
export const IN_STATE = 'in state'

/** The transactions that are acknowledged before the state is entered. */
export const SETTLED_BEFORE = 5
/** The transaction that the state leaves under way, if it writes. */
export const WORK = 100
/** The transactions that the main thread, and the other worker, write once a worker is gone. */
export const [AFTERWARDS, AFTERWARDS_OF_THE_OTHER] = [50, 51]
/** How long a transaction may be idle where nobody has the handle any more, in milliseconds: until then its callback keeps it. */
export const IDLE_LIMIT_MS = 500

/** What a child puts down, each on a line of its own, while it runs. */
export type Note = { readonly acknowledged: number } | { readonly work: string }

/** What a child can be made to do wrong. */
export type Fault = 'lost' | 'half' | 'hung' | 'said' | 'code'
/** The transaction with which something is wrong then. */
export const FAULTY = 9_999
