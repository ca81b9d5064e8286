import { describe, expect, it } from 'vitest'

import type { Database, SqlParameter, Transaction } from '../index.js'
import { within } from './support/deadline.js'
import { codeOf, failureOf } from './support/failure.js'
import { gate, watch } from './support/order.js'
import { openScratch, openWithTable } from './support/scratch.js'

const INSERT = 'INSERT INTO t VALUES (?)'
const valuesOf = (db: Database): Promise<unknown[]> => db.pluck('SELECT x FROM t ORDER BY rowid')
const fail = (): never => {
  throw new Error('undo')
}

describe('T16: a nested transaction', () => {
  it('is kept when its callback returns, as part of the one around it', async () => {
    const db = await openWithTable()
    const result = await db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      const inner = await tx.transaction(async (nested) => {
        await nested.run(INSERT, [2])
        return nested.pluck('SELECT x FROM t')
      })
      await tx.run(INSERT, [3])
      return inner
    })
    expect(result).toEqual([1, 2])
    expect(await valuesOf(db)).toEqual([1, 2, 3])
  })

  it('is undone alone when its callback throws, with its own error', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      const mine = new Error('mine')
      const nested = tx.transaction(async (inner) => {
        await inner.run(INSERT, [2])
        throw mine
      })
      await expect(nested).rejects.toBe(mine)
      await tx.run(INSERT, [3])
    })
    expect(await valuesOf(db)).toEqual([1, 3])
  })

  it('goes with the one around it', async () => {
    const db = await openWithTable()
    await expect(db.transaction(async (tx) => {
      await tx.transaction((nested) => nested.run(INSERT, [1]))
      fail()
    })).rejects.toThrow('undo')
    expect(await valuesOf(db)).toEqual([])
  })

  it('may be nested again, each level kept or undone by itself', async () => {
    const db = await openWithTable()
    const dive = async (tx: Transaction, depth: number): Promise<void> => {
      await tx.run(INSERT, [depth])
      if (depth === 50) return
      const below = tx.transaction((nested) => dive(nested, depth + 1))
      await (depth % 10 === 9 ? below.then(fail) : below).catch((error: unknown) => {
        if (depth % 10 !== 9) throw error
      })
    }
    await db.transaction((tx) => dive(tx, 1))
    expect(await valuesOf(db)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    await db.run('DELETE FROM t')
    await db.transaction(async (tx) => {
      await tx.run(INSERT, ['a'])
      await tx.transaction(async (two) => {
        await two.run(INSERT, ['b'])
        await two.transaction(async (three) => {
          await three.run(INSERT, ['c'])
          await three.transaction((four) => four.run(INSERT, ['d']))
          fail()
        }).catch(() => {})
        await two.run(INSERT, ['e'])
      })
    })
    expect(await valuesOf(db)).toEqual(['a', 'b', 'e'])
  })

  it('works on a transaction from begin, and on w', async () => {
    const db = await openWithTable()
    const tx = await db.begin()
    await tx.transaction((nested) => nested.run(INSERT, [1]))
    await tx.transaction(async (nested) => {
      await nested.run(INSERT, [2])
      fail()
    }).catch(() => {})
    await tx.commit()
    await db.writeMode((w) =>
      w.transaction(async (outer) => {
        await outer.transaction((nested) => nested.run(INSERT, [3]))
        await outer.transaction((nested) => nested.run(INSERT, [4]).then(fail)).catch(() => {})
      }),
    )
    expect(await valuesOf(db)).toEqual([1, 3])
  })

  it('can be committed or rolled back by hand, once', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      await tx.transaction(async (nested) => {
        await nested.run(INSERT, [1])
        await nested.rollback()
        expect(nested.open).toBe(false)
        expect(await codeOf(nested.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_CLOSED')
      })
      await tx.transaction(async (nested) => {
        await nested.run(INSERT, [3])
        await nested.commit()
        expect(await codeOf(nested.commit())).toBe('ERR_SLUICE_TX_CLOSED')
      })
      expect(tx.open).toBe(true)
    })
    expect(await valuesOf(db)).toEqual([3])
  })

  it('cannot be used after its end, although the one around it goes on', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      const nested = await tx.transaction((inner) => inner)
      expect(nested.open).toBe(false)
      expect(await codeOf(nested.run(INSERT, [1]))).toBe('ERR_SLUICE_TX_CLOSED')
      expect(await codeOf(nested.rollback())).toBe('ERR_SLUICE_TX_CLOSED')
      await tx.run(INSERT, [2])
    })
    expect(await valuesOf(db)).toEqual([2])
  })

  it('does not bring back what SQLite has rolled back', async () => {
    const db = await openScratch()
    await db.exec('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (0)')
    const call = db.transaction(async (tx) => {
      await tx.run(INSERT, [1])
      expect(await codeOf(tx.transaction((nested) => nested.run('INSERT OR ROLLBACK INTO t VALUES (0)')))).toBe('SQLITE_CONSTRAINT_UNIQUE')
      expect(await codeOf(tx.run(INSERT, [2]))).toBe('ERR_SLUICE_TX_ABORTED')
      expect(await codeOf(tx.transaction(() => 1))).toBe('ERR_SLUICE_TX_ABORTED')
    })
    expect(await codeOf(call)).toBe('ERR_SLUICE_TX_ABORTED')
    expect(await valuesOf(db)).toEqual([0])
  })

  it('refuses options, and what is no callback', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      expect(await codeOf(tx.transaction(1 as never))).toBe('ERR_SLUICE_INVALID_ARGUMENT')
    })
  })
})

