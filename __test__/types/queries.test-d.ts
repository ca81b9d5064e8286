import { expectTypeOf, it } from 'vitest'
import type { Column, ColumnVector, Database, ExecuteResult, Route, Row, RunResult, SqlValue } from 'sluice'

interface User {
  id: number
  name: string
}

declare const db: Database

it('gives rows of values when nothing is said about them', () => {
  expectTypeOf(db.all('SELECT 1')).resolves.toEqualTypeOf<Row[]>()
  expectTypeOf(db.get('SELECT 1')).resolves.toEqualTypeOf<Row | undefined>()
  expectTypeOf(db.values('SELECT 1')).resolves.toEqualTypeOf<SqlValue[][]>()
  expectTypeOf(db.pluck('SELECT 1')).resolves.toEqualTypeOf<SqlValue[]>()
  expectTypeOf<Row[string]>().toEqualTypeOf<SqlValue>()
  expectTypeOf<SqlValue>().toEqualTypeOf<null | number | bigint | string | Uint8Array>()
})

it('gives rows of the type that is asked for', () => {
  expectTypeOf(db.all<User>('SELECT 1')).resolves.toEqualTypeOf<User[]>()
  expectTypeOf(db.pluck<string>('SELECT 1')).resolves.toEqualTypeOf<string[]>()
  expectTypeOf(db.sql<User>`SELECT 1`).resolves.toEqualTypeOf<User[]>()
  expectTypeOf(db.pragma<User>('table_list')).resolves.toEqualTypeOf<User[]>()
  expectTypeOf(db.execute<User>('SELECT 1')).resolves.toEqualTypeOf<ExecuteResult<User>>()
})

it('gives columns of the type that is asked for', () => {
  expectTypeOf(db.columnar('SELECT 1')).resolves.toHaveProperty('byName').toEqualTypeOf<{ [column: string]: ColumnVector }>()
  expectTypeOf(db.columnar<{ id: Float64Array; name: string[] }>('SELECT 1')).resolves.toHaveProperty('byName').toEqualTypeOf<{ id: Float64Array; name: string[] }>()
})

it('gives a Buffer with JSON', () => {
  expectTypeOf(db.executeJson('SELECT ?', [1], { rowMode: 'array' })).resolves.toExtend<Buffer>()
  expectTypeOf(db.prepare<[number]>('SELECT ?').executeJson([1])).resolves.toExtend<Buffer>()
  expectTypeOf(db.read((r) => r.executeJson('SELECT 1'))).resolves.toExtend<Buffer>()
})

it('says that there may be no first row', async () => {
  const user = await db.get<User>('SELECT 1')
  expectTypeOf(user).toEqualTypeOf<User | undefined>()
  // @ts-expect-error: it may be undefined.
  void user.name
})

it('says everything about a statement that was executed', () => {
  type Result = Awaited<ReturnType<typeof db.execute<User>>>
  expectTypeOf<Result['columns']>().toEqualTypeOf<readonly Column[]>()
  expectTypeOf<Result['rows']>().toEqualTypeOf<User[]>()
  expectTypeOf<Result['changes']>().toEqualTypeOf<number>()
  expectTypeOf<Result['route']>().toEqualTypeOf<Route>()
})

it('says that a statement may not have inserted anything', () => {
  expectTypeOf(db.run('DELETE FROM t')).resolves.toEqualTypeOf<RunResult>()
  expectTypeOf<RunResult['lastInsertRowid']>().toEqualTypeOf<number | bigint | undefined>()
})

it('gives nothing for a script', () => {
  expectTypeOf(db.exec('SELECT 1; SELECT 2')).resolves.toEqualTypeOf<void>()
})

it('takes parameters by position or by name', () => {
  void db.run('INSERT INTO t VALUES (?, ?, ?, ?, ?)', [1, 2n, 'three', null, new Uint8Array(4)])
  void db.run('INSERT INTO t VALUES (?, ?, ?)', [true, undefined, new Date()])
  void db.run('INSERT INTO t VALUES (:a, :b)', { a: 1, b: Buffer.from('2') })
  void db.run('INSERT INTO t VALUES (?)', ['one'] as const)
})

it('rejects what cannot be bound', () => {
  // @ts-expect-error: a symbol is no value.
  void db.run('INSERT INTO t VALUES (?)', [Symbol('x')])
  // @ts-expect-error: nor is an object.
  void db.run('INSERT INTO t VALUES (:a)', { a: { b: 1 } })
  // @ts-expect-error: nor is a list.
  void db.run('INSERT INTO t VALUES (?)', [[1]])
  // @ts-expect-error: nor is a promise.
  void db.run('INSERT INTO t VALUES (?)', [Promise.resolve(1)])
  // @ts-expect-error: a value must be in an array, even when it is the only one.
  void db.run('INSERT INTO t VALUES (?)', 'one')
})

it('rejects options that a call does not have', () => {
  // @ts-expect-error: it is `integers`.
  void db.all('SELECT 1', [], { integer: 'bigint' })
  // @ts-expect-error: no such mode.
  void db.all('SELECT 1', [], { integers: 'string' })
  // @ts-expect-error: the rows of `values` are always arrays.
  void db.values('SELECT 1', [], { rowMode: 'object' })
})

it('rejects SQL that is no text', () => {
  // @ts-expect-error: a buffer is no SQL.
  void db.all(Buffer.from('SELECT 1'))
  // @ts-expect-error: `sql` is a template tag.
  void db.sql('SELECT 1')
})
