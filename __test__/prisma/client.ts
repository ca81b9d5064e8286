import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { onTestFinished } from 'vitest'

import { connect } from 'sluice'
import type { Database, OpenOptions } from 'sluice'
import { SluicePrismaAdapter } from 'sluice/prisma'
import type { SluicePrismaOptions } from 'sluice/prisma'
import { scratchPath } from '../support/scratch.js'

/** What every model of a client can do. The generated types are made at test time, so that they cannot be checked against. */
export interface Model {
  create(query: object): Promise<Row>
  createMany(query: object): Promise<{ count: number }>
  createManyAndReturn(query: object): Promise<Row[]>
  findMany(query?: object): Promise<Row[]>
  findFirst(query?: object): Promise<Row | null>
  findUnique(query: object): Promise<Row | null>
  findUniqueOrThrow(query: object): Promise<Row>
  update(query: object): Promise<Row>
  updateMany(query: object): Promise<{ count: number }>
  updateManyAndReturn(query: object): Promise<Row[]>
  upsert(query: object): Promise<Row>
  delete(query: object): Promise<Row>
  deleteMany(query?: object): Promise<{ count: number }>
  count(query?: object): Promise<number>
  aggregate(query: object): Promise<Row>
  groupBy(query: object): Promise<Row[]>
}

/** A record as Prisma returns it. */
export type Row = Record<string, unknown>

/** What a client can do, in a transaction and outside. */
export interface Queries {
  readonly user: Model
  readonly profile: Model
  readonly post: Model
  readonly tag: Model
  readonly seat: Model
  readonly sample: Model
  readonly missing: Model
  $queryRaw(strings: TemplateStringsArray, ...values: unknown[]): Promise<Row[]>
  $queryRawUnsafe(sql: string, ...values: unknown[]): Promise<Row[]>
  $executeRaw(strings: TemplateStringsArray, ...values: unknown[]): Promise<number>
  $executeRawUnsafe(sql: string, ...values: unknown[]): Promise<number>
  $transaction<R>(callback: (tx: Queries) => Promise<R>, options?: TransactionLimits): Promise<R>
}

/** Limits of a transaction, in milliseconds. */
export interface TransactionLimits {
  readonly maxWait?: number
  readonly timeout?: number
  readonly isolationLevel?: string
}

/** A generated client. */
export interface Client extends Queries {
  $transaction<R>(callback: (tx: Queries) => Promise<R>, options?: TransactionLimits): Promise<R>
  $transaction(queries: readonly Promise<unknown>[], options?: TransactionLimits): Promise<unknown[]>
  $connect(): Promise<void>
  $disconnect(): Promise<void>
  $on(event: string, callback: (event: { query: string; params: string }) => void): void
}

/** Options of a generated client. */
export interface ClientOptions {
  readonly adapter: SluicePrismaAdapter
  readonly log?: readonly object[]
  readonly transactionOptions?: TransactionLimits
}

/** What the generated module exports. */
export interface Generated {
  readonly PrismaClient: new (options: ClientOptions) => Client
  readonly Prisma: {
    readonly Decimal: new (text: string) => object
    readonly JsonNull: object
    sql(strings: TemplateStringsArray, ...values: unknown[]): unknown
    join(values: readonly unknown[]): unknown
  }
}

const SCHEMA = '__test__/prisma/schema.prisma'
const TABLES: string = readFileSync('__test__/prisma/tables.sql', 'utf8')
const CACHE = 'node_modules/.cache/sluice/prisma'

/** Generates the client of a schema, once for all tests, and returns the path of the module that it was made one of. */
export async function generate(schema: string = SCHEMA): Promise<string> {
  const folder = join(CACHE, fingerprint(schema))
  const module = resolve(folder, 'client.mjs')
  if (existsSync(module)) return module
  mkdirSync(CACHE, { recursive: true })
  // Others may be doing the same: what is in its place is complete.
  const work = mkdtempSync(`${folder}-`)
  await runPrisma(schema, resolve(work))
  await bundle(join(work, 'generated', 'client.ts'), join(work, 'client.mjs'))
  try {
    renameSync(work, folder)
  } catch (error) {
    if (!existsSync(module)) throw error
    rmSync(work, { recursive: true, force: true })
  }
  return module
}

function fingerprint(schema: string): string {
  const { version } = JSON.parse(readFileSync('node_modules/prisma/package.json', 'utf8')) as { version: string }
  return createHash('sha256').update(version).update(readFileSync(schema)).digest('hex').slice(0, 16)
}

async function runPrisma(schema: string, folder: string): Promise<void> {
  const copy = join(folder, 'schema.prisma')
  copyFileSync(schema, copy)
  // Prisma asks for the binary of its migrations, which it does not need for this: any program will do.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' }
  await promisify(execFile)(process.execPath, [resolve('node_modules/prisma/build/index.js'), 'generate', '--schema', copy], { env })
}

/** What Prisma generates is TypeScript, which this Node may not run. */
async function bundle(source: string, target: string): Promise<void> {
  await build({
    entryPoints: [source],
    outfile: target,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['@prisma/client/*'],
    logLevel: 'error',
  })
}

/** Loads the generated client. */
export async function generated(): Promise<Generated> {
  return (await import(pathToFileURL(await generate()).href)) as Generated
}

/** A client on a database that is there too, to look behind it. */
export interface Subject {
  readonly prisma: Client
  readonly db: Database
}

/** What to do differently in a test. */
export interface SubjectOptions extends SluicePrismaOptions {
  readonly path?: string
  readonly open?: OpenOptions
  readonly client?: Omit<ClientOptions, 'adapter'>
}

/** Makes a database with the tables of the schema, and a client on it; both go with the test. */
export async function subject({ path = scratchPath(), open = {}, client = {}, ...options }: SubjectOptions = {}): Promise<Subject> {
  const { PrismaClient } = await generated()
  const db = connect(path, open)
  onTestFinished(() => db.close({ timeoutMs: 0 }))
  await db.exec(TABLES)
  const prisma = new PrismaClient({ ...client, adapter: new SluicePrismaAdapter({ client: db }, options) })
  onTestFinished(() => prisma.$disconnect())
  return { prisma, db }
}

/** Makes a client that opens and closes its database by itself. */
export async function clientOf(adapter: SluicePrismaAdapter): Promise<Client> {
  const { PrismaClient } = await generated()
  const prisma = new PrismaClient({ adapter })
  onTestFinished(() => prisma.$disconnect())
  return prisma
}

/** Returns what a promise was rejected with. */
export async function rejection(work: Promise<unknown>): Promise<PrismaFailure> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome) return outcome.error as PrismaFailure
  throw new Error(`was not rejected, but returned ${String(outcome.value)}`)
}

/** An error as a client throws it. */
export interface PrismaFailure extends Error {
  readonly code?: string
  readonly meta?: { readonly driverAdapterError?: { readonly cause: Row }; readonly [key: string]: unknown }
}
