//! Private handles: transactions as text, on a lease of their own.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::{
    Cancel, CancelReason, Delivery, ErrorCode, Manager, Options, Params, PrivateHandle, Query, Request, Result, Sink,
    Value,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

async fn open() -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), Options::default()).await?;
    manager.write().await?.script("CREATE TABLE t(x UNIQUE); INSERT INTO t VALUES (1)").await?;
    Ok((dir, manager))
}

struct Once(Mutex<Option<oneshot::Sender<Result<()>>>>);

impl Sink for Once {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let result = match delivery {
            Delivery::Rows(..) => return,
            Delivery::More(..) | Delivery::End(..) | Delivery::Done | Delivery::Timed(_) => Ok(()),
            Delivery::Failed(failure) => Err(failure.error),
        };
        let sender = self.0.lock().take().expect("answered once");
        drop(sender.send(result));
    }
}

/// Submits now; the future is the answer.
fn submit(handle: &PrivateHandle, sql: &str) -> impl Future<Output = Result<()>> + use<> {
    let (sender, answer) = oneshot::channel();
    let sink = Arc::new(Once(Mutex::new(Some(sender))));
    handle.submit(Request::new(Query::new(sql), Params::none()), None, sink, 1);
    async move { answer.await.expect("it is answered") }
}

async fn run(handle: &PrivateHandle, sql: &str) -> Result<()> {
    submit(handle, sql).await
}

async fn integers(manager: &Manager) -> Result<Vec<i64>> {
    let rows = manager.query("SELECT x FROM t ORDER BY x", Params::none()).await?.rows;
    Ok(rows.iter().flatten().filter_map(|value| if let Value::Integer(i) = value { Some(*i) } else { None }).collect())
}

fn code(result: Result<()>) -> ErrorCode {
    result.expect_err("it fails").code
}

