import { describe, expect, it } from 'vitest'

import { until, within } from '../support/deadline.js'
import { rejection, subject } from './client.js'
import type { Queries } from './client.js'

const SLOW = 'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 10000000000) SELECT count(*) FROM c'

async function namesOf(queries: Queries): Promise<unknown[]> {
  return (await queries.tag.findMany({ orderBy: { name: 'asc' } })).map(({ name }) => name)
}

const tag = (name: string): { data: { name: string } } => ({ data: { name } })

describe('an interactive transaction', () => {
  it('commits, and returns what its callback returns', async () => {
    const { prisma } = await subject()
    expect(await prisma.$transaction(async (tx) => tx.tag.create(tag('a')))).toEqual({ id: 1, name: 'a' })
    expect(await namesOf(prisma)).toEqual(['a'])
  })

  it('rolls back when its callback throws, and throws that', async () => {
    const { prisma } = await subject()
    const mine = new Error('mine')
    const failed = prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      throw mine
    })
    expect(await rejection(failed)).toBe(mine)
    expect(await namesOf(prisma)).toEqual([])
  })

  it('goes on after a query that failed', async () => {
    const { prisma } = await subject()
    await prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      expect(await rejection(tx.tag.create(tag('a')))).toMatchObject({ code: 'P2002' })
      await tx.tag.create(tag('b'))
    })
    expect(await namesOf(prisma)).toEqual(['a', 'b'])
  })

  it('is seen by nobody before it commits, while reads outside go on', async () => {
    const { prisma } = await subject()
    await prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      expect([await namesOf(tx), await namesOf(prisma)]).toEqual([['a'], []])
    })
    expect(await namesOf(prisma)).toEqual(['a'])
  })

  it('keeps writes of others out until it ends', async () => {
    const { prisma, db } = await subject()
    let other: Promise<unknown> | undefined
    await prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      other = prisma.tag.create(tag('b'))
      // A query of Prisma is sent when somebody waits for it.
      void other.catch(() => {})
      await until(() => db.status().writer.waiting === 1, 'the write outside waits')
      expect(await namesOf(tx)).toEqual(['a'])
      await tx.tag.create(tag('c'))
    })
    await other
    expect(await prisma.tag.findMany()).toEqual([{ id: 1, name: 'a' }, { id: 2, name: 'c' }, { id: 3, name: 'b' }])
  })

  it('is not begun in a transaction of the driver, which it would wait for', async () => {
    const { prisma, db } = await subject()
    await db.transaction(async () => {
      expect(await rejection(prisma.$transaction((tx) => tx.tag.count()))).toMatchObject({ code: 'ERR_SLUICE_REENTRANT' })
      expect(await rejection(prisma.tag.create(tag('a')))).toMatchObject({ code: 'ERR_SLUICE_REENTRANT' })
      expect(await prisma.tag.count()).toBe(0)
    })
    expect(await prisma.$transaction((tx) => tx.tag.count())).toBe(0)
  })

  it('takes its turn among many, and none loses a change', async () => {
    const { prisma } = await subject()
    await prisma.user.create({ data: { email: 'a', posts: { create: { title: 'Notes' } } } })
    const increment = (): Promise<unknown> =>
      prisma.$transaction(
        async (tx) => {
          const { views } = await tx.post.findUniqueOrThrow({ where: { id: 1 } })
          await tx.post.update({ where: { id: 1 }, data: { views: (views as number) + 1 } })
        },
        { maxWait: 20_000, timeout: 20_000 },
      )
    await Promise.all(Array.from({ length: 100 }, increment))
    expect(await prisma.post.findUnique({ where: { id: 1 } })).toMatchObject({ views: 100 })
  })

  it('runs queries that are made at the same time', async () => {
    const { prisma } = await subject()
    await prisma.$transaction((tx) => Promise.all(Array.from({ length: 20 }, (_, index) => tx.tag.create(tag(`${index}`)))))
    expect(await prisma.tag.count()).toBe(20)
  })

  it('runs raw queries, and functions that look at the connection', async () => {
    const { prisma } = await subject()
    const id = await prisma.$transaction(async (tx) => {
      await tx.$executeRaw`INSERT INTO Tag (name) VALUES ('a')`
      return tx.$queryRaw`SELECT last_insert_rowid() AS id`
    })
    expect(id).toEqual([{ id: 1n }])
  })

  it('takes the one isolation level of SQLite, and no other', async () => {
    const { prisma } = await subject()
    const withLevel = (isolationLevel: string): Promise<unknown> => prisma.$transaction((tx) => tx.tag.count(), { isolationLevel })
    expect(await withLevel('Serializable')).toBe(0)
    for (const level of ['ReadUncommitted', 'ReadCommitted', 'RepeatableRead']) {
      expect(await rejection(withLevel(level))).toMatchObject({ code: 'P2023' })
    }
  })

  it('refuses transactions as text', async () => {
    const { prisma } = await subject()
    const committed = prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      await tx.$executeRawUnsafe('COMMIT')
    })
    expect(await rejection(committed)).toMatchObject({ code: 'ERR_SLUICE_MANUAL_TRANSACTION' })
    expect(await namesOf(prisma)).toEqual([])
  })

  it('says that SQLite has rolled it back, and does not pretend to commit', async () => {
    const { prisma } = await subject()
    const aborted = prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      await rejection(tx.$executeRaw`INSERT OR ROLLBACK INTO Tag (name) VALUES ('a')`)
      await rejection(tx.tag.create(tag('b')))
    })
    expect(await rejection(aborted)).toMatchObject({ cause: { kind: 'TransactionAlreadyClosed', originalCode: 'ERR_SLUICE_TX_ABORTED' } })
    expect(await namesOf(prisma)).toEqual([])
  })

  it('is rolled back when its commit is refused, and does not keep the writer', async () => {
    const { prisma, db } = await subject()
    await db.exec('CREATE TABLE late (tag INTEGER REFERENCES Tag DEFERRABLE INITIALLY DEFERRED)')
    const refused = prisma.$transaction((tx) => tx.$executeRaw`INSERT INTO late VALUES (99)`)
    expect(await rejection(refused)).toMatchObject({ cause: { kind: 'ForeignKeyConstraintViolation' } })
    expect(await within(prisma.tag.create(tag('after')), 'a write after it')).toMatchObject({ name: 'after' })
    expect(await db.pluck('SELECT count(*) FROM late')).toEqual([0])
  })
})

