import type { Random } from '../support/random-values.js'

/** One step of a transaction. */
export type Step = { readonly kind: 'append'; readonly key: number; readonly value: number } | { readonly kind: 'read'; readonly key: number }

/** How its caller gives a call up. */
export interface Stop {
  readonly by: 'signal' | 'timeout'
  readonly afterMs: number
}

const KINDS = ['append', 'returning', 'slow', 'refused', 'rolledBack', 'read', 'iterate', 'session', 'immediate', 'exclusive', 'deferred', 'begin', 'batch', 'script', 'text', 'writeMode'] as const

/**
 * Through which part of the API a transaction goes. Most are what they are called; `refused` and `rolledBack` are statements that break
 * a constraint, the second one so that SQLite rolls back whatever it is part of.
 */
export type PlanKind = (typeof KINDS)[number]

/** How often each kind comes up. Texts need a handle of their own, and are asked for by name. */
const WEIGHTS: { readonly [kind in PlanKind]: number } = {
  append: 30,
  returning: 4,
  slow: 1,
  refused: 1,
  rolledBack: 1,
  read: 26,
  iterate: 4,
  session: 12,
  immediate: 7,
  exclusive: 1,
  deferred: 3,
  begin: 3,
  batch: 6,
  script: 2,
  text: 0,
  writeMode: 1,
}

const WEIGHTED: readonly PlanKind[] = KINDS.flatMap((kind) => Array<PlanKind>(WEIGHTS[kind]).fill(kind))

/** A transaction that is about to be run. */
export interface Plan {
  readonly kind: PlanKind
  readonly steps: readonly Step[]
  /** Appends of a nested transaction that is rolled back, before the steps. */
  readonly undone: readonly Step[]
  /** Whether it is rolled back after its steps. */
  readonly fails: boolean
  readonly stop: Stop | null
}

/** After how long the clients of all processes go over to other keys: a list stays short. */
const WINDOW_MS = 100
const KEYS_AT_ONCE = 6
/** Every process has values of its own. */
const VALUES_PER_PROCESS = 10_000_000

/** Makes the transactions of one process. */
export class Planner {
  readonly #random: Random
  readonly #stopsOneIn: number
  #value: number

  constructor(random: Random, process: number, stopsOneIn: number) {
    this.#random = random
    this.#stopsOneIn = stopsOneIn
    this.#value = process * VALUES_PER_PROCESS
  }

  next(kind: PlanKind = this.#random.pick(WEIGHTED)): Plan {
    const random = this.#random
    const stops = random.below(kind === 'slow' ? 2 : this.#stopsOneIn) === 0
    const nests = (kind === 'immediate' || kind === 'begin') && random.below(4) === 0
    return {
      kind,
      steps: this.#steps(kind),
      undone: nests ? [this.#append(), this.#append()] : [],
      fails: mayFail(kind) && random.below(5) === 0,
      stop: stops ? { by: random.pick(['signal', 'timeout'] as const), afterMs: random.below(4) } : null,
    }
  }

  #steps(kind: PlanKind): Step[] {
    const random = this.#random
    switch (kind) {
      case 'append':
      case 'returning':
      case 'slow':
      case 'refused':
      case 'rolledBack':
        return [this.#append()]
      case 'read':
      case 'iterate':
        return [this.#read()]
      case 'session':
        return Array.from({ length: 2 + random.below(3) }, () => this.#read())
      case 'immediate':
      case 'exclusive':
      case 'begin':
      case 'batch':
      case 'text':
      case 'writeMode':
        return Array.from({ length: 2 + random.below(4) }, () => (random.below(2) === 0 ? this.#read() : this.#append()))
      case 'deferred':
        return [this.#read(), ...Array.from({ length: random.below(3) }, () => this.#append()), this.#read()]
      case 'script':
        return Array.from({ length: 1 + random.below(4) }, () => this.#append())
    }
  }

  #append(): Step {
    return { kind: 'append', key: this.#key(), value: ++this.#value }
  }

  #read(): Step {
    return { kind: 'read', key: this.#key() }
  }

  /** Mostly one that everybody uses just now. */
  #key(): number {
    const random = this.#random
    const window = Math.floor(now() / 1_000 / WINDOW_MS) - (random.below(8) === 0 ? 1 : 0)
    return window * KEYS_AT_ONCE + random.below(KEYS_AT_ONCE)
  }
}

function mayFail(kind: PlanKind): boolean {
  return kind === 'immediate' || kind === 'exclusive' || kind === 'deferred' || kind === 'begin' || kind === 'text'
}

/** Returns microseconds of the one monotonic clock that all processes of a machine share. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1e3
}
