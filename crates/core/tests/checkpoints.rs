//! The care of the write-ahead log: it is moved into the database as it grows, and emptied past a limit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::{
    CheckpointMode, Delivery, ErrorCode, Manager, Options, Params, Result, Scope, SessionKind, SessionLimits, Sink,
    Value, completion::Reply,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

const MEBIBYTE: u64 = 1024 * 1024;

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("done within the deadline")
}

async fn open(options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let options = Options { durability: sluice_core::Durability::Normal, ..options };
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    run(&manager, "CREATE TABLE t(x)").await?;
    Ok((dir, manager))
}

async fn run(manager: &Manager, sql: &str) -> Result<Vec<Vec<Value>>> {
    manager.query(sql, Params::none()).await.map(|rows| rows.rows)
}

fn counter(manager: &Manager, name: &str) -> u64 {
    manager.status().counters.iter().find(|(known, _)| *known == name).expect("a counter of this name").1
}

async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Once(Mutex<Option<oneshot::Sender<Result<Vec<u64>>>>>);

impl Sink for Once {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let result = match delivery {
            Delivery::Rows(..) | Delivery::More(..) => return,
            Delivery::End(_, chunk, _) => Ok(chunk.map(|chunk| chunk.cells.to_vec()).unwrap_or_default()),
            Delivery::Done | Delivery::Timed(_) => Ok(Vec::new()),
            Delivery::Failed(failure) => Err(failure.error),
        };
        let sender = self.0.lock().take().expect("answered once");
        drop(sender.send(result));
    }
}

