//! PRAGMAs act while they are prepared, so that classifying them must not let them.

use sluice_core::connection::pragma::{self, PragmaKind};
use sluice_core::connection::{
    ConnectionConfig, Location, PolicedConnection, Policy, WalRequest, open_writer, prepare,
};

use crate::pair::{Pair, one, run};
use crate::verdict::Is;

/// The value of every setting that has a reading form.
fn settings(conn: &PolicedConnection) -> Vec<(&'static str, Option<String>)> {
    let _policy = conn.with_policy(Policy::Internal);
    let settings =
        pragma::names().filter(|name| pragma::is_reading(name, None) && !pragma::is_reading(name, Some("1")));
    settings
        .map(|name| {
            let value =
                conn.raw().pragma_query_value(None, name, |row| row.get_ref(0).map(|value| format!("{value:?}")));
            (name, value.ok())
        })
        .collect()
}

/// Every way to give `name` a value, with what SQLite understands by some of them.
fn value_forms(name: &str) -> impl Iterator<Item = String> {
    let values = ["0", "1", "2", "77", "-9", "off", "exclusive", "memory", "reset"];
    values.into_iter().flat_map(move |value| {
        [
            format!("PRAGMA {name} = {value}"),
            format!("PRAGMA main.{name}({value})"),
            format!("EXPLAIN PRAGMA {name} = {value}"),
            format!("PRAGMA {name} = {value}; SELECT 1"),
        ]
    })
}

#[test]
fn classifying_a_pragma_changes_nothing() {
    let pair = Pair::new();
    // These are the writer's to run, and SQLite lets them act in prepare: there, classifying them is running them.
    let acts_on_the_writer = ["auto_vacuum", "default_cache_size", "encoding", "page_size"];
    for (conn, policy) in [(&pair.reader, Policy::Reader), (&pair.writer, Policy::Statement)] {
        let before = settings(conn);
        for name in pragma::names().filter(|name| policy == Policy::Reader || !acts_on_the_writer.contains(name)) {
            for sql in value_forms(name) {
                drop(prepare(conn, &sql, policy, false));
            }
            assert_eq!(settings(conn), before, "{name} under {policy:?}");
        }
    }
}

#[test]
fn preparing_a_pragma_acts_where_no_policy_forbids_it() {
    let pair = Pair::new();
    let mut acted = Vec::new();
    for name in pragma::names().filter(|name| pragma::kind(name) != PragmaKind::Process) {
        for sql in value_forms(name) {
            let before = settings(&pair.writer);
            drop(prepare(&pair.writer, &sql, Policy::Internal, true));
            if settings(&pair.writer) != before {
                acted.push(name);
            }
        }
    }
    acted.dedup();
    assert!(acted.len() >= 24, "the test above proves nothing if SQLite no longer does this: {acted:?}");
}

#[test]
fn the_reading_forms_of_pragmas_change_nothing_when_run() {
    let pair = Pair::new();
    let before = settings(&pair.reader);
    for name in pragma::names().filter(|name| pragma::is_reading(name, None)) {
        run(&pair.reader, &format!("PRAGMA {name}"), Policy::Reader).expect(name);
    }
    for name in pragma::names().filter(|name| pragma::is_reading(name, Some("t"))) {
        run(&pair.reader, &format!("PRAGMA {name}(t)"), Policy::Reader).expect(name);
    }
    assert_eq!(settings(&pair.reader), before);
}

#[test]
fn the_text_after_a_statement_never_acts() {
    let location = Location::Memory("tail".to_owned());
    let (conn, _) = open_writer(&location, &ConnectionConfig::default(), WalRequest::Keep).expect("open");
    for sql in ["SELECT 1; PRAGMA page_size = 8192", "PRAGMA page_size = 8192; SELECT 1", "PRAGMA page_size = 8192; !"]
    {
        assert_eq!(Is::of(&conn, sql, Policy::Statement, false), Is::Several, "{sql}");
        assert_eq!(one(&conn, "PRAGMA page_size"), "Integer(4096)", "{sql}");
    }
    drop(prepare(&conn, "EXPLAIN PRAGMA page_size = 8192", Policy::Statement, false).expect("a listing"));
    assert_eq!(one(&conn, "PRAGMA page_size"), "Integer(4096)", "EXPLAIN does nothing");
    run(&conn, "PRAGMA page_size = 8192;", Policy::Statement).expect("alone it acts");
    assert_eq!(one(&conn, "PRAGMA page_size"), "Integer(8192)");
}
