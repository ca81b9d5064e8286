// P06: an application in which another copy of SQLite opens and closes the file that Sluice has open.
//
// The two copies do not know of each other, and the locks of a process do not hold against itself. So the other one takes
// itself for the last user and removes the log: https://sqlite.org/howtocorrupt.html, 2.2.1.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { open } from 'sluice'

const path = process.argv[2]
const db = await open(path)
await db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')

const other = new DatabaseSync(path)
assert.equal(other.prepare('SELECT count(*) AS n FROM t').get().n, 1)
other.close()
const removed = !existsSync(`${path}-wal`)

const outcome = await db.run('INSERT INTO t VALUES (2)').then(() => 'acknowledged', (error) => error.code)
await db.close().catch(() => {})

const again = await open(path)
const rows = await again.pluck('SELECT count(*) FROM t')
await again.close()
console.log(JSON.stringify({ removed, outcome, rows }))
assert.equal(outcome, removed ? 'ERR_SLUICE_WAL_GONE' : 'acknowledged')
assert.ok(rows[0] >= (outcome === 'acknowledged' ? 2 : 1), 'nothing that was acknowledged is missing')