/// Returns whether somebody was in the way, the pages in the log, and those that were moved.
async fn checkpoint(manager: &Manager, mode: CheckpointMode) -> Result<Vec<f64>> {
    let (sender, answer) = oneshot::channel();
    manager.answer_checkpoint(mode, Reply::new(Arc::new(Once(Mutex::new(Some(sender)))), 1));
    let cells = answer.await.expect("it is answered")?;
    Ok(cells.into_iter().map(f64::from_bits).collect())
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the folder is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_log_is_moved_into_the_database_as_it_grows_and_not_inside_a_commit() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        let before = std::fs::metadata(dir.path().join("app.db")).expect("the file").len();
        for _ in 0..30 {
            run(&manager, "INSERT INTO t VALUES (zeroblob(200000))").await?;
        }
        until(|| counter(&manager, "checkpoints") >= 1).await;
        let file = dir.path().join("app.db");
        until(|| std::fs::metadata(&file).expect("the file").len() > before + 3 * MEBIBYTE).await;
        assert_eq!(counter(&manager, "checkpointErrors"), 0);
        manager.close().await?;
        assert_eq!(files(dir.path()), ["app.db"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn l04_a_session_keeps_the_log_and_is_named_and_afterwards_it_can_be_emptied() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        let session = snapshot(&manager).await;
        for _ in 0..60 {
            run(&manager, "INSERT INTO t VALUES (zeroblob(100000))").await?;
        }
        until(|| counter(&manager, "checkpoints") >= 1).await;
        assert!(manager.status().wal.bytes > 5 * MEBIBYTE);
        drop(session);
        assert_eq!(checkpoint(&manager, CheckpointMode::Truncate).await?, [0.0, 0.0, 0.0]);
        assert_eq!(manager.status().wal.bytes, 0);
        manager.close().await?;
        assert_eq!(files(dir.path()), ["app.db"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn l05_the_log_stays_bounded_under_reads_that_overlap_without_a_gap() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_readers: 3, ..Options::default() }).await?;
        run(&manager, "INSERT INTO t VALUES (1)").await?;
        let done = Arc::new(AtomicBool::new(false));
        let read = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) \
                    SELECT (SELECT count(*) FROM t), max(i) FROM n";
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (manager, done) = (manager.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    while !done.load(Ordering::SeqCst) {
                        run(&manager, read).await.expect("a read");
                    }
                })
            })
            .collect();
        let mut largest = 0;
        for _ in 0..400 {
            run(&manager, "INSERT INTO t VALUES (zeroblob(500000))").await?;
            run(&manager, "DELETE FROM t WHERE typeof(x) = 'blob'").await?;
            largest = largest.max(manager.status().wal.bytes);
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.expect("the reader ends");
        }
        // 200 MB were written; the limit is 64 MiB, and what comes while the gap is waited for.
        assert!(largest < 128 * MEBIBYTE, "{largest}");
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn t26_after_a_huge_transaction_the_log_is_emptied() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        let mut lease = manager.write().await?;
        lease.query("BEGIN", Params::none()).await?;
        for _ in 0..100 {
            lease.execute("INSERT INTO t VALUES (zeroblob(1000000))", Params::none()).await?;
        }
        lease.query("COMMIT", Params::none()).await?;
        assert!(manager.status().wal.bytes > 90 * MEBIBYTE);
        drop(lease);
        until(|| counter(&manager, "walTruncations") == 1).await;
        assert_eq!(manager.status().wal.bytes, 0);
        assert_eq!(run(&manager, "SELECT count(*) FROM t").await?, [[Value::Integer(100)]]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn d08_a_truncating_checkpoint_meets_neither_readers_nor_writes_and_close_leaves_one_file() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        let calls: Vec<_> = (0..1_000)
            .map(|i| {
                let manager = manager.clone();
                tokio::spawn(async move {
                    match i % 10 {
                        0 => run(&manager, "SELECT count(*) FROM t").await.map(drop),
                        5 if i % 100 == 5 => checkpoint(&manager, CheckpointMode::Truncate).await.map(|found| {
                            assert_eq!(found, [0.0, 0.0, 0.0], "nobody is in the way");
                        }),
                        _ => run(&manager, &format!("INSERT INTO t VALUES ({i})")).await.map(drop),
                    }
                })
            })
            .collect();
        for call in calls {
            call.await.expect("the task ends")?;
        }
        assert_eq!(run(&manager, "SELECT count(*) FROM t").await?, [[Value::Integer(890)]]);
        for mode in [CheckpointMode::Passive, CheckpointMode::Full, CheckpointMode::Restart] {
            run(&manager, "INSERT INTO t VALUES (1)").await?;
            let found = checkpoint(&manager, mode).await?;
            assert!(found[0] == 0.0 && found[1] > 0.0 && (found[1] - found[2]).abs() < 0.5, "{mode:?}: {found:?}");
        }
        manager.close().await?;
        assert_eq!(files(dir.path()), ["app.db"]);
        Ok(())
    })
    .await
}

/// Begins a session that reads from now on what there is now. Dropping what it returns ends it.
async fn snapshot(manager: &Manager) -> impl Drop + use<> {
    let sink: Arc<dyn Sink> = sluice_core::Channel::new(|| {});
    let session = manager.session(SessionKind::Read(Scope::Outside), SessionLimits::default(), None, &sink, 1, 2);
    until(|| manager.status().wal.oldest_reader_sql.is_some_and(|sql| sql.contains("read session"))).await;
    session
}

