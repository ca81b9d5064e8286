import { performance } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { during, percentile, withLoopDelay } from '../latency.mjs'

/** Each process writes cities of its own. */
const OWN_CITIES = 10_000
const UPDATE = 'UPDATE cities SET population = population + 1 WHERE id = ?'
const PEOPLE = 'SELECT sum(population) AS people FROM cities WHERE id > ? AND id <= ?'
/** For how long a synchronous peer keeps the event loop, in milliseconds. */
const TURN_MS = 10

/** Counts what callers see of their writes. */
class Witness {
  #first
  #next = 0
  waits = []
  busy = 0

  constructor(number) {
    this.#first = number * OWN_CITIES
  }

  /** The range of the cities that this process writes. */
  get range() {
    return [this.#first, this.#first + OWN_CITIES]
  }

  nextCity() {
    return this.#first + 1 + (this.#next++ % OWN_CITIES)
  }

  acknowledged(start) {
    this.waits.push(performance.now() - start)
  }

  failed(error) {
    if (!String(error.code).startsWith('SQLITE_BUSY')) throw error
    this.busy++
  }

  /** Throws unless what was acknowledged is in the file, once. */
  figures(peopleBefore, peopleAfter, seconds, loop) {
    const written = peopleAfter - peopleBefore
    if (written !== this.waits.length) throw new Error(`${this.waits.length} writes were acknowledged, ${written} are in the file`)
    const rate = this.waits.length / seconds
    const [p50, p99, longest] = [50, 99, 100].map((percent) => percentile(this.waits, percent))
    return { rate, leastRate: rate, busy: this.busy, p50, p99, longest, loopP99: loop.p99Ms, loopMax: loop.maxMs }
  }
}

function sluice(inFlight) {
  return async ({ connect, plan, process, startAt }) => {
    const db = await connect()
    const witness = new Witness(process)
    const update = db.prepare(UPDATE)
    const people = async () => (await db.get(PEOPLE, witness.range)).people
    const before = await people()
    await setTimeout(startAt - Date.now())
    const unfinished = during(plan.spanMs)
    async function lane() {
      while (unfinished()) {
        const asked = performance.now()
        await update.run([witness.nextCity()]).then(
          () => witness.acknowledged(asked),
          (error) => witness.failed(error),
        )
      }
    }
    const { ms, loop } = await withLoopDelay(() => Promise.all(Array.from({ length: inFlight }, lane)))
    const figures = witness.figures(before, await people(), ms / 1_000, loop)
    await db.close()
    return figures
  }
}

async function betterSqlite3({ connect, plan, process, startAt }) {
  const db = connect()
  const witness = new Witness(process)
  const update = db.prepare(UPDATE)
  const people = db.prepare(PEOPLE)
  const before = people.get(...witness.range).people
  await setTimeout(startAt - Date.now())
  const unfinished = during(plan.spanMs)
  const { ms, loop } = await withLoopDelay(async () => {
    while (unfinished()) {
      for (const turn = during(TURN_MS); turn(); ) writeOnce(update, witness)
      await setImmediate()
    }
  })
  const figures = witness.figures(before, people.get(...witness.range).people, ms / 1_000, loop)
  db.close()
  return figures
}

function writeOnce(update, witness) {
  const asked = performance.now()
  try {
    update.run(witness.nextCity())
    witness.acknowledged(asked)
  } catch (error) {
    witness.failed(error)
  }
}

/** Makes the figures of the file of those of its processes. */
function combine(processes) {
  const of = (key) => processes.map((figures) => figures[key])
  const sum = (key) => of(key).reduce((total, one) => total + one, 0)
  return {
    rate: sum('rate'),
    leastRate: Math.min(...of('leastRate')),
    busy: sum('busy'),
    p50: Math.max(...of('p50')),
    p99: Math.max(...of('p99')),
    longest: Math.max(...of('longest')),
    loopP99: Math.max(...of('loopP99')),
    loopMax: Math.max(...of('loopMax')),
  }
}

function scenario(durability, inFlight) {
  const flight = inFlight === 1 ? 'one by one' : `${inFlight} in flight each`
  return {
    id: 'W16',
    title: `two processes, synchronous=${durability.toUpperCase()}, ${flight}`,
    about: 'Autocommit updates, on rows of their own. Every acknowledged write was found in the file. better-sqlite3 has one at a time.',
    durability,
    processes: 2,
    seconds: ({ spanMs }) => 0.8 + spanMs / 1_000,
    combine,
    roles: { sluice: sluice(inFlight), 'better-sqlite3': betterSqlite3 },
    figures: {
      rate: { title: 'acknowledged writes, both', unit: 'per second' },
      leastRate: { title: 'of the process with fewer', unit: 'per second' },
      busy: { title: 'SQLITE_BUSY seen by callers', unit: '', target: '0' },
      p50: { title: 'wait, p50', unit: 'ms' },
      p99: { title: 'wait, p99', unit: 'ms' },
      longest: { title: 'wait, longest', unit: 'ms' },
      loopP99: { title: 'loop delay, p99', unit: 'ms' },
      loopMax: { title: 'loop delay, longest', unit: 'ms' },
    },
  }
}

/** @type {import('../scenario.mjs').Scenario[]} */
export default [scenario('normal', 1), scenario('normal', 64), scenario('full', 64)]
