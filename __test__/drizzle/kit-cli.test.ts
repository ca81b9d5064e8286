import { execFile } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'

import { drizzle } from 'sluice/drizzle'
import { migrate } from 'sluice/drizzle/migrator'
import { installPackages } from '../support/application.js'
import { scratchFolder } from '../support/scratch.js'

const SCHEMA = `import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
export const owners = sqliteTable('owners', { id: integer().primaryKey(), name: text().notNull() })
`
const CONFIG = `export default { dialect: 'sqlite', schema: './schema.ts', out: './drizzle', dbCredentials: { url: 'app.db' } }
`

/** Makes an application with a schema, and returns how to run the kit in it. */
function application(): { folder: string; kit: (command: string) => Promise<string> } {
  const folder = scratchFolder()
  installPackages(folder, 'drizzle-orm')
  writeFileSync(join(folder, 'package.json'), '{}')
  writeFileSync(join(folder, 'schema.ts'), SCHEMA)
  writeFileSync(join(folder, 'drizzle.config.ts'), CONFIG)
  const bin = join(folder, 'node_modules', 'drizzle-kit', 'bin.cjs')
  return {
    folder,
    kit: async (command) => {
      // A command that fails has said why, too.
      const run = promisify(execFile)(process.execPath, [bin, command], { cwd: folder, timeout: 20_000 })
      const { stdout } = await run.catch((error: unknown) => error as { stdout: string })
      return stdout
    },
  }
}

describe('the commands of drizzle-kit', () => {
  it('generate migrations without any driver, which the migrator applies', async () => {
    const { folder, kit } = application()
    expect(await kit('generate')).toContain('1 tables')
    expect(readdirSync(join(folder, 'drizzle')).filter((name) => name.endsWith('.sql'))).toHaveLength(1)
    const db = drizzle(join(folder, 'app.db'))
    onTestFinished(() => db.$client.close())
    await migrate(db, { migrationsFolder: join(folder, 'drizzle') })
    await db.run(`INSERT INTO owners (name) VALUES ('Ada')`)
    expect(await db.all('SELECT * FROM owners')).toEqual([{ id: 1, name: 'Ada' }])
  })

  it('generate, for the driver durable-sqlite, the bundle that the migrator takes', async () => {
    const { folder, kit } = application()
    writeFileSync(join(folder, 'drizzle.config.ts'), CONFIG.replace(`'sqlite',`, `'sqlite', driver: 'durable-sqlite',`))
    await kit('generate')
    const source = readFileSync(join(folder, 'drizzle', 'migrations.js'), 'utf8')
    expect(source).toMatch(/export default \{\s*journal,\s*migrations: \{\s*m0000\s*\}\s*\}/)
  })

  it.each(['push', 'migrate', 'pull', 'studio'])('%s asks for a driver of its own where there is none', async (command) => {
    const { kit } = application()
    await kit('generate')
    expect(await kit(command)).toContain(`Please install either 'better-sqlite3' or '@libsql/client'`)
  })
})