#[tokio::test]
async fn a_checkpoint_moves_what_it_can_before_it_holds_anybody_back_and_waits_for_older_reads() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        run(&manager, "INSERT INTO t VALUES (zeroblob(1000000))").await?;
        assert_eq!(counter(&manager, "checkpoints"), 0);
        let older = snapshot(&manager).await;
        let asked = tokio::spawn({
            let manager = manager.clone();
            async move { checkpoint(&manager, CheckpointMode::Truncate).await }
        });
        until(|| counter(&manager, "checkpoints") == 1).await;
        // The next read and the next write are behind it.
        until(|| manager.status().queued > 0).await;
        let found = checkpoint(&manager, CheckpointMode::Passive).await?;
        assert!(found[1] > 200.0 && (found[1] - found[2]).abs() < 0.5, "{found:?}");
        assert!(!asked.is_finished());
        drop(older);
        assert_eq!(asked.await.expect("the task ends")?, [0.0, 0.0, 0.0]);
        assert_eq!(manager.status().wal.bytes, 0);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_checkpoint_does_not_wait_for_a_read_that_began_when_everything_was_moved() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        for mode in [CheckpointMode::Full, CheckpointMode::Restart, CheckpointMode::Truncate] {
            run(&manager, "INSERT INTO t VALUES (zeroblob(1000000))").await?;
            checkpoint(&manager, CheckpointMode::Passive).await?;
            let newer = snapshot(&manager).await;
            let found = checkpoint(&manager, mode).await?;
            assert!(found[0] == 0.0 && (found[1] - found[2]).abs() < 0.5, "{mode:?}: {found:?}");
            // Nor is anybody held back by it.
            run(&manager, "SELECT count(*) FROM t").await?;
            drop(newer);
            until(|| manager.status().wal.oldest_reader_sql.is_none()).await;
        }
        assert_eq!(manager.status().wal.bytes, 0);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_checkpoint_that_empties_the_log_does_not_meet_the_driver_s_own() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        for mode in
            [CheckpointMode::Full, CheckpointMode::Restart, CheckpointMode::Truncate].into_iter().cycle().take(30)
        {
            // So much that the checkpointer begins by itself.
            run(&manager, "INSERT INTO t VALUES (zeroblob(6000000))").await?;
            let late = tokio::spawn({
                let manager = manager.clone();
                async move { run(&manager, "INSERT INTO t VALUES (zeroblob(6000000))").await.map(drop) }
            });
            let found = checkpoint(&manager, mode).await?;
            assert!(found[0] == 0.0 && (found[1] - found[2]).abs() < 0.5, "{mode:?}: {found:?}");
            late.await.expect("the task ends")?;
            run(&manager, "DELETE FROM t").await?;
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_close_answers_every_checkpoint_and_leaves_one_file() -> Result<()> {
    in_deadline(async {
        for round in 0..20 {
            let (dir, manager) = open(Options::default()).await?;
            let asked: Vec<_> =
                [CheckpointMode::Truncate, CheckpointMode::Full, CheckpointMode::Restart, CheckpointMode::Passive]
                    .into_iter()
                    .map(|mode| {
                        let manager = manager.clone();
                        tokio::spawn(async move {
                            loop {
                                run(&manager, "INSERT INTO t VALUES (zeroblob(20000))").await?;
                                run(&manager, "SELECT count(*) FROM t").await?;
                                checkpoint(&manager, mode).await?;
                            }
                        })
                    })
                    .collect();
            // At another moment in each round.
            until(|| counter(&manager, "checkpoints") >= round).await;
            manager.close().await?;
            for one in asked {
                let ended: Result<()> = one.await.expect("the task ends");
                assert_eq!(ended.expect_err("it was closed").code, ErrorCode::Closed);
            }
            assert_eq!(files(dir.path()), ["app.db"]);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_exclusive_mode_no_checkpointer_is_open_and_afterwards_there_is_one_again() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options::default()).await?;
        let grow = "INSERT INTO t VALUES (zeroblob(6000000))";
        run(&manager, grow).await?;
        until(|| counter(&manager, "checkpoints") == 1).await;
        let mut exclusive = manager.exclusive().await?;
        exclusive.execute(grow, Params::none()).await?;
        // With another connection open it could not leave WAL mode.
        let mode = exclusive.query("PRAGMA journal_mode = delete", Params::none()).await?.rows;
        assert_eq!(mode, [[Value::Text("delete".to_owned())]]);
        exclusive.query("PRAGMA journal_mode = wal", Params::none()).await?;
        exclusive.execute(grow, Params::none()).await?;
        drop(exclusive);
        // Of what was written there, although nothing is written any more.
        until(|| counter(&manager, "checkpoints") >= 2).await;
        let checkpoints = counter(&manager, "checkpoints");
        run(&manager, "INSERT INTO t VALUES (zeroblob(12000000))").await?;
        until(|| counter(&manager, "checkpoints") > checkpoints).await;
        manager.close().await
    })
    .await
}

#[cfg(unix)]
#[tokio::test]
async fn a_checkpoint_that_was_asked_for_and_fails_is_counted_once() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        std::fs::rename(dir.path().join("app.db"), dir.path().join("elsewhere.db")).expect("it is moved away");
        for (failed, mode) in
            [CheckpointMode::Passive, CheckpointMode::Truncate, CheckpointMode::Passive].iter().enumerate()
        {
            let error = checkpoint(&manager, *mode).await.expect_err("the file is not where it was");
            assert_eq!(error.code, ErrorCode::DatabaseReplaced, "{mode:?}");
            assert_eq!(counter(&manager, "checkpointErrors"), failed as u64 + 1, "{mode:?}");
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_database_without_a_log_has_nothing_to_move() -> Result<()> {
    in_deadline(async {
        let manager = Manager::open(":memory:", Options::default()).await?;
        assert_eq!(checkpoint(&manager, CheckpointMode::Truncate).await?, [0.0, -1.0, -1.0]);
        assert_eq!(checkpoint(&manager, CheckpointMode::Passive).await?, [0.0, -1.0, -1.0]);
        manager.close().await
    })
    .await
}

/// Reads as another process would, from what there is now until it is dropped.
fn foreign_reader(dir: &TempDir) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(dir.path().join("app.db")).expect("it opens");
    connection.execute_batch("BEGIN").expect("a transaction");
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).expect("its snapshot");
    connection
}

