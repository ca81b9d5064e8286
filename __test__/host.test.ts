import { describe, expect, it } from 'vitest'

import { PACKAGE, converse, runScript } from './support/child-process.js'
import { codeOf } from './support/failure.js'
import { openForTest, scratchFolder, scratchPath } from './support/scratch.js'

/** A program that reads and writes, from one thread and a little. */
const WORK = `
  const db = await open(process.argv[1])
  await db.exec('CREATE TABLE IF NOT EXISTS t (x)')
  await Promise.all(Array.from({ length: 200 }, (_, x) => (x % 2 === 0 ? db.run('INSERT INTO t VALUES (?)', [x]) : db.all('SELECT * FROM t'))))`

const WELL = { code: 0, signal: null }

describe('H11: what looks into a process', () => {
  it.each([['--cpu-prof'], ['--heap-prof'], ['--inspect=0'], ['--trace-gc']])('%s disturbs nothing', async (flag) => {
    const flags = /prof/.test(flag) ? [flag, `${flag}-dir=${scratchFolder()}`] : [flag]
    const { code, signal, stdout } = await runScript(`main(async () => { ${WORK}; await db.close(); console.log('closed') })`, { flags, args: [scratchPath()] })
    expect({ code, signal }).toEqual(WELL)
    expect(stdout).toContain('closed\n')
  })

  it('a heap snapshot in the midst of calls disturbs none', async () => {
    const { code, signal, stdout, stderr } = await runScript(
      `main(async () => {
        ${WORK}
        const calls = Array.from({ length: 50 }, () => db.pluck('SELECT count(*) FROM t'))
        require('node:v8').writeHeapSnapshot(process.argv[2])
        console.log(new Set((await Promise.all(calls)).flat()))
        await db.close()
      })`,
      { args: [scratchPath(), scratchPath('heap.heapsnapshot')] },
    )
    expect({ code, signal, stdout, stderr }).toEqual({ ...WELL, stdout: 'Set(1) { 100 }\n', stderr: '' })
  })
})

describe('H12: signals', () => {
  it('are left to the application: loading and opening adds no listener', async () => {
    const { stdout, code } = await runScript(
      `main(async () => {
        ${WORK}
        console.log(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGPIPE'].map((name) => process.listenerCount(name)).join())
        await db.close()
      })`,
      { args: [scratchPath()] },
    )
    expect({ stdout, code }).toEqual({ stdout: '0,0,0,0,0\n', code: 0 })
  })

  it('reach the listeners of the application, which closes in order', async () => {
    const child = converse(
      `main(async () => {
        ${WORK}
        setInterval(() => {}, 60000)
        process.once('SIGTERM', async () => { await db.close(); console.log('closed'); process.exit(3) })
        console.log('open')
      })`,
      { args: [scratchPath()] },
    )
    expect(await child.line()).toBe('open')
    child.kill('SIGTERM')
    expect(await child.line()).toBe('closed')
    expect(await child.ended).toMatchObject({ code: 3, signal: null })
  })
})

describe('L14: another process that holds the lock and is stopped', () => {
  it('makes writes busy after the timeout, lets reads go on, and the queue drains when it is gone', async () => {
    const path = scratchPath()
    const db = await openForTest(path, { busyTimeoutMs: 100 })
    await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    const holder = converse(
      `main(async () => {
        const db = await open(process.argv[1])
        globalThis.tx = await db.begin()
        await tx.run('INSERT INTO t VALUES (2)')
        setInterval(() => {}, 60000)
        console.log('held')
      })`,
      { args: [path] },
    )
    expect(await holder.line()).toBe('held')
    holder.kill('SIGSTOP')
    expect(await codeOf(db.run('INSERT INTO t VALUES (3)'))).toMatch(/^SQLITE_BUSY/)
    expect(await db.pluck('SELECT x FROM t')).toEqual([1])
    holder.kill('SIGKILL')
    await holder.ended
    await Promise.all([4, 5].map((x) => db.run('INSERT INTO t VALUES (?)', [x])))
    expect(await db.pluck('SELECT x FROM t')).toEqual([1, 4, 5])
  })
})

describe('L18: the pool of libuv', () => {
  it('is not waited for: calls settle while all of its threads are blocked', async () => {
    const { code, stdout, stderr } = await runScript(
      `const { pbkdf2 } = require('node:crypto')
      main(async () => {
        let isBlocked = true
        // As many as there are threads, and none ends within the test: that would be seen.
        for (let thread = 0; thread < 4; thread++) pbkdf2('a', 'b', 2000000000, 64, 'sha512', () => (isBlocked = false))
        ${WORK}
        console.log(isBlocked, await db.pluck('SELECT count(*) FROM t'))
        await db.close()
        process.kill(process.pid, 'SIGKILL')
      })`,
      { args: [scratchPath()] },
    )
    expect({ stdout, stderr, code }).toEqual({ stdout: 'true [ 100 ]\n', stderr: '', code: null })
  })
})

describe('L19: child processes', () => {
  it('inherit no descriptor of a database, and open it themselves', async () => {
    const { code, stdout, stderr } = await runScript(
      `const { execFileSync } = require('node:child_process')
      main(async () => {
        ${WORK}
        const list = 'console.log(JSON.stringify(require("node:fs").readdirSync("/proc/self/fd").map((fd) => { try { return require("node:fs").readlinkSync("/proc/self/fd/" + fd) } catch { return "" } })))'
        const inherited = JSON.parse(execFileSync(process.execPath, ['--eval', list], { encoding: 'utf8' }))
        const own = 'require(' + JSON.stringify(${JSON.stringify(PACKAGE)}) + ').open(process.argv[1]).then(async (db) => { await db.run("INSERT INTO t VALUES (1000)"); await db.close() })'
        execFileSync(process.execPath, ['--eval', own, '--', process.argv[1]])
        console.log(inherited.filter((name) => name.startsWith(process.argv[1])).length, await db.pluck('SELECT count(*) FROM t'))
        await db.close()
      })`,
      { args: [scratchPath()] },
    )
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '0 [ 101 ]\n', stderr: '' })
  })
})
