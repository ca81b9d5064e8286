import { betterAuth } from 'better-auth'
import type { BetterAuthOptions } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'

import { open } from 'sluice'
import type { Database } from 'sluice'
import { SluiceDialect } from 'sluice/kysely'
import { untilQuiet } from '../support/quiet.js'
import { scratchPath } from '../support/scratch.js'

const TABLES = ['account', 'session', 'user', 'verification']

type Storage = BetterAuthOptions['database']

/** What every authentication here has in common. */
function optionsOf(database: Storage): BetterAuthOptions {
  return {
    database,
    emailAndPassword: {
      enabled: true,
      // What is tested is the database; a hash worth its name takes a tenth of a second.
      password: { hash: async (password) => `# ${password}`, verify: async (one) => one.hash === `# ${one.password}` },
    },
    secret: randomBytes(32).toString('hex'),
    baseURL: 'http://localhost:3000',
    logger: { disabled: true },
    telemetry: { enabled: false },
  }
}

async function openDatabase(): Promise<Database> {
  const database = await open(scratchPath(), { acquireTimeoutMs: 10_000 })
  onTestFinished(() => database.close())
  return database
}

/** An authentication with its tables, in a new file. */
async function makeAuth(transaction: boolean) {
  const database = await openDatabase()
  const options = optionsOf({ dialect: new SluiceDialect({ database }), type: 'sqlite', transaction })
  const { runMigrations } = await getMigrations(options)
  await runMigrations()
  return { auth: betterAuth(options), database, options }
}

/** Who signs up under a number. */
function person(n: number): { email: string; password: string; name: string } {
  return { email: `user${n}@example.com`, password: `password ${n}`, name: `User ${n}` }
}

describe.each([false, true])('better-auth on a dialect, with transactions: %s', (transaction) => {
  it('makes its tables, and finds nothing left to do afterwards', async () => {
    const { database, options } = await makeAuth(transaction)
    expect(await database.pluck(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)).toEqual(TABLES)
    const { toBeCreated, toBeAdded } = await getMigrations(options)
    expect([toBeCreated, toBeAdded]).toEqual([[], []])
  })

  it('adds the columns that a later version of the application wants', async () => {
    const { database, options } = await makeAuth(transaction)
    const later: BetterAuthOptions = { ...options, user: { additionalFields: { plan: { type: 'string', required: false } } } }
    await (await getMigrations(later)).runMigrations()
    expect(await database.pluck(`SELECT name FROM pragma_table_info('user')`)).toContain('plan')
  })

  it('signs up, signs in, knows the session, and signs out', async () => {
    const { auth, database } = await makeAuth(transaction)
    const { user } = await auth.api.signUpEmail({ body: person(1) })
    expect(user).toMatchObject({ email: 'user1@example.com', name: 'User 1', emailVerified: false, createdAt: expect.any(Date) })
    const { email, password } = person(1)
    const { headers } = await auth.api.signInEmail({ body: { email, password }, returnHeaders: true })
    const signedIn = new Headers({ cookie: headers.get('set-cookie')!.split(';')[0]! })
    const found = await auth.api.getSession({ headers: signedIn })
    expect(found?.user).toMatchObject({ id: user.id, email })
    expect(found?.session.expiresAt.getTime()).toBeGreaterThan(Date.now())
    await auth.api.signOut({ headers: signedIn })
    expect(await auth.api.getSession({ headers: signedIn })).toBeNull()
    await untilQuiet(database as never)
  })

  it('refuses a wrong password and a stranger', async () => {
    const { auth } = await makeAuth(transaction)
    await auth.api.signUpEmail({ body: person(1) })
    const refused = { body: { code: 'INVALID_EMAIL_OR_PASSWORD' } }
    await expect(auth.api.signInEmail({ body: { email: person(1).email, password: 'another' } })).rejects.toMatchObject(refused)
    await expect(auth.api.signInEmail({ body: { email: person(2).email, password: 'another' } })).rejects.toMatchObject(refused)
  })

  it('changes a user', async () => {
    const { auth, database } = await makeAuth(transaction)
    const { headers } = await auth.api.signUpEmail({ body: person(1), returnHeaders: true })
    const signedIn = new Headers({ cookie: headers.get('set-cookie')!.split(';')[0]! })
    await auth.api.updateUser({ body: { name: 'Ada' }, headers: signedIn })
    expect(await database.pluck('SELECT name FROM user')).toEqual(['Ada'])
  })

  it('lets 40 people sign up at once', async () => {
    const { auth, database } = await makeAuth(transaction)
    await Promise.all(Array.from({ length: 40 }, (_, n) => auth.api.signUpEmail({ body: person(n) })))
    const counts = ['user', 'account', 'session'].map((table) => database.pluck(`SELECT count(*) FROM ${table}`))
    expect(await Promise.all(counts)).toEqual([[40], [40], [40]])
    await untilQuiet(database as never)
  })

  it(`${transaction ? 'undoes' : 'leaves half of'} a sign-up that fails halfway`, async () => {
    const { auth, database } = await makeAuth(transaction)
    await database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON account BEGIN SELECT RAISE(ABORT, 'no accounts today'); END`)
    await expect(auth.api.signUpEmail({ body: person(1) })).rejects.toBeInstanceOf(Error)
    expect(await database.pluck('SELECT count(*) FROM user')).toEqual([transaction ? 0 : 1])
    await untilQuiet(database as never)
  })

  it('lets one of ten have an address that all want at once', async () => {
    const { auth, database } = await makeAuth(transaction)
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => auth.api.signUpEmail({ body: person(1) })))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await database.pluck('SELECT email FROM user')).toEqual(['user1@example.com'])
    const codes = outcomes.flatMap((one) => (one.status === 'rejected' ? [(one.reason as { body: { code: string } }).body.code] : []))
    const known = new Set(['USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL', ...(transaction ? [] : ['FAILED_TO_CREATE_USER'])])
    expect(codes.filter((code) => !known.has(code))).toEqual([])
  })
})

describe('better-auth on something else', () => {
  it('takes a database of sluice for Cloudflare D1, because it has batch, exec and prepare, and fails', async () => {
    const database = await openDatabase()
    await expect(getMigrations(optionsOf(database as never))).rejects.toThrow(/\.bind is not a function/)
    expect(await database.pluck('SELECT count(*) FROM sqlite_schema')).toEqual([0])
  })

  it('takes a dialect without its type, and guesses that it is SQLite', async () => {
    const database = await openDatabase()
    const { runMigrations } = await getMigrations(optionsOf(new SluiceDialect({ database })))
    await runMigrations()
    expect(await database.pluck(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)).toEqual(TABLES)
  })
})

describe('examples/better-auth.mjs', () => {
  it('runs and says who is signed in', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['examples/better-auth.mjs'])
    expect(stdout).toBe('Ada is signed in as ada@example.com\n')
  })
})
