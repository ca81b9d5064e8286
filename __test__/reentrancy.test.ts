import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import type { Database } from '../index.js'
import { until, within } from './support/deadline.js'
import { codeOf, failureOf, outcomeOf } from './support/failure.js'
import { gate, untilWaiting } from './support/order.js'
import { untilQuiet } from './support/quiet.js'
import { openWithTable } from './support/scratch.js'

type Scope = 'transaction' | 'read' | 'writeMode'
type Concurrency = 'wal' | 'exclusive'
type Operation = (db: Database, options?: { detached: boolean }) => Promise<unknown>

const SELECT = 'SELECT x FROM t'
const INSERT = 'INSERT INTO t VALUES (1)'

const drain = async (rows: AsyncIterable<unknown>): Promise<void> => {
  for await (const row of rows) void row
}

/** What needs no more than a reader for one statement. */
const SHORT_READS: { readonly [name: string]: Operation } = {
  execute: (db, options) => db.execute(SELECT, [], options),
  all: (db, options) => db.all(SELECT, [], options),
  get: (db, options) => db.get(SELECT, [], options),
  values: (db, options) => db.values(SELECT, [], options),
  pluck: (db, options) => db.pluck(SELECT, [], options),
  'run of a read': (db, options) => db.run(SELECT, [], options),
  prepare: (db, options) => db.prepare(SELECT).all([], options),
}
const READS_WITHOUT_OPTIONS: { readonly [name: string]: Operation } = {
  sql: (db) => db.sql`SELECT x FROM t`,
  columns: (db) => db.prepare(SELECT).columns(),
  'pragma without a value': (db) => db.pragma('user_version'),
}
/** What holds a reader for longer. */
const LONG_READS: { readonly [name: string]: Operation } = {
  read: (db, options) => db.read((r) => r.all(SELECT), options),
  iterate: async (db, options) => drain(db.iterate(SELECT, [], options)),
}
const WRITES: { readonly [name: string]: Operation } = {
  run: (db, options) => db.run(INSERT, [], options),
  'execute of a write': (db, options) => db.execute(INSERT, [], options),
  'a write with rows': (db, options) => db.all(`${INSERT} RETURNING x`, [], options),
  'prepare of a write': (db, options) => db.prepare(INSERT).run([], options),
  exec: (db, options) => db.exec(INSERT, options),
  batch: (db, options) => db.batch([INSERT], options),
  'batch of reads': (db, options) => db.batch([SELECT], options),
  begin: (db, options) => db.begin(options).then((tx) => tx.rollback()),
  transaction: (db, options) => db.transaction((tx) => tx.run(INSERT), options),
  writeMode: (db, options) => db.writeMode((w) => w.run(INSERT), options),
  'iterate of a write': async (db, options) => drain(db.iterate(`${INSERT} RETURNING x`, [], options)),
}
const WRITES_WITHOUT_OPTIONS: { readonly [name: string]: Operation } = {
  'sql of a write': (db) => db.sql`INSERT INTO t VALUES (1)`,
  'pragma that sets the file': (db) => db.pragma('user_version', 1),
  'pragma that sets connections': (db) => db.pragma('cache_size', 100),
  vacuum: (db) => db.run('VACUUM'),
  close: (db) => db.close(),
  asyncDispose: (db) => db[Symbol.asyncDispose](),
  'checkpoint full': (db) => db.checkpoint('full'),
  'checkpoint restart': (db) => db.checkpoint('restart'),
  'checkpoint truncate': (db) => db.checkpoint('truncate'),
}

const REENTRANT = 'ERR_SLUICE_REENTRANT'

/** What becomes of a kind of operation in a callback. */
function expected(scope: Scope, concurrency: Concurrency, kind: 'short read' | 'long read' | 'write'): string {
  switch (scope) {
    case 'transaction':
      return concurrency === 'wal' && kind !== 'write' ? 'done' : REENTRANT
    case 'read':
      return kind === 'short read' ? 'done' : REENTRANT
    case 'writeMode':
      return REENTRANT
  }
}

