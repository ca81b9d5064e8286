import { tracingChannel } from 'node:diagnostics_channel'
import { onTestFinished } from 'vitest'

/** What one subscriber of a tracing channel has been told. */
export interface Recorded<C> {
  readonly event: 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error'
  /** The object itself, which is the same at each event. */
  readonly context: C
  /** A copy of it, as it was at this event. */
  readonly copy: C
}

/** Listens to a tracing channel until the test is finished. `look` is called at each event. */
export function record<C extends object>(name: string, look: (one: Recorded<C>) => void = () => {}): Recorded<C>[] {
  const recorded: Recorded<C>[] = []
  const on = (event: Recorded<C>['event']) => (message: object) => {
    const one = { event, context: message as C, copy: { ...message } as C }
    recorded.push(one)
    look(one)
  }
  const subscribers = { start: on('start'), end: on('end'), asyncStart: on('asyncStart'), asyncEnd: on('asyncEnd'), error: on('error') }
  const channel = tracingChannel(name)
  channel.subscribe(subscribers)
  onTestFinished(() => {
    channel.unsubscribe(subscribers)
  })
  return recorded
}

/** Returns the names of the events, in order. */
export function eventsOf<C>(recorded: readonly Recorded<C>[]): string[] {
  return recorded.map(({ event }) => event)
}

/** Returns what was told at the end of each traced thing, in the order of the ends. */
export function endsOf<C>(recorded: readonly Recorded<C>[]): C[] {
  return recorded.filter(({ event }) => event === 'asyncEnd').map(({ copy }) => copy)
}

/** The events of what succeeds, and of what fails. */
export const SUCCESS: readonly string[] = ['start', 'end', 'asyncStart', 'asyncEnd']
export const FAILURE: readonly string[] = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
