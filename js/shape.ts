import type { BindingShape } from './binding.js'
import { compileRows, interpretRows } from './rows.js'
import type { RowFactory, RowForm } from './rows.js'
import type { Column } from './types.js'

/** After how many results a factory is compiled. */
const COMPILE_AFTER_RESULTS = 3
/** A result with so many rows is worth compiling a factory at once. */
const COMPILE_AT_ROWS = 64
/** A wider row is not worth compiling: V8 would make it slowly, and give it a slow form. */
const MAX_COMPILED_COLUMNS = 64

/** The columns of a result, and how its rows are made. Shared by all results that have them. */
export class Shape {
  readonly id: number
  readonly #told: BindingShape
  #columns: readonly Column[] | null = null
  #results = 0
  /** The factories that will not get any better. */
  readonly #best: { [form in RowForm]: RowFactory | null } = { object: null, array: null, pluck: null, columnar: null, json: null }
  readonly #interpreted: { [form in RowForm]: RowFactory | null } = { object: null, array: null, pluck: null, columnar: null, json: null }

  constructor(told: BindingShape) {
    this.id = told.id
    this.#told = told
  }

  /** Returns the columns as the user sees them: frozen, because all results share them. */
  get columns(): readonly Column[] {
    this.#columns ??= Object.freeze(this.#told.names.map((_, index) => this.#column(index)))
    return this.#columns
  }

  #column(index: number): Column {
    const { names, declaredTypes, tables, origins } = this.#told
    return Object.freeze({
      name: names[index] ?? '',
      declaredType: declaredTypes[index] ?? null,
      table: tables[index] ?? null,
      origin: origins[index] ?? null,
    })
  }

  /** Returns the factory for a result, or part of one, with so many rows. */
  factory(form: RowForm, rows: number): RowFactory {
    return this.#best[form] ?? this.#improve(form, rows)
  }

  #improve(form: RowForm, rows: number): RowFactory {
    const { names } = this.#told
    const interpreted = (this.#interpreted[form] ??= interpretRows(form, names))
    if (form === 'pluck' || form === 'columnar' || form === 'json' || names.length > MAX_COMPILED_COLUMNS) {
      this.#best[form] = interpreted
    } else if (++this.#results > COMPILE_AFTER_RESULTS || rows >= COMPILE_AT_ROWS) {
      this.#best[form] = compileRows(form, names) ?? interpreted
    }
    return this.#best[form] ?? interpreted
  }
}

/** The shape of a statement that returns no rows. */
export const NO_COLUMNS: Shape = new Shape({ id: 0, names: [], declaredTypes: [], tables: [], origins: [] })
