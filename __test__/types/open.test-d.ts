import { expectTypeOf, it } from 'vitest'
import { open, type CloseOptions, type Database, type OpenOptions, type Status } from 'sluice'

it('resolves to a database', () => {
  expectTypeOf(open('app.db')).toEqualTypeOf<Promise<Database>>()
})

it('takes a path, a URL, or the bytes of a path, and nothing else', () => {
  void open('app.db')
  void open(new URL('file:///app.db'))
  void open(Buffer.from('app.db'))
  // @ts-expect-error: a number is no path.
  void open(1)
  // @ts-expect-error: the path must be there.
  void open()
  // @ts-expect-error: it may be missing.
  void open(undefined as string | undefined)
})

it('rejects an option with a spelling mistake', () => {
  // @ts-expect-error: it is `readonly`.
  void open('app.db', { readOnly: true })
  // @ts-expect-error: it is `maxReaders`.
  void open('app.db', { maxreaders: 2 })
})

it('rejects an option of the wrong kind', () => {
  // @ts-expect-error: a string is no number.
  void open('app.db', { maxReaders: '2' })
  // @ts-expect-error: no such durability.
  void open('app.db', { durability: 'most' })
  // @ts-expect-error: a PRAGMA's value is no list.
  void open('app.db', { pragmas: { cache_size: [1] } })
})

it('lets every option be left out', () => {
  expectTypeOf<Record<never, never>>().toExtend<OpenOptions>()
})

it('makes databases only through open', () => {
  // @ts-expect-error: the constructor is private.
  expectTypeOf<ConstructorParameters<typeof Database>>().toBeArray()
})

it('tells its state by constants', () => {
  expectTypeOf<Status['phase']>().toEqualTypeOf<'open' | 'draining' | 'closed'>()
  expectTypeOf<Status['mode']>().toEqualTypeOf<'read' | 'write'>()
  expectTypeOf<Database['status']>().returns.toEqualTypeOf<Status>()
  expectTypeOf<Database['closed']>().toEqualTypeOf<boolean>()
  expectTypeOf<Database['path']>().toEqualTypeOf<string>()
})

it('cannot be told its state', () => {
  const change = (db: Database): void => {
    // @ts-expect-error: it is read-only.
    db.closed = true
    // @ts-expect-error: so are the numbers.
    db.status().queued = 0
  }
  expectTypeOf(change).toBeFunction()
})

it('closes with a deadline, and at the end of a block', async () => {
  expectTypeOf<Parameters<Database['close']>>().toEqualTypeOf<[options?: CloseOptions]>()
  expectTypeOf<Database>().toExtend<AsyncDisposable>()
  await using db = await open('app.db')
  expectTypeOf(db).toEqualTypeOf<Database>()
  // @ts-expect-error: closing takes time, so `using` without `await` would not wait for it.
  using other = await open('app.db')
  void other
})
