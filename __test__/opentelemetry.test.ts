import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

/** What the example makes of texts. */
interface Texts {
  readonly withoutLiterals: (sql: string) => string
  readonly operationOf: (sql: string, batchSize: number | undefined) => string | undefined
}

/** What the example prints of a span. */
interface Span {
  readonly id: string
  readonly parent: string | null
  readonly name: string
  readonly kind: 'CLIENT' | 'INTERNAL'
  readonly status: 'UNSET' | 'OK' | 'ERROR'
  readonly message: string | null
  readonly attributes: Readonly<Record<string, string | number>>
  readonly events: readonly unknown[]
}

const EXAMPLE = fileURLToPath(new URL('../examples/opentelemetry/main.mjs', import.meta.url))
const TEXTS = new URL('../examples/opentelemetry/sql.mjs', import.meta.url)
const DEADLINE_MS = 60_000

const { operationOf, withoutLiterals } = (await import(TEXTS.href)) as Texts

async function run(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE, ...args], { timeout: DEADLINE_MS })
  return stdout
}

describe('examples/opentelemetry', () => {
  let printed: string
  let spans: readonly Span[]

  beforeAll(async () => {
    printed = await run('--json')
    spans = JSON.parse(printed) as Span[]
  }, DEADLINE_MS)

  /** Returns the names from the root down to each span, in the order of their ends. */
  function paths(): string[] {
    const pathOf = ({ parent, name }: Span): string => {
      const above = spans.find(({ id }) => id === parent)
      return above === undefined ? name : `${pathOf(above)} > ${name}`
    }
    return spans.map(pathOf)
  }

  it('makes each call a child of what it is made in', () => {
    expect(paths()).toEqual([
      'set up > shop.db',
      'set up',
      'POST /orders > SELECT shop.db',
      'POST /orders > transaction shop.db > INSERT shop.db',
      'POST /orders > transaction shop.db > INSERT shop.db',
      'POST /orders > transaction shop.db > INSERT shop.db',
      'POST /orders > transaction shop.db',
      'POST /orders',
      'POST /orders > SELECT shop.db',
      'POST /orders > transaction shop.db > INSERT shop.db',
      'POST /orders > transaction shop.db',
      'POST /orders',
      'GET /report > BATCH shop.db',
      'GET /report > read shop.db > SELECT shop.db',
      'GET /report > read shop.db > SELECT shop.db',
      'GET /report > read shop.db',
      'GET /report > SELECT shop.db',
      'GET /report',
    ])
  })

  it('names attributes by the conventions, and its own apart', () => {
    const select = spans.find(({ name }) => name === 'SELECT shop.db')
    expect(select).toMatchObject({ kind: 'CLIENT', status: 'UNSET' })
    expect(select?.attributes).toMatchObject({
      'db.system.name': 'sqlite',
      'db.namespace': 'shop.db',
      'db.operation.name': 'SELECT',
      'db.query.text': 'SELECT id FROM customers WHERE email = ?',
      'db.response.returned_rows': 1,
      'sluice.route': 'read',
      'sluice.queue_ms': expect.any(Number),
      'sluice.run_ms': expect.any(Number),
    })
    const known = /^(?:db\.(?:system\.name|namespace|operation\.name|operation\.batch\.size|query\.text|response\.returned_rows|response\.status_code)|error\.type|sluice\.(?:route|outcome|queue_ms|run_ms))$/
    const names = spans.flatMap(({ attributes }) => Object.keys(attributes))
    expect(names.filter((name) => !known.test(name))).toEqual([])
  })

  it('tells how large a batch is', () => {
    const batch = spans.find(({ name }) => name === 'BATCH shop.db')
    expect(batch?.attributes).toMatchObject({ 'db.operation.name': 'BATCH', 'db.operation.batch.size': 2, 'sluice.route': 'write' })
  })

  it('marks what failed, and no more', () => {
    const failed = spans.filter(({ status }) => status === 'ERROR')
    expect(failed.map(({ name, attributes }) => [name, attributes['error.type'], attributes['db.response.status_code']])).toEqual([
      ['INSERT shop.db', 'SQLITE_CONSTRAINT_NOTNULL', '1299'],
      ['transaction shop.db', 'SQLITE_CONSTRAINT_NOTNULL', undefined],
    ])
    const outcomes = spans.filter(({ name }) => name === 'transaction shop.db').map(({ attributes }) => attributes['sluice.outcome'])
    expect(outcomes).toEqual(['commit', 'rollback'])
  })

  it('tells no value: neither bound nor written into a text', () => {
    expect(printed).not.toMatch(/example\.com|private article|another one|nothing/)
    expect(spans.flatMap(({ events }) => events)).toEqual([])
    expect(spans.every(({ message }) => message === null)).toBe(true)
  })

  it('prints a tree', async () => {
    expect(await run()).toMatch(/^POST \/orders \(\d+\.\d\d ms\)\n {2}SELECT shop\.db \(\d+\.\d\d ms\)\n {4}\| SELECT id FROM customers WHERE email = \?\n/m)
  })
})

describe('what the spans of the example tell of a text', () => {
  const texts: ReadonlyArray<[string, string]> = [
    ["SELECT 'it''s', \"it's\", [it's] FROM t1 WHERE x = 1.5e3 AND y = ?1", 'SELECT ?, "it\'s", [it\'s] FROM t1 WHERE x = ? AND y = ?1'],
    ["INSERT INTO t VALUES (x'00ff', -7, NULL, :name, @name, $name)", 'INSERT INTO t VALUES (?, -?, NULL, :name, @name, $name)'],
    ["SELECT a2 -- 'secret'\nFROM b /* 'secret' */", 'SELECT a2 \nFROM b'],
    ["SELECT 'never closed", 'SELECT ?'],
  ]
  it.each(texts)('leaves out the literals of %s', (sql, expected) => {
    expect(withoutLiterals(sql)).toBe(expected)
  })

  it('is its first word', () => {
    expect(operationOf('/* a */ -- b\n select 1', undefined)).toBe('SELECT')
    expect(operationOf('INSERT INTO t VALUES (1)', 3)).toBe('BATCH INSERT')
    expect(operationOf('INSERT INTO t VALUES (1); DELETE FROM t', 2)).toBe('BATCH')
    expect(operationOf('SELECT 1', 1)).toBe('SELECT')
    expect(operationOf('', undefined)).toBeUndefined()
  })
})
