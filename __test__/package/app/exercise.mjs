// What every variant of the application does with the installed package.
import assert from 'node:assert/strict'

/** Writes and reads one row of a new database file through `open`. */
export async function exercise(open, path) {
  const db = await open(path)
  try {
    await db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)')
    const { lastInsertRowid } = await db.run('INSERT INTO t (name) VALUES (?)', ['sluice'])
    assert.deepEqual(await db.get('SELECT id, name FROM t WHERE id = ?', [lastInsertRowid]), { id: 1, name: 'sluice' })
  } finally {
    await db.close()
  }
}
