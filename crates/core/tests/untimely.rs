//! Aborts, panics and failures at the most untimely moments.

#[path = "sessions/bench.rs"]
mod bench;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::{
    Cancel, CancelReason, Control, Delivery, ErrorCode, Manager, Options, Params, PrivateHandle, Query, Request,
    Result, SessionKind, Sink, Value,
};
use tokio::sync::oneshot;

use bench::{Bench, ENDLESS, IMMEDIATE, code, in_deadline, limits};

fn request(sql: &str) -> Request {
    Request::new(Query::new(sql), Params::none())
}

struct Once(Mutex<Option<oneshot::Sender<Result<()>>>>);

impl Sink for Once {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let result = match delivery {
            Delivery::Rows(..) => return,
            Delivery::More(..) | Delivery::End(..) | Delivery::Done | Delivery::Timed(_) => Ok(()),
            Delivery::Failed(failure) => Err(failure.error),
        };
        if let Some(sender) = self.0.lock().take() {
            drop(sender.send(result));
        }
    }
}

fn submit(handle: &PrivateHandle, sql: &str, cancel: Option<Arc<Cancel>>) -> impl Future<Output = Result<()>> + use<> {
    let (sender, answer) = oneshot::channel();
    handle.submit(request(sql), cancel, Arc::new(Once(Mutex::new(Some(sender)))), 1);
    async move { answer.await.expect("answered") }
}

fn script(handle: &PrivateHandle, sql: &str) -> impl Future<Output = Result<()>> + use<> {
    let (sender, answer) = oneshot::channel();
    handle.submit_script(Query::new(sql), None, Arc::new(Once(Mutex::new(Some(sender)))), 1);
    async move { answer.await.expect("answered") }
}