describe('calls on the transaction around a nested one', () => {
  it('are rejected at once when they are made in its callback', async () => {
    const db = await openWithTable()
    await within(db.transaction(async (tx) => {
      await tx.transaction(async (nested) => {
        const calls = [
          () => tx.run(INSERT, [1]),
          () => tx.all('SELECT 1'),
          () => tx.get('SELECT 1'),
          () => tx.values('SELECT 1'),
          () => tx.pluck('SELECT 1'),
          () => tx.execute('SELECT 1'),
          () => tx.sql`SELECT 1`,
          () => tx.exec('SELECT 1'),
          () => tx.prepare('SELECT 1').all(),
          () => tx.transaction(() => 1),
          () => tx.commit(),
          () => tx.rollback(),
          async () => { for await (const row of tx.iterate('SELECT 1')) void row },
        ]
        for (const call of calls) expect(await codeOf(call()), call.toString()).toBe('ERR_SLUICE_REENTRANT')
        await nested.transaction(async () => expect(await codeOf(tx.run(INSERT, [1]))).toBe('ERR_SLUICE_REENTRANT'))
        await nested.run(INSERT, [2])
      })
      await tx.run(INSERT, [3])
    }), 'the transaction')
    expect(await valuesOf(db)).toEqual([2, 3])
  })

  it('are told to use its own tx, and nothing that they have no option for', async () => {
    const db = await openWithTable()
    const { message } = await db.transaction((tx) => tx.transaction(() => failureOf(tx.run(INSERT, [1]))))
    expect(message).toMatch(/use (?:its|the) tx/)
    expect(message).not.toContain('detached')
  })

  it('wait until it has ended when they are made beside it', async () => {
    const db = await openWithTable()
    await db.transaction(async (tx) => {
      const [entered, leave] = [gate(), gate()]
      const nested = tx.transaction(async (inner) => {
        await inner.run(INSERT, [1])
        entered.open()
        await leave.opened
        await inner.run(INSERT, [2])
      })
      await entered.opened
      const beside = tx.run(INSERT, [3])
      const state = watch(beside)
      await db.all('SELECT x FROM t')
      expect(state.settled).toBe(false)
      leave.open()
      await Promise.all([nested, beside])
    })
    expect(await valuesOf(db)).toEqual([1, 2, 3])
  })

  it.each([
    ['ms', 5],
    ['iso', '1970-01-01T00:00:00.005Z'],
  ] as const)('take the values of the moment of the call when they wait, dates as %s', async (dates, bound) => {
    const db = await openWithTable({ dates })
    await db.transaction(async (tx) => {
      const [entered, leave] = [gate(), gate()]
      const nested = tx.transaction(async () => {
        entered.open()
        await leave.opened
      })
      await entered.opened
      const [bytes, date] = [new Uint8Array([1]), new Date(5)]
      const params: SqlParameter[] = ['before', bytes, date]
      const named: { [name: string]: SqlParameter } = { text: 'before', bytes, date }
      const calls = [
        tx.run('INSERT INTO t VALUES (?), (?), (?)', params),
        tx.run('INSERT INTO t VALUES (:text), (:bytes), (:date)', named),
        tx.prepare('INSERT INTO t VALUES (?), (?), (?)').run(params),
      ]
      const reads = [
        tx.get('SELECT ? AS text, ? AS bytes, ? AS date', params),
        tx.get('SELECT :text AS text, :bytes AS bytes, :date AS date', named),
        tx.prepare('SELECT ? AS text, ? AS bytes, ? AS date').get(params),
        tx.sql`SELECT ${'before'} AS text, ${bytes} AS bytes, ${date} AS date`.then(([row]) => row),
      ]
      params[0] = named['text'] = 'after'
      bytes[0] = 2
      date.setTime(6)
      leave.open()
      await Promise.all([nested, ...calls])
      const row = { text: 'before', bytes: new Uint8Array([1]), date: bound }
      expect(await Promise.all(reads)).toEqual(reads.map(() => row))
    })
    const stored = ['before', new Uint8Array([1]), bound]
    expect(await valuesOf(db)).toEqual([...stored, ...stored, ...stored])
  })

  it('one that was not awaited is part of the outer one all the same', async () => {
    const db = await openWithTable()
    await db.transaction((tx) => {
      tx.transaction((inner) => inner.run(INSERT, [1])).catch(() => {})
    })
    expect(await valuesOf(db)).toEqual([1])
  })
})

