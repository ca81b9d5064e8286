//! What happens when a classified statement is stepped.

use sluice_core::connection::pragma::PragmaKind;
use sluice_core::connection::{Denial, Policy, Route, prepare, prepare_next};

use crate::pair::{Pair, one, run, run_all};
use crate::verdict::Is;

#[test]
fn a_virtual_table_that_connects_during_the_look_at_the_tail_works_afterwards() {
    let pair = Pair::new();
    assert_eq!(Is::of(&pair.writer, "SELECT 1; SELECT * FROM f4", Policy::Statement, false), Is::Several);
    run(&pair.writer, "INSERT INTO f4 VALUES ('later')", Policy::Statement).expect("insert");
    let found = run(&pair.writer, "SELECT body FROM f4 WHERE f4 MATCH 'later'", Policy::Statement).expect("match");
    assert_eq!(found.len(), 1);
}

#[test]
fn what_a_connecting_virtual_table_asks_for_is_not_taken_for_the_statement() {
    let pair = Pair::new();
    assert_eq!(Is::of(&pair.writer, "UPDATE rt SET x0 = 0", Policy::Statement, false), Is::Changes);
}

#[test]
fn virtual_tables_are_read_on_a_reader() {
    let pair = Pair::new();
    for sql in [
        "SELECT body FROM f5 WHERE f5 MATCH 'hello'",
        "SELECT body FROM f4 WHERE f4 MATCH 'hello'",
        "SELECT id FROM rt WHERE x0 < 1",
        "SELECT value FROM json_each('[1]')",
        "SELECT name FROM pragma_table_info('t') WHERE pk",
        "PRAGMA integrity_check",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
    ] {
        assert_eq!(run(&pair.reader, sql, Policy::Reader).expect(sql).len(), 1, "{sql}");
    }
}

#[test]
fn a_reader_refuses_every_write_when_it_steps() {
    let pair = Pair::new();
    let before = one(&pair.writer, "SELECT group_concat(b) FROM t");
    for sql in [
        "INSERT INTO t(b) VALUES ('z')",
        "UPDATE t SET b = 'z'",
        "DELETE FROM t",
        "WITH x AS (SELECT 'z' AS b) INSERT INTO t(b) SELECT b FROM x RETURNING a",
        "INSERT INTO v(b) VALUES ('z')",
        "INSERT INTO f5(f5) VALUES ('rebuild')",
        "INSERT INTO f4(f4) VALUES ('rebuild')",
        "INSERT INTO rt VALUES (2, 0, 1)",
        "CREATE TABLE n(a)",
        "DROP TABLE t",
    ] {
        let error = run(&pair.reader, sql, Policy::Reader).expect_err(sql);
        assert_eq!(error.primary_code(), Some(rusqlite::ffi::SQLITE_READONLY), "{sql}: {error}");
    }
    assert_eq!(one(&pair.writer, "SELECT group_concat(b) FROM t"), before);
}

#[test]
fn vacuum_into_makes_no_file_on_a_reader() {
    let pair = Pair::new();
    let copy = pair.folder.path().join("copy.db");
    let sql = format!("VACUUM INTO '{}'", copy.display());
    let error = run(&pair.reader, &sql, Policy::Reader).expect_err("refused");
    assert_eq!(error.primary_code(), Some(rusqlite::ffi::SQLITE_AUTH));
    assert_eq!(pair.reader.authorizer().denial(), Some(Denial::Attach));
    assert!(!copy.exists());
    run(&pair.writer, &sql, Policy::Statement).expect("the writer may");
    assert!(copy.exists());
}

#[test]
fn a_denial_while_stepping_is_in_the_log() {
    let pair = Pair::new();
    run(&pair.reader, "SELECT * FROM pragma_optimize", Policy::Reader).expect_err("it would act");
    let denial = Denial::Pragma { name: "optimize".to_owned(), kind: PragmaKind::Database };
    assert_eq!(pair.reader.authorizer().denial(), Some(denial));
    pair.reader.authorizer().clear();
    assert_eq!(pair.reader.authorizer().denial(), None);
    run(&pair.writer, "SELECT * FROM pragma_optimize", Policy::Statement).expect("the writer may");
}

