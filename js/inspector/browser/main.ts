import { Details } from './details.js'
import { byId, write } from './elements.js'
import { NO_FILTER, matching } from './filter.js'
import type { Filter } from './filter.js'
import { duration, number } from './format.js'
import type { Statement } from './model.js'
import type { Batch, Greeting, Sample } from './protocol.js'
import { save } from './save.js'
import { StatementTable } from './statement-table.js'
import { Store } from './store.js'
import { showErrors, showEvents, showSlow } from './summaries.js'
import { Tabs } from './tabs.js'
import { Tiles } from './tiles.js'
import { Timeline } from './timeline.js'
import { View } from './view.js'

/** How often what moves is drawn, and how often what is read is written. */
const DRAW_MS = 33
const WRITE_MS = 250

/** What is held back while the page is paused. */
interface HeldBack {
  batches: Batch[]
  count: number
}

/** Ties the parts of the page together. */
class Page {
  readonly #store = new Store()
  readonly #view = new View()
  readonly #tiles = new Tiles()
  readonly #details = new Details(() => this.#choose(undefined))
  readonly #table = new StatementTable((statement) => this.#select(statement))
  readonly #tabs = new Tabs(() => this.#changed())
  readonly #timeline = new Timeline(this.#view, { onSelect: (statement) => this.#select(statement), onMove: () => this.#moved() })
  #greeting: Greeting | undefined
  #filter: Filter = NO_FILTER
  #heldBack: HeldBack | undefined
  /** Whether the timeline, and what is written, are of an older state. */
  #isDrawn = false
  #isWritten = false
  #drawnMs = 0
  #writtenMs = 0

  start(): void {
    this.#listen()
    this.#connect()
    const frame = (nowMs: number): void => {
      this.#refresh(nowMs)
      requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
  }

  #connect(): void {
    const source = new EventSource('events')
    const on = <T>(event: string, act: (content: T) => void): void =>
      source.addEventListener(event, (message) => act(JSON.parse((message as MessageEvent<string>).data) as T))
    source.addEventListener('open', () => this.#showState('live'))
    source.addEventListener('error', () => this.#showState('disconnected'))
    on<Greeting>('greeting', (greeting) => this.#greet(greeting))
    on<Batch>('entries', (batch) => this.#take(batch))
    on<Sample>('sample', (sample) => {
      if (this.#heldBack === undefined) this.#store.addSample(sample)
      this.#changed()
    })
  }

  #greet(greeting: Greeting): void {
    this.#greeting = greeting
    this.#store.limit = greeting.history
    this.#view.clockOffsetMs = greeting.nowMs - Date.now()
    this.#timeline.slowUs = greeting.slowMs * 1_000
    write(byId('database'), greeting.database)
    write(byId('slow-limit'), duration(greeting.slowMs * 1_000))
    document.title = `${greeting.database} – Sluice inspector`
  }

  #take(batch: Batch): void {
    const held = this.#heldBack
    if (held === undefined) {
      this.#store.add(batch.entries)
      this.#store.leftOut += batch.leftOut
      return this.#changed()
    }
    held.batches.push(batch)
    held.count += batch.entries.length
    while (held.count > this.#store.limit && held.batches.length > 1) held.count -= held.batches.shift()!.entries.length
    write(byId('pause'), `Resume (${number(held.count)} new)`)
  }

  #listen(): void {
    byId('pause').addEventListener('click', () => this.#setPaused(this.#heldBack === undefined))
    byId('clear').addEventListener('click', () => this.#clear())
    byId('save').addEventListener('click', () => this.#save())
    byId('filters').addEventListener('input', () => this.#readFilter())
    byId('filters').addEventListener('submit', (event) => event.preventDefault())
    byId<HTMLSelectElement>('span').addEventListener('change', ({ target }) => {
      this.#view.setSpan(Number((target as HTMLSelectElement).value))
      this.#changed()
    })
    addEventListener('resize', () => this.#changed())
  }

  #setPaused(paused: boolean): void {
    const held = this.#heldBack
    this.#heldBack = paused ? { batches: [], count: 0 } : undefined
    for (const { entries, leftOut } of paused ? [] : (held?.batches ?? [])) {
      this.#store.add(entries)
      this.#store.leftOut += leftOut
    }
    if (paused) this.#view.freeze()
    else this.#view.follow()
    const button = byId('pause')
    button.setAttribute('aria-pressed', String(paused))
    write(button, paused ? 'Resume' : 'Pause')
    this.#showState(paused ? 'paused' : 'live')
    this.#changed()
  }

  /** The reader looks at the past: nothing shall run away. */
  #moved(): void {
    if (!this.#view.isLive && this.#heldBack === undefined) this.#setPaused(true)
    const select = byId<HTMLSelectElement>('span')
    select.value = [...select.options].find(({ value }) => Number(value) === this.#view.spanMs)?.value ?? ''
    this.#changed()
  }

  #clear(): void {
    this.#store.clear()
    this.#details.hide()
    if (this.#heldBack !== undefined) this.#setPaused(false)
    this.#changed()
  }

  #save(): void {
    save(this.#greeting?.database ?? '', this.#filter, this.#shown(), this.#store)
  }

  #readFilter(): void {
    const fields = new FormData(byId<HTMLFormElement>('filters'))
    this.#filter = {
      text: String(fields.get('text')),
      route: String(fields.get('route')) as Filter['route'],
      minUs: Math.max(0, Number(fields.get('min')) || 0) * 1_000,
      failed: fields.get('failed') !== null,
    }
    this.#changed()
  }

  #shown(): Statement[] {
    return this.#store.statements.filter(matching(this.#filter))
  }

  #select(statement: Statement): void {
    this.#choose(statement.id)
    if (this.#heldBack !== undefined) this.#view.focus(statement.startedMs, statement.ranUs / 1_000)
    void this.#details.show(statement)
  }

  #choose(id: number | undefined): void {
    this.#timeline.selected = id
    this.#changed()
  }

  #showState(state: 'live' | 'paused' | 'disconnected'): void {
    const shown = state === 'live' && this.#heldBack !== undefined ? 'paused' : state
    const badge = byId('state')
    badge.dataset['state'] = shown
    write(badge, shown)
  }

  #changed(): void {
    this.#isDrawn = false
    this.#isWritten = false
  }

  #refresh(nowMs: number): void {
    const isMoving = this.#heldBack === undefined && this.#view.isLive
    if ((!this.#isDrawn || isMoving) && nowMs - this.#drawnMs >= DRAW_MS) {
      this.#drawnMs = nowMs
      this.#isDrawn = true
      this.#timeline.draw(this.#store, matching(this.#filter))
    }
    if (this.#isWritten || nowMs - this.#writtenMs < WRITE_MS) return
    this.#writtenMs = nowMs
    this.#isWritten = true
    this.#write(this.#shown())
  }

  #write(shown: readonly Statement[]): void {
    const { slowUs, selected } = this.#timeline
    const onSelect = (statement: Statement): void => this.#select(statement)
    this.#tiles.update(this.#store, shown)
    this.#table.update(shown, slowUs, selected)
    this.#tabs.count('statements', shown.length)
    this.#tabs.count('slow', showSlow(shown, slowUs, onSelect))
    this.#tabs.count('errors', showErrors(shown, onSelect))
    this.#tabs.count('events', this.#store.events.length)
    if (this.#tabs.active === 'events') showEvents(this.#store.events)
    const lost = this.#store.latest?.lost ?? 0
    write(byId('lost'), lost === 0 ? '' : `The log has dropped ${number(lost)} events.`)
  }
}

new Page().start()
