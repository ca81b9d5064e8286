// What Prisma does on either driver.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ADD_VISIT, FIND_CITY } from '../workloads/orm.mjs'

const CLIENT = new URL('../../node_modules/.cache/sluice/bench-client/index.js', import.meta.url)

/** Makes a client on an adapter. The client is generated when it is first needed. */
export async function clientOn(adapter) {
  if (!existsSync(CLIENT)) generate()
  const { PrismaClient } = await import(CLIENT.href)
  return new PrismaClient({ adapter })
}

function generate() {
  const prisma = fileURLToPath(new URL('build/index.js', import.meta.resolve('prisma/package.json')))
  const schema = fileURLToPath(new URL('../prisma/schema.prisma', import.meta.url))
  // Prisma would download the program that makes migrations, which generating does without.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath }
  execFileSync(process.execPath, [prisma, 'generate', '--schema', schema], { env, stdio: 'ignore' })
}

/** Makes the calls of the workloads, by name. */
export function callsOf(prisma) {
  return {
    // Of `findUnique` it makes one query of all that are asked for at the same time, on any driver.
    [FIND_CITY]: ([id]) => prisma.city.findFirst({ where: { id } }),
    [ADD_VISIT]: ([city, at, note]) => prisma.visit.create({ data: { city, at, note } }),
  }
}
