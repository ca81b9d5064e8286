import { describe, expect, it } from 'vitest'

import { runScript } from './support/child-process.js'

describe('L17: 1,000 databases in one process', () => {
  it('have one thread each, one more for each reader that is open, and none for readers that nobody needs', { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await runScript(
      `const { readFileSync, readdirSync } = require('node:fs')
      // A thread may end between being listed and being looked at.
      const nameOf = (id) => { try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8') } catch { return '' } }
      const threads = () => readdirSync('/proc/self/task').filter((id) => nameOf(id).startsWith('sluice::memory:')).length
      const until = async (holds) => {
        const deadline = Date.now() + 30000
        while (!holds() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
      }
      const SLOW = 'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000) SELECT count(*) FROM c'
      main(async () => {
        const dbs = []
        for (let n = 0; n < 1000; n++) dbs.push(await open(':memory:', { maxReaders: 4, idleTtlMs: 500 }))
        const opened = threads()
        const readers = () => dbs.reduce((sum, db) => sum + db.status().readers.open, 0)
        const few = dbs.slice(0, 20)
        await Promise.all(few.map((db) => Promise.all(Array.from({ length: 40 }, () => db.all(SLOW)))))
        const most = Math.max(...few.map((db) => db.status().readers.open))
        const used = [threads() <= 1000 + 20 * 4, most <= 4, most > 1]
        await Promise.all(dbs.map((db, n) => db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (' + n + ')')))
        const answers = await Promise.all(dbs.map((db) => db.pluck('SELECT x FROM t')))
        const right = answers.every(([x], n) => x === n)
        const all = readers()
        await until(() => readers() === 0 && threads() === 1000)
        const idle = [readers(), threads()]
        await Promise.all(dbs.map((db) => db.close()))
        await until(() => threads() === 0)
        console.log(JSON.stringify({ opened, used, right, all: all <= 1000 + 20 * 4, idle, closed: threads() }))
      })`,
      { patienceMs: 100_000 },
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ opened: 1_000, used: [true, true, true], right: true, all: true, idle: [0, 1_000], closed: 0 })
  })
})
