// Handles two orders in a shop, and prints the spans of that as a tree.
//
//   node examples/opentelemetry/main.mjs
//   node examples/opentelemetry/main.mjs --json
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { context, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { open } from 'sluice'
import { ChannelContextManager } from './contexts.mjs'
import { printSpans, spanFacts } from './print.mjs'
import { traceSluice } from './spans.mjs'

const exporter = new InMemorySpanExporter()
const contextManager = new ChannelContextManager()
context.setGlobalContextManager(contextManager)
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))

const tracer = trace.getTracer('shop')
const stop = traceSluice(trace.getTracer('sluice'), contextManager.storage)

/** Runs `body` in a span of the application. */
async function inSpan(name, body) {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await body()
    } finally {
      span.end()
    }
  })
}

async function order(db, email, articles) {
  const customer = await db.get('SELECT id FROM customers WHERE email = ?', [email])
  return db.transaction(async (tx) => {
    const { lastInsertRowid } = await tx.run('INSERT INTO orders (customer) VALUES (?)', [customer?.id])
    for (const article of articles) await tx.run('INSERT INTO items (order_id, article) VALUES (?, ?)', [lastInsertRowid, article])
    return lastInsertRowid
  })
}

async function shop(db) {
  await inSpan('set up', async () => {
    await db.exec(`
      CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
      CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers);
      CREATE TABLE items (order_id INTEGER NOT NULL REFERENCES orders, article TEXT NOT NULL);
      INSERT INTO customers (email) VALUES ('ada@example.com')`)
  })
  await inSpan('POST /orders', () => order(db, 'ada@example.com', ['a very private article', 'another one']))
  // Nobody has this address: the order has no customer, and is rolled back.
  await inSpan('POST /orders', () => order(db, 'grace@example.com', []).catch(() => {}))
  await inSpan('GET /report', async () => {
    await db.batch([{ sql: 'DELETE FROM items WHERE article = ?', params: ['nothing'] }, 'SELECT count(*) AS n FROM items'])
    await db.read((r) => Promise.all([r.get('SELECT count(*) AS n FROM orders'), r.get('SELECT count(*) AS n FROM items')]))
    for await (const _ of db.iterate('SELECT article FROM items', [], { chunkRows: 1 })) continue
  })
}

const folder = await mkdtemp(join(tmpdir(), 'sluice-spans-'))
try {
  const db = await open(join(folder, 'shop.db'))
  try {
    await shop(db)
  } finally {
    await db.close()
  }
} finally {
  stop()
  await rm(folder, { recursive: true })
}

const spans = exporter.getFinishedSpans()
if (process.argv.includes('--json')) console.log(JSON.stringify(spans.map(spanFacts), null, 2))
else printSpans(spans)