#[tokio::test]
async fn what_another_process_reads_keeps_a_long_log_and_holds_nobody_up() -> Result<()> {
    in_deadline(async {
        // Whoever waited for the other process would pass the deadline.
        let (dir, manager) = open(Options { busy_timeout: Duration::from_hours(1), ..Options::default() }).await?;
        let foreign = foreign_reader(&dir);
        let switches = counter(&manager, "modeSwitches");
        while counter(&manager, "modeSwitches") < switches + 2 {
            run(&manager, "INSERT INTO t VALUES (zeroblob(5000000))").await?;
            run(&manager, "DELETE FROM t").await?;
            run(&manager, "SELECT count(*) FROM t").await?;
        }
        assert_eq!(counter(&manager, "walTruncations"), 0, "it was not emptied");
        assert_eq!(counter(&manager, "checkpointErrors"), 0);
        drop(foreign);
        until(|| counter(&manager, "walTruncations") == 1).await;
        assert_eq!(manager.status().wal.bytes, 0);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_checkpoint_that_was_asked_for_waits_for_another_process_and_holds_nobody_up() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options { busy_timeout: Duration::from_hours(1), ..Options::default() }).await?;
        run(&manager, "INSERT INTO t VALUES (zeroblob(1000000))").await?;
        let foreign = foreign_reader(&dir);
        run(&manager, "INSERT INTO t VALUES (zeroblob(1000000))").await?;
        let switches = counter(&manager, "modeSwitches");
        let asked = tokio::spawn({
            let manager = manager.clone();
            async move { checkpoint(&manager, CheckpointMode::Truncate).await }
        });
        // It has tried twice.
        while counter(&manager, "modeSwitches") < switches + 4 {
            run(&manager, "INSERT INTO t VALUES (1)").await?;
            run(&manager, "SELECT count(*) FROM t").await?;
        }
        assert!(!asked.is_finished());
        drop(foreign);
        assert_eq!(asked.await.expect("the task ends")?, [0.0, 0.0, 0.0]);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_checkpoint_that_another_process_is_in_the_way_of_for_too_long_says_so() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options { busy_timeout: Duration::from_millis(100), ..Options::default() }).await?;
        let foreign = foreign_reader(&dir);
        run(&manager, "INSERT INTO t VALUES (zeroblob(1000000))").await?;
        for mode in [CheckpointMode::Restart, CheckpointMode::Truncate] {
            let found = checkpoint(&manager, mode).await?;
            assert!(found[0] > 0.5 && found[1] > 200.0, "{mode:?}: {found:?}");
        }
        drop(foreign);
        manager.close().await
    })
    .await
}
