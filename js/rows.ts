import { ColumnarRows } from './columnar.js'
import { JsonRows } from './json.js'
import type { Inbox } from './inbox.js'
import type { SqlValue } from './types.js'

/** The form of a row: an object, an array, or the value of its first column; `'columnar'` takes all rows apart, `'json'` takes their JSON text. */
export type RowForm = 'object' | 'array' | 'pluck' | 'columnar' | 'json'

/** Makes rows of one shape and form from the cells of the inbox. */
export interface RowFactory {
  /** Makes one row. */
  one(inbox: Inbox): unknown
  /** Makes `count` rows and adds them to `rows`, of which columnar ones are the only element together. */
  many(inbox: Inbox, count: number, rows: unknown[]): void
}

/** Makes a factory out of closures. It does exactly what a compiled one does, only slower. */
export function interpretRows(form: RowForm, names: readonly string[]): RowFactory {
  if (form === 'columnar') return columnarRows(names.length)
  if (form === 'json') return JSON_ROWS
  const one = interpretRow(form, names)
  const many = (inbox: Inbox, count: number, rows: unknown[]): void => {
    for (let row = 0; row < count; row++) rows.push(one(inbox))
  }
  return { one, many }
}

function interpretRow(form: Exclude<RowForm, 'columnar' | 'json'>, names: readonly string[]): (inbox: Inbox) => unknown {
  switch (form) {
    case 'object':
      return objectRow(names)
    case 'array':
      return arrayRow(names.length)
    case 'pluck':
      return pluckedRow(names.length)
  }
}

function nextValue(inbox: Inbox): SqlValue {
  const cell = inbox.cell++
  const value = inbox.cells[cell] as number
  return value === value ? value : inbox.value(cell)
}

function objectRow(names: readonly string[]): (inbox: Inbox) => unknown {
  // Assigning to an inherited name may call a setter (`__proto__`) or fail (when prototypes are frozen).
  const inherited = names.some((name) => name in Object.prototype)
  return (inbox) => {
    const row: Record<string, SqlValue> = {}
    for (const name of names) {
      const value = nextValue(inbox)
      if (inherited) Object.defineProperty(row, name, { value, configurable: true, enumerable: true, writable: true })
      else row[name] = value
    }
    return row
  }
}

function arrayRow(columns: number): (inbox: Inbox) => unknown {
  return (inbox) => {
    const row: SqlValue[] = []
    for (let column = 0; column < columns; column++) row.push(nextValue(inbox))
    return row
  }
}

function pluckedRow(columns: number): (inbox: Inbox) => unknown {
  return (inbox) => {
    const value = nextValue(inbox)
    for (let column = 1; column < columns; column++) inbox.pass(inbox.cell++)
    return value
  }
}

function columnarRows(columns: number): RowFactory {
  const many = (inbox: Inbox, count: number, rows: unknown[]): void => {
    if (rows.length === 0) rows.push(new ColumnarRows(columns))
    ;(rows[0] as ColumnarRows).add(inbox, count)
  }
  const one = (inbox: Inbox): ColumnarRows => {
    const rows = new ColumnarRows(columns)
    rows.add(inbox, 1)
    return rows
  }
  return { one, many }
}

const JSON_ROWS: RowFactory = {
  one: (inbox) => new JsonRows(inbox),
  many: (inbox, _count, rows) => rows.push(new JsonRows(inbox)),
}

/** Code generation from strings may be disallowed for the whole process or realm; it is tried once. */
let mayCompile = true

/**
 * For each of so many rows that a factory makes first it makes one that nobody keeps.
 *
 * V8 looks how many of the first objects of a literal survive a collection of the young generation. When nearly all do, it allocates all later ones
 * among the old, where they stay, with what they refer to, until a collection of everything. The first rows do survive, because their results are not
 * complete; most results are short-lived all the same.
 */
const UNKEPT_ROWS = 16_384

/** Makes a factory whose code has the columns written out. Returns `null` where code generation is not allowed. */
export function compileRows(form: 'object' | 'array', names: readonly string[]): RowFactory | null {
  if (!mayCompile) return null
  try {
    return new Function(factorySource(form, names))() as RowFactory
  } catch {
    mayCompile = false
    return null
  }
}

function factorySource(form: 'object' | 'array', names: readonly string[]): string {
  const values = names.map((_, column) => valueSource(`at + ${column}`))
  const locals = names.map((_, column) => `v${column}`)
  return `'use strict'
const make = (${locals.join(', ')}) => ${rowSource(form, names, locals)}
const latest = { row: null }
let unkept = ${UNKEPT_ROWS}
return {
  one(inbox) {
    const cells = inbox.cells
    const at = inbox.cell
    let v, n
    inbox.cell = at + ${names.length}
    return ${rowSource(form, names, values)}
  },
  many(inbox, count, rows) {
    const cells = inbox.cells
    let at = inbox.cell
    let v, n
    for (let row = 0; row < count; row++, at += ${names.length}) {
      ${values.map((value, column) => `const v${column} = ${value}`).join('\n      ')}
      rows.push(make(${locals.join(', ')}))
      if (unkept > 0) {
        unkept--
        latest.row = make(${locals.join(', ')})
      }
    }
    latest.row = null
    inbox.cell = at
  },
}`
}

function rowSource(form: 'object' | 'array', names: readonly string[], values: readonly string[]): string {
  switch (form) {
    case 'object':
      return `({ ${names.map((name, column) => `${keySource(name)}: ${values[column]}`).join(', ')} })`
    case 'array':
      return `[${values.join(', ')}]`
  }
}

/**
 * The value of one cell. A double that is a small integer is made one: in an object it takes no memory of its own then, which halves
 * rows of integers. −0 is none.
 */
function valueSource(cell: string): string {
  return `(v = cells[${cell}]) !== v ? inbox.value(${cell}) : (n = v | 0) === v && (n !== 0 || 1 / v > 0) ? n : v`
}

/** A computed key makes `__proto__` a column like any other; a written-out one would set the prototype. */
function keySource(name: string): string {
  return name === '__proto__' ? `['__proto__']` : JSON.stringify(name)
}
