// The shop with Prisma.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { open } from 'sluice'
import { SluicePrismaAdapter } from 'sluice/prisma'

import { ShopError } from './errors.mjs'

/** The turn of a transaction comes after those of all before it, and hundreds may be. */
const PATIENCE = { maxWait: 60_000, timeout: 60_000 }

/** Loads the client, and generates it first if that has not been done: an application has `prisma generate` in its build. */
async function loadClient() {
  const client = new URL('../../node_modules/.cache/sluice/shop-client/index.js', import.meta.url)
  if (!existsSync(client)) await generateClient()
  return import(client.href)
}

async function generateClient() {
  const prisma = fileURLToPath(new URL('build/index.js', import.meta.resolve('prisma/package.json')))
  const schema = fileURLToPath(new URL('schema.prisma', import.meta.url))
  // Prisma looks for the program that makes migrations, and would download it. Generating does without: any program will do.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath }
  await promisify(execFile)(process.execPath, [prisma, 'generate', '--schema', schema], { env })
}

/** Takes a quantity of a product off the shelf, and returns what one costs. */
async function takeFromStock(tx, { productId, quantity }) {
  const [taken] = await tx.product.updateManyAndReturn({
    where: { id: productId, stock: { gte: quantity } },
    data: { stock: { decrement: quantity } },
  })
  if (taken !== undefined) return taken.priceCents
  const isSold = (await tx.product.count({ where: { id: productId } })) > 0
  if (!isSold) throw new ShopError('NO_SUCH_PRODUCT', `there is no product ${productId}`)
  throw new ShopError('OUT_OF_STOCK', `there are not ${quantity} of product ${productId}`)
}

/** Opens the shop at a path. */
export async function openShop(path) {
  const { PrismaClient } = await loadClient()
  const client = await open(path)
  await client.exec(await readFile(new URL('schema.sql', import.meta.url), 'utf8'))
  const prisma = new PrismaClient({ adapter: new SluicePrismaAdapter({ client }), transactionOptions: PATIENCE })

  return {
    async addCustomer({ name, email }) {
      try {
        const { id } = await prisma.customer.create({ data: { name, email } })
        return id
      } catch (error) {
        if (error.code !== 'P2002') throw error
        throw new ShopError('EMAIL_TAKEN', `${email} is taken`, { cause: error })
      }
    },

    async addProduct({ name, priceCents, stock }) {
      const { id } = await prisma.product.create({ data: { name, priceCents, stock } })
      return id
    },

    placeOrder(customerId, items, placedAt) {
      return prisma.$transaction(async (tx) => {
        const isKnown = (await tx.customer.count({ where: { id: customerId } })) > 0
        if (!isKnown) throw new ShopError('NO_SUCH_CUSTOMER', `there is no customer ${customerId}`)
        const lines = []
        for (const item of items) lines.push({ ...item, priceCents: await takeFromStock(tx, item) })
        const totalCents = lines.reduce((sum, { quantity, priceCents }) => sum + quantity * priceCents, 0)
        const order = await tx.order.create({ data: { customerId, placedAt, totalCents, items: { createMany: { data: lines } } } })
        return { orderId: order.id, totalCents }
      })
    },

    async orderOf(orderId) {
      const order = await prisma.order.findUnique({
        where: { id: orderId },
        include: { customer: true, items: { include: { product: true }, orderBy: { product: { name: 'asc' } } } },
      })
      if (order === null) return undefined
      const items = order.items.map(({ product, quantity, priceCents }) => ({ product: product.name, quantity, priceCents }))
      return { id: order.id, customer: order.customer.name, placedAt: order.placedAt, totalCents: order.totalCents, items }
    },

    // `groupBy` adds up columns, and not what is calculated of them. A sum may be beyond 2^53, so that Prisma makes a bigint of it.
    async bestSellers(limit) {
      const rows = await prisma.$queryRaw`
        SELECT products.name AS product, sum(quantity) AS sold, sum(quantity * order_items.price_cents) AS revenueCents
        FROM order_items JOIN products ON products.id = product_id
        GROUP BY product_id ORDER BY sold DESC, product LIMIT ${limit}`
      return rows.map(({ product, sold, revenueCents }) => ({ product, sold: Number(sold), revenueCents: Number(revenueCents) }))
    },

    async customersWithoutOrders() {
      const found = await prisma.customer.findMany({ where: { orders: { none: {} } }, orderBy: { name: 'asc' } })
      return found.map(({ name }) => name)
    },

    async stock() {
      const products = await prisma.product.findMany({ orderBy: { name: 'asc' } })
      return products.map(({ name, stock }) => ({ product: name, stock }))
    },

    async close() {
      await prisma.$disconnect()
      await client.close()
    },
  }
}
