import type { BindingWatch } from './binding.js'
import { Call } from './call.js'
import type { Channel } from './channel.js'

/** Tells of changes of a database, by whomever. What is waited for here does not keep the event loop alive. */
export class Watch {
  /** Settled when every change from now on is told. */
  readonly begun: Call
  readonly #channel: Channel
  readonly #binding: BindingWatch

  constructor(channel: Channel, begin: (number: number) => BindingWatch) {
    this.#channel = channel
    this.begun = new Call(this, null, undefined, 'object', false)
    this.#binding = begin(channel.enter(this.begun))
  }

  /** Starts to wait for a change. Fails when the database closes, or the watching ends. One call at a time. */
  next(): Call {
    const call = new Call(this, null, undefined, 'object', false)
    this.#binding.next(this.#channel.enterUnreferenced(call))
    return call
  }

  /** Forgets the changes so far. */
  forget(): void {
    this.#binding.forget()
  }

  close(): void {
    this.#binding.close()
  }
}
