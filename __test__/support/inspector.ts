import { onTestFinished } from 'vitest'

import type { Database as ImportedDatabase } from 'sluice'
import { startInspector } from 'sluice/inspector'
import type { Inspector, InspectorOptions } from 'sluice/inspector'
import type { Database } from '../../index.js'
import { within } from './deadline.js'

/** The class exists once, its types twice: for `import`, and for `require`. */
export function imported(db: Database): ImportedDatabase {
  return db as unknown as ImportedDatabase
}

/** Starts an inspector that is closed with the test. */
export async function inspectForTest(db: Database, options?: InspectorOptions): Promise<Inspector> {
  const inspector = await startInspector(imported(db), options)
  onTestFinished(() => inspector.close())
  return inspector
}

/** An event as an inspector sends it. */
export interface SentEvent {
  readonly event: string
  readonly id: string | undefined
  // What it holds depends on its kind; tests say what they expect.
  readonly content: { readonly [name: string]: unknown }
}

/** What happened, as an inspector sends it. */
export interface SentEntry {
  readonly id: number
  readonly target: string
  readonly message: string
  readonly fields: { readonly [name: string]: unknown }
}

/** A connection to an inspector, as a page has one. */
export interface Stream {
  /** Waits for the next event of a kind; others are passed over. */
  readonly next: (event: string) => Promise<SentEvent>
  /** Waits until something has happened that is looked for. */
  readonly entry: (isIt: (entry: SentEntry) => boolean) => Promise<SentEntry>
  /** Everything that was sent, as text. */
  readonly text: () => string
  readonly close: () => void
}

/** Connects to the events of an inspector. Ends with the test. */
export async function connectTo(inspector: Inspector, headers: Record<string, string> = {}): Promise<Stream> {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const response = await fetch(`${inspector.url}events`, { signal: stop.signal, headers })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  let read = 0
  const next = async (): Promise<SentEvent> => {
    for (;;) {
      const end = text.indexOf('\n\n', read)
      if (end >= 0) {
        const block = text.slice(read, end)
        read = end + 2
        return parse(block)
      }
      const { done, value } = await within(reader.read(), 'the inspector sends something')
      if (done) throw new Error('the inspector has closed the connection')
      text += decoder.decode(value, { stream: true })
    }
  }
  const nextOf = async (kind: string): Promise<SentEvent> => {
    for (;;) {
      const event = await next()
      if (event.event === kind) return event
    }
  }
  const entry = async (isIt: (entry: SentEntry) => boolean): Promise<SentEntry> => {
    for (;;) {
      const found = ((await nextOf('entries')).content['entries'] as SentEntry[]).find(isIt)
      if (found !== undefined) return found
    }
  }
  return { next: nextOf, entry, text: () => text, close: () => stop.abort() }
}

function parse(block: string): SentEvent {
  const line = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
  return { event: line('event') ?? '', id: line('id'), content: JSON.parse(line('data') ?? '{}') as SentEvent['content'] }
}
