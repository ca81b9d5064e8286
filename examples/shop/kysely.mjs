// The shop with Kysely.
import { readFile } from 'node:fs/promises'
import { Kysely, ParseJSONResultsPlugin, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/sqlite'
import { open } from 'sluice'
import { SluiceDialect } from 'sluice/kysely'

import { ShopError } from './errors.mjs'

/** Opens the file and makes the tables, once, however often the shop is opened. */
async function openWithTables(path) {
  const database = await open(path)
  const schema = await readFile(new URL('schema.sql', import.meta.url), 'utf8')
  await database.writeMode((only) => only.transaction(async (tx) => {
    const isThere = (await tx.get(`SELECT 1 FROM sqlite_schema WHERE name = 'order_items'`)) !== undefined
    if (!isThere) await tx.exec(schema)
  }))
  return database
}

/** Takes a quantity of a product off the shelf, and returns the line of the order. */
async function takeFromStock(trx, { productId, quantity }) {
  const taken = await trx
    .updateTable('products')
    .set((eb) => ({ stock: eb('stock', '-', quantity) }))
    .where('id', '=', productId)
    .where('stock', '>=', quantity)
    .returning('price_cents')
    .executeTakeFirst()
  if (taken !== undefined) return { product_id: productId, quantity, price_cents: taken.price_cents }
  const known = await trx.selectFrom('products').select('id').where('id', '=', productId).executeTakeFirst()
  if (known === undefined) throw new ShopError('NO_SUCH_PRODUCT', `there is no product ${productId}`)
  throw new ShopError('OUT_OF_STOCK', `there are not ${quantity} of product ${productId}`)
}

/** Writes an order and its lines. */
async function placeOrder(trx, customerId, items, placedAt) {
  const known = await trx.selectFrom('customers').select('id').where('id', '=', customerId).executeTakeFirst()
  if (known === undefined) throw new ShopError('NO_SUCH_CUSTOMER', `there is no customer ${customerId}`)
  const lines = []
  for (const item of items) lines.push(await takeFromStock(trx, item))
  const totalCents = lines.reduce((sum, line) => sum + line.quantity * line.price_cents, 0)
  const { id: orderId } = await trx
    .insertInto('orders')
    .values({ customer_id: customerId, placed_at: placedAt, total_cents: totalCents })
    .returning('id')
    .executeTakeFirstOrThrow()
  await trx.insertInto('order_items').values(lines.map((line) => Object.assign(line, { order_id: orderId }))).execute()
  return { orderId, totalCents }
}

/** The order with its customer's name, and its lines as JSON. */
function orderWithItems(db, orderId) {
  return db
    .selectFrom('orders')
    .innerJoin('customers', 'customers.id', 'orders.customer_id')
    .where('orders.id', '=', orderId)
    .select((eb) => [
      'orders.id',
      'customers.name as customer',
      'placed_at as placedAt',
      'total_cents as totalCents',
      jsonArrayFrom(
        eb
          .selectFrom('order_items')
          .innerJoin('products', 'products.id', 'order_items.product_id')
          .whereRef('order_id', '=', 'orders.id')
          .orderBy('products.name')
          .select(['products.name as product', 'quantity', 'order_items.price_cents as priceCents']),
      ).as('items'),
    ])
}

/** Opens the shop at a path. */
export async function openShop(path) {
  const database = await openWithTables(path)
  const db = new Kysely({ dialect: new SluiceDialect({ database }), plugins: [new ParseJSONResultsPlugin()] })

  return {
    async addCustomer({ name, email }) {
      try {
        const { id } = await db.insertInto('customers').values({ name, email }).returning('id').executeTakeFirstOrThrow()
        return id
      } catch (error) {
        if (error.code !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
        throw new ShopError('EMAIL_TAKEN', `${email} is taken`, { cause: error })
      }
    },

    async addProduct({ name, priceCents, stock }) {
      const row = { name, price_cents: priceCents, stock }
      const { id } = await db.insertInto('products').values(row).returning('id').executeTakeFirstOrThrow()
      return id
    },

    placeOrder: (customerId, items, placedAt) => db.transaction().execute((trx) => placeOrder(trx, customerId, items, placedAt)),

    orderOf: (orderId) => orderWithItems(db, orderId).executeTakeFirst(),

    bestSellers: (limit) =>
      db
        .selectFrom('order_items')
        .innerJoin('products', 'products.id', 'order_items.product_id')
        .select((eb) => [
          'products.name as product',
          eb.fn.sum('quantity').as('sold'),
          sql`sum(quantity * order_items.price_cents)`.as('revenueCents'),
        ])
        .groupBy('products.id')
        .orderBy('sold', 'desc')
        .orderBy('product')
        .limit(limit)
        .execute(),

    async customersWithoutOrders() {
      const rows = await db
        .selectFrom('customers')
        .select('name')
        .where(({ not, exists, selectFrom }) => not(exists(selectFrom('orders').select('id').whereRef('customer_id', '=', 'customers.id'))))
        .orderBy('name')
        .execute()
      return rows.map(({ name }) => name)
    },

    stock: () => db.selectFrom('products').select(['name as product', 'stock']).orderBy('name').execute(),

    close: () => db.destroy(),
  }
}
