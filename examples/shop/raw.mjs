// The shop with the driver alone.
import { readFile } from 'node:fs/promises'
import { SqliteError, open } from 'sluice'

import { ShopError } from './errors.mjs'

const TAKE = 'UPDATE products SET stock = stock - :quantity WHERE id = :productId AND stock >= :quantity RETURNING price_cents AS priceCents'
const BEST_SELLERS = `
  SELECT products.name AS product, sum(quantity) AS sold, sum(quantity * order_items.price_cents) AS revenueCents
  FROM order_items JOIN products ON products.id = product_id
  GROUP BY product_id ORDER BY sold DESC, product LIMIT ?`
const WITHOUT_ORDERS = 'SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders) ORDER BY name'

/** Takes a quantity of a product off the shelf, and returns what one costs. */
async function takeFromStock(tx, item) {
  const { rows } = await tx.execute(TAKE, item)
  if (rows.length > 0) return rows[0].priceCents
  const isSold = (await tx.get('SELECT 1 FROM products WHERE id = ?', [item.productId])) !== undefined
  if (!isSold) throw new ShopError('NO_SUCH_PRODUCT', `there is no product ${item.productId}`)
  throw new ShopError('OUT_OF_STOCK', `there are not ${item.quantity} of product ${item.productId}`)
}

/** Opens the shop at a path. */
export async function openShop(path) {
  const db = await open(path)
  await db.exec(await readFile(new URL('schema.sql', import.meta.url), 'utf8'))

  return {
    async addCustomer({ name, email }) {
      try {
        const { lastInsertRowid } = await db.run('INSERT INTO customers (name, email) VALUES (?, ?)', [name, email])
        return lastInsertRowid
      } catch (error) {
        if (!(error instanceof SqliteError) || error.code !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
        throw new ShopError('EMAIL_TAKEN', `${email} is taken`, { cause: error })
      }
    },

    async addProduct(product) {
      const { lastInsertRowid } = await db.run('INSERT INTO products (name, price_cents, stock) VALUES (:name, :priceCents, :stock)', product)
      return lastInsertRowid
    },

    placeOrder(customerId, items, placedAt) {
      return db.transaction(async (tx) => {
        const customer = await tx.get('SELECT 1 FROM customers WHERE id = ?', [customerId])
        if (customer === undefined) throw new ShopError('NO_SUCH_CUSTOMER', `there is no customer ${customerId}`)
        const lines = []
        for (const item of items) lines.push({ ...item, priceCents: await takeFromStock(tx, item) })
        const totalCents = lines.reduce((sum, { quantity, priceCents }) => sum + quantity * priceCents, 0)
        const order = await tx.run('INSERT INTO orders (customer_id, placed_at, total_cents) VALUES (?, ?, ?)', [customerId, placedAt, totalCents])
        const orderId = order.lastInsertRowid
        const insert = tx.prepare('INSERT INTO order_items VALUES (:orderId, :productId, :quantity, :priceCents)')
        await Promise.all(lines.map((line) => insert.run({ orderId, ...line })))
        return { orderId, totalCents }
      })
    },

    // The order and its items are of one moment.
    orderOf(orderId) {
      return db.read(async (r) => {
        const order = await r.get(
          `SELECT orders.id, customers.name AS customer, placed_at AS placedAt, total_cents AS totalCents
           FROM orders JOIN customers ON customers.id = customer_id WHERE orders.id = ?`,
          [orderId],
        )
        if (order === undefined) return undefined
        const items = await r.all(
          `SELECT products.name AS product, quantity, order_items.price_cents AS priceCents
           FROM order_items JOIN products ON products.id = product_id WHERE order_id = ? ORDER BY product`,
          [orderId],
        )
        return { ...order, items }
      })
    },

    bestSellers: (limit) => db.all(BEST_SELLERS, [limit]),
    customersWithoutOrders: () => db.pluck(WITHOUT_ORDERS),
    stock: () => db.all('SELECT name AS product, stock FROM products ORDER BY name'),
    close: () => db.close(),
  }
}
