//! The manager through its public API.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sluice_core::{
    Delivery, Durability, ErrorCode, Manager, Options, Params, Query, Request, Result, Route, Scope, Sink, Value,
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
        let Delivery::End(..) = delivery else { panic!("{delivery:?}") };
        let first = delivery.chunk().and_then(|chunk| chunk.cells.first().copied());
        let value = f64::from_bits(first.unwrap_or_default());
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
                manager.submit(Request::new(Arc::clone(&read), Params::none()), None, Arc::clone(&sink), call);
            }
            manager.run(Request::new(Arc::clone(&write), Params::none())).await?;
            for call in BACKLOG..2 * BACKLOG {
                manager.submit(Request::new(Arc::clone(&read), Params::none()), None, Arc::clone(&sink), call);
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

/// Keeps a read running until it is told that nobody takes its rows.
#[derive(Default)]
struct Endless {
    running: AtomicBool,
    abandoned: AtomicBool,
}

impl Sink for Endless {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        self.running.store(true, Ordering::SeqCst);
    }

    fn wait_for_room(&self) -> bool {
        !self.abandoned.load(Ordering::SeqCst)
    }
}

impl Endless {
    const SQL: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";

    /// Starts the read, and waits until it runs.
    async fn start(manager: &Manager) -> Arc<Self> {
        let endless = Arc::new(Self::default());
        manager.submit(Request::new(Query::new(Self::SQL), Params::none()), None, Arc::<Self>::clone(&endless), 1);
        while !endless.running.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        endless
    }
}

#[tokio::test]
async fn writes_with_new_texts_wait_for_no_reader() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        let (one, two) = (Endless::start(&manager).await, Endless::start(&manager).await);
        assert_eq!(manager.status().readers.active, 2);
        let writes: Vec<_> = (1..=20)
            .map(|x| {
                let manager = manager.clone();
                tokio::spawn(async move {
                    manager.query(&format!("INSERT INTO t VALUES ({x}) RETURNING rowid"), Params::none()).await
                })
            })
            .collect();
        for (rowid, write) in (1..).zip(writes) {
            let written = write.await.expect("no panic")?;
            assert_eq!(
                (written.outcome.route, written.rows),
                (Route::Write, ints(&[rowid])),
                "in the order of the calls"
            );
        }
        for endless in [one, two] {
            endless.abandoned.store(true, Ordering::SeqCst);
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn reads_with_new_texts_wait_for_a_reader_and_hold_up_no_write() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        let busy = [Endless::start(&manager).await, Endless::start(&manager).await];
        let (third, query) = (Arc::new(Endless::default()), Query::new(Endless::SQL));
        let submit = || {
            let request = Request::new(Arc::clone(&query), Params::none());
            manager.submit(request, None, Arc::<Endless>::clone(&third), 1);
        };
        submit();
        manager.query("INSERT INTO t VALUES (1)", Params::none()).await?;
        assert_eq!((manager.status().readers.waiting, manager.status().queued), (1, 1));
        assert!(!third.running.load(Ordering::SeqCst), "the writer does not run it");
        submit();
        assert_eq!(manager.status().queued, 2, "its text is known to be a read by now, and takes no place");

        busy[0].abandoned.store(true, Ordering::SeqCst);
        while !third.running.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        for endless in [&busy[1], &third] {
            endless.abandoned.store(true, Ordering::SeqCst);
        }
        let read = manager.query("SELECT count(*) FROM t", Params::none()).await?;
        assert_eq!((read.outcome.route, read.rows), (Route::Read, ints(&[1])));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn while_temporary_objects_pin_everything_to_the_writer_it_runs_reads_that_it_classifies() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        let busy = [Endless::start(&manager).await, Endless::start(&manager).await];
        // All are submitted before the first of them runs, so that none is routed by what it does.
        let writer = manager.write().await?;
        let calls = ["CREATE TEMP TABLE t(x)", "SELECT 7"].map(|sql| {
            let request = Request::new(Query::new(sql), Params::none());
            let (sender, answer) = tokio::sync::mpsc::unbounded_channel();
            manager.submit(request, None, Arc::new(Routes(sender)), 1);
            answer
        });
        assert_eq!(manager.status().queued, 4, "each waits for the writer and for a reader");
        drop(writer);
        for mut answer in calls {
            assert_eq!(answer.recv().await, Some(Route::Write));
        }
        for endless in busy {
            endless.abandoned.store(true, Ordering::SeqCst);
        }
        manager.close().await
    })
    .await
}

/// Tells where a statement ran.
struct Routes(tokio::sync::mpsc::UnboundedSender<Route>);

impl Sink for Routes {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let Delivery::End(_, _, outcome) = delivery else { panic!("{delivery:?}") };
        self.0.send(outcome.route).ok();
    }
}

#[tokio::test]
async fn an_explain_tells_of_the_schema_as_it_is() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        let plan = "EXPLAIN QUERY PLAN SELECT x FROM t WHERE x = 1";
        let before = manager.query(plan, Params::none()).await?.rows;
        manager.query("CREATE INDEX t_x ON t(x)", Params::none()).await?;
        assert_ne!(manager.query(plan, Params::none()).await?.rows, before);
        manager.query("DROP TABLE t", Params::none()).await?;
        let error = manager.query(plan, Params::none()).await.expect_err("there is no such table any more");
        assert!(error.message.contains("no such table"), "{error}");
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn an_explained_pragma_does_not_act_however_often() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        for _ in 0..3 {
            manager.query("EXPLAIN PRAGMA auto_vacuum = 2", Params::none()).await?;
            manager.query("VACUUM", Params::none()).await?;
            assert_eq!(manager.query("PRAGMA auto_vacuum", Params::none()).await?.rows, ints(&[0]));
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn what_is_wrong_in_a_callback_is_told_as_anywhere_else_and_what_would_wait_for_it_is_not() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = file().await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        let cases = [
            ("SELECT * FROM missing", ErrorCode::Sqlite),
            ("SELEC 1", ErrorCode::Sqlite),
            ("SELECT 1; SELECT 2", ErrorCode::MultipleStatements),
            ("SELECT last_insert_rowid()", ErrorCode::ConnectionState),
            // On a private handle it would be right.
            ("BEGIN", ErrorCode::Reentrant),
            ("INSERT INTO t VALUES (1)", ErrorCode::Reentrant),
            ("CREATE TABLE u(x)", ErrorCode::Reentrant),
            ("CREATE TEMP TABLE u(x)", ErrorCode::Reentrant),
            ("ATTACH ':memory:' AS a", ErrorCode::Reentrant),
            ("VACUUM", ErrorCode::Reentrant),
            ("PRAGMA user_version = 1", ErrorCode::Reentrant),
        ];
        for scope in [Scope::Read, Scope::Transaction] {
            for (sql, code) in cases {
                for _ in 0..2 {
                    let request = Request { scope, ..Request::new(Query::new(sql), Params::none()) };
                    let error = manager.run(request).await.expect_err(sql);
                    assert_eq!(error.code, code, "{scope:?}: {sql}: {error:?}");
                }
            }
        }
        manager.close().await
    })
    .await
}
