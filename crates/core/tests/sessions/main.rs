//! Sessions: a connection of one's own over many calls.

mod bench;
mod cursors;
mod held_back;
mod replaced_writer;
mod text_in_exclusive_mode;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_core::{
    Behavior, Cancel, CancelReason, Concurrency, Control, Delivery, Error, ErrorCode, Manager, Options, Params, Query,
    Result, Scope, SessionKind, SessionLimits, Sink,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use bench::{Bench, ENDLESS, IMMEDIATE, code, in_deadline, limits};

#[tokio::test]
async fn a_transaction_is_seen_by_others_when_it_has_committed_and_not_before() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, ended) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        assert_eq!(bench.run(&tx, "SELECT x FROM t").await?, [1, 2]);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.control(&tx, Control::Commit).await?;
        bench.answer(ended).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        assert_eq!(code(bench.control(&tx, Control::Commit).await), ErrorCode::TxClosed);
        assert_eq!(code(bench.control(&tx, Control::Rollback).await), ErrorCode::TxClosed);
        assert_eq!(code(bench.run(&tx, "SELECT 1").await), ErrorCode::TxClosed);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_rolled_back_and_a_dropped_transaction_leave_nothing() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, ended) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        bench.control(&tx, Control::Rollback).await?;
        bench.answer(ended).await?;
        let (tx, ended) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (3)").await?;
        let endless = bench.ask(&tx, ENDLESS);
        drop(tx);
        bench.answer(ended).await?;
        assert!(bench.answer(endless).await.is_err());
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.manager.query("INSERT INTO t VALUES (4)", Params::none()).await?;
        let counters: HashMap<_, _> = bench.manager.status().counters.into_iter().collect();
        assert_eq!((counters["writerReplacements"], counters["transactions"]), (0, 2), "it is rolled back in place");
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn parallel_calls_of_a_transaction_run_in_order_and_before_a_commit_that_follows_them() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        for i in 2..50 {
            bench.ask(&tx, &format!("INSERT INTO t SELECT {i} WHERE (SELECT max(x) FROM t) = {i} - 1"));
        }
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT max(x) FROM t").await?, [49]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t22_after_sqlite_rolled_back_every_call_and_the_commit_say_so() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, ended) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let failed = bench.run(&tx, "INSERT OR ROLLBACK INTO t VALUES (1)").await.expect_err("it is there");
        assert_eq!(failed.primary_code(), Some(19));
        for sql in ["INSERT INTO t VALUES (3)", "SELECT x FROM t"] {
            let error = bench.run(&tx, sql).await.expect_err("the transaction is gone");
            assert_eq!(error.code, ErrorCode::TxAborted);
            assert!(error.message.contains("UNIQUE"), "{}", error.message);
        }
        assert_eq!(code(bench.control(&tx, Control::Commit).await), ErrorCode::TxAborted);
        assert_eq!(code(bench.answer(ended).await), ErrorCode::TxAborted);
        let (tx, ended) = bench.begun(IMMEDIATE).await;
        assert!(bench.run(&tx, "INSERT OR ROLLBACK INTO t VALUES (1)").await.is_err());
        bench.control(&tx, Control::Rollback).await?;
        bench.answer(ended).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t23_text_that_ends_the_transaction_is_refused_and_changes_nothing() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        for sql in ["COMMIT", "ROLLBACK", "END", "BEGIN", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"] {
            assert_eq!(code(bench.run(&tx, sql).await), ErrorCode::ManualTransaction, "{sql}");
        }
        let call = bench.call();
        tx.submit_script(Query::new("INSERT INTO t VALUES (3); COMMIT"), None, bench.sink(), call);
        assert_eq!(code(bench.answer(call).await), ErrorCode::ManualTransaction);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2, 3]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn savepoints_keep_and_undo_what_was_done_since_them() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.control(&tx, Control::Savepoint(1)).await?;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        bench.control(&tx, Control::Savepoint(2)).await?;
        bench.run(&tx, "INSERT INTO t VALUES (3)").await?;
        bench.control(&tx, Control::RollbackTo(2)).await?;
        bench.control(&tx, Control::Release(1)).await?;
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_commit_that_a_deferred_foreign_key_refuses_leaves_the_transaction_open() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let schema = "CREATE TABLE p(id PRIMARY KEY); CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)";
        bench.manager.write().await?.script(schema).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO c VALUES (7)").await?;
        let error = bench.control(&tx, Control::Commit).await.expect_err("there is no parent");
        assert_eq!(error.extended_code, Some(787));
        bench.run(&tx, "INSERT INTO p VALUES (7)").await?;
        bench.control(&tx, Control::Commit).await?;
        assert_eq!(bench.integers("SELECT p FROM c").await?, [7]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t18_an_idle_transaction_is_rolled_back_and_its_owner_told_and_writers_go_on() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, ended) = bench.begun_within(IMMEDIATE, limits(50, 0)).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        bench.manager.query("INSERT INTO t VALUES (3)", Params::none()).await?;
        assert_eq!(code(bench.answer(ended).await), ErrorCode::TxTimeout);
        assert_eq!(code(bench.run(&tx, "INSERT INTO t VALUES (4)").await), ErrorCode::TxTimeout);
        assert_eq!(code(bench.control(&tx, Control::Commit).await), ErrorCode::TxTimeout);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 3]);
        // The interrupt that ended the transaction met nothing, and must not meet what comes after it.
        let long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                    INSERT INTO t SELECT max(i) FROM n";
        bench.manager.query(long, Params::none()).await?;
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_runs_a_long_statement_is_not_idle() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, ended) = bench.begun_within(IMMEDIATE, limits(20, 0)).await;
        let (stop, began) = (Cancel::new(), std::time::Instant::now());
        let endless = bench.ask_with(&tx, ENDLESS, Some(Arc::clone(&stop)));
        while began.elapsed() < Duration::from_millis(100) {
            tokio::task::yield_now().await;
        }
        stop.cancel(CancelReason::Aborted);
        assert_eq!(code(bench.answer(endless).await), ErrorCode::Aborted);
        assert_eq!(code(bench.answer(ended).await), ErrorCode::TxTimeout, "now it is");
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_lasts_too_long_is_stopped_in_the_middle_of_a_statement() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        // Another timer waits for longer already.
        let (idle, _) = bench.begun_within(SessionKind::Read(Scope::Outside), limits(0, 3_600_000)).await;
        let (tx, ended) = bench.begun_within(IMMEDIATE, limits(0, 50)).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let endless = bench.ask(&tx, ENDLESS);
        let late = bench.ask(&tx, "INSERT INTO t VALUES (3)");
        assert_eq!(code(bench.answer(endless).await), ErrorCode::TxTimeout);
        assert_eq!(code(bench.answer(late).await), ErrorCode::TxTimeout);
        assert_eq!(code(bench.answer(ended).await), ErrorCode::TxTimeout);
        bench.manager.query("INSERT INTO t VALUES (4)", Params::none()).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 4]);
        drop(idle);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_session_that_is_cancelled_or_dropped_at_the_gate_leaves_no_trace() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (first, _) = bench.begun(IMMEDIATE).await;
        let cancel = Cancel::new();
        let (_second, call, ended) = bench.begin(IMMEDIATE, SessionLimits::default(), Some(Arc::clone(&cancel)));
        let (third, dropped, _) = bench.begin(IMMEDIATE, SessionLimits::default(), None);
        assert_eq!(bench.manager.status().writer.waiting, 2);
        cancel.cancel(CancelReason::TimedOut);
        drop(third);
        assert_eq!(code(bench.answer(call).await), ErrorCode::Timeout);
        assert_eq!(code(bench.answer(ended).await), ErrorCode::Timeout);
        assert_eq!(code(bench.answer(dropped).await), ErrorCode::Aborted);
        assert_eq!((bench.manager.status().writer.waiting, bench.manager.status().queued), (0, 0));
        bench.control(&first, Control::Commit).await?;
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn an_aborted_read_ends_that_call_and_an_aborted_write_the_transaction() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, _) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        let (read, queued) = (Cancel::new(), Cancel::new());
        let endless = bench.ask_with(&tx, ENDLESS, Some(Arc::clone(&read)));
        let late = bench.ask_with(&tx, "INSERT INTO t VALUES (9)", Some(Arc::clone(&queued)));
        bench.until_it_runs("RECURSIVE").await;
        queued.cancel(CancelReason::Aborted);
        assert_eq!(code(bench.answer(late).await), ErrorCode::Aborted, "it is answered while the one before it runs");
        read.cancel(CancelReason::Aborted);
        assert_eq!(code(bench.answer(endless).await), ErrorCode::Aborted);
        assert_eq!(bench.run(&tx, "SELECT x FROM t").await?, [1, 2]);
        // A write that is stopped before its first step has done nothing that SQLite would have to roll back.
        let aborted = loop {
            let write = Cancel::new();
            let endless = bench.ask_with(&tx, &format!("INSERT INTO t {ENDLESS}"), Some(Arc::clone(&write)));
            bench.until_it_runs("INSERT INTO t WITH").await;
            write.cancel(CancelReason::TimedOut);
            assert_eq!(code(bench.answer(endless).await), ErrorCode::Timeout);
            if let Err(aborted) = bench.run(&tx, "SELECT x FROM t").await {
                break aborted;
            }
        };
        assert_eq!(aborted.code, ErrorCode::TxAborted);
        assert_eq!(code(bench.control(&tx, Control::Commit).await), ErrorCode::TxAborted);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_read_session_sees_the_state_of_its_beginning_and_writes_nothing() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (session, ended) = bench.begun(SessionKind::Read(Scope::Outside)).await;
        bench.manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
        assert_eq!(bench.run(&session, "SELECT x FROM t").await?, [1]);
        for sql in
            ["INSERT INTO t VALUES (3)", "CREATE TABLE u(x)", "DELETE FROM t", "ATTACH ':memory:' AS a", "COMMIT"]
        {
            assert!(bench.run(&session, sql).await.is_err(), "{sql}");
        }
        bench.manager.query("INSERT INTO t VALUES (4)", Params::none()).await?;
        assert_eq!(bench.run(&session, "SELECT x FROM t").await?, [1]);
        bench.control(&session, Control::End).await?;
        bench.answer(ended).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2, 4]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_read_session_without_readers_runs_on_the_writer_and_writes_nothing_there() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { max_readers: 0, ..Options::default() }).await?;
        let (session, ended) = bench.begun(SessionKind::Read(Scope::Outside)).await;
        assert_eq!(bench.run(&session, "SELECT x FROM t").await?, [1]);
        for sql in
            ["INSERT INTO t VALUES (3)", "CREATE TABLE u(x)", "DELETE FROM t", "COMMIT", "PRAGMA user_version = 1"]
        {
            assert!(bench.run(&session, sql).await.is_err(), "{sql}");
        }
        let call = bench.call();
        session.submit_script(Query::new("DELETE FROM t"), None, bench.sink(), call);
        assert_eq!(code(bench.answer(call).await), ErrorCode::NotAuthorized);
        bench.control(&session, Control::End).await?;
        bench.answer(ended).await?;
        bench.manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn l04_a_read_session_past_its_limit_is_ended_and_named() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (session, ended) = bench.begun_within(SessionKind::Read(Scope::Outside), limits(0, 60)).await;
        let endless = bench.ask(&session, ENDLESS);
        let error = bench.answer(endless).await.expect_err("it is stopped");
        assert_eq!(error.code, ErrorCode::ReadLeaseTimeout);
        assert!(error.message.contains("RECURSIVE"), "{}", error.message);
        assert_eq!(code(bench.answer(ended).await), ErrorCode::ReadLeaseTimeout);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        while bench.manager.status().readers.active > 0 {
            tokio::task::yield_now().await;
        }
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn exclusive_mode_waits_for_readers_and_has_the_only_connection() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (reader, _) = bench.begun(SessionKind::Read(Scope::Outside)).await;
        let (exclusive, call, ended) = bench.begin(SessionKind::Exclusive, SessionLimits::default(), None);
        assert_eq!(bench.manager.status().writer.waiting, 1);
        bench.control(&reader, Control::End).await?;
        bench.answer(call).await?;
        assert_eq!(bench.manager.status().readers.open, 0);
        bench.run(&exclusive, "PRAGMA journal_mode = delete").await?;
        bench.control(&exclusive, Control::Begin(Behavior::Immediate)).await?;
        bench.run(&exclusive, "INSERT INTO t VALUES (2)").await?;
        bench.control(&exclusive, Control::Commit).await?;
        bench.control(&exclusive, Control::Begin(Behavior::Immediate)).await?;
        assert!(bench.run(&exclusive, "INSERT OR ROLLBACK INTO t VALUES (2)").await.is_err());
        assert_eq!(code(bench.run(&exclusive, "INSERT INTO t VALUES (3)").await), ErrorCode::TxAborted);
        assert_eq!(code(bench.control(&exclusive, Control::Commit).await), ErrorCode::TxAborted);
        bench.run(&exclusive, "INSERT INTO t VALUES (4)").await?;
        bench.control(&exclusive, Control::End).await?;
        bench.answer(ended).await?;
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2, 4]);
        assert_eq!(bench.manager.status().concurrency, Concurrency::Exclusive);
        bench.manager.close().await
    })
    .await
}

