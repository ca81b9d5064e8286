//! The table of statements, and where each may run.

use sluice_core::connection::Policy;

use crate::pair::Pair;
use crate::verdict::Is;

/// The text; what it is on a reader; what it is on the writer, as one statement.
const STATEMENTS: &[(&str, Is, Is)] = &[
    // Reads.
    ("SELECT 1", Is::Read, Is::Read),
    ("SELECT * FROM v", Is::Read, Is::Read),
    ("VALUES (1), (2)", Is::Read, Is::Read),
    ("WITH x AS (SELECT 1) SELECT * FROM x", Is::Read, Is::Read),
    (
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT * FROM c",
        Is::Read,
        Is::Read,
    ),
    ("SELECT random(), current_timestamp, sqlite_version()", Is::Read, Is::Read),
    ("SELECT * FROM f5 WHERE f5 MATCH 'hello'", Is::Read, Is::Read),
    ("SELECT * FROM f4 WHERE f4 MATCH 'hello'", Is::Read, Is::Read),
    ("SELECT * FROM rt WHERE x0 < 1", Is::Read, Is::Read),
    ("SELECT value FROM json_each('[1,2]')", Is::Read, Is::Read),
    ("SELECT name FROM pragma_table_info('t')", Is::Read, Is::Read),
    ("SELECT * FROM pragma_user_version", Is::Read, Is::Read),
    ("SELECT * FROM sqlite_schema", Is::Read, Is::Read),
    ("SELECT * FROM t WHERE a = ?1;\n\n", Is::Read, Is::Read),
    // Comments, blanks, semicolons.
    ("/* a */ SELECT 1", Is::Read, Is::Read),
    ("-- a\nSELECT 1 -- b", Is::Read, Is::Read),
    (";; SELECT 1 ;;", Is::Read, Is::Read),
    ("SELECT 1; -- c", Is::Read, Is::Read),
    ("SELECT 1; /* never closed", Is::Read, Is::Read),
    ("SELECT ';' ; ", Is::Read, Is::Read),
    ("", Is::Nothing, Is::Nothing),
    ("  \n", Is::Nothing, Is::Nothing),
    ("-- only a comment", Is::Nothing, Is::Nothing),
    (";", Is::Nothing, Is::Nothing),
    ("/* a */ ; -- b", Is::Nothing, Is::Nothing),
    // Several statements.
    ("SELECT 1; DROP TABLE t", Is::Several, Is::Several),
    ("SELECT 1; SELECT 2;", Is::Several, Is::Several),
    ("SELECT 1; !", Is::Several, Is::Several),
    ("SELECT 1; SELECT no_such_column FROM t", Is::Several, Is::Several),
    ("SELECT 1; PRAGMA user_version=9", Is::Several, Is::Several),
    ("INSERT INTO log VALUES (1); COMMIT", Is::Several, Is::Several),
    ("PRAGMA user_version=9; SELECT 1", Is::NoPragma, Is::Several),
    ("CREATE TABLE n(a); DROP TABLE n", Is::NoSchema, Is::Several),
    // Rows. A reader prepares these; READONLY and query_only stop the step.
    ("INSERT INTO t(b) VALUES ('z')", Is::Inserts, Is::Inserts),
    ("INSERT INTO t(b) VALUES ('z') RETURNING a", Is::Inserts, Is::Inserts),
    ("INSERT INTO t VALUES (1, 'z') ON CONFLICT DO UPDATE SET b = 'y'", Is::Inserts, Is::Inserts),
    ("REPLACE INTO t VALUES (1, 'x')", Is::Inserts, Is::Inserts),
    ("WITH x AS (SELECT 1) INSERT INTO log SELECT * FROM x", Is::Inserts, Is::Inserts),
    ("INSERT INTO v(b) VALUES ('q')", Is::Inserts, Is::Inserts),
    ("INSERT INTO f5(f5) VALUES ('rebuild')", Is::Inserts, Is::Inserts),
    ("INSERT INTO f4(f4) VALUES ('optimize')", Is::Inserts, Is::Inserts),
    ("UPDATE t SET b = 'x'", Is::Changes, Is::Changes),
    ("DELETE FROM t WHERE a = 99", Is::Changes, Is::Changes),
    ("DELETE FROM log", Is::Changes, Is::Changes),
    ("WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x) RETURNING b", Is::Changes, Is::Changes),
    ("UPDATE rt SET x0 = 0", Is::Changes, Is::Changes),
    // EXPLAIN lists; but preparing it can act as without it.
    ("EXPLAIN SELECT * FROM t", Is::Read, Is::Read),
    ("EXPLAIN QUERY PLAN SELECT * FROM t", Is::Read, Is::Read),
    ("EXPLAIN PRAGMA table_info(t)", Is::Read, Is::Read),
    ("EXPLAIN INSERT INTO t VALUES (9, 'a')", Is::Alone, Is::Alone),
    ("EXPLAIN CREATE TABLE e(a)", Is::NoSchema, Is::Alone),
    ("EXPLAIN PRAGMA query_only=0", Is::NoPragma, Is::NoPragma),
    ("EXPLAIN VACUUM", Is::Alone, Is::Alone),
    ("EXPLAIN BEGIN", Is::NoTransaction, Is::NoTransaction),
    // The schema.
    ("CREATE TABLE n(a)", Is::NoSchema, Is::Ddl),
    ("CREATE TABLE n AS SELECT * FROM t", Is::NoSchema, Is::Ddl),
    ("CREATE INDEX i ON t(a)", Is::NoSchema, Is::Ddl),
    ("CREATE VIEW w AS SELECT 1", Is::NoSchema, Is::Ddl),
    ("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", Is::NoSchema, Is::Ddl),
    ("CREATE VIRTUAL TABLE fx USING fts5(x)", Is::NoSchema, Is::Ddl),
    ("ALTER TABLE t ADD COLUMN c", Is::NoSchema, Is::Ddl),
    ("ALTER TABLE t RENAME COLUMN b TO bb", Is::NoSchema, Is::Ddl),
    ("DROP TABLE log", Is::NoSchema, Is::Ddl),
    ("DROP TABLE f5", Is::NoSchema, Is::Ddl),
    ("REINDEX t_b", Is::NoSchema, Is::Ddl),
    ("ANALYZE", Is::NoSchema, Is::Ddl),
    // An empty log proves nothing.
    ("REINDEX nocase", Is::Alone, Is::Alone),
    ("DROP TRIGGER IF EXISTS missing", Is::Alone, Is::Alone),
    ("DROP TABLE IF EXISTS missing", Is::Alone, Is::Alone),
    ("VACUUM", Is::Alone, Is::Alone),
    ("VACUUM INTO 'never made.db'", Is::Alone, Is::Alone),
    // What no other connection sees.
    ("CREATE TEMP TABLE t(a)", Is::NoTemp, Is::Private),
    ("CREATE TABLE temp.t(a)", Is::NoTemp, Is::Private),
    ("CREATE TEMP VIEW w AS SELECT 1", Is::NoTemp, Is::Private),
    ("CREATE VIEW temp.w AS SELECT 1", Is::NoTemp, Is::Private),
    ("CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", Is::NoTemp, Is::Private),
    ("CREATE VIRTUAL TABLE temp.f USING fts5(x)", Is::NoTemp, Is::Private),
    ("ATTACH 'never made.db' AS o", Is::NoAttach, Is::Private),
    ("ATTACH ':memory:' AS m", Is::NoAttach, Is::Private),
    ("ATTACH ?1 AS m", Is::NoAttach, Is::Private),
    ("ATTACH 'never' || 'made' AS m", Is::NoAttach, Is::Private),
    ("DETACH o", Is::NoAttach, Is::Private),
    ("DETACH ?1", Is::NoAttach, Is::Private),
    // Transactions.
    ("BEGIN", Is::NoTransaction, Is::NoTransaction),
    ("BEGIN IMMEDIATE", Is::NoTransaction, Is::NoTransaction),
    ("COMMIT", Is::NoTransaction, Is::NoTransaction),
    ("END", Is::NoTransaction, Is::NoTransaction),
    ("ROLLBACK", Is::NoTransaction, Is::NoTransaction),
    ("SAVEPOINT s", Is::NoTransaction, Is::NoTransaction),
    ("RELEASE s", Is::NoTransaction, Is::NoTransaction),
    ("ROLLBACK TO s", Is::NoTransaction, Is::NoTransaction),
    // What earlier statements left on the connection.
    ("SELECT last_insert_rowid()", Is::NoState, Is::NoState),
    ("SELECT Changes()", Is::NoState, Is::NoState),
    ("SELECT total_changes() FROM t", Is::NoState, Is::NoState),
    ("SELECT * FROM state", Is::NoState, Is::NoState),
    ("INSERT INTO log SELECT last_insert_rowid()", Is::NoState, Is::NoState),
    ("INSERT INTO log SELECT r FROM state", Is::NoState, Is::NoState),
    ("WITH c AS (SELECT last_insert_rowid() AS x) INSERT INTO log SELECT x FROM c", Is::NoState, Is::NoState),
    ("INSERT INTO watched VALUES (5)", Is::NoState, Is::Inserts),
    // Functions that reach outside.
    ("SELECT load_extension('x')", Is::NoFunction, Is::NoFunction),
    ("SELECT fts3_tokenizer('simple')", Is::NoFunction, Is::NoFunction),
    ("INSERT INTO log SELECT load_extension('x')", Is::NoFunction, Is::NoFunction),
    ("SELECT edit('x')", Is::SqlError, Is::SqlError),
    ("SELECT writefile('x', 'y')", Is::SqlError, Is::SqlError),
    ("SELECT * FROM sqlite_dbpage", Is::SqlError, Is::SqlError),
    // PRAGMAs.
    ("PRAGMA table_info(t)", Is::Read, Is::Read),
    ("PRAGMA main.index_list = t", Is::Read, Is::Read),
    ("PRAGMA foreign_key_check(t)", Is::Read, Is::Read),
    ("PRAGMA integrity_check(3)", Is::Read, Is::Read),
    ("PRAGMA quick_check", Is::Read, Is::Read),
    ("PRAGMA user_version", Is::Read, Is::Read),
    ("PRAGMA journal_mode", Is::Read, Is::Read),
    ("PRAGMA foreign_keys", Is::Read, Is::Read),
    ("PRAGMA user_version = 4", Is::NoPragma, Is::Alone),
    ("PRAGMA wal_checkpoint", Is::NoPragma, Is::Alone),
    ("PRAGMA wal_checkpoint(TRUNCATE)", Is::NoPragma, Is::Alone),
    ("PRAGMA optimize", Is::NoPragma, Is::Alone),
    ("PRAGMA incremental_vacuum", Is::NoPragma, Is::Alone),
    ("PRAGMA journal_mode = DELETE", Is::NoPragma, Is::Exclusive),
    ("PRAGMA temp.journal_mode = off", Is::NoPragma, Is::Exclusive),
    ("PRAGMA query_only = 0", Is::NoPragma, Is::NoPragma),
    ("PRAGMA writable_schema = 1", Is::NoPragma, Is::NoPragma),
    ("PRAGMA trusted_schema = 1", Is::NoPragma, Is::NoPragma),
    ("PRAGMA locking_mode = EXCLUSIVE", Is::NoPragma, Is::NoPragma),
    ("PRAGMA synchronous = OFF", Is::NoPragma, Is::NoPragma),
    ("PRAGMA foreign_keys = 0", Is::NoPragma, Is::NoPragma),
    ("PRAGMA cache_size(-100)", Is::NoPragma, Is::NoPragma),
    ("PRAGMA hard_heap_limit = 1", Is::NoPragma, Is::NoPragma),
    ("PRAGMA temp_store_directory = '/'", Is::NoPragma, Is::NoPragma),
    ("PRAGMA defer_foreign_keys = 1", Is::NoPragma, Is::NoPragma),
    ("PRAGMA shrink_memory", Is::NoPragma, Is::NoPragma),
    ("PRAGMA no_such_pragma", Is::NoPragma, Is::NoPragma),
    // Errors.
    ("SELEC 1", Is::SqlError, Is::SqlError),
    ("SELECT no_such_column FROM t", Is::SqlError, Is::SqlError),
];

#[test]
fn every_statement_is_routed_as_the_table_says() {
    let pair = Pair::new();
    for &(sql, on_reader, on_writer) in STATEMENTS {
        assert_eq!(Is::of(&pair.reader, sql, Policy::Reader, false), on_reader, "on a reader: {sql}");
        assert_eq!(Is::of(&pair.writer, sql, Policy::Statement, false), on_writer, "on the writer: {sql}");
        if on_writer != Is::Several {
            assert_eq!(Is::of(&pair.writer, sql, Policy::Statement, true), on_writer, "prepared to be kept: {sql}");
        }
    }
    let files = std::fs::read_dir(pair.folder.path()).expect("list").count();
    assert_eq!(files, 3, "classifying makes no file beside the database, -wal and -shm");
}
