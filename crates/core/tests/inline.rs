//! Inline reads: what runs on the thread of its caller, and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sluice_core::{
    Concurrency, Delivery, Inline, Manager, Options, Params, Query, ReadOrder, Request, Result, Scope, Take, Value,
};
use tempfile::TempDir;

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

/// Counts up to its parameter.
const COUNT: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) FROM n";

/// One run is enough to show that a statement is short, so that no test waits for a machine that is busy.
fn eager() -> Options {
    Options { max_readers: 2, inline_reads: Some(1), ..Options::default() }
}

async fn open(options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    manager.query("CREATE TABLE t(x)", Params::none()).await?;
    manager.query("INSERT INTO t VALUES (1)", Params::none()).await?;
    Ok((dir, manager))
}

fn request(sql: &str) -> Request {
    Request::new(Query::new(sql), Params::none())
}

fn counter(manager: &Manager, name: &str) -> u64 {
    let counters = manager.status().counters;
    counters.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).expect("a counter of that name")
}

/// Waits until every reader has nothing to do, and its thread waits for messages.
async fn quiet(manager: &Manager) {
    while manager.status().readers.active > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Runs `request` on a worker until it runs inline, and returns that answer. The deadline of the test ends it.
async fn run_until_inline(manager: &Manager, request: &Request) -> Result<Inline> {
    loop {
        quiet(manager).await;
        if let Some(inline) = manager.try_inline(request) {
            return Ok(inline);
        }
        manager.run(request.clone()).await?;
    }
}

/// The cells of an answer that is complete; numbers only.
fn numbers(inline: &Inline) -> Vec<f64> {
    let Delivery::End(_, chunk, _) = &inline.delivery else { panic!("not an answer: {inline:?}") };
    chunk.iter().flat_map(|chunk| &chunk.cells).map(|cell| f64::from_bits(*cell)).collect()
}

#[tokio::test]
async fn a_statement_that_ran_short_runs_inline_and_is_counted_as_a_read() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_readers: 1, ..eager() }).await?;
        let request = request("SELECT x FROM t");
        assert!(manager.try_inline(&request).is_none(), "no worker has run it");
        let first = run_until_inline(&manager, &request).await?;
        assert_eq!(numbers(&first), [1.0]);
        let (reads, hits) = (counter(&manager, "reads"), counter(&manager, "statementCacheHits"));
        for _ in 0..10 {
            assert_eq!(numbers(&manager.try_inline(&request).expect("nothing is in its way")), [1.0]);
        }
        assert_eq!((counter(&manager, "reads"), counter(&manager, "statementCacheHits")), (reads + 10, hits + 10));
        assert_eq!(counter(&manager, "inlineReads"), 11);
        assert!((manager.metric("sluice_inline_reads_total", &[])? - 11.0).abs() < 0.5);
        let readers = manager.status().readers;
        assert_eq!((readers.open, readers.idle, readers.active), (1, 1, 0));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn reads_inline_see_every_write_that_was_acknowledged() -> Result<()> {
    in_deadline(async {
        for concurrency in [Concurrency::Wal, Concurrency::Exclusive] {
            let (_dir, manager) = open(Options { concurrency: Some(concurrency), ..eager() }).await?;
            let read = request("SELECT max(x) FROM t");
            run_until_inline(&manager, &read).await?;
            for number in 2..50 {
                manager.query("INSERT INTO t VALUES (?)", Params::positional([Value::from(number)])).await?;
                // The writer answers before it has given its permit back.
                let inline = run_until_inline(&manager, &read).await?;
                #[expect(clippy::cast_precision_loss, reason = "it is small")]
                let expected = number as f64;
                assert_eq!(numbers(&inline), [expected]);
            }
            manager.close().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nothing_runs_inline_that_the_gate_does_not_admit_at_once() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { concurrency: Some(Concurrency::Exclusive), ..eager() }).await?;
        let read = request("SELECT x FROM t");
        run_until_inline(&manager, &read).await?;
        let writer = manager.write().await?;
        assert!(manager.try_inline(&read).is_none(), "a write is under way");
        drop(writer);
        run_until_inline(&manager, &read).await?;
        manager.close().await?;
        assert!(manager.try_inline(&read).is_none(), "it is closed");

        let (_dir, manager) = open(eager()).await?;
        let read = request("SELECT x FROM t");
        run_until_inline(&manager, &read).await?;
        let writer = manager.write().await?;
        assert!(manager.try_inline(&read).is_some(), "with a write-ahead log it runs beside the write");
        drop(writer);
        let exclusive = manager.exclusive().await?;
        assert!(manager.try_inline(&read).is_none(), "somebody has the database for itself");
        drop(exclusive);
        assert!(manager.try_inline(&read).is_none(), "the readers were closed, and none is opened here");
        run_until_inline(&manager, &read).await?;
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn nothing_runs_inline_where_it_must_not() -> Result<()> {
    in_deadline(async {
        for options in [Options { inline_reads: None, ..eager() }, Options { max_readers: 0, ..eager() }] {
            let (_dir, manager) = open(options).await?;
            let read = request("SELECT x FROM t");
            for _ in 0..10 {
                manager.run(read.clone()).await?;
                quiet(&manager).await;
                assert!(manager.try_inline(&read).is_none());
            }
            manager.close().await?;
        }
        let (_dir, manager) = open(Options { read_order: ReadOrder::Submitted, ..eager() }).await?;
        let read = request("SELECT x FROM t");
        run_until_inline(&manager, &read).await?;
        for scope in [Scope::Read, Scope::Transaction, Scope::Exclusive] {
            assert!(manager.try_inline(&Request { scope, ..read.clone() }).is_none(), "{scope:?}");
        }
        assert!(manager.try_inline(&Request { take: Take::Describe, ..read.clone() }).is_none());
        for sql in ["INSERT INTO t VALUES (2) RETURNING x", "EXPLAIN SELECT x FROM t", "", "PRAGMA table_info(t)"] {
            let request = request(sql);
            for _ in 0..3 {
                manager.run(request.clone()).await?;
                quiet(&manager).await;
                let inline = manager.try_inline(&request);
                assert!(inline.is_none() || sql.starts_with("PRAGMA"), "{sql}: {inline:?}");
            }
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn what_proves_long_or_large_or_fails_is_left_to_a_worker_and_has_to_show_anew_that_it_is_short() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_readers: 1, ..eager() }).await?;
        let rows =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT zeroblob(1000) FROM n";
        for (sql, short, unfit) in [
            (COUNT, Value::from(2), Value::from(1_000_000)),
            (rows, Value::from(2), Value::from(100)),
            ("SELECT json_extract(?, '$.a')", Value::from("{}".to_owned()), Value::from("{".to_owned())),
        ] {
            let query = Query::new(sql);
            let with = |value: &Value| Request::new(Arc::clone(&query), Params::positional([value.clone()]));
            let before = counter(&manager, "inlineFallbacks");
            run_until_inline(&manager, &with(&short)).await?;
            assert!(manager.try_inline(&with(&unfit)).is_none(), "{sql}");
            assert_eq!(counter(&manager, "inlineFallbacks"), before + 1, "{sql}");
            assert!(manager.try_inline(&with(&short)).is_none(), "{sql}: it has been barred");
            let readers = manager.status().readers;
            assert_eq!((readers.open, readers.idle, readers.active), (1, 1, 0), "{sql}");
            let answered = manager.run(with(&unfit)).await;
            assert_eq!(answered.is_err(), sql.contains("json"), "{sql}: a worker answers as ever");
            run_until_inline(&manager, &with(&short)).await?;
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn values_that_do_not_fit_the_statement_are_refused_by_a_worker() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(eager()).await?;
        let query = Query::new("SELECT ?");
        let with = |values: Vec<Value>| Request::new(Arc::clone(&query), Params::positional(values));
        run_until_inline(&manager, &with(vec![Value::from(1)])).await?;
        let wrong = with(vec![Value::from(1), Value::from(2)]);
        assert!(manager.try_inline(&wrong).is_none());
        assert!(manager.run(wrong).await.is_err());
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn after_a_change_of_the_schema_a_worker_prepares_the_statement_first() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(eager()).await?;
        let read = request("SELECT * FROM t");
        let outside = rusqlite::Connection::open(dir.path().join("app.db")).expect("another connection");
        let mut columns = 1;
        for by_another in [false, true] {
            run_until_inline(&manager, &read).await?;
            let change = format!("ALTER TABLE t ADD COLUMN c{columns}");
            if by_another {
                outside.execute_batch(&change).expect("the column is added");
            } else {
                manager.query(&change, Params::none()).await?;
            }
            let before = counter(&manager, "inlineFallbacks");
            assert!(manager.try_inline(&read).is_none());
            assert_eq!(counter(&manager, "inlineFallbacks"), before + 1);
            columns += 1;
            let Delivery::End(shape, ..) = run_until_inline(&manager, &read).await?.delivery else { panic!("no rows") };
            assert_eq!(shape.map(|shape| shape.columns().len()), Some(columns));
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_lock_of_another_process_is_not_waited_for() -> Result<()> {
    in_deadline(async {
        let options = Options { pragmas: vec![("journal_mode".into(), "delete".into())], ..eager() };
        let dir = TempDir::new().expect("a temporary directory");
        let path = dir.path().join("app.db");
        let other = rusqlite::Connection::open(&path).expect("another connection");
        other
            .execute_batch("PRAGMA journal_mode=DELETE; CREATE TABLE t(x); INSERT INTO t VALUES (1)")
            .expect("a table");
        let options = Options { pragmas: Vec::new(), concurrency: Some(Concurrency::Exclusive), ..options };
        let manager = Manager::open(&path, options).await?;
        let read = request("SELECT x FROM t");
        run_until_inline(&manager, &read).await?;
        other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
        assert!(manager.try_inline(&read).is_none());
        assert_eq!((counter(&manager, "inlineFallbacks"), counter(&manager, "busyRetries")), (1, 0));
        other.execute_batch("COMMIT").expect("the lock is let go");
        manager.run(read).await?;
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_reader_that_is_used_inline_is_pruned_when_it_is_idle_for_too_long() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { idle_ttl: Duration::from_millis(20), ..eager() }).await?;
        let read = request("SELECT x FROM t");
        run_until_inline(&manager, &read).await?;
        while manager.status().readers.open > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(manager.try_inline(&read).is_none(), "no reader is opened on this thread");
        assert_eq!(counter(&manager, "prunes"), counter(&manager, "readerOpens"));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_call_that_asks_for_its_times_is_told_that_it_did_not_wait() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(eager()).await?;
        let read = Request { timed: true, ..request("SELECT x FROM t") };
        let Delivery::Timed(timed) = run_until_inline(&manager, &read).await?.delivery else { panic!("no times") };
        assert!(timed.queued < timed.ran.max(Duration::from_millis(1)), "{timed:?}");
        assert!(matches!(timed.delivery, Delivery::End(..)));
        manager.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inline_reads_of_several_threads_meet_workers_exclusive_mode_and_close() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(eager()).await?;
        let read = request("SELECT count(*) FROM t");
        run_until_inline(&manager, &read).await?;
        let (ended, inline) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (manager, read) = (manager.clone(), read.clone());
                let (ended, inline) = (Arc::clone(&ended), Arc::clone(&inline));
                std::thread::spawn(move || {
                    while !ended.load(Ordering::SeqCst) {
                        if manager.try_inline(&read).is_some() {
                            inline.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..30 {
            for _ in 0..20 {
                manager.run(read.clone()).await?;
            }
            manager.query("INSERT INTO t VALUES (1)", Params::none()).await?;
            drop(manager.exclusive().await?);
        }
        while inline.load(Ordering::SeqCst) < 100 {
            manager.run(read.clone()).await?;
        }
        manager.close().await?;
        ended.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().expect("no thread panics");
        }
        assert!(manager.try_inline(&read).is_none());
        let readers = manager.status().readers;
        assert_eq!((readers.open, readers.active), (0, 0));
        assert_eq!(counter(&manager, "panics") + counter(&manager, "discards"), 0);
        Ok(())
    })
    .await
}
