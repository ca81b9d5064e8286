// One of several processes that migrate the same file at once: when told on its standard input, so that they meet.
import { once } from 'node:events'
import { drizzle } from 'sluice/drizzle-v1'
import { migrate } from 'sluice/drizzle-v1/migrator'

const [path] = process.argv.slice(2)
const migrations = {}
for (let index = 0; index < 20; index++) {
  migrations[`202601${10 + index}120000_table`] = `CREATE TABLE t${index} (x); INSERT INTO t${index} VALUES (1)`
}
const db = drizzle(path)
await db.$client.ready()
console.log('ready')
await once(process.stdin, 'data')
await migrate(db, { migrations })
await db.$client.close()
process.stdin.destroy()
