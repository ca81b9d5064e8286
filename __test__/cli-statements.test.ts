import { describe, expect, it } from 'vitest'

import { endsStatement } from '../dist/cli/statements.mjs'

const TRIGGER = 'CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;'

describe('endsStatement', () => {
  it.each([
    'SELECT 1;',
    'SELECT 1; ',
    'SELECT 1; -- one',
    'SELECT 1; /* one */',
    ';',
    "SELECT 'it''s';",
    'SELECT "a;", `b;`, [c;];',
    'SELECT 1; SELECT 2;',
    'BEGIN;',
    'END;',
    'CREATE TABLE trigger_log (x);',
    `${TRIGGER} END;`,
    `${TRIGGER}\n/* done */ end -- of it\n;`,
    `EXPLAIN ${TRIGGER} END;`,
    `EXPLAIN QUERY PLAN ${TRIGGER} END;`,
    'create temp trigger t after insert on a begin select 1; END;',
    'CREATE TEMPORARY TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END; SELECT 2;',
    `${TRIGGER} SELECT CASE WHEN 1 THEN 2 END; END;`,
  ])('says that %j does', (text) => {
    expect(endsStatement(text)).toBe(true)
  })

  it.each([
    '',
    'SELECT 1',
    'SELECT 1; SELECT 2',
    "SELECT 'a;",
    "SELECT 'it''s;",
    'SELECT "a;',
    'SELECT `a;',
    'SELECT [a;',
    'SELECT 1 /* a;',
    'SELECT 1 -- a;',
    TRIGGER,
    `${TRIGGER} END`,
    `${TRIGGER} SELECT CASE WHEN 1 THEN 2 END;`,
    `SELECT 1; ${TRIGGER}`,
    `EXPLAIN QUERY PLAN ${TRIGGER}`,
  ])('says that %j does not', (text) => {
    expect(endsStatement(text)).toBe(false)
  })
})
