import { clock, duration } from './format.js'
import type { Span, Statement } from './model.js'
import { colourOf } from './palette.js'
import type { Palette } from './palette.js'

/** The heights of the timeline, in pixels of the style sheet, which gives the names of lanes the same. */
export const LANE_HEIGHT = 34
export const AXIS_HEIGHT = 24
const BAR_TOP = 9
const BAR_HEIGHT = 15
const WAIT_HEIGHT = 3
const BRACKET_TOP = 3
/** No bar is narrower, however short its statement was. */
const MIN_WIDTH = 2
const TICK_WIDTH = 110
const STEPS = [1, 2, 5]

/** What is to be drawn. */
export interface Scene {
  readonly workers: readonly string[]
  readonly statements: readonly Statement[]
  readonly spans: readonly Span[]
  /** What the writer has been running since, if it is running. */
  readonly holderSinceMs: number | undefined
  readonly startMs: number
  readonly endMs: number
  /** Whether it ends now. */
  readonly isLive: boolean
  readonly slowUs: number
  readonly selected: number | undefined
}

/** Where a statement was drawn, to be found by the pointer. */
export interface Mark {
  readonly left: number
  readonly right: number
  readonly lane: number
  readonly statement: Statement
}

/** Draws one picture of the timeline. */
export class Drawing {
  readonly marks: Mark[] = []
  readonly #pen: CanvasRenderingContext2D
  readonly #scene: Scene
  readonly #palette: Palette
  readonly #width: number
  readonly #height: number

  constructor(pen: CanvasRenderingContext2D, scene: Scene, palette: Palette, width: number) {
    this.#pen = pen
    this.#scene = scene
    this.#palette = palette
    this.#width = width
    this.#height = AXIS_HEIGHT + scene.workers.length * LANE_HEIGHT
    pen.clearRect(0, 0, width, this.#height)
    this.#drawModes()
    this.#drawAxis()
    this.#drawSpans()
    this.#drawHolder()
    this.#drawStatements()
  }

  #x(timeMs: number): number {
    const { startMs, endMs } = this.#scene
    return ((timeMs - startMs) / (endMs - startMs)) * this.#width
  }

