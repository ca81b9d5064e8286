//! The manager through its public API.

use std::time::Duration;

use sluice_core::{ErrorCode, Manager, Options, Params, Result, Route, Value};
use tempfile::TempDir;

fn ints(values: &[i64]) -> Vec<Vec<Value>> {
    values.iter().map(|value| vec![Value::Integer(*value)]).collect()
}

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("done within the deadline")
}

async fn file() -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), Options { max_readers: 2, ..Options::default() }).await?;
    Ok((dir, manager))
}

#[tokio::test]
async fn statements_run_where_sqlite_says_they_belong() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        let made = manager.query("CREATE TABLE t(x INTEGER PRIMARY KEY, y)", Params::none()).await?;
        assert_eq!(made.outcome.route, Route::Write);
        let inserted = manager.query("INSERT INTO t(y) VALUES ('a'), ('b')", Params::none()).await?.outcome;
        assert_eq!((inserted.changes, inserted.last_insert_rowid), (2, Some(2)));
        let read = manager.query("SELECT x FROM t ORDER BY x", Params::none()).await?;
        assert_eq!((read.outcome.route, read.rows), (Route::Read, ints(&[1, 2])));
        let returned = manager.query("INSERT INTO t(y) VALUES ('c') RETURNING x", Params::none()).await?;
        assert_eq!((returned.outcome.changes, returned.rows), (1, ints(&[3])));
        let journal = manager.pragma("journal_mode", Some("delete")).await?;
        assert_eq!(journal.rows, [[Value::from("delete")]]);
        assert_eq!(manager.query("SELECT count(*) FROM t", Params::none()).await?.rows, ints(&[3]));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn memory_is_one_database_for_all_connections() -> Result<()> {
    in_deadline(async {
        let manager = Manager::open(":memory:", Options { max_readers: 3, ..Options::default() }).await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        manager.query("INSERT INTO t VALUES (7)", Params::none()).await?;
        let mut one = manager.read().await?;
        let mut two = manager.read().await?;
        assert_eq!(one.query("SELECT x FROM t", Params::none()).await?.rows, ints(&[7]));
        assert_eq!(two.query("SELECT x FROM t", Params::none()).await?.rows, ints(&[7]));
        let refused = one.query("DELETE FROM t", Params::none()).await.expect_err("a reader refuses");
        assert_eq!(refused.primary_code(), Some(8), "{refused:?}");
        drop((one, two));
        manager.close().await?;
        let late = manager.query("SELECT 1", Params::none()).await.expect_err("closed");
        assert_eq!(late.code, ErrorCode::Closed);
        Ok(())
    })
    .await
}
