//! The invariants of the manager that reach beyond the admission gate. I1 to I5 and I8 of the gate itself are in
//! `src/gate/`, `tests/gate_property.rs` and `tests/gate_model.rs`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::{Delivery, Error, ErrorCode, Manager, Options, Params, Query, Request, Result, Sink, Status, Value};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Counts to ten million: long enough to be found running, and stopped only by an interrupt.
const RUNAWAY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

async fn open(options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    manager.query("CREATE TABLE t(x)", Params::none()).await?;
    Ok((dir, manager))
}

fn two_readers() -> Options {
    Options { max_readers: 2, ..Options::default() }
}

fn counter(manager: &Manager, name: &str) -> u64 {
    let counters = manager.status().counters;
    counters.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).expect("a counter of that name")
}

/// Waits until `ready` holds, looking every millisecond. The caller's deadline ends it.
async fn until(manager: &Manager, ready: impl Fn(&Status) -> bool) {
    while !ready(&manager.status()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn count(manager: &Manager) -> Result<Value> {
    let rows = manager.query("SELECT count(*) FROM t", Params::none()).await?.rows;
    Ok(rows[0][0].clone())
}

/// A request whose result is larger than one chunk.
fn many_rows() -> Request {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n";
    Request::new(Query::new(sql), Params::none())
}

/// What a sink saw of one delivery.
struct Seen {
    thread: Option<String>,
    last: Option<Result<(), Error>>,
}

/// Asks for the manager's status, which takes every lock the manager has, from inside each delivery.
struct Probe {
    manager: Manager,
    seen: UnboundedSender<Seen>,
}

impl Sink for Probe {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        drop(self.manager.status());
        let last = match delivery {
            Delivery::Rows(..) => None,
            Delivery::End(..) | Delivery::More(..) | Delivery::Done | Delivery::Timed(_) => Some(Ok(())),
            Delivery::Failed(failure) => Some(Err(failure.error)),
        };
        let thread = std::thread::current().name().map(str::to_owned);
        drop(self.seen.send(Seen { thread, last }));
    }
}

async fn outcome(seen: &mut UnboundedReceiver<Seen>) -> (usize, Vec<String>, Result<(), Error>) {
    let (mut chunks, mut threads) = (0, Vec::new());
    loop {
        let Seen { thread, last } = seen.recv().await.expect("an answer");
        threads.push(thread.unwrap_or_default());
        match last {
            None => chunks += 1,
            Some(result) => return (chunks, threads, result),
        }
    }
}

#[tokio::test]
async fn i6_sqlite_runs_on_threads_of_its_own_and_under_no_lock() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(two_readers()).await?;
        let (sender, mut seen) = unbounded_channel();
        let sink: Arc<dyn Sink> = Arc::new(Probe { manager: manager.clone(), seen: sender });
        // A chunk is delivered in the middle of stepping: a lock held there would never be free for `status`.
        manager.submit(many_rows(), None, Arc::clone(&sink), 1);
        let (chunks, threads, result) = outcome(&mut seen).await;
        assert!(result.is_ok() && chunks > 1, "I6 {chunks} chunks, {result:?}");
        assert!(threads.iter().all(|name| name.contains(":reader.")), "I6 a reader ran elsewhere: {threads:?}");
        let write = Request::new(Query::new("INSERT INTO t VALUES (1) RETURNING x"), Params::none());
        manager.submit(write, None, Arc::clone(&sink), 2);
        let (_, threads, result) = outcome(&mut seen).await;
        assert!(result.is_ok() && threads.iter().all(|name| name.contains(":writer")), "I6 {threads:?} {result:?}");
        drop(sink);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn i7_a_connection_with_an_open_transaction_is_rolled_back_before_it_is_used_again() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(two_readers()).await?;
        let mut lease = manager.write().await?;
        lease.execute("BEGIN", Params::none()).await?;
        lease.execute("INSERT INTO t VALUES (1)", Params::none()).await?;
        drop(lease);
        manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
        assert_eq!(count(&manager).await?, Value::Integer(1), "I7 what was not committed is gone");
        assert_eq!(counter(&manager, "writerReplacements"), 0, "I7 a connection that could be cleaned was replaced");
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn i7_a_lease_can_have_its_connection_replaced() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(two_readers()).await?;
        manager.read().await?.release(sluice_core::Disposition::Discard);
        until(&manager, |_| counter(&manager, "discards") == 1).await;
        assert_eq!(manager.status().readers.open, 0, "I7");
        assert_eq!(count(&manager).await?, Value::Integer(0));
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn i8_close_admits_nothing_rejects_the_queue_and_ends_once_for_all() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(two_readers()).await?;
        let lease = manager.write().await?;
        let queued = tokio::spawn({
            let manager = manager.clone();
            async move { manager.query("INSERT INTO t VALUES (1)", Params::none()).await }
        });
        until(&manager, |status| status.queued > 0).await;
        let closes: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let manager = manager.clone();
                    async move { manager.close().await }
                })
            })
            .collect();
        let rejected = queued.await.expect("no panic").expect_err("I8 a queued request is rejected");
        assert_eq!(rejected.code, ErrorCode::Closed, "I8");
        let late = manager.query("SELECT 1", Params::none()).await.expect_err("I8 nothing is admitted");
        assert_eq!(late.code, ErrorCode::Closed, "I8");
        assert!(closes.iter().all(|close| !close.is_finished()), "I8 close waits for what is in flight");
        drop(lease);
        for close in closes {
            close.await.expect("no panic")?;
        }
        manager.close().await?;
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").collect();
        assert_eq!(left.len(), 1, "I8 only the database file is left");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn i8_close_interrupts_what_outlives_its_timeout() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(two_readers()).await?;
        let running = tokio::spawn({
            let manager = manager.clone();
            async move { manager.query(RUNAWAY, Params::none()).await }
        });
        let idle = manager.read().await?;
        until(&manager, |status| status.wal.oldest_reader.is_some()).await;
        manager.close_within(Duration::from_millis(10)).await?;
        let stopped = running.await.expect("no panic").expect_err("I8 the runaway is interrupted");
        assert_eq!(stopped.primary_code(), Some(9), "I8 {stopped:?}");
        drop(idle);
        Ok(())
    })
    .await
}

