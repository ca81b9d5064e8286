// A day in the shop: the same for each way to write it, with one answer.
import { ShopError } from './errors.mjs'

const PRODUCTS = [
  { name: 'Anvil', priceCents: 12_900, stock: 25 },
  { name: 'Bellows', priceCents: 4_950, stock: 40 },
  { name: 'Chisel', priceCents: 1_250, stock: 60 },
  { name: 'Drill', priceCents: 8_000, stock: 10 },
  { name: 'Engine', priceCents: 250_000, stock: 1_000 },
]
const CUSTOMERS = 20
/** Those who only look. */
const LOOKERS = ['Wilma', 'Xaver', 'Yoko']
/** How many orders for one thing are placed at the same time: more than there are things, but for engines. */
const RUSH = 400
const DAY = '2026-01-31'

/** Returns the outcome of something that the shop may refuse. */
async function outcomeOf(call) {
  try {
    return { done: await call }
  } catch (error) {
    if (error instanceof ShopError) return { refused: error.code }
    throw error
  }
}

/** Counts how often each value occurs, by value. */
function tally(values) {
  const counts = {}
  for (const value of values.sort()) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

function minute(number) {
  return `${DAY}T${String(Math.floor(number / 60)).padStart(2, '0')}:${String(number % 60).padStart(2, '0')}:00.000Z`
}

async function openDoors(shop) {
  const customers = []
  for (let number = 1; number <= CUSTOMERS; number++) {
    customers.push(await shop.addCustomer({ name: `Customer ${String(number).padStart(2, '0')}`, email: `${number}@example.com` }))
  }
  for (const name of LOOKERS) await shop.addCustomer({ name, email: `${name.toLowerCase()}@example.com` })
  const products = []
  for (const product of PRODUCTS) products.push(await shop.addProduct(product))
  return { customers, products }
}

/** Everybody wants one thing, all at once. Who gets the last ones is left open; how many do is not. */
async function rush(shop, { customers, products }) {
  const orders = Array.from({ length: RUSH }, (_, number) => ({
    customer: customers[number % customers.length],
    product: products[number % products.length],
    at: minute(number),
  }))
  const outcomes = await Promise.all(
    orders.map(({ customer, product, at }) => outcomeOf(shop.placeOrder(customer, [{ productId: product, quantity: 1 }], at))),
  )
  const taken = outcomes.flatMap(({ done }) => (done === undefined ? [] : [done]))
  return {
    accepted: taken.length,
    refused: tally(outcomes.flatMap(({ refused }) => refused ?? [])),
    revenueCents: taken.reduce((sum, { totalCents }) => sum + totalCents, 0),
    orderNumbers: new Set(taken.map(({ orderId }) => orderId)).size,
  }
}

/** What the shop refuses leaves nothing behind. */
async function mistakes(shop, { customers, products }) {
  const [anvil, , , , engine] = products
  const before = await shop.stock()
  const refusals = []
  for (const call of [
    () => shop.addCustomer({ name: 'Somebody else', email: '1@example.com' }),
    () => shop.placeOrder(customers[0], [{ productId: engine, quantity: 2 }, { productId: anvil, quantity: 1 }], minute(500)),
    () => shop.placeOrder(-1, [{ productId: engine, quantity: 1 }], minute(501)),
    () => shop.placeOrder(customers[0], [{ productId: engine, quantity: 1 }, { productId: 4_711, quantity: 1 }], minute(502)),
  ]) {
    refusals.push((await outcomeOf(call())).refused)
  }
  return { refusals, leftNothingBehind: JSON.stringify(before) === JSON.stringify(await shop.stock()) }
}

/**
 * Runs the day in a shop that is open and empty.
 *
 * @returns what happened, as JSON: the same for every way to write the shop
 */
export async function runScenario(shop) {
  const doors = await openDoors(shop)
  const rushed = await rush(shop, doors)
  const refused = await mistakes(shop, doors)
  const [, , , , engine] = doors.products
  const large = await shop.placeOrder(doors.customers[2], [{ productId: engine, quantity: 3 }], minute(600))
  const { id, ...order } = await shop.orderOf(large.orderId)
  return {
    rush: rushed,
    mistakes: refused,
    order,
    isTheOrder: id === large.orderId,
    noOrder: (await shop.orderOf(1_000_000)) ?? null,
    bestSellers: await shop.bestSellers(3),
    withoutOrders: await shop.customersWithoutOrders(),
    stock: await shop.stock(),
  }
}
