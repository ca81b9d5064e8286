import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { open } from 'sluice'
import { runCommand, startCommand } from './support/command.js'
import { within } from './support/deadline.js'
import { scratchFolder, scratchPath } from './support/scratch.js'
import { ENDLESS_READ } from './support/slow-sql.js'

async function makeDatabase(): Promise<string> {
  const path = scratchPath()
  const db = await open(path)
  await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)')
  await db.close()
  return path
}

describe('sluice', () => {
  const { version, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string; bin: { sluice: string } }

  it('is what the package installs as a command', () => {
    expect(readFileSync(bin.sluice, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    expect(statSync(bin.sluice).isFile()).toBe(true)
  })

  it.each(['--version', '-v'])('prints its version with %s', async (option) => {
    expect(await runCommand([option])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it.each([['--help'], ['-h'], ['doctor', '--help'], ['inspect', '-h']])('explains itself with %s %s', async (...args) => {
    const { code, stdout, stderr } = await runCommand(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^usage: sluice /)
  })

  it.each([
    [[], 'name a command'],
    [['destroy'], "there is no command 'destroy'"],
    [['constructor'], "there is no command 'constructor'"],
    [['doctor'], 'name a database file'],
    [['doctor', 'a.db', 'b.db'], 'name one file, not 2'],
    [['doctor', 'missing.db'], 'there is no file missing.db'],
    [['doctor', '--fix', 'a.db'], "Unknown option '--fix'"],
    [['inspect'], 'name a database file'],
    [['inspect', 'a.db', '--port', 'http'], "--port must be a number, not 'http'"],
  ])('ends with 2 and says how it is used: %j', async (args, message) => {
    const { code, stdout, stderr } = await runCommand(args, scratchFolder())
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`sluice: ${message}`)
    expect(stderr).toContain('usage: sluice')
  })

  it.each(['doctor', 'inspect'])('ends with 2 when %s is given a folder', async (command) => {
    const { code, stderr } = await runCommand([command, scratchFolder()])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^sluice: /)
  })

  it('makes no file to inspect', async () => {
    const path = join(scratchFolder(), 'missing.db')
    const { code, stderr } = await runCommand(['inspect', path])
    expect(code).toBe(2)
    expect(stderr).toContain(path)
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
  })
})

describe('sluice inspect', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('serves a page until %s', async (signal) => {
    const { child, line, ended } = startCommand(['inspect', await makeDatabase()])
    const [, url = ''] = /^inspector: (http:.*)$/.exec(await line()) ?? []
    const response = await fetch(url)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('<title>Sluice inspector</title>')
    child.kill(signal)
    expect(await within(ended, 'the command ends')).toMatchObject({ code: 0, stderr: '' })
    await expect(fetch(url)).rejects.toThrow('fetch failed')
  })

  it('runs the statements of its input, and goes on after one that fails', async () => {
    const { child, line, ended } = startCommand(['inspect', await makeDatabase()])
    await line()
    child.stdin.end('SELECT x\nFROM t;\n\nSELECT missing FROM t;\nDELETE FROM t;\nSELECT 1')
    expect(await line()).toMatch(/^2 rows in \d+\.\d ms$/)
    expect(await line()).toMatch(/^1 row in /)
    child.kill('SIGINT')
    const { stderr } = await within(ended, 'the command ends')
    expect(stderr.trim().split('\n')).toEqual([
      'sluice: no such column: missing',
      expect.stringMatching(/^sluice: attempt to write a readonly database/),
    ])
  })

  it('runs no part of a statement whose text, comment or trigger goes on after a semicolon', async () => {
    const path = await makeDatabase()
    const { child, line, ended } = startCommand(['inspect', path, '--write'])
    await line()
    const input = [
      'CREATE TRIGGER emptied AFTER DELETE ON t BEGIN',
      '  DELETE FROM t;',
      'END;',
      "INSERT INTO t (x) VALUES ('a;",
      'DELETE FROM t;',
      "');",
      'SELECT 1 /* one;',
      'DELETE FROM t;',
      '*/;',
      'SELECT x FROM t; -- all of them;',
    ]
    child.stdin.write(`${input.join('\n')}\n`)
    expect(await line()).toMatch(/^0 changes in /)
    expect(await line()).toMatch(/^1 change in /)
    expect(await line()).toMatch(/^1 row in /)
    expect(await line()).toMatch(/^3 rows in /)
    child.kill('SIGINT')
    expect(await within(ended, 'the command ends')).toMatchObject({ code: 0, stderr: '' })
  })

  it('stops the statement that runs when it is told to end', async () => {
    const { child, line, ended } = startCommand(['inspect', await makeDatabase()])
    await line()
    child.stdin.write(`SELECT 1;\n${ENDLESS_READ};\n`)
    expect(await line()).toMatch(/^1 row in /)
    child.kill('SIGINT')
    expect(await within(ended, 'the command ends')).toMatchObject({ code: 0 })
  })

  it('lets statements change the file with --write', async () => {
    const path = await makeDatabase()
    const { child, line, ended } = startCommand(['inspect', path, '--write'])
    await line()
    child.stdin.write('DELETE FROM t;\n')
    expect(await line()).toMatch(/^2 changes in /)
    child.kill('SIGINT')
    await within(ended, 'the command ends')
    const db = await open(path)
    expect(await db.pluck('SELECT count(*) FROM t')).toEqual([0])
    await db.close()
  })

  it('says so when its port is taken', async () => {
    const path = await makeDatabase()
    const { line } = startCommand(['inspect', path])
    const { port } = new URL((await line()).replace('inspector: ', ''))
    const { code, stderr } = await runCommand(['inspect', path, '--port', port])
    expect(code).toBe(2)
    expect(stderr).toContain('EADDRINUSE')
  })
})
