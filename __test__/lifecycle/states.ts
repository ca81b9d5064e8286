import { setImmediate as turn } from 'node:timers/promises'

import type { Database } from '../../index.js'
import { ADD, rowOf } from '../crash/ledger.js'
import { WORK } from './plan.js'
import type { State } from './plan.js'

/** What a state is made of. */
export interface Scene {
  readonly db: Database
  /** Whether what the state does goes on for ever. */
  readonly endless: boolean
  /** Whether a mirror watches its database. One that does keeps it from being collected. */
  readonly watches: boolean
  /** Puts down that a transaction was acknowledged. */
  readonly acknowledge: (number: number) => void
  /** Puts down what becomes of work that is left under way. */
  readonly watch: (work: Promise<unknown>) => void
  /** To be called in the callback or the loop that the state consists of, once it is reached: the end may come right there. */
  readonly inside: () => void
}

/** Resolves once the database is in the state, whose work is then under way. */
type Enter = (scene: Scene) => Promise<void>

/** How long it takes to come into a state at most, in milliseconds. */
const PATIENCE_MS = 10_000
/** How far finite work counts: for about a tenth of a second. */
const FINITE = 500_000
/** As far as nobody counts. */
const ENDLESS = 1e15

const COUNT = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)'
const READ = `${COUNT} SELECT count(*) FROM c`
/** Writes the first row of a transaction of two, counts, and writes the second. */
const WRITE = `INSERT INTO ledger (cycle, number, part, parts, sum) ${COUNT}
  SELECT 0, ${WORK}, 0, 2, ${rowOf(0, WORK, 0, 2)[4]} UNION ALL SELECT 0, ${WORK}, 1, 2, ${rowOf(0, WORK, 1, 2)[4]} FROM (SELECT count(*) AS n FROM c) WHERE n > 0`

const limit = ({ endless }: Scene): number[] => [endless ? ENDLESS : FINITE]

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('the state was not reached')
    await turn()
  }
}

/** Writes the two rows of a transaction, and puts down that it was acknowledged. */
export async function writePair(db: Database, number: number, acknowledge: (number: number) => void): Promise<void> {
  await db.batch([0, 1].map((part) => ({ sql: ADD, params: rowOf(0, number, part, 2) })))
  acknowledge(number)
}

async function read(scene: Scene): Promise<void> {
  const { db } = scene
  for (let reader = 0; reader < 2; reader++) scene.watch(db.all(READ, limit(scene)))
  await until(() => db.status().readers.active === 2)
}

/** How many reads run inline before the state is reached, and at least before finite work ends. */
const INLINE_READS = 1_000

/** Reads one row after another, on this thread: one read holds a snapshot that the next one finds. */
async function readInline(scene: Scene): Promise<void> {
  const { db } = scene
  const statement = db.prepare('SELECT * FROM ledger WHERE number = ?')
  const inline = (): number => db.status().counters['inlineReads'] ?? 0
  const loop = async (): Promise<void> => {
    let isInside = false
    for (let time = 0; scene.endless || time < 2 * INLINE_READS; time++) {
      await statement.get([WORK])
      if (isInside || time % 64 > 0 || inline() < INLINE_READS) continue
      isInside = true
      scene.inside()
    }
  }
  scene.watch(loop())
  await until(() => inline() >= INLINE_READS)
}

async function write(scene: Scene): Promise<void> {
  const { db } = scene
  scene.watch(db.run(WRITE, limit(scene)))
  await until(() => db.status().writer.holder?.sql.includes('RECURSIVE') === true)
}

/** How many write at once, and so share commits. */
const WRITERS = 64
const FINITE_WRITES = 30

async function writeInGroups(scene: Scene): Promise<void> {
  let [last, acknowledged] = [WORK, 0]
  const loop = async (): Promise<void> => {
    for (let time = 0; scene.endless || time < FINITE_WRITES; time++) {
      const number = ++last
      await scene.db.run(ADD, rowOf(0, number, 0, 1))
      scene.acknowledge(number)
      acknowledged++
    }
  }
  scene.watch(Promise.all(Array.from({ length: WRITERS }, loop)))
  await until(() => acknowledged > 2 * WRITERS)
}

async function writeInTransaction(scene: Scene): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const transaction = scene.db.transaction(async (tx) => {
      await tx.run(ADD, rowOf(0, WORK, 0, 2))
      scene.inside()
      resolve()
      await new Promise<never>(() => {})
    })
    transaction.catch(reject)
    scene.watch(transaction)
  })
}

/** How many rows a loop has fetched at a time, and how many there are if they end. */
const [CHUNK_ROWS, FINITE_ROWS] = [100, 5_000]

async function iterate(scene: Scene): Promise<void> {
  let rows = 0
  const loop = async (): Promise<void> => {
    const last = scene.endless ? ENDLESS : FINITE_ROWS
    for await (const _row of scene.db.iterate(`${COUNT} SELECT n FROM c`, [last], { chunkRows: CHUNK_ROWS })) {
      if (++rows === 3 * CHUNK_ROWS) scene.inside()
    }
  }
  scene.watch(loop())
  await until(() => rows > 3 * CHUNK_ROWS)
}

/** Makes calls of many kinds, one right after another. */
async function callAndCall(scene: Scene): Promise<void> {
  const { db } = scene
  let [last, rounds] = [WORK, 0]
  const loop = async (): Promise<void> => {
    while (scene.endless || rounds < FINITE_WRITES) {
      const number = ++last
      await Promise.all([
        db.run(ADD, rowOf(0, number, 0, 1)).then(() => scene.acknowledge(number)),
        db.all('SELECT * FROM ledger WHERE number = ?', [number]),
        db.pluck('SELECT 1'),
        db.read((r) => r.get('SELECT count(*) FROM ledger')),
      ])
      rounds++
    }
  }
  scene.watch(loop())
  await until(() => rounds > 3)
}

/** Has a mirror that is reloaded as fast as it can be while the database is written to. */
async function mirror(scene: Scene): Promise<void> {
  const { db } = scene
  const copy = await db.mirror({ watch: scene.watches, debounceMs: 0, pollMs: 10 })
  let [last, rounds] = [WORK, 0]
  const loop = async (): Promise<void> => {
    while (scene.endless || rounds < FINITE_WRITES) {
      const number = ++last
      await db.run(ADD, rowOf(0, number, 0, 1))
      scene.acknowledge(number)
      await Promise.all([copy.reload(), copy.all('SELECT * FROM ledger')])
      rounds++
    }
  }
  scene.watch(loop())
  await until(() => rounds > 3)
}

async function close(scene: Scene): Promise<void> {
  await read(scene)
  await write(scene)
  scene.watch(scene.db.close())
}

export const ENTER: { readonly [state in State]: Enter } = {
  idle: async ({ db }) => {
    await db.all('SELECT * FROM ledger')
  },
  reading: read,
  inline: readInline,
  writing: write,
  group: writeInGroups,
  transaction: writeInTransaction,
  iterating: iterate,
  busy: callAndCall,
  mirroring: mirror,
  closing: close,
}
