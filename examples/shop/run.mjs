// Runs a day in the shop, and prints what happened.
//
//   node examples/shop/run.mjs raw
//   node examples/shop/run.mjs drizzle
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { runScenario } from './scenario.mjs'

const VARIANTS = ['raw', 'drizzle', 'kysely', 'prisma']

const [variant] = process.argv.slice(2)
if (!VARIANTS.includes(variant)) {
  console.error(`usage: node examples/shop/run.mjs <${VARIANTS.join('|')}>`)
  process.exit(2)
}

const { openShop } = await import(`./${variant}.mjs`)
const folder = await mkdtemp(join(tmpdir(), 'shop-'))
try {
  const shop = await openShop(join(folder, 'shop.db'))
  try {
    console.log(JSON.stringify(await runScenario(shop), null, 2))
  } finally {
    await shop.close()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