async fn ints(manager: &Manager, sql: &str) -> Vec<i64> {
    let rows = manager.query(sql, Params::none()).await.expect("reads").rows;
    rows.iter().flatten().filter_map(|v| if let Value::Integer(i) = v { Some(*i) } else { None }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_abort_of_a_cursor_stops_no_other_statement_of_its_transaction() -> Result<()> {
    for round in 0..16u64 {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let cancel = Cancel::new();
        let call = bench.call();
        let sql = "SELECT zeroblob(200000000) AS big_row FROM t";
        let cursor = tx.iterate(request(sql), 1, Some(Arc::clone(&cancel)), bench.sink(), call);
        bench.until_it_runs("big_row").await;
        // Somewhere while the row is made, or just after.
        tokio::time::sleep(Duration::from_millis(round * 6)).await;
        cancel.cancel(CancelReason::Aborted);
        if let Err(error) = bench.answer(call).await {
            assert_eq!(error.code, ErrorCode::Aborted, "round {round}");
        }
        bench.run(&tx, "INSERT INTO t VALUES (3)").await?;
        drop(cursor);
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY x").await?, [1, 2, 3], "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_stopped_on_a_handle_whose_transaction_is_gone_does_not_free_it() -> Result<()> {
    in_deadline(async {
        let bench = Bench::open(Options::default()).await?;
        let handle = bench.manager.private_handle(None);
        submit(&handle, "BEGIN", None).await?;
        submit(&handle, "INSERT INTO t VALUES (2)", None).await?;
        submit(&handle, "INSERT OR ROLLBACK INTO t VALUES (1)", None).await.expect_err("it is there");
        assert_eq!(submit(&handle, "INSERT INTO t VALUES (3)", None).await.expect_err("x").code, ErrorCode::TxAborted);
        let lease = bench.manager.write().await?;
        let cancel = Cancel::new();
        let cancelled = submit(&handle, "INSERT INTO t VALUES (4)", Some(Arc::clone(&cancel)));
        cancel.cancel(CancelReason::Aborted);
        assert_eq!(cancelled.await.expect_err("aborted").code, ErrorCode::Aborted);
        drop(lease);
        let next = submit(&handle, "INSERT INTO t VALUES (5)", None).await;
        let there = ints(&bench.manager, "SELECT x FROM t ORDER BY x").await;
        assert_eq!(next.as_ref().err().map(|e| e.code), Some(ErrorCode::TxAborted), "next: {next:?}; t: {there:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_call_that_gets_no_turn_on_a_handle_whose_transaction_is_gone_does_not_free_it() -> Result<()> {
    in_deadline(async {
        let bench = Bench::open(Options { acquire_timeout: Duration::from_millis(50), ..Options::default() }).await?;
        let handle = bench.manager.private_handle(None);
        submit(&handle, "BEGIN", None).await?;
        submit(&handle, "INSERT OR ROLLBACK INTO t VALUES (1)", None).await.expect_err("it is there");
        let lease = bench.manager.write().await?;
        let late = submit(&handle, "INSERT INTO t VALUES (4)", None).await;
        assert_eq!(code(late), ErrorCode::AcquireTimeout);
        drop(lease);
        let next = submit(&handle, "INSERT INTO t VALUES (5)", None).await;
        let there = ints(&bench.manager, "SELECT x FROM t ORDER BY x").await;
        assert_eq!(next.as_ref().err().map(|e| e.code), Some(ErrorCode::TxAborted), "next: {next:?}; t: {there:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_write_of_a_transaction_leaves_nothing_to_be_committed() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let columns: Vec<_> = (0..1500).map(|i| format!("c{i}")).collect();
        let values = vec!["length(randomblob(1))"; 1499].join(",");
        bench.manager.write().await?.script(&format!("CREATE TABLE wide({})", columns.join(","))).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        let sql = format!("INSERT INTO wide VALUES (length(randomblob(400000000)),{values})");
        let cancel = Cancel::new();
        let call = bench.ask_with(&tx, &sql, Some(Arc::clone(&cancel)));
        bench.until_it_runs("INSERT INTO wide").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel(CancelReason::Aborted);
        let aborted = bench.answer(call).await;
        let commit = bench.control(&tx, Control::Commit).await;
        let left = bench.integers("SELECT count(*) FROM wide").await?;
        assert!(
            aborted.is_ok() || left == [0],
            "the INSERT was answered {:?}, the commit {:?}, rows committed: {left:?}",
            aborted.err().map(|e| e.code),
            commit
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_during_an_inner_commit_ends_the_exclusive_session() -> Result<()> {
    for round in 0..20u64 {
        let mut bench = Bench::open(Options::default()).await?;
        bench.manager.write().await?.script("CREATE TABLE b(x)").await?;
        let (session, ended) = bench.begun(SessionKind::Exclusive).await;
        bench.control(&session, Control::Begin(sluice_core::Behavior::Immediate)).await?;
        bench.run(&session, "INSERT INTO b VALUES (zeroblob(60000000))").await?;
        let call = bench.call();
        session.control(Control::Commit, None, bench.sink(), call);
        tokio::time::sleep(Duration::from_millis(2 + round * 4)).await;
        session.abort(CancelReason::Aborted);
        let commit = bench.answer(call).await;
        let next = bench.run(&session, "SELECT 1").await;
        if commit.is_ok() && next.is_ok() {
            let told = tokio::time::timeout(Duration::from_secs(3), bench.answer(ended)).await;
            panic!("round {round}: aborted, and still alive: SELECT 1 {next:?}, ended within 3 s: {}", told.is_ok());
        }
    }
    Ok(())
}

struct Panicking;
impl Sink for Panicking {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        panic!("a sink that panics");
    }
}

#[tokio::test]
async fn a_sink_that_panics_ends_the_transaction_whose_connection_is_replaced() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _ended) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        tx.submit(request("INSERT INTO t VALUES (3)"), None, Arc::new(Panicking), 99);
        let next = bench.run(&tx, "INSERT INTO t VALUES (4)").await;
        let there = bench.integers("SELECT x FROM t ORDER BY x").await?;
        let rollback = bench.control(&tx, Control::Rollback).await;
        let after = bench.integers("SELECT x FROM t ORDER BY x").await?;
        assert_eq!(after, [1], "INSERT 4: {next:?}; before rollback {there:?}; rollback {rollback:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_waits_behind_a_group_that_breaks_is_told_why() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let lease = bench.manager.write().await?;
        for sql in ["INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)"] {
            let call = bench.call();
            bench.manager.submit(request(sql), None, bench.sink(), call);
        }
        while bench.manager.status().writer.waiting < 2 {
            tokio::task::yield_now().await;
        }
        let handle = bench.manager.private_handle(None);
        let text = submit(&handle, "BEGIN", None);
        let (_tx, call, ended) = bench.begin(IMMEDIATE, limits(0, 0), None);
        std::fs::remove_file(bench.dir.path().join("app.db-wal")).expect("a log");
        drop(lease);
        let text = text.await.expect_err("the log is gone");
        let (begun, ended) = (bench.answer(call).await, bench.answer(ended).await);
        let rollback = submit(&handle, "ROLLBACK", None).await;
        assert_eq!(
            text.code,
            ErrorCode::WalGone,
            "BEGIN: {text:?}; tx: {:?}; ended: {:?}; ROLLBACK on the handle: {rollback:?}",
            begun.err(),
            ended.err()
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_read_that_a_group_sent_to_the_readers_can_be_stopped_while_it_waits() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 1, ..Options::default() }).await?;
        let stop = Cancel::new();
        let lease = bench.manager.write().await?;
        let reading = bench.call();
        bench.manager.submit(request(ENDLESS), Some(Arc::clone(&stop)), bench.sink(), reading);
        // The only reader is busy, and its statement is known to be a read.
        while bench.manager.status().queued > 0 || bench.manager.status().readers.active == 0 {
            tokio::task::yield_now().await;
        }
        let insert = Query::new("INSERT INTO t VALUES (abs(random()))");
        let mut writes = Vec::new();
        for _ in 0..2 {
            let call = bench.call();
            bench.manager.submit(Request::new(Arc::clone(&insert), Params::none()), None, bench.sink(), call);
            writes.push(call);
        }
        let cancel = Cancel::new();
        let read = bench.call();
        bench.manager.submit(request("SELECT x FROM t"), Some(Arc::clone(&cancel)), bench.sink(), read);
        drop(lease);
        for call in writes {
            bench.answer(call).await?;
        }
        while bench.manager.status().readers.waiting != 1 || bench.manager.status().writer.active {
            tokio::task::yield_now().await;
        }
        cancel.cancel(CancelReason::Aborted);
        let answer = tokio::time::timeout(Duration::from_secs(2), bench.answer(read)).await;
        let queued = bench.manager.status().queued;
        stop.cancel(CancelReason::Aborted);
        assert!(answer.is_ok(), "2 s after its abort the call is still queued: {queued}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_items_of_a_batch_that_never_ran_are_told_why() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let lease = bench.manager.write().await?;
        let cancel = Cancel::new();
        let (item, whole) = (bench.call(), bench.call());
        let sink = bench.sink();
        let items = vec![(request("INSERT INTO t VALUES (2)"), item)];
        bench.manager.submit_batch(items, Some(Arc::clone(&cancel)), &sink, whole);
        cancel.cancel(CancelReason::Aborted);
        let (item, whole) = (bench.answer(item).await, bench.answer(whole).await);
        drop(lease);
        let (item, whole) = (item.expect_err("stopped").code, whole.expect_err("stopped").code);
        assert_eq!((item, whole), (ErrorCode::Aborted, ErrorCode::Aborted));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_script_that_committed_is_not_said_to_be_rolled_back() -> Result<()> {
    in_deadline(async {
        let bench = Bench::open(Options::default()).await?;
        let handle = bench.manager.private_handle(None);
        submit(&handle, "BEGIN", None).await?;
        submit(&handle, "INSERT INTO t VALUES (2)", None).await?;
        script(&handle, "COMMIT; SELECT * FROM nowhere").await.expect_err("there is no such table");
        let there = ints(&bench.manager, "SELECT x FROM t ORDER BY x").await;
        let next = submit(&handle, "SELECT x FROM t", None).await;
        assert!(next.is_ok(), "committed: {there:?}, and yet: {next:?}");
        Ok(())
    })
    .await
}

struct Whole(Mutex<Option<oneshot::Sender<Result<()>>>>, u32);
impl Sink for Whole {
    fn deliver(&self, call: u32, delivery: Delivery) {
        if call != self.1 {
            return;
        }
        let result = if let Delivery::Failed(failure) = delivery { Err(failure.error) } else { Ok(()) };
        if let Some(sender) = self.0.lock().take() {
            drop(sender.send(result));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_stops_a_script_and_a_batch_between_two_statements_too() -> Result<()> {
    let mut bench = Bench::open(Options::default()).await?;
    bench.manager.write().await?.script("CREATE TABLE u(x)").await?;
    let inserts: Vec<_> = (0..30_000).map(|i| format!("INSERT INTO u VALUES ({i});")).collect();
    // Whoever is late for the short ones finds one that nothing else ends.
    let endless = format!("INSERT INTO u {ENDLESS}");
    let text = format!("BEGIN;{}{endless};COMMIT", inserts.concat());
    let (mut scripts, mut batches) = (0, 0);
    for round in 0..30u64 {
        let (cancel, call) = (Cancel::new(), bench.call());
        bench.manager.submit_script(Query::new(text.as_str()), Some(Arc::clone(&cancel)), bench.sink(), call);
        bench.until_it_runs("BEGIN").await;
        tokio::time::sleep(Duration::from_micros(5_000 + round * 97)).await;
        cancel.cancel(CancelReason::Aborted);
        scripts += u32::from(bench.answer(call).await.is_ok());
        let short = (0..20_000).map(|i| format!("INSERT INTO u VALUES ({i})"));
        let items = short.chain([endless.clone()]).zip(1_000_000..).map(|(sql, call)| (request(&sql), call)).collect();
        let (cancel, call) = (Cancel::new(), bench.call());
        let (sender, answer) = oneshot::channel();
        let sink: Arc<dyn Sink> = Arc::new(Whole(Mutex::new(Some(sender)), call));
        bench.manager.submit_batch(items, Some(Arc::clone(&cancel)), &sink, call);
        bench.until_it_runs("INSERT INTO u").await;
        tokio::time::sleep(Duration::from_micros(5_000 + round * 97)).await;
        cancel.cancel(CancelReason::Aborted);
        batches += u32::from(in_deadline(answer).await.expect("answered").is_ok());
    }
    assert_eq!((scripts, batches), (0, 0), "of 30 aborts each did nothing (script, batch)");
    Ok(())
}
