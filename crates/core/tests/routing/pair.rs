//! A writer and a reader to prepare and step on.

use sluice_core::connection::{
    ConnectionConfig, Location, PolicedConnection, Policy, PrepareError, WalRequest, open_reader, open_writer, prepare,
};
use sluice_core::error::Result;
use tempfile::TempDir;

const SCHEMA: &str = "
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
    CREATE TABLE log(x);
    CREATE INDEX t_b ON t(b);
    CREATE VIEW v AS SELECT * FROM t;
    CREATE TRIGGER v_insert INSTEAD OF INSERT ON v BEGIN INSERT INTO t(b) VALUES (new.b); END;
    CREATE TABLE watched(a INTEGER PRIMARY KEY);
    CREATE TRIGGER watched_insert AFTER INSERT ON watched BEGIN INSERT INTO log VALUES (last_insert_rowid()); END;
    CREATE VIEW state AS SELECT last_insert_rowid() AS r;
    CREATE VIRTUAL TABLE f5 USING fts5(body);
    CREATE VIRTUAL TABLE f4 USING fts4(body);
    CREATE VIRTUAL TABLE rt USING rtree(id, x0, x1);
    INSERT INTO t(b) VALUES ('one'), ('two');
    INSERT INTO f5 VALUES ('hello world');
    INSERT INTO f4 VALUES ('hello world');
    INSERT INTO rt VALUES (1, 0.0, 1.0);
";

/// A writer and a reader on one file. The connections are declared before the folder, so that they close first.
pub(crate) struct Pair {
    pub(crate) writer: PolicedConnection,
    pub(crate) reader: PolicedConnection,
    pub(crate) folder: TempDir,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::File(folder.path().join("app.db"));
        let config = ConnectionConfig::default();
        let (maker, _) = open_writer(&location, &config, WalRequest::default()).expect("open");
        run_all(&maker, SCHEMA);
        // The first one goes, so that nothing is connected or prepared yet when a test begins.
        let (writer, _) = open_writer(&location, &config, WalRequest::default()).expect("open");
        let reader = open_reader(&location, &config).expect("open");
        Self { writer, reader, folder }
    }
}

pub(crate) fn run_all(conn: &PolicedConnection, sql: &str) {
    let _policy = conn.with_policy(Policy::Internal);
    conn.raw().execute_batch(sql).expect(sql);
}

/// Steps a statement to its end as a caller would, and returns its first column as text.
pub(crate) fn run(conn: &PolicedConnection, sql: &str, policy: Policy) -> Result<Vec<String>> {
    let (statement, class) = prepare(conn, sql, policy, false).map_err(PrepareError::into_error)?;
    let _policy = conn.with_policy(class.step_policy(policy));
    let mut statement = statement.expect("a statement");
    let rows = statement.query_map([], |row| row.get_ref(0).map(|value| format!("{value:?}")))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn one(conn: &PolicedConnection, sql: &str) -> String {
    let _policy = conn.with_policy(Policy::Internal);
    conn.raw().query_row(sql, [], |row| row.get_ref(0).map(|value| format!("{value:?}"))).expect(sql)
}
