// What others measure themselves by, as workloads: the trials of better-sqlite3, node's own set for node:sqlite, and whole tables as bun
// reads them. Their benchmarks run one call after another; here there are also several in flight.
import { TRIAL_ROWS, TRIAL_VALUES } from '../files.mjs'

const BATCH = 100
/** Who runs what is measured many times over. */
const FEW_PEERS = ['better-sqlite3-threads', 'node-sqlite']
/** How much shorter the rounds are where there are so many cases. */
const BREVITY = 3

/** Makes the cases of one trial: one by one, and several in flight. No target is set but to be ahead. */
function cases(inFlight, long) {
  const target = { 20: 1, 24: 1 }
  return [1, inFlight].map((calls) => ({ inFlight: calls, long, target }))
}

function trial({ type, table, columns }, { peers, long }) {
  const isLarge = table !== 'small'
  const list = columns.join(', ')
  const insert = { sql: `INSERT INTO ${table} (${list}) VALUES (${columns.map(() => '?').join(', ')})`, take: 'run' }
  const row = columns.map((column) => TRIAL_VALUES[isLarge ? table : column])
  const shared = { id: 'W19', title: `better-sqlite3's trial: ${type}, ${table}, ${list}`, peers, brevity: BREVITY, floors: 'core' }
  const writing = { ...shared, file: isLarge ? 'fewLargeTrials' : 'trials', writes: writesOf(table, columns, isLarge) }
  const reading = { ...shared, file: isLarge ? 'largeTrials' : 'trials', cases: cases(isLarge ? 8 : 64, long) }
  const rangeSql = `SELECT ${list} FROM ${table} WHERE rowid >= ? LIMIT ${BATCH}`
  const range = { ...reading, sql: rangeSql, calls: TRIAL_ROWS / BATCH, params: firstOfRange }
  switch (type) {
    case 'select':
      return { ...reading, sql: `SELECT ${list} FROM ${table} WHERE rowid = ?`, take: 'first', calls: TRIAL_ROWS, params: nextRow }
    case 'select-all':
      return { ...range, take: 'all' }
    case 'select-iterate':
      return { ...range, take: 'each' }
    case 'insert':
      return { ...writing, ...insert, calls: 1, params: () => row, cases: cases(isLarge ? 8 : 64, long) }
    case 'transaction':
      return { ...writing, ...transactionOf(insert, row, long) }
    default:
      throw new Error(`'${type}' is not known`)
  }
}

function nextRow(draw, one, call) {
  return [1 + call]
}

function firstOfRange(draw, one, call) {
  return [1 + call * BATCH]
}

/** What is compared after writes, and taken away again. */
function writesOf(table, columns, isLarge) {
  const first = isLarge ? 100 : TRIAL_ROWS
  const sums = columns.map((column) => `, sum(length(${column})) AS ${column}`)
  return { check: `SELECT count(*) AS "rows"${sums.join('')} FROM ${table}`, reset: `DELETE FROM ${table} WHERE rowid > ${first}` }
}

function transactionOf(insert, row, long) {
  const steps = Array.from({ length: BATCH }, () => insert)
  const manners = long ? ['batch'] : ['submitted', 'batch']
  return {
    kind: 'transaction',
    steps,
    calls: 1,
    params: () => steps.map(() => row),
    cases: manners.map((manner) => ({ inFlight: 1, manner, long, target: { 20: 1, 24: 1 } })),
  }
}

const TYPES = ['select', 'select-all', 'select-iterate', 'insert', 'transaction']
const SMALL = ['nul', 'integer', 'real', 'text']
const SEARCHABLE = [
  ...[...SMALL, 'blob'].map((column) => ({ table: 'small', columns: [column] })),
  { table: 'large_text', columns: ['text'] },
  { table: 'large_blob', columns: ['blob'] },
]
const TRIALS = [
  ...TYPES.map((type) => trial({ type, table: 'small', columns: SMALL }, { peers: undefined, long: false })),
  ...TYPES.flatMap((type) => SEARCHABLE.map((one) => trial({ type, ...one }, { peers: FEW_PEERS, long: true }))),
]

const NODE_COLUMNS = ['text_column', 'integer_column', 'real_column', 'blob_column']
const NODE_SELECTS = [
  { list: '*', table: 'foo' },
  ...NODE_COLUMNS.map((_, last) => ({ list: NODE_COLUMNS.slice(0, last + 1).join(', '), table: 'foo' })),
  { list: 'text_8kb_column', table: 'foo_large' },
]
const NODE_VALUES = ['f81d4fae-7dec-41d0-8765-00a0c91e6bf6', 42, 0.37, Buffer.from('example blob data')]
const NODE_INSERTS = [
  ...NODE_COLUMNS.map((column, index) => ({ table: `${column}_type`, columns: [column], values: [NODE_VALUES[index]] })),
  { table: 'all_column_types', columns: NODE_COLUMNS, values: NODE_VALUES },
  { table: 'large_text', columns: ['text_8kb_column'], values: ['a'.repeat(8_192)] },
]
const NODE_SHARED = { id: 'W19', file: 'nodeTables', peers: FEW_PEERS, brevity: BREVITY, floors: 'core' }

function nodeSelect(sql, take, limit, inFlight) {
  const method = { first: 'get', all: 'all', each: 'iterate' }[take]
  const title = `node's set: ${method}, ${sql.replace('?', limit)}`
  return { ...NODE_SHARED, title, sql, take, calls: 1, params: () => [limit], cases: cases(inFlight, true) }
}

function nodeInsert({ table, columns, values }) {
  return {
    ...NODE_SHARED,
    title: `node's set: run, INSERT INTO ${table}`,
    sql: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    take: 'run',
    calls: 1,
    params: () => values,
    writes: { check: `SELECT count(*) AS "rows", sum(length(${columns[0]})) AS length FROM ${table}`, reset: `DELETE FROM ${table}` },
    cases: cases(64, true),
  }
}

const NODE_SET = [
  ...['first', 'all'].map((take) => nodeSelect('SELECT ?', take, 1, 64)),
  ...NODE_SELECTS.flatMap(({ list, table }) => [
    nodeSelect(`SELECT ${list} FROM ${table} LIMIT ?`, 'first', 1, 64),
    nodeSelect(`SELECT ${list} FROM ${table} LIMIT ?`, 'all', 1, 64),
    nodeSelect(`SELECT ${list} FROM ${table} LIMIT ?`, 'all', 100, 8),
  ]),
  ...[1, 100].map((limit) => nodeSelect('SELECT * FROM foo LIMIT ?', 'each', limit, 8)),
  ...NODE_INSERTS.map(nodeInsert),
]

const WHOLE_TABLES = [
  { table: 'countries', about: '250 rows x 9 columns', inFlight: 8 },
  { table: 'towns', about: '16,000 rows x 5 columns', inFlight: 8 },
  { table: 'cities', about: '130,000 rows x 5 columns', inFlight: 2 },
].map(({ table, about, inFlight }) => ({
  id: 'W19',
  title: `whole table: ${table}, ${about}`,
  file: 'whole',
  sql: `SELECT * FROM ${table} WHERE id > ?`,
  take: 'all',
  calls: 1,
  params: () => [0],
  brevity: BREVITY,
  floors: 'core',
  cases: cases(inFlight, false),
}))

/** @type {import('../workload.mjs').Workload[]} */
export default [...TRIALS, ...NODE_SET, ...WHOLE_TABLES]