  #isVisible(startMs: number, endMs: number): boolean {
    return endMs >= this.#scene.startMs && startMs <= this.#scene.endMs
  }

  /** Shows when a write had the database for itself, as a band over all lanes. */
  #drawModes(): void {
    const pen = this.#pen
    const switches = this.#scene.spans.filter(({ kind }) => kind === 'switch')
    for (const [index, { to, startMs, endMs }] of switches.entries()) {
      const untilMs = switches[index + 1]?.startMs ?? this.#scene.endMs
      if (to !== 'write' || !this.#isVisible(startMs, untilMs)) continue
      const left = this.#x(startMs)
      pen.fillStyle = this.#palette.switch
      pen.globalAlpha = 0.16
      pen.fillRect(left, AXIS_HEIGHT, Math.max(MIN_WIDTH, this.#x(untilMs) - left), this.#height - AXIS_HEIGHT)
      // The switch itself: reads come to their end.
      pen.globalAlpha = 0.45
      pen.fillRect(left, AXIS_HEIGHT, Math.max(1, this.#x(endMs) - left), this.#height - AXIS_HEIGHT)
      pen.globalAlpha = 1
    }
  }

  #drawAxis(): void {
    const pen = this.#pen
    const { startMs, endMs, workers, isLive } = this.#scene
    const end = isLive ? 'now' : clock(endMs)
    const stepMs = tickStep((endMs - startMs) / (this.#width / TICK_WIDTH))
    pen.font = '11px ui-sans-serif, system-ui, sans-serif'
    pen.textBaseline = 'middle'
    pen.textAlign = 'right'
    for (let backMs = 0; backMs < endMs - startMs; backMs += stepMs) {
      const x = Math.round(this.#x(endMs - backMs)) - 0.5
      pen.fillStyle = this.#palette.grid
      pen.fillRect(x, AXIS_HEIGHT, 1, this.#height - AXIS_HEIGHT)
      pen.fillStyle = this.#palette.text
      pen.fillText(backMs === 0 ? end : `−${tickLabel(backMs)}`, x - 3, AXIS_HEIGHT / 2)
    }
    pen.fillStyle = this.#palette.grid
    for (let lane = 0; lane <= workers.length; lane++) pen.fillRect(0, AXIS_HEIGHT + lane * LANE_HEIGHT - 0.5, this.#width, 1)
  }

  /** Shows groups, transactions and checkpoints as brackets over the bars of their lane. */
  #drawSpans(): void {
    const { spans, workers } = this.#scene
    for (const { kind, startMs, endMs } of spans) {
      if (kind === 'switch' || !this.#isVisible(startMs, endMs)) continue
      const found = kind === 'checkpoint' ? workers.indexOf('checkpointer') : 0
      const top = AXIS_HEIGHT + Math.max(0, found) * LANE_HEIGHT + BRACKET_TOP
      const left = this.#x(startMs)
      const width = Math.max(MIN_WIDTH, this.#x(endMs) - left)
      this.#pen.fillStyle = this.#palette[kind]
      this.#pen.fillRect(left, top, width, 2)
      this.#pen.fillRect(left, top, 1, 5)
      this.#pen.fillRect(left + width - 1, top, 1, 5)
    }
  }

  /** Shows what the writer has not finished. */
  #drawHolder(): void {
    const { holderSinceMs, endMs } = this.#scene
    if (holderSinceMs === undefined || holderSinceMs > endMs) return
    const left = Math.max(0, this.#x(holderSinceMs))
    const pen = this.#pen
    pen.globalAlpha = 0.35
    pen.fillStyle = this.#palette.write
    pen.fillRect(left, AXIS_HEIGHT + BAR_TOP, this.#width - left, BAR_HEIGHT)
    pen.globalAlpha = 1
  }

  #drawStatements(): void {
    const lanes = new Map(this.#scene.workers.map((worker, lane) => [worker, lane]))
    for (const statement of this.#scene.statements) {
      const { startedMs, queuedUs, ranUs } = statement
      const lane = lanes.get(statement.worker)
      if (lane === undefined || !this.#isVisible(startedMs - queuedUs / 1_000, startedMs + ranUs / 1_000)) continue
      this.#drawStatement(statement, lane)
    }
  }

  #drawStatement(statement: Statement, lane: number): void {
    const { startedMs, queuedUs, ranUs, code, id } = statement
    const pen = this.#pen
    const top = AXIS_HEIGHT + lane * LANE_HEIGHT + BAR_TOP
    const left = this.#x(startedMs)
    const width = Math.max(MIN_WIDTH, this.#x(startedMs + ranUs / 1_000) - left)
    const waited = left - this.#x(startedMs - queuedUs / 1_000)
    if (waited >= 1) {
      pen.fillStyle = this.#palette.wait
      pen.fillRect(left - waited, top + BAR_HEIGHT + 2, waited, WAIT_HEIGHT)
    }
    pen.fillStyle = colourOf(statement, this.#palette)
    pen.fillRect(left, top, width, BAR_HEIGHT)
    // Not by colour alone: what failed has a tooth, what is slow a frame.
    if (code !== undefined) this.#drawTooth(left + width / 2, top)
    if (ranUs >= this.#scene.slowUs || id === this.#scene.selected) {
      pen.strokeStyle = this.#palette.ink
      pen.lineWidth = id === this.#scene.selected ? 2.5 : 1
      pen.strokeRect(left - 0.5, top - 0.5, width + 1, BAR_HEIGHT + 1)
    }
    this.marks.push({ left: left - Math.max(0, waited), right: left + width, lane, statement })
  }

  #drawTooth(x: number, top: number): void {
    const pen = this.#pen
    pen.beginPath()
    pen.moveTo(x - 4, top - 6)
    pen.lineTo(x + 4, top - 6)
    pen.lineTo(x, top)
    pen.fill()
  }
}

/** Rounds the distance of ticks up to 1, 2 or 5 of a power of ten. */
function tickStep(atLeastMs: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeastMs))
  return power * (STEPS.find((step) => step * power >= atLeastMs) ?? 10)
}

function tickLabel(ms: number): string {
  return duration(ms * 1_000).replace(/\.?0+ /, ' ')
}