const SCOPES: readonly Scope[] = ['transaction', 'read', 'writeMode']
const CASES = (['wal', 'exclusive'] as const).flatMap((concurrency) => SCOPES.map((scope) => ({ concurrency, scope })))

/** Runs `body` in a callback, which has to end: nothing in it may wait for it. */
function inside(db: Database, scope: Scope, body: () => Promise<void>): Promise<void> {
  return within(db[scope](body), `the ${scope} callback ends`)
}

describe.each(CASES)('T15: in a $scope callback with $concurrency concurrency', ({ scope, concurrency }) => {
  const seen = async (operations: { readonly [name: string]: Operation }): Promise<{ [name: string]: string }> => {
    const db = await openWithTable({ concurrency, durability: 'off' })
    const outcomes: { [name: string]: string } = {}
    // Twice: what is known of a text must make no difference.
    for (let round = 0; round < 2; round++) {
      await inside(db, scope, async () => {
        for (const [name, operation] of Object.entries(operations)) outcomes[`${name} ${round}`] = await outcomeOf(operation(db))
      })
    }
    await untilQuiet(db)
    expect(await outcomeOf(db.run(INSERT))).toBe('done')
    return outcomes
  }
  const all = (operations: { readonly [name: string]: Operation }, outcome: string): { [name: string]: string } =>
    Object.fromEntries([0, 1].flatMap((round) => Object.keys(operations).map((name) => [`${name} ${round}`, outcome])))

  it(`a short read of the database is ${expected(scope, concurrency, 'short read')}`, async () => {
    const operations = { ...SHORT_READS, ...READS_WITHOUT_OPTIONS }
    expect(await seen(operations)).toEqual(all(operations, expected(scope, concurrency, 'short read')))
  })

  it(`a long read of the database is ${expected(scope, concurrency, 'long read')}`, async () => {
    expect(await seen(LONG_READS)).toEqual(all(LONG_READS, expected(scope, concurrency, 'long read')))
  })

  it('a write of the database is rejected at once, and so is all that ends in one', async () => {
    const operations = { ...WRITES, ...WRITES_WITHOUT_OPTIONS }
    expect(await seen(operations)).toEqual(all(operations, REENTRANT))
  })

  it('status, path, handle and the like work', async () => {
    const db = await openWithTable({ concurrency })
    await inside(db, scope, async () => {
      expect(db.status().phase).toBe('open')
      expect(db.closed).toBe(false)
      const sibling = db.handle()
      expect(db.handleCount).toBe(2)
      await sibling.close()
    })
  })

  it('close is rejected at once while another one is under way, too', async () => {
    const db = await openWithTable({ concurrency })
    const [own, others] = [db.handle(), db.handle()]
    for (const handle of [own, db]) {
      const begun = gate()
      const closing = begun.opened.then(() => handle.close())
      const callback = inside(handle, scope, async () => {
        begun.open()
        await until(() => handle.closed, 'the closing has begun')
        expect(await codeOf(handle.close())).toBe(REENTRANT)
      })
      await within(callback, 'the callback ends')
      await within(closing, 'the closing ends')
      await others.close()
    }
    expect(db.status().phase).toBe('closed')
  })

  it('a sibling handle is no way around it', async () => {
    const db = await openWithTable({ concurrency, acquireTimeoutMs: 1_000 })
    const own = db.handle()
    await inside(db, scope, async () => {
      for (const call of [() => own.run(INSERT), () => own.exec(INSERT), () => own.run('BEGIN'), () => own.transaction(() => 1)]) {
        expect(await outcomeOf(call()), call.toString()).toBe(REENTRANT)
      }
      expect(await outcomeOf(own.all(SELECT))).toBe(expected(scope, concurrency, 'short read'))
    })
    await own.run('BEGIN')
    await own.run('COMMIT')
    await own.close()
  })

  it('detached calls wait for its end, and are done then', async () => {
    const db = await openWithTable({ concurrency, durability: 'off' })
    await Promise.all(Object.values({ ...SHORT_READS, ...LONG_READS, ...WRITES }).map((operation) => operation(db)))
    await untilQuiet(db)
    const options = { detached: true }
    const calls: { [name: string]: Promise<string> } = {}
    await inside(db, scope, async () => {
      for (const [name, operation] of Object.entries(WRITES)) calls[name] = outcomeOf(operation(db, options))
      // Beside a read callback only what wants the database for itself has to wait, and what comes after it.
      const run = scope === 'read' && concurrency === 'wal' ? Object.keys(WRITES).indexOf('writeMode') : 0
      await untilWaiting(db, Object.keys(WRITES).length - run)
      for (const [name, operation] of Object.entries({ ...SHORT_READS, ...LONG_READS })) calls[name] = outcomeOf(operation(db, options))
    })
    for (const [name, call] of Object.entries(calls)) expect(await within(call, name), name).toBe('done')
  })

  it('a detached call that the callback waits for after all ends within acquireTimeoutMs, and names who holds the writer', async () => {
    const db = await openWithTable({ concurrency, acquireTimeoutMs: 50 })
    await inside(db, scope, async () => {
      const outcome = await within(failureOf(scope === 'read' && concurrency === 'wal' ? db.writeMode(() => 1, { detached: true }) : db.run(INSERT, [], { detached: true })), 'the wait ends')
      expect(outcome.code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
      const holder = { transaction: /transaction/, read: /1 readers? active/, writeMode: /writeMode/ }[scope]
      expect(outcome.message).toMatch(holder)
    })
    expect(await outcomeOf(db.run(INSERT))).toBe('done')
  })

  it('the error names what is to be used instead', async () => {
    const db = await openWithTable({ concurrency })
    await inside(db, scope, async () => {
      const hint = { transaction: /use (?:its|the) tx/, read: /write after it/, writeMode: /use (?:its|the) w/ }[scope]
      const operations = { ...WRITES, ...(expected(scope, concurrency, 'long read') === REENTRANT ? LONG_READS : {}) }
      for (const [name, operation] of Object.entries(operations)) {
        const { message } = await failureOf(operation(db))
        expect(message, name).toMatch(hint)
        expect(message, name).toContain('detached: true')
      }
    })
  })

  it('the error of what has no option detached does not name it', async () => {
    const db = await openWithTable({ concurrency })
    const mirror = await db.mirror()
    const copies = [() => db.mirror(), () => mirror.reload()]
    const calls = [() => db.close(), () => db.checkpoint('full'), ...(expected(scope, concurrency, 'long read') === REENTRANT ? copies : [])]
    await inside(db, scope, async () => {
      for (const call of calls) {
        const { code, message } = await failureOf(call())
        expect(code, call.toString()).toBe(REENTRANT)
        expect(message).not.toContain('detached')
      }
    })
    const own = db.handle()
    await inside(own, scope, async () => expect((await failureOf(own.close())).message).not.toContain('detached'))
  })

  it('work that was started in it and goes on after it is not caught', async () => {
    const db = await openWithTable({ concurrency })
    const over = gate()
    let outlives: Promise<string[]> | undefined
    await inside(db, scope, async () => {
      outlives = over.opened.then(async () => [await outcomeOf(db.run(INSERT)), await outcomeOf(db.transaction(() => 1)), await outcomeOf(db.read(() => 1))])
    })
    over.open()
    expect(await within(outlives ?? Promise.reject(new Error('not started')), 'the work that outlives it')).toEqual(['done', 'done', 'done'])
  })

  it('work that was started before it is not caught', async () => {
    const db = await openWithTable({ concurrency })
    const [entered, leave] = [gate(), gate()]
    const batcher = entered.opened.then(() => {
      const call = outcomeOf(db.run(INSERT))
      leave.open()
      return call
    })
    await inside(db, scope, async () => {
      entered.open()
      await leave.opened
    })
    expect(await within(batcher, 'the other call')).toBe('done')
  })

  it('another database is not concerned', async () => {
    const [db, other] = [await openWithTable({ concurrency }), await openWithTable({ concurrency })]
    await inside(db, scope, async () => {
      expect(await outcomeOf(other.run(INSERT))).toBe('done')
      await other.transaction(async (tx) => {
        expect(await outcomeOf(tx.run(INSERT))).toBe('done')
        expect(await outcomeOf(db.run(INSERT))).toBe(REENTRANT)
        expect(await outcomeOf(other.run(INSERT))).toBe(REENTRANT)
      })
      expect(await outcomeOf(other.run(INSERT))).toBe('done')
    })
  })

  it('is caught through timers, microtasks and callbacks of its own', async () => {
    const db = await openWithTable({ concurrency })
    await inside(db, scope, async () => {
      const turns = [delay(1), Promise.resolve(), new Promise((resolve) => setImmediate(resolve)), new Promise<void>((resolve) => process.nextTick(resolve))]
      const outcomes = await Promise.all(turns.map((turn) => turn.then(() => outcomeOf(db.run(INSERT)))))
      expect(outcomes).toEqual(turns.map(() => REENTRANT))
    })
  })
})

describe('a scope', () => {
  it('sees the committed state through the database, not its own', async () => {
    const db = await openWithTable({ concurrency: 'wal' })
    await db.transaction(async (tx) => {
      await tx.run(INSERT)
      expect(await db.pluck(SELECT)).toEqual([])
      expect(await db.read((r) => r.pluck(SELECT))).toEqual([])
      expect(await tx.pluck(SELECT)).toEqual([1])
    })
    expect(await db.pluck(SELECT)).toEqual([1])
  })

  it.each([
    ['there are no readers', { maxReaders: 0 }, undefined],
    ['temporary tables keep all on the writer', {}, 'CREATE TEMP TABLE private (x)'],
  ])('refuses a read session that would wait for the transaction where %s', async (_, options, sql) => {
    const db = await openWithTable({ concurrency: 'wal', ...options })
    await db.transaction(async (tx) => {
      await tx.run(INSERT)
      if (sql !== undefined) await tx.exec(sql)
      expect(await codeOf(within(db.read((r) => r.pluck(SELECT)), 'an answer'))).toBe(REENTRANT)
      expect(await codeOf(within(LONG_READS['iterate']!(db), 'an answer'))).toBe(REENTRANT)
    })
    expect(await db.read((r) => r.pluck(SELECT))).toEqual([1])
  })

  it('refuses to fill a mirror where there are no readers', async () => {
    const db = await openWithTable({ concurrency: 'wal', maxReaders: 0 })
    const mirror = await db.mirror()
    await db.transaction(async (tx) => {
      await tx.run(INSERT)
      expect(await codeOf(within(mirror.reload(), 'an answer'))).toBe(REENTRANT)
      expect(await codeOf(within(db.mirror(), 'an answer'))).toBe(REENTRANT)
    })
    await mirror.reload()
    expect(await mirror.pluck(SELECT)).toEqual([1])
  })

  it('is not there in a transaction from begin: what would wait for it ends by the idle limit', async () => {
    const db = await openWithTable({ transactionIdleTimeoutMs: 50 })
    const tx = await db.begin()
    expect(await within(outcomeOf(db.run(INSERT)), 'the write')).toBe('done')
    expect(await codeOf(tx.commit())).toBe('ERR_SLUICE_TX_TIMEOUT')
  })

  it.each(['wal', 'exclusive'] as const)('D05: begin held across db.run and db.get is bounded, with %s', async (concurrency) => {
    const db = await openWithTable({ concurrency, acquireTimeoutMs: 50 })
    const tx = await db.begin()
    const { code, message } = await failureOf(db.run(INSERT))
    expect(code).toBe('ERR_SLUICE_ACQUIRE_TIMEOUT')
    expect(message).toContain('transaction')
    expect(await outcomeOf(db.get(SELECT))).toBe(concurrency === 'wal' ? 'done' : 'ERR_SLUICE_ACQUIRE_TIMEOUT')
    await tx.run(INSERT)
    await tx.commit()
    expect(await db.pluck(SELECT)).toEqual([1])
  })

  it('ends with the callback that failed', async () => {
    const db = await openWithTable()
    const over = gate()
    let outlives: Promise<string> | undefined
    await db.transaction(() => {
      outlives = over.opened.then(() => outcomeOf(db.run(INSERT)))
      throw new Error('undo')
    }).catch(() => {})
    over.open()
    expect(await outlives).toBe('done')
  })

  it('in a row of many awaits each finds its own', async () => {
    const db = await openWithTable({ durability: 'off' })
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        n % 2 === 0
          ? db.transaction(async (tx) => {
              await tx.run(INSERT)
              return outcomeOf(db.run(INSERT))
            })
          : outcomeOf(db.run(INSERT)),
      ),
    )
    expect(outcomes).toEqual(Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? REENTRANT : 'done')))
  })
})