describe('afterCommit of a nested transaction', () => {
  it('runs after the commit of the outermost one, in order', async () => {
    const db = await openWithTable()
    const seen: string[] = []
    await db.transaction(async (tx) => {
      tx.afterCommit(() => seen.push('outer'))
      await tx.transaction(async (nested) => {
        nested.afterCommit(() => seen.push('nested'))
        await nested.transaction((inner) => inner.afterCommit(() => seen.push('inner')))
      })
      tx.afterCommit(() => seen.push('last'))
      expect(seen).toEqual([])
    })
    expect(seen).toEqual(['outer', 'nested', 'inner', 'last'])
  })

  it('is dropped when it is undone', async () => {
    const db = await openWithTable()
    const seen: string[] = []
    await db.transaction(async (tx) => {
      await tx.transaction(async (nested) => {
        nested.afterCommit(() => seen.push('undone'))
        await nested.transaction((inner) => inner.afterCommit(() => seen.push('undone too')))
        fail()
      }).catch(() => {})
      await tx.transaction((nested) => nested.afterCommit(() => seen.push('kept')))
    })
    expect(seen).toEqual(['kept'])
  })

  it('is dropped when its callback rolls it back by hand', async () => {
    const db = await openWithTable()
    const seen: string[] = []
    await db.transaction(async (tx) => {
      tx.afterCommit(() => seen.push('outer'))
      await tx.transaction(async (nested) => {
        nested.afterCommit(() => seen.push('undone'))
        await nested.run(INSERT, [1])
        await nested.rollback()
      })
    })
    expect(seen).toEqual(['outer'])
    expect(await valuesOf(db)).toEqual([])
  })

  it('is kept when its callback commits it by hand and throws then', async () => {
    const db = await openWithTable()
    const seen: string[] = []
    await db.transaction(async (tx) => {
      const nested = tx.transaction(async (inner) => {
        inner.afterCommit(() => seen.push('kept'))
        await inner.run(INSERT, [1])
        await inner.commit()
        fail()
      })
      await expect(nested).rejects.toThrow('undo')
      expect(seen).toEqual([])
    })
    expect(seen).toEqual(['kept'])
    expect(await valuesOf(db)).toEqual([1])
  })
})
