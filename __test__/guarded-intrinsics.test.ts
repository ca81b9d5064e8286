import { describe, expect, it } from 'vitest'

import { runScript } from './support/child-process.js'

/** Sends every kind of value there and back, in every form, often enough for rows to be made by generated code if that is allowed. */
const ROUND_TRIPS = `main(async () => {
  const assert = require('node:assert')
  const db = await open(':memory:')
  const values = [null, 1, -0, 1.5, 2n ** 63n - 1n, 'text', 'é'.repeat(20000), new Uint8Array([1, 2]), new Uint8Array(20000)]
  const names = ['plain', '__proto__', 'constructor', 'toString', 'a b', '"', "'", '\\n', '\\u2028']
  const quoted = names.map((name) => '"' + name.replaceAll('"', '""') + '"')
  await db.exec('CREATE TABLE t (' + quoted.join() + ')')
  for (let time = 0; time < 6; time++) {
    assert.strictEqual((await db.run('INSERT INTO t VALUES (' + names.map(() => '?').join() + ')', values)).changes, 1)
    for (const row of await db.values('SELECT * FROM t')) assert.deepStrictEqual(row, values)
    for (const row of await db.all('SELECT * FROM t')) {
      assert.deepStrictEqual(Object.keys(row), names)
      for (const [column, name] of names.entries()) assert.deepStrictEqual(Object.getOwnPropertyDescriptor(row, name).value, values[column])
    }
    assert.deepStrictEqual(await db.pluck('SELECT * FROM t LIMIT 1'), [values[0]])
    const [named] = await db.sql\`SELECT \${values[6]} AS "__proto__"\`
    assert.strictEqual(Object.getOwnPropertyDescriptor(named, '__proto__').value, values[6])
    const wide = 'SELECT ' + Array.from({ length: 100 }, (_, column) => column + ' AS c' + column).join()
    assert.deepStrictEqual(Object.values(await db.get(wide)), Array.from({ length: 100 }, (_, column) => column))
  }
  const error = await db.all('SELECT nope').catch((error) => error)
  assert.ok(error instanceof sluice.SqliteError && error instanceof sluice.SluiceError && error instanceof Error)
  assert.strictEqual(error.code, 'SQLITE_ERROR')
  await db.close()
  console.log('all right')
})`

const FREEZING = `for (const { prototype } of [Object, Array, Function, Error, Promise, Map, Uint8Array, ArrayBuffer, String]) Object.freeze(prototype)
`

describe('rows, values and errors are the same', () => {
  it.each([
    ['where nothing is guarded', []],
    ['D12: without code generation from strings', ['--disallow-code-generation-from-strings']],
    ['with frozen intrinsics', ['--frozen-intrinsics']],
    ['where __proto__ throws', ['--disable-proto=throw']],
    ['where there is no __proto__', ['--disable-proto=delete']],
    ['without a just-in-time compiler', ['--jitless']],
  ])('%s', async (_, flags) => {
    const { code, stdout, stderr } = await runScript(ROUND_TRIPS, { flags })
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: 'all right\n', stderr: '' })
  })

  it('where prototypes were frozen after the package was loaded', async () => {
    const { code, stdout, stderr } = await runScript(FREEZING + ROUND_TRIPS)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'all right\n', stderr: '' })
  })
})