describe('a transaction that takes too long', () => {
  it('because it waits for a write outside it is rolled back, and that goes on', async () => {
    const { prisma } = await subject()
    let outside: Promise<unknown> | undefined
    const stuck = prisma.$transaction(
      async (tx) => {
        await tx.tag.create(tag('a'))
        outside = prisma.tag.create(tag('b'))
        await outside
        await tx.tag.create(tag('c'))
      },
      { timeout: 50 },
    )
    expect(await rejection(within(stuck, 'the transaction ends'))).toMatchObject({ code: 'P2028' })
    await outside
    expect(await namesOf(prisma)).toEqual(['b'])
  })

  it('is rolled back, and its later queries say so', async () => {
    const { prisma, db } = await subject()
    const late = prisma.$transaction(
      async (tx) => {
        await tx.tag.create(tag('a'))
        await until(() => !db.status().writer.active, 'the transaction was rolled back')
        await tx.tag.create(tag('b'))
      },
      { timeout: 50 },
    )
    expect(await rejection(within(late, 'the transaction ends'))).toMatchObject({ code: 'P2028' })
    expect(await namesOf(prisma)).toEqual([])
    expect(await prisma.tag.create(tag('after'))).toMatchObject({ name: 'after' })
  })

  it('has the query stopped that it runs', async () => {
    const { prisma } = await subject()
    const late = prisma.$transaction(
      async (tx) => {
        await tx.tag.create(tag('a'))
        await tx.$queryRawUnsafe(SLOW)
      },
      { timeout: 50 },
    )
    const error = await rejection(within(late, 'the query is stopped'))
    expect(error.meta?.driverAdapterError?.cause).toMatchObject({ kind: 'TransactionAlreadyClosed', originalCode: 'ABORT_ERR' })
    expect(await namesOf(prisma)).toEqual([])
  })

  it('is rolled back with the transactions nested in it', async () => {
    const { prisma, db } = await subject()
    const late = prisma.$transaction(
      async (tx) => {
        await tx.tag.create(tag('a'))
        await tx.$transaction(async (nested) => {
          await nested.tag.create(tag('b'))
          await until(() => !db.status().writer.active, 'the transaction was rolled back')
        })
      },
      { timeout: 50 },
    )
    expect(await rejection(within(late, 'the transaction ends'))).toMatchObject({ code: 'P2028' })
    expect(await namesOf(prisma)).toEqual([])
    expect(await prisma.tag.create(tag('after'))).toMatchObject({ name: 'after' })
  })

  it('is rolled back by the driver when it is idle for longer than the driver allows', async () => {
    const { prisma, db } = await subject({ open: { transactionIdleTimeoutMs: 30 } })
    const idle = prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      await until(() => !db.status().writer.active, 'the transaction was rolled back')
      await tx.tag.create(tag('b'))
    })
    const error = await rejection(within(idle, 'the transaction ends'))
    expect(error.code).toBe('P1018')
    expect(error.meta?.driverAdapterError?.cause).toMatchObject({ kind: 'TransactionAlreadyClosed', originalCode: 'ERR_SLUICE_TX_TIMEOUT' })
    expect(await namesOf(prisma)).toEqual([])
  })

  it('is not begun when its turn does not come within maxWait, and leaves the writer free', async () => {
    const { prisma, db } = await subject()
    const holder = await db.begin()
    const waiting = prisma.$transaction((tx) => tx.tag.create(tag('a')), { maxWait: 20 })
    expect(await rejection(waiting)).toMatchObject({ code: 'P2028' })
    await holder.commit()
    expect(await within(prisma.tag.create(tag('b')), 'a write after it')).toMatchObject({ name: 'b' })
    expect(await namesOf(prisma)).toEqual(['b'])
  })
})

