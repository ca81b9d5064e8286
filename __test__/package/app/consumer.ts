import { open, SqliteError, type Database } from 'sluice'

interface Row {
  id: number
  name: string
}

async function read(db: Database): Promise<string> {
  const row = await db.get<Row>('SELECT id, name FROM t WHERE id = :id', { id: 1 })
  // @ts-expect-error: there may be no such row.
  void row.name
  return row?.name ?? 'nothing'
}

async function main(path: string): Promise<void> {
  await using db = await open(path, { durability: 'normal' })
  await db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)')
  await db.run('INSERT INTO t (name) VALUES (?)', ['sluice'])
  if ((await read(db)) !== 'sluice') throw new Error('read something else')
  // @ts-expect-error: no such option.
  await open(path, { readOnly: true }).catch(() => undefined)
  await db.run('INSERT INTO t VALUES (1, 2)').catch((error: unknown) => {
    if (!(error instanceof SqliteError)) throw error
  })
}

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: consumer <path>')
void main(path)
