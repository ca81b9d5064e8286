import { expectTypeOf, it } from 'vitest'
import type { Database, Mirror, MirrorOptions, MirrorStatus, Snapshot } from 'sluice'

interface User {
  id: number
}

declare const db: Database
declare const mirror: Mirror

it('reads as a database does', () => {
  expectTypeOf(db.mirror({ watch: true })).resolves.toEqualTypeOf<Mirror>()
  expectTypeOf(mirror.all<User>('SELECT 1')).resolves.toEqualTypeOf<User[]>()
  expectTypeOf(mirror.read((r) => r.get<User>('SELECT 1'))).resolves.toEqualTypeOf<User | undefined>()
  expectTypeOf(mirror.snapshot()).toEqualTypeOf<Snapshot>()
  expectTypeOf(mirror.snapshot().prepare<[number], User>('SELECT ?').all([1])).resolves.toEqualTypeOf<User[]>()
  expectTypeOf<MirrorStatus['lastError']>().toEqualTypeOf<unknown>()
})

it('has no way to write', () => {
  expectTypeOf<Mirror>().not.toHaveProperty('run')
  expectTypeOf<Mirror>().not.toHaveProperty('exec')
  expectTypeOf<Mirror>().not.toHaveProperty('transaction')
  expectTypeOf<Snapshot>().not.toHaveProperty('run')
  expectTypeOf<Snapshot>().not.toHaveProperty('reload')
})

it('lets onReload write to the copy', () => {
  expectTypeOf<NonNullable<MirrorOptions['onReload']>>().parameter(0).toEqualTypeOf<Database>()
})
