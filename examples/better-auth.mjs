// Signs up, signs in and looks at the session with better-auth, in a database in memory: `node examples/better-auth.mjs`.
import { randomBytes } from 'node:crypto'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { open } from 'sluice'
import { SluiceDialect } from 'sluice/kysely'

const database = await open(':memory:')
const options = {
  database: { dialect: new SluiceDialect({ database }), type: 'sqlite', transaction: true },
  emailAndPassword: { enabled: true },
  baseURL: 'http://localhost:3000',
  // An application keeps its secret: with another one its sessions are worth nothing.
  secret: randomBytes(32).toString('hex'),
  telemetry: { enabled: false },
}

try {
  const { runMigrations } = await getMigrations(options)
  await runMigrations()
  const auth = betterAuth(options)

  const ada = { email: 'ada@example.com', password: 'correct horse' }
  await auth.api.signUpEmail({ body: { ...ada, name: 'Ada' } })
  const { headers } = await auth.api.signInEmail({ body: ada, returnHeaders: true })
  const [cookie] = headers.get('set-cookie').split(';')
  const { user } = await auth.api.getSession({ headers: new Headers({ cookie }) })
  console.log(`${user.name} is signed in as ${user.email}`)
} finally {
  await database.close()
}