describe('in a read callback of a mirror', () => {
  it('close of its database is rejected at once, and closes nothing', async () => {
    const db = await openWithTable()
    const [mirror, other] = [await db.mirror(), await db.mirror()]
    await within(mirror.read(async (r) => {
      const { code, message } = await failureOf(db.close())
      expect(code).toBe(REENTRANT)
      expect(message).not.toContain('detached')
      expect([db.closed, mirror.closed, other.closed]).toEqual([false, false, false])
      expect(await r.pluck(SELECT)).toEqual([])
    }), 'the read callback ends')
    await db.run(INSERT)
    for (const each of [mirror, other]) {
      await each.reload()
      expect(await each.pluck(SELECT)).toEqual([1])
    }
    await within(db.close(), 'the database closes')
    expect([db.closed, mirror.closed, other.closed]).toEqual([true, true, true])
  })

  it('close of the handle that the mirror was made from is rejected at once, and closes nothing', async () => {
    const db = await openWithTable()
    const own = db.handle()
    const mirror = await own.mirror()
    await within(mirror.read(async () => {
      const { code, message } = await failureOf(own.close())
      expect(code).toBe(REENTRANT)
      expect(message).not.toContain('detached')
      expect([own.closed, mirror.closed]).toEqual([false, false])
    }), 'the read callback ends')
    await own.run(INSERT)
    await mirror.reload()
    expect(await mirror.pluck(SELECT)).toEqual([1])
    await within(own.close(), 'the handle closes')
  })

  it('close of the mirror is rejected at once, while another one is under way too, and closes none of its copies', async () => {
    const db = await openWithTable()
    const mirror = await db.mirror()
    const older = mirror.snapshot()
    await db.run(INSERT)
    await mirror.reload()
    for (const reads of [mirror, older]) {
      await within(reads.read(async () => {
        expect(await codeOf(mirror.close())).toBe(REENTRANT)
        expect(mirror.closed).toBe(false)
      }), 'the read callback ends')
      expect(await older.pluck(SELECT)).toEqual([])
      expect(await mirror.pluck(SELECT)).toEqual([1])
    }
    const begun = [gate(), gate()]
    const callbacks = [mirror, older].map((reads, index) => reads.read(async () => {
      begun[index]?.open()
      await until(() => mirror.closed, 'the closing has begun')
      expect(await codeOf(mirror.close())).toBe(REENTRANT)
    }))
    await within(Promise.all(begun.map(({ opened }) => opened)), 'the read callbacks begin')
    const closing = mirror.close()
    await within(Promise.all(callbacks), 'the read callbacks end')
    await within(Promise.all([closing, mirror.close()]), 'the mirror closes')
    expect(await codeOf(older.pluck(SELECT))).toBe('ERR_SLUICE_CLOSED')
  })
})
