//! What may run where, found out by preparing on real connections.

use rusqlite::StatementStatus;
use sluice_core::connection::pragma::{self, PragmaKind};
use sluice_core::connection::{
    Classified, ConnectionConfig, Denial, Location, PolicedConnection, Policy, PrepareError, Route, WalRequest,
    open_reader, open_writer, prepare, prepare_next,
};
use sluice_core::error::ErrorCode;
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
struct Pair {
    writer: PolicedConnection,
    reader: PolicedConnection,
    folder: TempDir,
}

impl Pair {
    fn new() -> Self {
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

fn run_all(conn: &PolicedConnection, sql: &str) {
    let _policy = conn.with_policy(Policy::Internal);
    conn.raw().execute_batch(sql).expect(sql);
}

/// Steps a statement to its end as a caller would, and returns its first column as text.
fn run(conn: &PolicedConnection, sql: &str, policy: Policy) -> Result<Vec<String>, sluice_core::error::Error> {
    let (statement, class) = prepare(conn, sql, policy, false).map_err(PrepareError::into_error)?;
    let _policy = conn.with_policy(class.step_policy(policy));
    let mut statement = statement.expect("a statement");
    let rows = statement.query_map([], |row| row.get_ref(0).map(|value| format!("{value:?}")))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn one(conn: &PolicedConnection, sql: &str) -> String {
    let _policy = conn.with_policy(Policy::Internal);
    conn.raw().query_row(sql, [], |row| row.get_ref(0).map(|value| format!("{value:?}"))).expect(sql)
}

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// A read.
    Read,
    /// A write that only changes rows, and inserts some.
    Inserts,
    /// A write that only changes rows, and inserts none.
    Changes,
    /// A write that changes the schema.
    Ddl,
    /// A write that makes something no other connection sees.
    Private,
    /// A write that needs every other connection out.
    Exclusive,
    /// Any other write.
    Alone,
    /// No statement.
    Nothing,
    /// More than one statement.
    Several,
    /// SQLite's own refusal.
    SqlError,
    /// Ours.
    NoTransaction,
    NoAttach,
    NoPragma,
    NoState,
    NoFunction,
    NoSchema,
    NoTemp,
}

impl Is {
    fn of(conn: &PolicedConnection, sql: &str, policy: Policy, known_single: bool) -> Self {
        match prepare(conn, sql, policy, known_single) {
            Ok((None, _)) => Self::Nothing,
            Ok((Some(_), class)) => Self::of_class(class),
            Err(PrepareError::Text(error)) => {
                assert_eq!(error.code, ErrorCode::MultipleStatements, "{sql}");
                Self::Several
            }
            Err(PrepareError::Sqlite(_)) => Self::SqlError,
            Err(PrepareError::Denied(denial)) => Self::of_denial(&denial),
        }
    }

    fn of_class(class: Classified) -> Self {
        match class.route {
            Route::Read => Self::Read,
            Route::Write if class.temp_or_attach() => Self::Private,
            Route::Write if class.needs_exclusive() => Self::Exclusive,
            Route::Write if class.ddl() => Self::Ddl,
            Route::Write if class.inserts() => Self::Inserts,
            Route::Write if class.dml() => Self::Changes,
            Route::Write => Self::Alone,
        }
    }

    fn of_denial(denial: &Denial) -> Self {
        match denial {
            Denial::Transaction => Self::NoTransaction,
            Denial::Attach => Self::NoAttach,
            Denial::Pragma { .. } => Self::NoPragma,
            Denial::ConnectionState { .. } => Self::NoState,
            Denial::Function { .. } => Self::NoFunction,
            Denial::Schema => Self::NoSchema,
            Denial::Temp => Self::NoTemp,
            Denial::Unknown { action } => panic!("the action {action} has no name here"),
        }
    }
}

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
}

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
    run(&pair.writer, create, Policy::Statement).expect("create");
    drop_it();
    assert_eq!(one(&pair.writer, "SELECT count(*) FROM sqlite_schema WHERE name = 'later'"), "Integer(0)");
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
        ("PRAGMA defer_foreign_keys = 1", ErrorCode::Pragma, "db.transaction"),
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