#[test]
fn a_trigger_may_ask_for_the_last_rowid() {
    let pair = Pair::new();
    run(&pair.writer, "INSERT INTO watched VALUES (42)", Policy::Statement).expect("insert");
    assert_eq!(one(&pair.writer, "SELECT x FROM log"), "Integer(42)");
}

#[test]
fn a_statement_with_nothing_to_do_is_effective_once_there_is() {
    let pair = Pair::new();
    let sql = "DROP TRIGGER IF EXISTS later";
    let (statement, class) = prepare(&pair.writer, sql, Policy::Statement, false).expect("prepare");
    let mut statement = statement.expect("a statement");
    assert_eq!(class.route, Route::Write);
    let mut drop_it = || {
        let _policy = pair.writer.with_policy(class.step_policy(Policy::Statement));
        statement.raw_execute().expect("step");
    };
    drop_it();
    let create = "CREATE TRIGGER later AFTER INSERT ON t BEGIN SELECT 1; END";
    let count = "SELECT count(*) FROM sqlite_schema WHERE name = 'later'";
    run(&pair.writer, create, Policy::Statement).expect("create");
    drop_it();
    assert_eq!(one(&pair.writer, count), "Integer(0)");
    let other = rusqlite::Connection::open(pair.folder.path().join("app.db")).expect("open");
    other.execute_batch(create).expect("create elsewhere");
    drop_it();
    assert_eq!(one(&pair.writer, count), "Integer(0)");
}

#[test]
fn a_view_over_connection_state_leaves_no_lasting_denial() {
    let pair = Pair::new();
    let sql = "SELECT r FROM changing";
    run_all(&pair.writer, "CREATE VIEW changing AS SELECT 1 AS r");
    pair.reader.refresh_schema().expect("refresh");
    assert_eq!(run(&pair.reader, sql, Policy::Reader).expect("a plain view"), ["Integer(1)"]);

    let (statement, _) = prepare(&pair.reader, sql, Policy::Reader, false).expect("prepare");
    run_all(&pair.writer, "DROP VIEW changing; CREATE VIEW changing AS SELECT last_insert_rowid() AS r");
    assert!(statement.expect("a statement").raw_query().next().is_err(), "prepared again while stepping");
    let denial = Denial::ConnectionState { function: "last_insert_rowid".to_owned() };
    assert_eq!(pair.reader.authorizer().denial(), Some(denial));

    run_all(&pair.writer, "DROP VIEW changing; CREATE VIEW changing AS SELECT 2 AS r");
    pair.reader.refresh_schema().expect("refresh");
    assert_eq!(run(&pair.reader, sql, Policy::Reader).expect("a plain view again"), ["Integer(2)"]);
}

#[test]
fn vacuum_runs_on_the_writer() {
    let pair = Pair::new();
    run(&pair.writer, "VACUUM", Policy::Statement).expect("vacuum");
    run(&pair.writer, "REINDEX", Policy::Statement).expect("reindex");
}

#[test]
fn a_script_is_prepared_statement_by_statement() {
    let pair = Pair::new();
    let sql = "BEGIN; INSERT INTO log VALUES (1); -- why\nCOMMIT; ";
    let mut script = rusqlite::Batch::new(pair.writer.raw(), sql);
    let mut classes = Vec::new();
    while let Some((mut statement, class)) = prepare_next(&pair.writer, &mut script, Policy::Script).expect("prepare") {
        let _policy = pair.writer.with_policy(class.step_policy(Policy::Script));
        statement.raw_execute().expect("step");
        classes.push(Is::of_class(class));
    }
    assert_eq!(classes, [Is::Alone, Is::Inserts, Is::Alone]);
    assert_eq!(one(&pair.writer, "SELECT count(*) FROM log"), "Integer(1)");
}
