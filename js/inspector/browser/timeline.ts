import { AXIS_HEIGHT, Drawing, LANE_HEIGHT } from './drawing.js'
import type { Mark } from './drawing.js'
import { byId, element, write } from './elements.js'
import { duration, oneLine } from './format.js'
import type { Statement } from './model.js'
import { readPalette } from './palette.js'
import type { Palette } from './palette.js'
import type { Store } from './store.js'
import type { View } from './view.js'

/** How far the pointer may be from a bar, in pixels. */
const REACH = 4
const ZOOM_STEP = 1.25
const MOVE_STEP = 0.2

/** What the timeline tells the page. */
export interface TimelineEvents {
  readonly onSelect: (statement: Statement) => void
  /** The reader has moved: what is shown should stand still. */
  readonly onMove: () => void
}

/** The lanes: one per connection, and what each of them did when. */
export class Timeline {
  selected: number | undefined
  slowUs = 50_000
  readonly #canvas = byId<HTMLCanvasElement>('timeline')
  readonly #names = byId('lanes')
  readonly #tip = byId('tip')
  readonly #view: View
  readonly #events: TimelineEvents
  #palette: Palette = readPalette()
  #marks: readonly Mark[] = []
  #width = 0

  constructor(view: View, events: TimelineEvents) {
    this.#view = view
    this.#events = events
    this.#listen()
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (this.#palette = readPalette()))
  }

  /** Draws what is known, as far as it passes the filter. */
  draw(store: Store, isShown: (statement: Statement) => boolean): void {
    const { latest } = store
    const workers = store.workersSince(this.#view.startMs)
    this.#nameLanes(workers)
    const pen = this.#fit(workers.length)
    const holder = latest?.status.writer.holder ?? undefined
    const scene = {
      workers,
      statements: store.statements.filter(isShown),
      spans: store.spans,
      holderSinceMs: holder === undefined || latest === undefined ? undefined : latest.nowMs - holder.forMs,
      startMs: this.#view.startMs,
      endMs: this.#view.endMs,
      isLive: this.#view.isLive,
      slowUs: this.slowUs,
      selected: this.selected,
    }
    this.#marks = new Drawing(pen, scene, this.#palette, this.#width).marks
    const label = `Timeline of ${workers.length} connections over ${duration(this.#view.spanMs * 1_000)}: ${this.#marks.length} statements`
    this.#canvas.setAttribute('aria-label', `${label}. The table below lists them.`)
  }

  #nameLanes(workers: readonly string[]): void {
    const named = [...this.#names.children].map(({ textContent }) => textContent)
    if (named.join() === workers.join()) return
    this.#names.replaceChildren(...workers.map((worker) => element('li', { 'data-lane': worker }, worker)))
  }

  /** Gives the canvas as many pixels as the screen has there. */
  #fit(lanes: number): CanvasRenderingContext2D {
    const canvas = this.#canvas
    const ratio = devicePixelRatio
    this.#width = canvas.clientWidth
    const height = AXIS_HEIGHT + lanes * LANE_HEIGHT
    const [wide, high] = [Math.round(this.#width * ratio), Math.round(height * ratio)]
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide
      canvas.height = high
      canvas.style.height = `${height}px`
    }
    const pen = canvas.getContext('2d')
    if (pen === null) throw new Error('the browser has no canvas to draw on')
    pen.setTransform(ratio, 0, 0, ratio, 0, 0)
    return pen
  }

  #listen(): void {
    const canvas = this.#canvas
    let dragged: { x: number; moved: boolean } | undefined
    canvas.addEventListener('pointerdown', (event) => {
      dragged = { x: event.offsetX, moved: false }
      canvas.setPointerCapture(event.pointerId)
    })
    canvas.addEventListener('pointermove', (event) => {
      if (dragged === undefined) return this.#point(event)
      const by = event.offsetX - dragged.x
      if (!dragged.moved && Math.abs(by) < REACH) return
      dragged = { x: event.offsetX, moved: true }
      this.#view.move(-by / this.#width)
      this.#events.onMove()
    })
    canvas.addEventListener('pointerup', (event) => {
      const mark = dragged?.moved === true ? undefined : this.#markAt(event.offsetX, event.offsetY)
      dragged = undefined
      if (mark !== undefined) this.#events.onSelect(mark.statement)
    })
    canvas.addEventListener('pointerleave', () => (this.#tip.hidden = true))
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault()
      this.#view.zoom(event.deltaY > 0 ? ZOOM_STEP : 1 / ZOOM_STEP, event.offsetX / this.#width)
      this.#events.onMove()
    }, { passive: false })
    canvas.addEventListener('keydown', (event) => this.#press(event))
  }

  #press(event: KeyboardEvent): void {
    const deed = {
      ArrowLeft: () => this.#view.move(-MOVE_STEP),
      ArrowRight: () => this.#view.move(MOVE_STEP),
      '+': () => this.#view.zoom(1 / ZOOM_STEP, 0.5),
      '-': () => this.#view.zoom(ZOOM_STEP, 0.5),
    }[event.key]
    if (deed === undefined) return
    event.preventDefault()
    deed()
    this.#events.onMove()
  }

  /** Finds what is nearest to a place: of what lies over each other, what was drawn last. */
  #markAt(x: number, y: number): Mark | undefined {
    const lane = Math.floor((y - AXIS_HEIGHT) / LANE_HEIGHT)
    const distance = ({ left, right }: Mark): number => Math.max(left - x, x - right, 0)
    let best: Mark | undefined
    for (const mark of this.#marks) {
      if (mark.lane === lane && distance(mark) <= REACH && (best === undefined || distance(mark) <= distance(best))) best = mark
    }
    return best
  }

  /** Shows what the pointer is on. */
  #point({ offsetX, offsetY }: PointerEvent): void {
    const mark = this.#markAt(offsetX, offsetY)
    this.#tip.hidden = mark === undefined
    this.#canvas.style.cursor = mark === undefined ? 'grab' : 'pointer'
    if (mark === undefined) return
    const { sql, worker, queuedUs, ranUs, code } = mark.statement
    const times = `${worker} · waited ${duration(queuedUs)} · ran ${duration(ranUs)}${code === undefined ? '' : ` · ${code}`}`
    write(this.#tip.firstElementChild as HTMLElement, oneLine(sql).slice(0, 300))
    write(this.#tip.lastElementChild as HTMLElement, times)
    const left = Math.min(offsetX + 14, this.#width - this.#tip.offsetWidth - 4)
    this.#tip.style.left = `${Math.max(0, left)}px`
    this.#tip.style.top = `${offsetY + 18}px`
  }
}