describe('a nested transaction', () => {
  it('is kept with the one around it', async () => {
    const { prisma } = await subject()
    await prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      await tx.$transaction(async (nested) => {
        await nested.tag.create(tag('b'))
        expect(await namesOf(nested)).toEqual(['a', 'b'])
      })
      await tx.tag.create(tag('c'))
    })
    expect(await namesOf(prisma)).toEqual(['a', 'b', 'c'])
  })

  it('is undone alone when it throws', async () => {
    const { prisma } = await subject()
    const mine = new Error('mine')
    await prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      const nested = tx.$transaction(async (inner) => {
        await inner.tag.create(tag('b'))
        throw mine
      })
      expect(await rejection(nested)).toBe(mine)
      expect(await namesOf(tx)).toEqual(['a'])
      await tx.tag.create(tag('c'))
    })
    expect(await namesOf(prisma)).toEqual(['a', 'c'])
  })

  it('is undone with the one around it', async () => {
    const { prisma } = await subject()
    const outer = prisma.$transaction(async (tx) => {
      await tx.$transaction((nested) => nested.tag.create(tag('a')))
      throw new Error('outer')
    })
    expect(await rejection(outer)).toMatchObject({ message: 'outer' })
    expect(await namesOf(prisma)).toEqual([])
  })

  it('may hold others, each undone or kept by itself', async () => {
    const { prisma } = await subject()
    await prisma.$transaction(async (tx) => {
      await tx.$transaction(async (one) => {
        await one.tag.create(tag('a'))
        await rejection(
          one.$transaction(async (two) => {
            await two.tag.create(tag('b'))
            await two.$transaction((three) => three.tag.create(tag('c')))
            throw new Error('two')
          }),
        )
        await one.$transaction((again) => again.tag.create(tag('d')))
      })
    })
    expect(await namesOf(prisma)).toEqual(['a', 'd'])
  })
})

describe('a list of queries', () => {
  it('runs as one transaction, in order', async () => {
    const { prisma } = await subject()
    const results = await prisma.$transaction([prisma.tag.create(tag('a')), prisma.tag.count(), prisma.$queryRaw`SELECT name FROM Tag`])
    expect(results).toEqual([{ id: 1, name: 'a' }, 1, [{ name: 'a' }]])
  })

  it('is undone when one of them fails', async () => {
    const { prisma } = await subject()
    const failed = prisma.$transaction([prisma.tag.create(tag('a')), prisma.tag.create(tag('a'))])
    expect(await rejection(failed)).toMatchObject({ code: 'P2002' })
    expect(await namesOf(prisma)).toEqual([])
  })

  it('runs beside others, each all or nothing', async () => {
    const { prisma } = await subject()
    await prisma.tag.create(tag('taken'))
    const pair = (index: number): Promise<unknown> =>
      prisma.$transaction([prisma.tag.create(tag(`${index}`)), prisma.tag.create(tag(index % 2 === 0 ? `${index}b` : 'taken'))])
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, (_, index) => pair(index)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(20)
    expect(await prisma.tag.count()).toBe(1 + 20 * 2)
  })
})

describe('in memory, where reads and writes take turns', () => {
  it('a transaction keeps reads outside waiting, and commits', async () => {
    const { prisma, db } = await subject({ path: ':memory:' })
    let outside: Promise<number> | undefined
    await prisma.$transaction(async (tx) => {
      await tx.tag.create(tag('a'))
      outside = prisma.tag.count()
      void outside.catch(() => {})
      await until(() => db.status().readers.waiting + db.status().queued > 0, 'the read outside waits')
      expect(await tx.tag.count()).toBe(1)
    })
    expect(await outside).toBe(1)
  })
})