/// Panics in the middle of a result.
struct Panicking(Mutex<Option<tokio::sync::oneshot::Sender<Error>>>);

impl Sink for Panicking {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        match delivery {
            Delivery::Rows(..) => panic!("planted"),
            Delivery::Failed(failure) => {
                let sender = self.0.lock().take().expect("one answer");
                drop(sender.send(failure.error));
            }
            Delivery::End(..) | Delivery::More(..) | Delivery::Done | Delivery::Timed(_) => {
                unreachable!("the first chunk panicked")
            }
        }
    }
}

#[tokio::test]
async fn i9_a_panic_fails_its_job_replaces_its_connection_and_nothing_else() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(two_readers()).await?;
        let mut bystander = manager.read().await?;
        let (sender, failed) = tokio::sync::oneshot::channel();
        manager.submit(many_rows(), None, Arc::new(Panicking(Mutex::new(Some(sender)))), 1);
        let error = failed.await.expect("I9 the job is answered");
        assert_eq!(error.code, ErrorCode::Panic, "I9");
        assert!(error.message.contains("planted"), "I9 {}", error.message);
        until(&manager, |_| counter(&manager, "discards") == 1).await;
        assert_eq!((counter(&manager, "panics"), manager.status().readers.open), (1, 1), "I9");
        assert_eq!(bystander.query("SELECT 1", Params::none()).await?.rows.len(), 1, "I9 others are not disturbed");
        drop(bystander);
        assert_eq!(count(&manager).await?, Value::Integer(0), "I9 a new reader takes the place");
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn i10_pruning_closes_idle_readers_and_never_an_active_one() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { idle_ttl: Duration::from_millis(5), ..two_readers() }).await?;
        let mut active = manager.read().await?;
        drop(manager.read().await?);
        until(&manager, |status| status.readers.open == 1).await;
        assert!(counter(&manager, "prunes") > 0, "I10 the idle one is pruned");
        assert_eq!(active.query("SELECT 1", Params::none()).await?.rows.len(), 1, "I10 the active one serves");
        drop(active);
        until(&manager, |status| status.readers.open == 0).await;
        assert_eq!(count(&manager).await?, Value::Integer(0), "I10 pruned readers come back when they are needed");
        manager.close().await
    })
    .await
}
