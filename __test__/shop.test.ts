import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const TIMEOUT_MS = 60_000

const VARIANTS = ['raw', 'drizzle', 'kysely', 'prisma']

/** Runs a day in the shop as a user would, and returns what it prints. */
async function dayIn(variant: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['examples/shop/run.mjs', variant], { timeout: TIMEOUT_MS })
  return JSON.parse(stdout)
}

/** Of 80 orders for each product, as many succeed as there are things: 25, 40, 60, 10 and 80. */
const ANSWER = {
  rush: { accepted: 215, refused: { OUT_OF_STOCK: 185 }, revenueCents: 25 * 12_900 + 40 * 4_950 + 60 * 1_250 + 10 * 8_000 + 80 * 250_000, orderNumbers: 215 },
  mistakes: { refusals: ['EMAIL_TAKEN', 'OUT_OF_STOCK', 'NO_SUCH_CUSTOMER', 'NO_SUCH_PRODUCT'], leftNothingBehind: true },
  order: {
    customer: 'Customer 03',
    placedAt: '2026-01-31T10:00:00.000Z',
    totalCents: 750_000,
    items: [{ product: 'Engine', quantity: 3, priceCents: 250_000 }],
  },
  isTheOrder: true,
  noOrder: null,
  bestSellers: [
    { product: 'Engine', sold: 83, revenueCents: 83 * 250_000 },
    { product: 'Chisel', sold: 60, revenueCents: 60 * 1_250 },
    { product: 'Bellows', sold: 40, revenueCents: 40 * 4_950 },
  ],
  withoutOrders: ['Wilma', 'Xaver', 'Yoko'],
  stock: [
    { product: 'Anvil', stock: 0 },
    { product: 'Bellows', stock: 0 },
    { product: 'Chisel', stock: 0 },
    { product: 'Drill', stock: 0 },
    { product: 'Engine', stock: 917 },
  ],
}

describe('the shop', () => {
  it.each(VARIANTS)('has the same day with %s', { timeout: TIMEOUT_MS }, async (variant) => {
    expect(await dayIn(variant)).toEqual(ANSWER)
  })

  it('says how it is run', async () => {
    const call = promisify(execFile)(process.execPath, ['examples/shop/run.mjs', 'abacus'])
    await expect(call).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('raw|drizzle|kysely|prisma') })
  })
})
