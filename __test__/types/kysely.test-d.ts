import { Kysely } from 'kysely'
import type { Dialect, DialectAdapter, Generated } from 'kysely'
import { expectTypeOf, it } from 'vitest'
import { connect, open } from 'sluice'
import type { Database } from 'sluice'
import { SluiceDialect } from 'sluice/kysely'
import type { OpenFile, SluiceAdapter, SluiceDialectConfig, UseDatabase } from 'sluice/kysely'

interface Tables {
  users: { id: Generated<number>; name: string; age: number | null }
}

it('is a dialect of Kysely', () => {
  expectTypeOf<SluiceDialect>().toExtend<Dialect>()
  expectTypeOf<SluiceAdapter>().toExtend<DialectAdapter>()
  const db = new Kysely<Tables>({ dialect: new SluiceDialect({ path: 'app.db' }) })
  const query = db.selectFrom('users').select(['id', 'age'])
  expectTypeOf(query.execute()).resolves.toEqualTypeOf<{ id: number; age: number | null }[]>()
})

it('takes a database, or a function that returns one', () => {
  void new SluiceDialect({ database: connect('app.db') })
  void new SluiceDialect({ database: () => connect('app.db') })
  void new SluiceDialect({ database: () => open('app.db') })
  expectTypeOf<{ database: Database }>().toExtend<UseDatabase>()
  // @ts-expect-error: a promise is no function that returns one.
  void new SluiceDialect({ database: open('app.db') })
  // @ts-expect-error: a path is given as `path`.
  void new SluiceDialect({ database: 'app.db' })
})

it('takes a file with the options of open', () => {
  void new SluiceDialect({ path: new URL('file:///app.db'), maxReaders: 2, durability: 'normal' })
  expectTypeOf<{ path: string; readonly: boolean }>().toExtend<OpenFile>()
  // @ts-expect-error: it is `maxReaders`.
  void new SluiceDialect({ path: 'app.db', maxreaders: 2 })
  // @ts-expect-error: a dialect needs a database or a path.
  void new SluiceDialect({})
  // @ts-expect-error: it has no defaults for everything.
  void new SluiceDialect()
})

it('hands onCreateConnection a connection of Kysely', () => {
  const config: SluiceDialectConfig = {
    path: 'app.db',
    onCreateConnection: async (connection) => {
      expectTypeOf(connection.executeQuery).toBeFunction()
    },
  }
  expectTypeOf(config).toExtend<SluiceDialectConfig>()
})
