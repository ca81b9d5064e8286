/**
 * The program that ends: `child.mjs <package> <file> <notes> <ending> <state> <fault>`. It brings the database into the state, says so, and ends in
 * the given way; of SIGTERM the parent takes care. In a worker thread it is the same program.
 */
import { openSync, readFileSync, readdirSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import type { Database, open as Open } from '../../index.js'
import { ADD, SCHEMA, rowOf } from '../crash/ledger.js'
import { AFTERWARDS, AFTERWARDS_OF_THE_OTHER, EXIT_CODE, FAULTY, IDLE_LIMIT_MS, IN_STATE, SETTLED_BEFORE, UNCAUGHT, planOf } from './plan.js'
import type { Ending, Fault, Note, State } from './plan.js'
import { ENTER, writePair } from './states.js'

const [, program = '', packagePath = '', path = '', notesPath = '', endingName = '', stateName = '', planted = ''] = process.argv
const [ending, state] = [endingName as Ending, stateName as State]
const { where, stopsWork } = planOf(ending)
const notes = openSync(notesPath, 'a')

function note(what: Note): void {
  writeSync(notes, `${JSON.stringify(what)}\n`)
}

const acknowledge = (number: number): void => note({ acknowledged: number })

function watch(work: Promise<unknown>): void {
  work.then(
    () => note({ work: 'finishes' }),
    (error: { code?: string }) => note({ work: error.code ?? String(error) }),
  )
}

function openDatabase(): Promise<Database> {
  const { open } = createRequire(program)(packagePath) as { open: typeof Open }
  return open(path, { maxReaders: 2, ...(ending === 'collected' ? { transactionIdleTimeoutMs: IDLE_LIMIT_MS } : {}) })
}

/** Makes the table, with transactions that must be there in the end. */
async function fill(db: Database): Promise<void> {
  await db.exec(SCHEMA)
  for (let number = 1; number <= SETTLED_BEFORE; number++) await writePair(db, number, acknowledge)
}

/** What the test must be able to find. */
const FAULTS: { readonly [fault in Fault]: (db: Database) => unknown } = {
  lost: () => acknowledge(FAULTY),
  half: (db) => db.run(ADD, rowOf(0, FAULTY, 0, 2)),
  hung: () => setInterval(() => {}, 60_000),
  said: () => console.error('a word too many'),
  code: () => (process.exitCode = 9),
}

async function enterState(isFirst: boolean): Promise<void> {
  const db = await openDatabase()
  if (isFirst) await fill(db)
  if (planted !== 'none') await FAULTS[planted as Fault](db)
  await ENTER[state]({ db, endless: stopsWork, watches: ending !== 'collected', acknowledge, watch, inside: exitInside })
}

/** Ends in the midst of a callback or a loop, where that is possible. */
function exitInside(): void {
  if (ending !== 'exit' && ending !== 'worker-exit') return
  sayInState()
  process.exit(EXIT_CODE)
}

/** Linux cuts the names of threads. */
const THREAD_NAME_LENGTH = 15

function throwUncaught(): void {
  setImmediate(() => {
    throw new Error(UNCAUGHT)
  })
}

/** Counts the threads of the database. Elsewhere than on Linux they cannot be told from others. */
function databaseThreads(): number {
  const isOne = (id: string): boolean => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith(`sluice:${basename(path)}`.slice(0, THREAD_NAME_LENGTH))
    } catch {
      // It has ended since it was listed.
      return false
    }
  }
  return process.platform === 'linux' ? readdirSync('/proc/self/task').filter(isOne).length : 0
}

const COLLECT_EVERY_MS = 20

/** Collects garbage until the database, which nobody refers to, is closed. */
async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const deadline = performance.now() + 4_000
  do {
    gc()
    // What is under way needs the event loop too.
    await delay(COLLECT_EVERY_MS)
    if (performance.now() > deadline) throw new Error('a handle that nobody has is not collected')
  } while (databaseThreads() > 0)
}

/** Ends what runs on this thread, as the ending says. */
async function end(): Promise<void> {
  switch (ending) {
    case 'natural':
    case 'worker-natural':
      return
    // Ended from outside, for which what has nothing to do has to wait.
    case 'terminate':
    case 'two-workers':
    case 'terminate-alone':
    case 'exit-alone':
    case 'sigterm':
      setInterval(() => {}, 60_000)
      return
    case 'collected':
      return collect()
    case 'exit':
    case 'worker-exit':
      return process.exit(EXIT_CODE)
    case 'throw':
    case 'worker-throw':
      return throwUncaught()
    case 'rejection':
      Promise.reject(new Error(UNCAUGHT))
  }
}

function sayInState(): void {
  if (isMainThread) writeSync(1, `${IN_STATE}\n`)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- it is no window
  else parentPort?.postMessage(IN_STATE)
}

/** Waits for the end of a worker. Returns its exit code, or the message of the error it ended with. */
async function endOf(worker: Worker): Promise<number | string> {
  return new Promise((resolve) => {
    let message: string | undefined
    worker.once('error', (error: Error) => (message = error.message))
    worker.once('exit', (code) => resolve(message ?? code))
  })
}

function expectedEnd(): number | string {
  if (ending === 'worker-throw') return UNCAUGHT
  if (ending === 'worker-exit') return EXIT_CODE
  return ending === 'worker-natural' ? 0 : 1
}

interface Started {
  readonly worker: Worker
  readonly ended: Promise<number | string>
}

/** Runs this program in a worker, and waits until it says that it is ready. */
async function startWorker(isOther: boolean): Promise<Started> {
  const worker = new Worker(program, { argv: process.argv.slice(2), workerData: { isOther } })
  const ended = endOf(worker)
  const said = new Promise<unknown>((resolve) => worker.once('message', resolve))
  const first = await Promise.race([said, ended])
  // It may say so and end in one go.
  if (first !== IN_STATE && first !== expectedEnd()) throw new Error(`the worker ended at once: ${first}`)
  return { worker, ended }
}

/** Has the database in a worker, and goes on when that has ended. */
async function runWorkers(): Promise<void> {
  const db = where === 'worker alone' ? undefined : await openDatabase()
  if (db !== undefined) await fill(db)
  const other = where === 'two workers beside main' ? await startWorker(true) : undefined
  const { worker, ended } = await startWorker(false)
  sayInState()
  if (ending === 'exit-alone') process.exit(EXIT_CODE)
  if (ending === 'terminate' || ending === 'terminate-alone' || ending === 'two-workers') await worker.terminate()
  const how = await ended
  if (how !== expectedEnd()) throw new Error(`the worker ended with ${how}`)
  if (other !== undefined) {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- it is no window
    other.worker.postMessage('go on')
    if ((await other.ended) !== 0) throw new Error(`the other worker ended with ${await other.ended}`)
  }
  if (db === undefined) return
  await writePair(db, AFTERWARDS, acknowledge)
  await db.close()
}

/** Has the database open beside the worker that ends, and uses it afterwards. */
async function runOther(): Promise<void> {
  const db = await openDatabase()
  sayInState()
  await new Promise((resolve) => parentPort?.once('message', resolve))
  await writePair(db, AFTERWARDS_OF_THE_OTHER, acknowledge)
  await db.close()
}

async function run(): Promise<void> {
  if (isMainThread && where !== 'main') return runWorkers()
  if ((workerData as { isOther?: boolean } | null)?.isOther === true) return runOther()
  await enterState(isMainThread || where === 'worker alone')
  sayInState()
  await end()
}

run().catch((error) => {
  console.error(error)
  process.exit(70)
})
