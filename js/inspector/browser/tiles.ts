import { byId, element, write } from './elements.js'
import { bytes, duration, number, percent } from './format.js'
import type { Statement } from './model.js'
import type { Sample } from './protocol.js'
import type { Store } from './store.js'

const SVG = 'http://www.w3.org/2000/svg'
const CHART_WIDTH = 100
const CHART_HEIGHT = 24
/** Over how many samples a rate is taken: about a second. */
const RATE_SAMPLES = 4

/** A number, what it is beside, and its course. */
interface Reading {
  readonly value: string
  readonly note: string
  readonly course?: readonly number[]
  /** Whether somebody should look at it. */
  readonly alarm?: boolean
}

type Read = (store: Store, latest: Sample, shown: readonly Statement[]) => Reading | undefined

/** What there is to read, in the order of the page. */
const TILES: readonly { readonly name: string; readonly title: string; readonly read: Read }[] = [
  { name: 'mode', title: 'Mode', read: readMode },
  { name: 'readers', title: 'Readers', read: readReaders },
  { name: 'writer', title: 'Writer', read: readWriter },
  { name: 'queue', title: 'Queue', read: readQueue },
  { name: 'rate', title: 'Statements', read: readRate },
  { name: 'times', title: 'Median run', read: readTimes },
  { name: 'wal', title: 'WAL', read: readWal },
  { name: 'cache', title: 'Statement cache', read: readCache },
  { name: 'errors', title: 'Errors', read: readErrors },
]

interface Tile {
  readonly box: HTMLElement
  readonly value: HTMLElement
  readonly note: HTMLElement
  readonly line: SVGPolylineElement
}

/** The numbers at the top of the page. */
export class Tiles {
  readonly #tiles = TILES.map(({ name, title }) => makeTile(name, title))

  constructor() {
    byId('tiles').replaceChildren(...this.#tiles.map(({ box }) => box))
  }

  /** Shows the latest numbers, and the times of the statements that are shown. */
  update(store: Store, shown: readonly Statement[]): void {
    const { latest } = store
    if (latest === undefined) return
    for (const [index, { read }] of TILES.entries()) {
      const { box, value, note, line } = this.#tiles[index]!
      const reading = read(store, latest, shown)
      box.hidden = reading === undefined
      if (reading === undefined) continue
      write(value, reading.value)
      write(note, reading.note)
      line.setAttribute('points', points(reading.course ?? []))
      box.toggleAttribute('data-alarm', reading.alarm ?? false)
    }
  }
}

function makeTile(name: string, title: string): Tile {
  const value = element('dd', { class: 'value' }, '–')
  const note = element('dd', { class: 'note' })
  const chart = document.createElementNS(SVG, 'svg')
  chart.setAttribute('viewBox', `0 0 ${CHART_WIDTH} ${CHART_HEIGHT}`)
  chart.setAttribute('preserveAspectRatio', 'none')
  chart.setAttribute('aria-hidden', 'true')
  const line = document.createElementNS(SVG, 'polyline')
  chart.append(line)
  const box = element('div', { class: 'tile', 'data-tile': name }, element('dt', {}, title), value, note)
  box.append(chart)
  return { box, value, note, line }
}

/** Lays a course out over the width of its chart. */
function points(course: readonly number[]): string {
  if (course.length < 2) return ''
  const top = Math.max(1, ...course)
  const step = CHART_WIDTH / (course.length - 1)
  return course.map((value, index) => `${(index * step).toFixed(1)},${((1 - value / top) * (CHART_HEIGHT - 2) + 1).toFixed(1)}`).join(' ')
}

function readMode(_: Store, { status }: Sample): Reading {
  const note = status.phase === 'open' ? `${status.concurrency} concurrency` : status.phase
  return { value: status.mode === 'write' ? 'exclusive' : 'shared', note, alarm: status.phase !== 'open' }
}

function readReaders(store: Store, { status: { readers } }: Sample): Reading {
  return {
    value: `${readers.active} of ${readers.max}`,
    note: `${readers.open} open, ${readers.waiting} waiting`,
    course: store.samples.map(({ status }) => status.readers.active),
  }
}

function readWriter(store: Store, { status: { writer } }: Sample): Reading {
  return {
    value: writer.active ? 'busy' : 'idle',
    note: `${writer.waiting} waiting${writer.holder === null ? '' : `, ${duration(writer.holder.forMs * 1_000)}`}`,
    course: store.samples.map(({ status }) => status.writer.waiting + Number(status.writer.active)),
  }
}

function readQueue(store: Store, { status }: Sample): Reading {
  const course = store.samples.map((sample) => sample.status.queued)
  return { value: number(status.queued), note: `highest ${number(Math.max(...course))}`, course }
}

function readRate(store: Store): Reading {
  const course = store.samples.slice(1).map((sample, index) => rate(store.samples[Math.max(0, index + 1 - RATE_SAMPLES)]!, sample))
  return { value: `${number(Math.round(course.at(-1) ?? 0))}/s`, note: `${number(store.leftOut)} left out`, course }
}

function rate(from: Sample, to: Sample): number {
  return ((statementsOf(to) - statementsOf(from)) * 1_000) / Math.max(1, to.nowMs - from.nowMs)
}

function statementsOf({ status: { counters } }: Sample): number {
  return (counters['reads'] ?? 0) + (counters['writes'] ?? 0)
}

function readTimes(_: Store, __: Sample, shown: readonly Statement[]): Reading {
  if (shown.length === 0) return { value: '–', note: 'nothing in sight' }
  const times = shown.map(({ ranUs }) => ranUs).sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)]!
  return { value: duration(at(0.5)), note: `99 %: ${duration(at(0.99))}` }
}

function readWal(store: Store, { status: { wal } }: Sample): Reading {
  const note = wal.oldestReaderMs === null ? 'no read holds it' : `oldest read ${duration(wal.oldestReaderMs * 1_000)}`
  return { value: bytes(wal.bytes), note, course: store.samples.map(({ status }) => status.wal.bytes) }
}

/** `undefined` where it is not counted. */
function readCache(_: Store, { status: { counters } }: Sample): Reading | undefined {
  const { statementCacheHits: hits, statementCacheMisses: misses } = counters
  if (hits === undefined || misses === undefined) return undefined
  if (hits + misses === 0) return { value: '–', note: 'nothing prepared yet' }
  return { value: percent(hits / (hits + misses)), note: `${number(misses)} prepared` }
}

function readErrors(store: Store, { status: { counters } }: Sample): Reading {
  const recent = store.statements.filter(({ code }) => code !== undefined).length
  const total = counters['errors'] ?? 0
  return { value: number(total), note: `${number(recent)} among those kept`, alarm: recent > 0 }
}
