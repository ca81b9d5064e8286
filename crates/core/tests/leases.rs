//! Leases: what is done under one, and what is left when it ends.

use std::time::Duration;

use sluice_core::{Disposition, ErrorCode, Manager, Options, Params, Query, Request, Result, Route, Take, Value};
use tempfile::TempDir;

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("done within the deadline")
}

async fn open(options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    Ok((dir, manager))
}

async fn run(manager: &Manager, sql: &str) -> Result<Vec<Vec<Value>>> {
    manager.query(sql, Params::none()).await.map(|rows| rows.rows)
}

fn one(value: impl Into<Value>) -> Vec<Vec<Value>> {
    vec![vec![value.into()]]
}

#[tokio::test]
async fn an_insert_under_a_lease_can_use_the_rowid_of_the_insert_before_it() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        let mut lease = manager.write().await?;
        lease.script("CREATE TABLE parent(x); CREATE TABLE child(parent INTEGER)").await?;
        lease.execute("INSERT INTO parent(rowid) VALUES (41), (42)", Params::none()).await?;
        let outcome = lease.execute("INSERT INTO child VALUES (last_insert_rowid())", Params::none()).await?;
        assert_eq!((outcome.changes, outcome.last_insert_rowid), (1, Some(1)));
        assert_eq!(lease.query("SELECT parent FROM child", Params::none()).await?.rows, one(42));
        manager.close_within(Duration::ZERO).await
    })
    .await
}

#[tokio::test]
async fn describing_a_write_reports_no_changes() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        run(&manager, "CREATE TABLE t(x)").await?;
        run(&manager, "INSERT INTO t VALUES (1), (2), (3)").await?;
        let delete = Request::new(Query::new("DELETE FROM t RETURNING x"), Params::none());
        let described = manager.run(Request { take: Take::Describe, ..delete }).await?;
        assert_eq!((described.columns.len(), described.rows.len(), described.outcome.changes), (1, 0, 0));
        assert_eq!(run(&manager, "SELECT count(*) FROM t").await?, one(3));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn an_exclusive_lease_that_ends_in_a_transaction_is_rolled_back_and_nothing_else() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        run(&manager, "CREATE TABLE t(x)").await?;
        let mut lease = manager.exclusive().await?;
        lease.query("BEGIN", Params::none()).await?;
        lease.execute("INSERT INTO t VALUES (1)", Params::none()).await?;
        drop(lease);
        run(&manager, "INSERT INTO t VALUES (2)").await?;
        assert_eq!(run(&manager, "SELECT x FROM t").await?, one(2));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn concurrency_follows_the_journal_mode_when_the_exclusive_lease_is_discarded() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        let mut lease = manager.exclusive().await?;
        lease.query("PRAGMA journal_mode=delete", Params::none()).await?;
        lease.release(Disposition::Discard);
        run(&manager, "CREATE TABLE t(x)").await?;
        assert_eq!(manager.status().concurrency, sluice_core::Concurrency::Exclusive);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn reads_stay_on_the_writer_when_the_drop_of_a_temporary_table_is_rolled_back() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        run(&manager, "CREATE TABLE t(x)").await?;
        let mut lease = manager.write().await?;
        lease.script("CREATE TEMP TABLE t(x); INSERT INTO temp.t VALUES (7); BEGIN").await?;
        lease.query("DROP TABLE temp.t", Params::none()).await?;
        lease.query("ROLLBACK", Params::none()).await?;
        drop(lease);
        let rows = manager.query("SELECT x FROM t", Params::none()).await?;
        assert_eq!((rows.outcome.route, rows.rows), (Route::Write, one(7)));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_result_that_is_too_large_leaves_the_transaction_of_its_lease_as_it_was() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_result_bytes: 1_000, ..Options::default() }).await?;
        run(&manager, "CREATE TABLE t(x)").await?;
        let mut lease = manager.write().await?;
        lease.query("BEGIN", Params::none()).await?;
        lease.execute("INSERT INTO t VALUES ('kept')", Params::none()).await?;
        let sql = "INSERT INTO t VALUES (zeroblob(600)), (zeroblob(600)) RETURNING x";
        let failed = lease.query(sql, Params::none()).await.expect_err("1,200 bytes");
        assert_eq!(failed.code, ErrorCode::TooLarge);
        lease.query("COMMIT", Params::none()).await?;
        drop(lease);
        assert_eq!(run(&manager, "SELECT x FROM t").await?, one("kept"));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn or_fail_keeps_the_rows_before_the_conflict_whether_or_not_rows_are_returned() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        run(&manager, "CREATE TABLE t(x UNIQUE)").await?;
        for (returning, first) in [("", 1), (" RETURNING x", 11)] {
            let sql = format!("INSERT OR FAIL INTO t VALUES ({first}), ({first}){returning}");
            let error = run(&manager, &sql).await.expect_err("a conflict");
            assert_eq!(error.constraint(), Some("t.x"));
        }
        assert_eq!(run(&manager, "SELECT sum(x) FROM t").await?, one(12));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn an_exclusive_script_may_leave_the_write_ahead_log_and_come_back_to_it() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        run(&manager, "CREATE TABLE t(x)").await?;
        // The file between them takes what the first log leaves free, so that the second is another file.
        let between = dir.path().join("between.db");
        let between = between.display();
        let script = format!(
            "PRAGMA journal_mode=delete; VACUUM INTO '{between}'; PRAGMA page_size=8192; VACUUM; PRAGMA journal_mode=wal"
        );
        let mut lease = manager.exclusive().await?;
        lease.script(&script).await?;
        drop(lease);
        run(&manager, "INSERT INTO t VALUES (1)").await?;
        assert_eq!(run(&manager, "SELECT x FROM t").await?, one(1));
        assert_eq!(run(&manager, "PRAGMA page_size").await?, one(8192));
        assert_eq!(manager.status().concurrency, sluice_core::Concurrency::Wal);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn what_follows_a_change_of_the_journal_mode_is_as_durable_as_that_needs() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        let mut lease = manager.exclusive().await?;
        let (full, extra) = (one(2), one(3));
        assert_eq!(lease.query("PRAGMA synchronous", Params::none()).await?.rows, full);
        lease.query("PRAGMA journal_mode=delete", Params::none()).await?;
        assert_eq!(lease.query("PRAGMA synchronous", Params::none()).await?.rows, extra);
        lease.script("PRAGMA journal_mode=wal; PRAGMA journal_mode=delete; PRAGMA journal_mode=wal").await?;
        assert_eq!(lease.query("PRAGMA synchronous", Params::none()).await?.rows, full);
        drop(lease);
        manager.close().await
    })
    .await
}
