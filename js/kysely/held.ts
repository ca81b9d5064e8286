/** Tells an end that was asked for from every other error. */
const UNDONE = Symbol('undone')

/**
 * Something that lasts as long as a callback, without the callback: for Kysely, which begins and ends things in calls of their own.
 */
export class Held<T> {
  /** What the callback was given. */
  readonly value: T
  /** What ended it before `keep` or `undo` did, if anything. */
  lost: unknown
  readonly #end: End
  /** Settled when all is over. */
  readonly #over: Promise<unknown>

  private constructor(value: T, end: End, over: Promise<unknown>) {
    this.value = value
    this.#end = end
    this.#over = over
    over.catch((error: unknown) => (this.lost = error))
  }

  /** Begins it. `start` must call what it is given back once, and end when that has. Rejects with what `start` rejects with. */
  static async begin<T>(start: (callback: (value: T) => Promise<void>) => Promise<unknown>): Promise<Held<T>> {
    const end = makeEnd()
    let over!: Promise<unknown>
    const value = await new Promise<T>((resolve, reject) => {
      over = start((value) => {
        resolve(value)
        return end.reached
      })
      over.catch(reject)
    })
    return new Held(value, end, over)
  }

  /** Ends it as a callback does that returns. */
  async keep(): Promise<void> {
    this.#end.succeed()
    await this.#over
  }

  /** Ends it as a callback does that throws. */
  async undo(): Promise<void> {
    this.#end.fail(UNDONE)
    try {
      await this.#over
    } catch (error) {
      if (error !== UNDONE) throw error
    }
  }
}

/** A promise and what settles it. */
interface End {
  readonly reached: Promise<void>
  readonly succeed: () => void
  readonly fail: (reason: unknown) => void
}

function makeEnd(): End {
  let succeed!: () => void
  let fail!: (reason: unknown) => void
  const reached = new Promise<void>((resolve, reject) => {
    succeed = resolve
    fail = reject
  })
  return { reached, succeed, fail }
}
