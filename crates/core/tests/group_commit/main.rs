//! Group commit: many writes share one transaction, and nobody can tell.

mod alike;
mod alternating;
mod batches;
mod bench;
mod foreign;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sluice_core::{Cancel, CancelReason, ErrorCode, GroupLimits, Integers, Params, Query, Request, Result, Sink};

use bench::{Bench, WIDE, failed, in_deadline, ok, order};

#[tokio::test]
async fn writes_that_wait_together_share_one_commit_and_are_answered_in_order() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        for i in 0..64 {
            bench.submit(&format!("INSERT INTO t VALUES ({i})"));
        }
        bench.release(lease, 64).await;
        let answers = bench.answers(64).await;
        assert_eq!(order(&answers), (1..=64).collect::<Vec<_>>());
        assert!(failed(&answers).is_empty());
        assert_eq!((bench.counter("groups"), bench.counter("groupedWrites")), (1, 64));
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, (0..64).collect::<Vec<_>>());
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn nothing_of_a_group_is_answered_before_its_commit() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        bench.submit("INSERT INTO t VALUES (1)");
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       INSERT INTO t SELECT max(i) FROM n";
        let cancel = Cancel::new();
        bench.submit_with(endless, Some(Arc::clone(&cancel)));
        bench.release(lease, 2).await;
        // The second runs, so the first has run; what it wrote is not there for anyone.
        while bench.manager.status().writer.holder.is_none_or(|holder| !holder.sql.starts_with("WITH")) {
            tokio::task::yield_now().await;
        }
        assert!(bench.integers("SELECT x FROM t").await?.is_empty());
        let mut taken = VecDeque::new();
        bench.channel.take(&mut taken);
        assert!(taken.is_empty());
        cancel.cancel(CancelReason::Aborted);
        let answers = bench.answers(2).await;
        assert_eq!((order(&answers), ok(&answers)), (vec![1, 2], vec![1]));
        assert_eq!(failed(&answers)[0].1.code, ErrorCode::Aborted);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn without_group_commit_each_write_commits_by_itself() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", None).await?;
        let lease = bench.hold().await?;
        for i in 0..8 {
            bench.submit(&format!("INSERT INTO t VALUES ({i})"));
        }
        bench.release(lease, 8).await;
        assert_eq!(ok(&bench.answers(8).await).len(), 8);
        assert_eq!((bench.counter("groups"), bench.counter("writes")), (0, 9));
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_group_is_bounded_in_statements_bytes_and_time() -> Result<()> {
    in_deadline(async {
        let insert = "INSERT INTO t VALUES (hex(zeroblob(600))) RETURNING x";
        let slow = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT max(i) FROM n";
        let statements = GroupLimits { statements: 3, ..WIDE };
        let bytes = GroupLimits { bytes: 2_000, ..WIDE };
        let time = GroupLimits { time: Duration::ZERO, ..WIDE };
        for (limits, sql, groups) in [(statements, insert, 3), (bytes, insert, 4), (time, slow, 1)] {
            let mut bench = Bench::open("CREATE TABLE t(x)", Some(limits)).await?;
            let lease = bench.hold().await?;
            for _ in 0..9 {
                bench.submit(sql);
            }
            bench.release(lease, 9).await;
            assert_eq!(ok(&bench.answers(9).await).len(), 9);
            // The last of all has nobody behind it, and commits by itself when it would begin a group.
            let counted = bench.counter("groups");
            assert!(counted >= groups, "{counted} groups, limits {limits:?}");
            bench.manager.close().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn t01_a_member_that_rolls_back_takes_nobody_with_it() -> Result<()> {
    in_deadline(async {
        let schema = "CREATE TABLE t(x UNIQUE); CREATE TABLE guard(x); INSERT INTO t VALUES (0); \
                      CREATE TRIGGER refuse BEFORE INSERT ON guard BEGIN SELECT RAISE(ROLLBACK, 'refused'); END";
        for offender in [
            "INSERT OR ROLLBACK INTO t VALUES (0)",
            "INSERT OR ROLLBACK INTO t VALUES (3)",
            "INSERT INTO guard VALUES (1)",
            "UPDATE OR ROLLBACK t SET x = 0 WHERE x = 3",
        ] {
            let mut bench = Bench::open(schema, Some(WIDE)).await?;
            let lease = bench.hold().await?;
            for i in 1..=10 {
                bench.submit(&if i == 6 { offender.to_owned() } else { format!("INSERT INTO t VALUES ({i})") });
            }
            bench.release(lease, 10).await;
            let answers = bench.answers(10).await;
            assert_eq!(order(&answers), (1..=10).collect::<Vec<_>>(), "{offender}");
            let failed = failed(&answers);
            assert_eq!(failed.len(), 1, "{offender}");
            assert_eq!((failed[0].0, failed[0].1.primary_code()), (6, Some(19)), "{offender}");
            assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]);
            assert_eq!(bench.counter("groupRetries"), 1);
            bench.manager.close().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn t02_a_member_that_breaks_a_deferred_foreign_key_is_rejected_alone() -> Result<()> {
    in_deadline(async {
        let schema = "CREATE TABLE parent(id PRIMARY KEY); \
                      CREATE TABLE child(id REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED); \
                      INSERT INTO parent VALUES (1)";
        let mut bench = Bench::open(schema, Some(WIDE)).await?;
        let lease = bench.hold().await?;
        for id in [1, 1, 2, 1] {
            bench.submit(&format!("INSERT INTO child VALUES ({id})"));
        }
        // The parent that would make it right comes too late: alone, the child had failed before.
        bench.submit("INSERT INTO parent VALUES (2)");
        bench.submit("INSERT INTO child VALUES (2)");
        bench.release(lease, 6).await;
        let answers = bench.answers(6).await;
        assert_eq!(order(&answers), [1, 2, 3, 4, 5, 6]);
        let failed = failed(&answers);
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].0, failed[0].1.extended_code), (3, Some(787)));
        assert_eq!(bench.integers("SELECT id FROM child ORDER BY rowid").await?, [1, 1, 1, 2]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t03_or_fail_keeps_the_rows_it_keeps_alone() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x UNIQUE); INSERT INTO t VALUES (3)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        bench.submit("INSERT INTO t VALUES (0)");
        bench.submit("INSERT OR FAIL INTO t VALUES (1), (2), (3), (4)");
        bench.submit("INSERT INTO t VALUES (9)");
        bench.release(lease, 3).await;
        let answers = bench.answers(3).await;
        assert_eq!(ok(&answers), [1, 3]);
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY x").await?, [0, 1, 2, 3, 9]);
        assert_eq!(bench.counter("groups"), 1);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t04_a_member_that_is_aborted_while_it_runs_leaves_63_others_committed_once() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        let cancel = Cancel::new();
        for i in 1..=64 {
            if i == 40 {
                let endless =
                    "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
                bench.submit_with(endless, Some(Arc::clone(&cancel)));
            } else {
                bench.submit(&format!("INSERT INTO t VALUES ({i})"));
            }
        }
        bench.release(lease, 64).await;
        while bench.manager.status().writer.holder.is_none_or(|holder| !holder.sql.contains("RECURSIVE")) {
            tokio::task::yield_now().await;
        }
        cancel.cancel(CancelReason::TimedOut);
        let answers = bench.answers(64).await;
        assert_eq!(order(&answers), (1..=64).collect::<Vec<_>>());
        let failed = failed(&answers);
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].0, failed[0].1.code), (40, ErrorCode::Timeout));
        let expected: Vec<i64> = (1..=64).filter(|i| *i != 40).collect();
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, expected);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_member_that_is_aborted_before_it_runs_has_no_effect_and_one_that_ran_is_committed() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        let (ran, queued, running) = (Cancel::new(), Cancel::new(), Cancel::new());
        bench.submit_with("INSERT INTO t VALUES (1)", Some(Arc::clone(&ran)));
        let endless = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        bench.submit_with(endless, Some(Arc::clone(&running)));
        bench.submit_with("INSERT INTO t VALUES (3)", Some(Arc::clone(&queued)));
        bench.submit("INSERT INTO t VALUES (4)");
        bench.release(lease, 4).await;
        while bench.manager.status().writer.holder.is_none_or(|holder| !holder.sql.contains("RECURSIVE")) {
            tokio::task::yield_now().await;
        }
        queued.cancel(CancelReason::Aborted);
        // It waits behind the one that runs, and is answered at once all the same.
        let answers = bench.answers(1).await;
        assert_eq!((order(&answers), failed(&answers)[0].1.code), (vec![3], ErrorCode::Aborted));
        ran.cancel(CancelReason::Aborted);
        running.cancel(CancelReason::Aborted);
        let answers = bench.answers(3).await;
        assert_eq!((order(&answers), ok(&answers)), (vec![1, 2, 4], vec![1, 4]));
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, [1, 4]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_member_that_was_stopped_before_it_ran_does_not_run_when_the_group_is_done_again() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x UNIQUE)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        let (stopped, running) = (Cancel::new(), Cancel::new());
        bench.submit("INSERT INTO t VALUES (1)");
        let endless =
            "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        bench.submit_with(endless, Some(Arc::clone(&running)));
        bench.submit_with("INSERT INTO t VALUES (3)", Some(Arc::clone(&stopped)));
        bench.submit("INSERT OR ROLLBACK INTO t VALUES (1)");
        bench.release(lease, 4).await;
        while bench.manager.status().writer.holder.is_none_or(|holder| !holder.sql.contains("RECURSIVE")) {
            tokio::task::yield_now().await;
        }
        stopped.cancel(CancelReason::Aborted);
        running.cancel(CancelReason::Aborted);
        let answers = bench.answers(4).await;
        assert_eq!(ok(&answers), [1]);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_write_that_waits_for_another_process_can_be_given_up_in_a_group_too() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        // By a URI it is not shared, and meets the other as another process would.
        let uri = format!("file://{}", bench.path().display());
        let options = sluice_core::Options { uri: true, ..sluice_core::Options::default() };
        let other = sluice_core::Manager::open(&uri, options).await?;
        let mut held = other.write().await?;
        held.query("BEGIN IMMEDIATE", Params::none()).await?;
        let lease = bench.hold().await?;
        let cancel = Cancel::new();
        bench.submit_with("INSERT INTO t VALUES (1)", Some(Arc::clone(&cancel)));
        bench.submit("INSERT INTO t VALUES (2)");
        bench.release(lease, 2).await;
        while bench.manager.status().writer.holder.is_none() {
            tokio::task::yield_now().await;
        }
        cancel.cancel(CancelReason::Aborted);
        let first = bench.answers(1).await;
        assert_eq!((order(&first), failed(&first)[0].1.code), (vec![1], ErrorCode::Aborted));
        held.query("COMMIT", Params::none()).await?;
        drop(held);
        other.close().await?;
        assert_eq!(ok(&bench.answers(1).await), [2]);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [2]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t05_what_must_not_be_in_a_transaction_runs_alone_between_groups() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        for sql in [
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES (2)",
            "VACUUM",
            "INSERT INTO t VALUES (3)",
            "CREATE TABLE u(x)",
            "INSERT INTO u VALUES (4)",
            "PRAGMA wal_checkpoint",
            "INSERT INTO u VALUES (5)",
            "ATTACH ':memory:' AS other",
            "DETACH other",
            "PRAGMA user_version = 7",
            "REINDEX",
            "INSERT INTO u VALUES (6)",
            "PRAGMA journal_mode = truncate",
            "INSERT INTO u VALUES (7)",
            "INSERT INTO u VALUES (8)",
        ] {
            bench.submit(sql);
        }
        bench.release(lease, 16).await;
        let answers = bench.answers(16).await;
        assert!(failed(&answers).is_empty(), "{answers:?}");
        assert_eq!(bench.integers("SELECT x FROM t UNION ALL SELECT x FROM u").await?, (1..=8).collect::<Vec<_>>());
        assert_eq!(bench.integers("PRAGMA user_version").await?, [7]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t06_a_constraint_failure_rejects_one_of_64_in_its_place() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x UNIQUE)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        for i in 1..=64 {
            let x = if i == 33 { 32 } else { i };
            bench.submit(&format!("INSERT INTO t VALUES ({x})"));
        }
        bench.release(lease, 64).await;
        let answers = bench.answers(64).await;
        assert_eq!(order(&answers), (1..=64).collect::<Vec<_>>());
        let failed = failed(&answers);
        assert_eq!((failed.len(), failed[0].0, failed[0].1.extended_code), (1, 33, Some(2067)));
        assert_eq!((bench.counter("groups"), bench.counter("groupRetries")), (1, 0));
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn t09_each_member_reports_its_own_changes_and_rowid() -> Result<()> {
    in_deadline(async {
        let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE log(x); \
                      CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.x), (new.x); END";
        let statements = [
            "INSERT INTO t(x) VALUES (1), (2), (3)",
            "UPDATE t SET x = 0",
            "INSERT INTO t VALUES (100, 1)",
            "DELETE FROM t WHERE id = 2",
            "DELETE FROM t WHERE id = 2",
            "INSERT OR IGNORE INTO t VALUES (100, 2)",
            "INSERT INTO t(x) SELECT 5 WHERE 0",
            "INSERT INTO t VALUES (100, 1) ON CONFLICT DO UPDATE SET x = 9",
            "INSERT INTO t(x) VALUES (7) RETURNING id",
        ];
        let mut outcomes = Vec::new();
        for grouped in [true, false] {
            let mut bench = Bench::open(schema, grouped.then_some(WIDE)).await?;
            let lease = bench.hold().await?;
            for sql in statements {
                bench.submit(sql);
            }
            bench.release(lease, statements.len()).await;
            let answers = bench.answers(statements.len()).await;
            outcomes.push(answers.into_iter().map(|(_, result)| result).collect::<Result<Vec<_>>>()?);
            assert_eq!(bench.counter("groups"), u64::from(grouped));
            bench.manager.close().await?;
        }
        assert_eq!(outcomes[0], outcomes[1]);
        assert_eq!((outcomes[0][0].changes, outcomes[0][0].last_insert_rowid), (3, Some(3)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn t10_a_trigger_that_counts_changes_sees_those_of_its_own_statement() -> Result<()> {
    in_deadline(async {
        let schema = "CREATE TABLE t(x); CREATE TABLE seen(n); \
                      CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO seen SELECT changes(); END";
        let mut seen = Vec::new();
        for grouped in [true, false] {
            let mut bench = Bench::open(schema, grouped.then_some(WIDE)).await?;
            let lease = bench.hold().await?;
            for sql in ["INSERT INTO t VALUES (1), (2)", "DELETE FROM t", "INSERT INTO t VALUES (3)"] {
                bench.submit(sql);
            }
            bench.release(lease, 3).await;
            assert_eq!(ok(&bench.answers(3).await), [1, 2, 3]);
            seen.push(bench.integers("SELECT n FROM seen ORDER BY rowid").await?);
            bench.manager.close().await?;
        }
        assert_eq!(seen[0], seen[1]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_read_that_took_a_place_among_the_writes_leaves_the_group_and_runs_on_a_reader() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        for sql in [
            "INSERT INTO t VALUES (1)",
            "SELECT 1",
            "INSERT INTO t VALUES (2)",
            "SELECT nothing",
            "INSERT INTO t VALUES (3)",
        ] {
            bench.submit(sql);
        }
        bench.release(lease, 0).await;
        let answers = bench.answers(5).await;
        assert_eq!(failed(&answers).iter().map(|(call, _)| *call).collect::<Vec<_>>(), [4]);
        assert_eq!(bench.integers("SELECT x FROM t").await?, [1, 2, 3]);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_value_that_cannot_be_delivered_undoes_its_member_and_no_other() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        let lease = bench.hold().await?;
        bench.submit("INSERT INTO t VALUES (1)");
        bench.calls += 1;
        let sink: Arc<dyn Sink> = bench.channel.clone();
        let query = Query::new("INSERT INTO t VALUES (9007199254740993) RETURNING x");
        let request = Request { integers: Integers::Number, ..Request::new(query, Params::none()) };
        bench.manager.submit(request, None, sink, 2);
        bench.submit("INSERT INTO t VALUES (3)");
        bench.release(lease, 3).await;
        let answers = bench.answers(3).await;
        assert_eq!(order(&answers), [1, 2, 3]);
        assert_eq!(failed(&answers)[0].1.code, ErrorCode::OutOfRange);
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, [1, 3]);
        assert_eq!(bench.counter("groups"), 1);
        bench.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_full_database_fails_who_does_not_fit_and_no_other() -> Result<()> {
    in_deadline(async {
        let mut bench = Bench::open("CREATE TABLE t(x)", Some(WIDE)).await?;
        bench.manager.pragma("max_page_count", Some("20")).await?;
        let lease = bench.hold().await?;
        bench.submit("INSERT INTO t VALUES (1)");
        bench.submit("INSERT INTO t VALUES (zeroblob(1000000))");
        bench.submit("INSERT INTO t VALUES (3)");
        bench.release(lease, 3).await;
        let answers = bench.answers(3).await;
        assert_eq!((order(&answers), ok(&answers)), (vec![1, 2, 3], vec![1, 3]));
        assert_eq!(failed(&answers)[0].1.primary_code(), Some(13));
        assert_eq!(bench.integers("SELECT x FROM t ORDER BY rowid").await?, [1, 3]);
        bench.manager.close().await
    })
    .await
}
