// The shop with drizzle.
import { readFile } from 'node:fs/promises'
import { and, asc, desc, eq, gte, notExists, relations, sql } from 'drizzle-orm'
import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { drizzle } from 'sluice/drizzle'
import { migrate } from 'sluice/drizzle/migrator'

import { ShopError } from './errors.mjs'

const customers = sqliteTable('customers', {
  id: integer().primaryKey(),
  name: text().notNull(),
  email: text().notNull().unique(),
})

const products = sqliteTable('products', {
  id: integer().primaryKey(),
  name: text().notNull().unique(),
  priceCents: integer().notNull(),
  stock: integer().notNull(),
})

const orders = sqliteTable('orders', {
  id: integer().primaryKey(),
  customerId: integer().notNull().references(() => customers.id),
  placedAt: text().notNull(),
  totalCents: integer().notNull(),
})

const orderItems = sqliteTable(
  'order_items',
  {
    orderId: integer().notNull().references(() => orders.id),
    productId: integer().notNull().references(() => products.id),
    quantity: integer().notNull(),
    priceCents: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.productId] })],
)

const ordersRelations = relations(orders, ({ one, many }) => ({
  customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
  items: many(orderItems),
}))

const orderItemsRelations = relations(orderItems, ({ one }) => ({
  order: one(orders, { fields: [orderItems.orderId], references: [orders.id] }),
  product: one(products, { fields: [orderItems.productId], references: [products.id] }),
}))

const schema = { customers, products, orders, orderItems, ordersRelations, orderItemsRelations }

/** Makes the tables, once, however often the shop is opened. */
async function createTables(db) {
  const text = await readFile(new URL('schema.sql', import.meta.url), 'utf8')
  const journal = { entries: [{ idx: 0, when: Date.UTC(2026, 0, 1), tag: '0000_shop', breakpoints: false }] }
  await migrate(db, { journal, migrations: { m0000: text } })
}

/** Takes a quantity of a product off the shelf, and returns what one costs. */
async function takeFromStock(tx, { productId, quantity }) {
  const taken = await tx
    .update(products)
    .set({ stock: sql`${products.stock} - ${quantity}` })
    .where(and(eq(products.id, productId), gte(products.stock, quantity)))
    .returning({ priceCents: products.priceCents })
    .get()
  if (taken !== undefined) return taken.priceCents
  const isSold = (await tx.$count(products, eq(products.id, productId))) > 0
  if (!isSold) throw new ShopError('NO_SUCH_PRODUCT', `there is no product ${productId}`)
  throw new ShopError('OUT_OF_STOCK', `there are not ${quantity} of product ${productId}`)
}

/** Opens the shop at a path. */
export async function openShop(path) {
  const db = drizzle(path, { schema, casing: 'snake_case' })
  await createTables(db)

  return {
    async addCustomer({ name, email }) {
      try {
        const { id } = await db.insert(customers).values({ name, email }).returning({ id: customers.id }).get()
        return id
      } catch (error) {
        if (error.cause?.code !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
        throw new ShopError('EMAIL_TAKEN', `${email} is taken`, { cause: error })
      }
    },

    async addProduct({ name, priceCents, stock }) {
      const { id } = await db.insert(products).values({ name, priceCents, stock }).returning({ id: products.id }).get()
      return id
    },

    placeOrder(customerId, items, placedAt) {
      return db.transaction(async (tx) => {
        const isKnown = (await tx.$count(customers, eq(customers.id, customerId))) > 0
        if (!isKnown) throw new ShopError('NO_SUCH_CUSTOMER', `there is no customer ${customerId}`)
        const lines = []
        for (const item of items) lines.push({ ...item, priceCents: await takeFromStock(tx, item) })
        const totalCents = lines.reduce((sum, { quantity, priceCents }) => sum + quantity * priceCents, 0)
        const { orderId } = await tx.insert(orders).values({ customerId, placedAt, totalCents }).returning({ orderId: orders.id }).get()
        const rows = lines.map(({ productId, quantity, priceCents }) => ({ orderId, productId, quantity, priceCents }))
        await tx.insert(orderItems).values(rows)
        return { orderId, totalCents }
      })
    },

    async orderOf(orderId) {
      const order = await db.query.orders.findFirst({
        columns: { id: true, placedAt: true, totalCents: true },
        with: {
          customer: { columns: { name: true } },
          items: { columns: { quantity: true, priceCents: true }, with: { product: { columns: { name: true } } } },
        },
        where: eq(orders.id, orderId),
      })
      if (order === undefined) return undefined
      const items = order.items.map(({ product, quantity, priceCents }) => ({ product: product.name, quantity, priceCents }))
      items.sort((a, b) => (a.product < b.product ? -1 : 1))
      return { id: order.id, customer: order.customer.name, placedAt: order.placedAt, totalCents: order.totalCents, items }
    },

    bestSellers(limit) {
      return db
        .select({
          product: products.name,
          sold: sql`sum(${orderItems.quantity})`.mapWith(Number).as('sold'),
          revenueCents: sql`sum(${orderItems.quantity} * ${orderItems.priceCents})`.mapWith(Number),
        })
        .from(orderItems)
        .innerJoin(products, eq(products.id, orderItems.productId))
        .groupBy(products.id)
        .orderBy(desc(sql`sold`), asc(products.name))
        .limit(limit)
    },

    async customersWithoutOrders() {
      const ordersOfCustomer = db.select({ id: orders.id }).from(orders).where(eq(orders.customerId, customers.id))
      const rows = await db.select({ name: customers.name }).from(customers).where(notExists(ordersOfCustomer)).orderBy(customers.name)
      return rows.map(({ name }) => name)
    },

    stock() {
      return db.select({ product: products.name, stock: products.stock }).from(products).orderBy(products.name)
    },

    close() {
      return db.$client.close()
    },
  }
}
