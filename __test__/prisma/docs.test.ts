import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

import { open } from 'sluice'
import { installPackages } from '../support/application.js'
import { codeBlocks, readDocument } from '../support/markdown.js'
import { scratchFolder } from '../support/scratch.js'
import { generate } from './client.js'

const TIMEOUT_MS = 25_000
const NEEDS_CLIENT = 'no-run: needs a generated client; __test__/prisma/docs.test.ts runs it with one'
const TABLES = `
  CREATE TABLE "User" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "email" TEXT NOT NULL);
  CREATE UNIQUE INDEX "User_email_key" ON "User" ("email");
  CREATE TABLE "Post" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "title" TEXT NOT NULL,
    "views" BIGINT NOT NULL DEFAULT 0,
    "at" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "authorId" INTEGER NOT NULL REFERENCES "User" ("id")
  );`

const blocks = codeBlocks(readDocument('docs/PRISMA.md'))
const programs = blocks.filter(({ note }) => note.startsWith('no-run')).map((block) => [block.section, block] as const)

/** Makes a folder as an application has it after `prisma generate`, with its tables made. */
async function application(): Promise<string> {
  const folder = scratchFolder()
  installPackages(folder, 'drizzle-orm')
  const schema = join(folder, 'schema.prisma')
  writeFileSync(schema, blocks.find(({ language }) => language === 'prisma')!.code)
  mkdirSync(join(folder, 'generated'))
  copyFileSync(await generate(schema), join(folder, 'generated', 'client.js'))
  writeFileSync(join(folder, 'generated', 'package.json'), '{ "type": "module" }')
  const db = await open(join(folder, 'app.db'))
  await db.exec(TABLES)
  await db.close()
  return folder
}

describe('docs/PRISMA.md', () => {
  it('has no program that is not run, here or with the other documents', () => {
    expect(programs.length).toBeGreaterThan(0)
    expect(programs.map(([, { note }]) => note)).toEqual(programs.map(() => NEEDS_CLIENT))
  })

  it.each(programs)('%s: the program runs, and prints what its comments say', async (_, { code }) => {
    const folder = await application()
    const file = join(folder, 'program.mjs')
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, timeout: TIMEOUT_MS })
    const promised = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, text]) => text)
    expect(promised.length).toBeGreaterThan(0)
    expect(stdout.split('\n').slice(0, -1)).toEqual(promised)
  })
})
