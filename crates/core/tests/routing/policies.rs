//! What each policy allows, and what a user is told of what it does not.

use rusqlite::StatementStatus;
use sluice_core::connection::{Policy, prepare};
use sluice_core::error::ErrorCode;

use crate::pair::{Pair, run_all};
use crate::verdict::Is;

#[test]
fn a_policy_allows_what_its_holder_owns() {
    let pair = Pair::new();
    let cases = [
        ("BEGIN", [Is::NoTransaction, Is::Alone, Is::Alone, Is::Alone]),
        ("SELECT changes()", [Is::Read, Is::Read, Is::Read, Is::Read]),
        ("PRAGMA user_version = 4", [Is::Alone, Is::Alone, Is::Alone, Is::Alone]),
        ("PRAGMA defer_foreign_keys = 1", [Is::Alone, Is::Alone, Is::Alone, Is::Alone]),
        ("PRAGMA journal_mode = DELETE", [Is::NoPragma, Is::NoPragma, Is::NoPragma, Is::Exclusive]),
        ("PRAGMA foreign_keys = 0", [Is::NoPragma, Is::NoPragma, Is::NoPragma, Is::NoPragma]),
        ("PRAGMA synchronous = 0", [Is::NoPragma, Is::NoPragma, Is::NoPragma, Is::NoPragma]),
        ("SELECT load_extension('x')", [Is::NoFunction, Is::NoFunction, Is::NoFunction, Is::NoFunction]),
        ("CREATE TEMP TABLE x(a)", [Is::Private, Is::Private, Is::Private, Is::Private]),
    ];
    for (sql, expected) in cases {
        let policies = [Policy::Transaction, Policy::Script, Policy::Lease, Policy::Exclusive];
        let found = policies.map(|policy| Is::of(&pair.writer, sql, policy, false));
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn switching_the_policy_expires_no_statement() {
    let pair = Pair::new();
    let (statement, _) = prepare(&pair.writer, "SELECT a FROM t", Policy::Statement, false).expect("prepare");
    let mut statement = statement.expect("a statement");
    for policy in [Policy::Internal, Policy::Lease, Policy::Statement, Policy::Tail] {
        let _policy = pair.writer.with_policy(policy);
        assert!(statement.exists([]).expect("step"));
    }
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    assert_eq!(pair.writer.authorizer().policy(), Policy::Statement, "the one at rest is back");
}

#[test]
fn private_objects_are_seen() {
    let pair = Pair::new();
    let holds = || pair.writer.holds_private_objects().expect("ask");
    assert!(!holds());
    run_all(&pair.writer, "CREATE TEMP VIEW w AS SELECT 1");
    assert!(holds());
    run_all(&pair.writer, "DROP VIEW w");
    assert!(!holds());
    run_all(&pair.writer, "ATTACH ':memory:' AS m");
    assert!(holds());
}

#[test]
fn the_schema_table_cannot_be_written_even_by_the_driver() {
    let pair = Pair::new();
    let _policy = pair.writer.with_policy(Policy::Internal);
    pair.writer.raw().execute_batch("PRAGMA writable_schema = 1").expect("ignored");
    let broken = pair.writer.raw().execute_batch("UPDATE sqlite_schema SET sql = 'broken'");
    assert!(broken.is_err(), "the connection is defensive");
}

#[test]
fn a_nul_in_the_text_is_an_error() {
    let pair = Pair::new();
    let error = prepare(&pair.writer, "SELECT 1\0; DROP TABLE t", Policy::Statement, false).expect_err("NUL");
    assert_eq!(error.into_error().code, ErrorCode::InvalidArgument);
}

#[test]
fn an_error_of_sqlite_says_where() {
    let pair = Pair::new();
    let error = prepare(&pair.reader, "SELECT nowhere FROM t", Policy::Reader, false).expect_err("no such column");
    let error = error.into_error();
    assert_eq!((error.offset, error.extended_code), (Some(7), Some(rusqlite::ffi::SQLITE_ERROR)));
}

#[test]
fn each_refusal_names_its_way_out() {
    let pair = Pair::new();
    for (sql, code, hint) in [
        ("BEGIN", ErrorCode::ManualTransaction, "db.transaction"),
        ("SELECT last_insert_rowid()", ErrorCode::ConnectionState, "lastInsertRowid"),
        ("PRAGMA cache_size = 1", ErrorCode::Pragma, "db.pragma"),
        ("PRAGMA synchronous = 1", ErrorCode::Pragma, "durability"),
        ("PRAGMA busy_timeout = 1", ErrorCode::Pragma, "busyTimeoutMs"),
        ("PRAGMA soft_heap_limit = 1", ErrorCode::Pragma, "process"),
        ("PRAGMA defer_foreign_keys = 1", ErrorCode::Pragma, "transaction"),
        ("PRAGMA jornal_mode", ErrorCode::Pragma, "jornal_mode"),
        ("SELECT load_extension('x')", ErrorCode::NotAuthorized, "load_extension"),
        ("SELECT 1; SELECT 2", ErrorCode::MultipleStatements, "db.exec"),
    ] {
        let error = prepare(&pair.writer, sql, Policy::Statement, false).expect_err(sql).into_error();
        assert_eq!(error.code, code, "{sql}");
        assert!(error.message.contains(hint), "{sql}: {}", error.message);
    }
}

#[test]
fn inside_a_read_what_is_no_read_is_refused_by_its_kind() {
    let pair = Pair::new();
    let refusal = |sql: &str| prepare(&pair.reader, sql, Policy::Reader, false).expect(sql).1.to_read_only_error();
    assert_eq!(refusal("DELETE FROM t").primary_code(), Some(rusqlite::ffi::SQLITE_READONLY));
    assert_eq!(refusal("VACUUM INTO 'never made.db'").code, ErrorCode::NotAuthorized);
}