/// Looks at the concurrency when a call is answered, before its worker does anything else.
struct Looking {
    manager: Manager,
    found: UnboundedSender<Concurrency>,
}

impl Sink for Looking {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        self.found.send(self.manager.status().concurrency).expect("the test waits for it");
    }
}

#[tokio::test]
async fn whoever_is_told_that_exclusive_mode_has_ended_finds_the_concurrency_that_goes_with_the_journal_mode()
-> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (found, mut answers) = unbounded_channel();
        let sink: Arc<dyn Sink> = Arc::new(Looking { manager: bench.manager.clone(), found });
        let journals = [("delete", Concurrency::Exclusive), ("wal", Concurrency::Wal)];
        for (journal, concurrency) in journals {
            let (exclusive, _) = bench.begun(SessionKind::Exclusive).await;
            bench.run(&exclusive, &format!("PRAGMA journal_mode = {journal}")).await?;
            exclusive.control(Control::End, None, Arc::clone(&sink), 1);
            assert_eq!(answers.recv().await, Some(concurrency));
        }
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn exclusive_mode_that_is_given_up_in_a_commit_that_fails_leaves_the_database_as_it_was() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { busy_timeout: Duration::from_millis(200), ..Options::default() }).await?;
        let (exclusive, ended) = bench.begun(SessionKind::Exclusive).await;
        bench.run(&exclusive, "PRAGMA journal_mode = delete").await?;
        let others = [(); 2].map(|()| rusqlite::Connection::open(bench.dir.path().join("app.db")).expect("it opens"));
        let [reading, probing] = &others;
        let read = |other: &rusqlite::Connection| other.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0));
        reading.execute_batch("BEGIN").expect("it begins");
        read(reading).expect("its lock keeps the commit waiting");
        bench.control(&exclusive, Control::Begin(Behavior::Immediate)).await?;
        bench.run(&exclusive, "INSERT INTO t VALUES (2)").await?;
        let commit = bench.call();
        exclusive.control(Control::Commit, None, bench.sink(), commit);
        // The commit keeps new readers out while it waits for those that are there.
        probing.busy_timeout(Duration::ZERO).expect("it is set");
        while read(probing).is_ok() {
            tokio::task::yield_now().await;
        }
        drop(exclusive);
        assert_eq!(code(bench.answer(commit).await), ErrorCode::TxClosed);
        assert_eq!(code(bench.answer(ended).await), ErrorCode::TxClosed);
        reading.execute_batch("COMMIT").expect("it ends");
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1], "what was not committed was rolled back");
        assert_eq!(bench.manager.status().concurrency, Concurrency::Exclusive);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn close_ends_an_idle_transaction_at_its_timeout_and_says_so() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options::default()).await?;
        let (tx, ended) = bench.begun(IMMEDIATE).await;
        bench.run(&tx, "INSERT INTO t VALUES (2)").await?;
        bench.manager.begin_close(Duration::from_millis(30));
        bench.run(&tx, "INSERT INTO t VALUES (3)").await?;
        assert_eq!(code(bench.answer(ended).await), ErrorCode::Closed);
        assert_eq!(code(bench.run(&tx, "SELECT 1").await), ErrorCode::Closed);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_session_that_cannot_begin_says_why_and_gives_everything_back() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open(Options { busy_timeout: Duration::from_millis(20), ..Options::default() }).await?;
        // By a URI it is not shared, and meets the other as another process would.
        let uri = format!("file://{}", bench.dir.path().join("app.db").display());
        let other = Manager::open(&uri, Options { uri: true, ..Options::default() }).await?;
        let mut held = other.write().await?;
        held.query("BEGIN IMMEDIATE", Params::none()).await?;
        let (tx, call, ended) = bench.begin(IMMEDIATE, SessionLimits::default(), None);
        let busy = |error: Error| error.primary_code() == Some(5);
        assert!(bench.answer(call).await.is_err_and(busy));
        assert!(bench.answer(ended).await.is_err_and(busy));
        drop(held);
        other.close().await?;
        drop(tx);
        bench.manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
        bench.manager.close().await
    })
    .await
}
