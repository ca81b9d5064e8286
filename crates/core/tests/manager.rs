//! The manager through its public API.

use std::sync::Arc;
use std::time::Duration;

use sluice_core::{
    Delivery, Durability, ErrorCode, Manager, Options, Params, Query, Request, Result, Route, Sink, Value,
};
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

/// Answers by number, in order of arrival.
struct Numbered(tokio::sync::mpsc::UnboundedSender<(u32, i64)>);

impl Sink for Numbered {
    fn deliver(&self, call: u32, delivery: Delivery) {
        let Delivery::End(_, chunk, _) = delivery else { panic!("{delivery:?}") };
        let value = f64::from_bits(chunk.cells.first().copied().unwrap_or_default());
        #[expect(clippy::cast_possible_truncation, reason = "the test counts to a few thousand")]
        self.0.send((call, value as i64)).expect("the test takes every answer");
    }
}

/// Reads that share a snapshot must each see what was acknowledged before they were submitted.
#[tokio::test]
async fn reads_in_a_backlog_see_every_write_acknowledged_before_them() -> Result<()> {
    const BACKLOG: u32 = 200;
    in_deadline(async {
        let dir = TempDir::new().expect("a temporary directory");
        // A write that waits for the disk would outlast every snapshot.
        let options = Options { max_readers: 2, durability: Durability::Off, ..Options::default() };
        let manager = Manager::open(dir.path().join("app.db"), options).await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        manager.query("INSERT INTO t VALUES (0)", Params::none()).await?;
        let read = Query::new("SELECT x FROM t");
        let write = Query::new("UPDATE t SET x = x + 1");
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let sink: Arc<dyn Sink> = Arc::new(Numbered(sender));
        for round in 1..=200_i64 {
            // The backlog keeps both readers on shared snapshots while the write commits beside them.
            for call in 0..BACKLOG {
                manager.submit(Request::new(Arc::clone(&read), Params::none()), Arc::clone(&sink), call);
            }
            manager.run(Request::new(Arc::clone(&write), Params::none())).await?;
            for call in BACKLOG..2 * BACKLOG {
                manager.submit(Request::new(Arc::clone(&read), Params::none()), Arc::clone(&sink), call);
            }
            for _ in 0..2 * BACKLOG {
                let (call, value) = answers.recv().await.expect("an answer");
                let least = if call < BACKLOG { round - 1 } else { round };
                assert!((least..=round).contains(&value), "read {call} of round {round} saw {value}");
            }
        }
        drop(sink);
        manager.close().await
    })
    .await
}
