import { expectTypeOf, it } from 'vitest'
import type { Column, Database, ExecuteResult, Row, RunResult, SqlParameters, SqlValue, Statement } from 'sluice'

interface User {
  id: number
  name: string
}

declare const db: Database

it('takes any parameters and gives any row when nothing is said about them', () => {
  expectTypeOf(db.prepare('SELECT 1')).toEqualTypeOf<Statement<SqlParameters, Row>>()
})

it('gives rows of its own type from every method', () => {
  const byId = db.prepare<[number], User>('SELECT id, name FROM users WHERE id = ?')
  expectTypeOf(byId.get([1])).resolves.toEqualTypeOf<User | undefined>()
  expectTypeOf(byId.all([1])).resolves.toEqualTypeOf<User[]>()
  expectTypeOf(byId.execute([1])).resolves.toEqualTypeOf<ExecuteResult<User>>()
  expectTypeOf(byId.values([1])).resolves.toEqualTypeOf<SqlValue[][]>()
  expectTypeOf(byId.pluck<number>([1])).resolves.toEqualTypeOf<number[]>()
  expectTypeOf(byId.run([1])).resolves.toEqualTypeOf<RunResult>()
  expectTypeOf(byId.columns()).resolves.toEqualTypeOf<readonly Column[]>()
})

it('rejects positional parameters of another type or number', () => {
  const byId = db.prepare<[number], User>('SELECT id, name FROM users WHERE id = ?')
  // @ts-expect-error: the id is a number.
  void byId.get(['1'])
  // @ts-expect-error: there is only one.
  void byId.get([1, 2])
  // @ts-expect-error: they are not named.
  void byId.get({ id: 1 })
})

it('rejects named parameters of another type or name', () => {
  const byName = db.prepare<{ name: string }, User>('SELECT id, name FROM users WHERE name = :name')
  void byName.get({ name: 'Ada' })
  // @ts-expect-error: the name is a string.
  void byName.get({ name: 1 })
  // @ts-expect-error: it is `name`.
  void byName.get({ nane: 'Ada' })
})

it('keeps its text', () => {
  expectTypeOf<Statement['sql']>().toEqualTypeOf<string>()
})