#[tokio::test]
async fn a_transaction_as_text_is_private_and_whole() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        run(&handle, "BEGIN").await?;
        run(&handle, "INSERT INTO t VALUES (2)").await?;
        assert_eq!(integers(&manager).await?, [1]);
        run(&handle, "SAVEPOINT s").await?;
        run(&handle, "INSERT INTO t VALUES (3)").await?;
        run(&handle, "ROLLBACK TO s").await?;
        run(&handle, "COMMIT").await?;
        assert_eq!(integers(&manager).await?, [1, 2]);
        run(&handle, "BEGIN IMMEDIATE").await?;
        run(&handle, "DELETE FROM t").await?;
        run(&handle, "ROLLBACK").await?;
        run(&handle, "SAVEPOINT s").await?;
        run(&handle, "INSERT INTO t VALUES (4)").await?;
        run(&handle, "RELEASE s").await?;
        run(&handle, "INSERT INTO t VALUES (5)").await?;
        assert_eq!(integers(&manager).await?, [1, 2, 4, 5]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn calls_that_nobody_waited_for_run_in_order_and_others_wait_for_the_end() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        let texts = [
            "BEGIN",
            "INSERT INTO t VALUES (2)",
            "UPDATE t SET x = x + 10",
            "COMMIT",
            "INSERT INTO t VALUES (3)",
            "SELECT x FROM t",
            "BEGIN",
            "DELETE FROM t WHERE x = 3",
            "ROLLBACK",
            "INSERT INTO t VALUES (4)",
        ];
        let answers: Vec<_> = texts.iter().map(|sql| submit(&handle, sql)).collect();
        for answer in answers {
            answer.await?;
        }
        assert_eq!(integers(&manager).await?, [3, 4, 11, 12]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn d17_after_an_automatic_rollback_nothing_commits_by_itself_until_rollback_or_commit() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        for end in ["ROLLBACK", "COMMIT", "END"] {
            run(&handle, "BEGIN").await?;
            run(&handle, "INSERT INTO t VALUES (2)").await?;
            let failed = run(&handle, "INSERT OR ROLLBACK INTO t VALUES (1)").await.expect_err("it is there");
            assert_eq!(failed.primary_code(), Some(19));
            for sql in
                ["INSERT INTO t VALUES (3)", "INSERT INTO t VALUES (3)", "SELECT x FROM t", "SAVEPOINT s", "BEGIN"]
            {
                assert_eq!(code(run(&handle, sql).await), ErrorCode::TxAborted, "{sql}");
            }
            // The writer is not held meanwhile.
            manager.query("UPDATE t SET x = 1", Params::none()).await?;
            match end {
                "ROLLBACK" => run(&handle, end).await?,
                _ => assert_eq!(code(run(&handle, end).await), ErrorCode::TxAborted, "{end}"),
            }
            assert_eq!(integers(&manager).await?, [1]);
            run(&handle, "INSERT INTO t VALUES (9)").await?;
            run(&handle, "DELETE FROM t WHERE x = 9").await?;
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn an_idle_transaction_is_rolled_back_and_says_so_until_it_is_ended() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(Some(Duration::from_millis(40)));
        run(&handle, "BEGIN IMMEDIATE").await?;
        run(&handle, "INSERT INTO t VALUES (2)").await?;
        // It waits for the limit.
        manager.query("INSERT INTO t VALUES (3)", Params::none()).await?;
        assert_eq!(code(run(&handle, "INSERT INTO t VALUES (4)").await), ErrorCode::TxTimeout);
        assert_eq!(code(run(&handle, "COMMIT").await), ErrorCode::TxTimeout);
        run(&handle, "INSERT INTO t VALUES (5)").await?;
        assert_eq!(integers(&manager).await?, [1, 3, 5]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn what_ends_no_transaction_because_there_is_none_fails_and_leaves_the_handle_usable() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        for sql in ["COMMIT", "ROLLBACK", "RELEASE s", "nonsense", "SELECT nothing"] {
            assert_eq!(run(&handle, sql).await.expect_err(sql).primary_code(), Some(1), "{sql}");
        }
        run(&handle, "INSERT INTO t VALUES (2)").await?;
        run(&handle, "SELECT x FROM t").await?;
        assert_eq!(manager.status().counters.iter().find(|(name, _)| *name == "reads").expect("a counter").1, 1);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_transaction_open() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let schema = "CREATE TABLE p(id PRIMARY KEY); CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)";
        manager.write().await?.script(schema).await?;
        let handle = manager.private_handle(None);
        run(&handle, "BEGIN").await?;
        run(&handle, "INSERT INTO c VALUES (7)").await?;
        assert_eq!(run(&handle, "COMMIT").await.expect_err("no parent").extended_code, Some(787));
        run(&handle, "INSERT INTO p VALUES (7)").await?;
        run(&handle, "COMMIT").await?;
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_handle_that_is_closed_or_dropped_rolls_back_and_refuses_what_waits() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        run(&handle, "BEGIN").await?;
        run(&handle, "INSERT INTO t VALUES (2)").await?;
        drop(handle);
        manager.query("INSERT INTO t VALUES (3)", Params::none()).await?;
        let lease = manager.write().await?;
        let handle = manager.private_handle(None);
        let begin = submit(&handle, "BEGIN");
        let insert = submit(&handle, "INSERT INTO t VALUES (4)");
        handle.close();
        assert_eq!(code(insert.await), ErrorCode::Closed);
        drop(lease);
        drop(begin.await);
        assert_eq!(code(run(&handle, "SELECT 1").await), ErrorCode::Closed);
        manager.query("INSERT INTO t VALUES (5)", Params::none()).await?;
        assert_eq!(integers(&manager).await?, [1, 3, 5]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_script_has_its_own_transaction_outside_one_and_takes_part_in_one() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        let script = |sql: &str| {
            let (sender, answer) = oneshot::channel();
            handle.submit_script(Query::new(sql), None, Arc::new(Once(Mutex::new(Some(sender)))), 1);
            async move { answer.await.expect("it is answered") }
        };
        script("BEGIN; INSERT INTO t VALUES (2); COMMIT").await?;
        assert_eq!(code(script("BEGIN; INSERT INTO t VALUES (3)").await), ErrorCode::ManualTransaction);
        run(&handle, "BEGIN").await?;
        script("INSERT INTO t VALUES (4); INSERT INTO t VALUES (5)").await?;
        assert_eq!(integers(&manager).await?, [1, 2]);
        script("INSERT INTO t VALUES (6); COMMIT").await?;
        run(&handle, "INSERT INTO t VALUES (7)").await?;
        assert_eq!(integers(&manager).await?, [1, 2, 4, 5, 6, 7]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_new_text_that_reads_does_not_wait_for_the_writer() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        let lease = manager.write().await?;
        for sql in [
            "SELECT x FROM t",
            "-- BEGIN\n/* COMMIT */ select x from t",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1",
        ] {
            run(&handle, sql).await?;
        }
        drop(lease);
        for sql in ["; begin", "INSERT INTO t VALUES (2)", "/**/ Commit"] {
            run(&handle, sql).await?;
        }
        assert_eq!(integers(&manager).await?, [1, 2]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_call_behind_one_that_begins_a_transaction_is_stopped_alone_and_at_once() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open().await?;
        let handle = manager.private_handle(None);
        let lease = manager.write().await?;
        let begun = submit(&handle, "BEGIN");
        let cancels = [Cancel::new(), Cancel::new(), Cancel::new()];
        let [first, second, late] = ["INSERT INTO t VALUES (2)", "SELECT x FROM t", "INSERT INTO t VALUES (3)"]
            .map(|sql| Request::new(Query::new(sql), Params::none()))
            .into_iter()
            .zip(&cancels)
            .map(|(request, cancel)| {
                let (sender, answer) = oneshot::channel();
                let sink = Arc::new(Once(Mutex::new(Some(sender))));
                handle.submit(request, Some(Arc::clone(cancel)), sink, 1);
                answer
            })
            .collect::<Vec<_>>()
            .try_into()
            .expect("three calls");
        cancels[1].cancel(CancelReason::Aborted);
        assert_eq!(code(second.await.expect("it is answered")), ErrorCode::Aborted);
        cancels[0].cancel(CancelReason::TimedOut);
        assert_eq!(code(first.await.expect("it is answered")), ErrorCode::Timeout);
        // One that was stopped before it came.
        let stopped = Cancel::new();
        stopped.cancel(CancelReason::Aborted);
        let (sender, answer) = oneshot::channel();
        let sink = Arc::new(Once(Mutex::new(Some(sender))));
        handle.submit(Request::new(Query::new("DELETE FROM t"), Params::none()), Some(stopped), sink, 1);
        assert_eq!(code(answer.await.expect("it is answered")), ErrorCode::Aborted);
        drop(lease);
        begun.await?;
        late.await.expect("it is answered")?;
        run(&handle, "COMMIT").await?;
        assert_eq!(integers(&manager).await?, [1, 3]);
        manager.close().await
    })
    .await
}
