import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3'
import { pragmaTexts } from '../settings.mjs'
import { callsOf, clientOn } from './prisma.mjs'

/** @type {import('../peer.mjs').Peer} */
export default {
  name: 'prisma on better-sqlite3',
  // The adapter asks for version 12, whose statements end the process on Node 24 when they are collected; 13 serves it as well.
  packageName: 'better-sqlite3',
  leastNode: 22,
  // Its calls return promises, of work that is done on the calling thread.
  synchronous: false,

  async open(path, settings) {
    const prisma = await clientOn(new PrismaBetterSqlite3({ url: `file:${path}` }))
    for (const text of pragmaTexts(settings)) await prisma.$queryRawUnsafe(text)
    const calls = callsOf(prisma)
    return { prepare: (name) => calls[name] ?? (() => rowsOf(prisma, name)), close: () => prisma.$disconnect() }
  },
}

/** Runs a text. Prisma makes a bigint of a count; the other driver's rows have numbers. */
async function rowsOf(prisma, sql) {
  const rows = await prisma.$queryRawUnsafe(sql)
  const plain = (value) => (typeof value === 'bigint' ? Number(value) : value)
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])))
}
