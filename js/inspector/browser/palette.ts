import type { Statement } from './model.js'

/** The colours of the timeline, which are those of the style sheet. */
export interface Palette {
  readonly read: string
  readonly write: string
  readonly failed: string
  readonly wait: string
  readonly switch: string
  readonly group: string
  readonly transaction: string
  readonly checkpoint: string
  readonly grid: string
  readonly text: string
  readonly ink: string
}

const NAMES = ['read', 'write', 'failed', 'wait', 'switch', 'group', 'transaction', 'checkpoint', 'grid', 'text', 'ink'] as const

/** Reads the colours, which follow the light or dark of the system. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement)
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) as unknown as Palette
}

/** Returns the colour of a statement. */
export function colourOf({ code, route }: Statement, palette: Palette): string {
  if (code !== undefined) return palette.failed
  return route === 'write' ? palette.write : palette.read
}
