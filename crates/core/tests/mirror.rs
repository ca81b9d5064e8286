//! Copies in memory, and being told of changes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_core::{
    Cancel, CancelReason, Concurrency, CopyOptions, Delivery, Disposition, Error, ErrorCode, Manager, Options, Params,
    Query, Request, Result, RowSet, Sink, Value, Watch,
};
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(10);

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("done within the deadline")
}

struct File {
    dir: TempDir,
    manager: Manager,
}

impl File {
    async fn open(options: Options) -> Result<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let manager = Manager::open(dir.path().join("app.db"), options).await?;
        Ok(Self { dir, manager })
    }

    /// A connection that is no part of the manager, as another process would have one.
    fn other(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.dir.path().join("app.db")).expect("opens");
        connection.busy_timeout(Duration::from_secs(20)).expect("is set");
        connection
    }
}

async fn run(manager: &Manager, sql: &str) -> Result<RowSet> {
    manager.query(sql, Params::none()).await
}

async fn integer(manager: &Manager, sql: &str) -> Result<i64> {
    match run(manager, sql).await?.rows.as_slice() {
        [row] => match row.as_slice() {
            [Value::Integer(value)] => Ok(*value),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn pragma(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Fills a table with rows of about 200 bytes each.
async fn fill(manager: &Manager, rows: u32) -> Result<()> {
    run(manager, "CREATE TABLE t(x INTEGER PRIMARY KEY, y TEXT)").await?;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
               INSERT INTO t SELECT i, printf('%0200d', i) FROM n";
    manager.query(sql, Params::positional([Value::from(i64::from(rows))])).await?;
    Ok(())
}

async fn expect_a_good_copy(source: &Manager) -> Result<()> {
    let copy = source.copy(CopyOptions::default()).await?;
    for table in ["SELECT count(*) FROM t", "SELECT sum(length(y)) FROM t", "PRAGMA page_size"] {
        assert_eq!(run(&copy, table).await?.rows, run(source, table).await?.rows, "{table}");
    }
    assert_eq!(run(&copy, "PRAGMA encoding").await?.rows, run(source, "PRAGMA encoding").await?.rows);
    assert_eq!(run(&copy, "PRAGMA quick_check").await?.rows, [[Value::from("ok")]]);
    copy.close().await
}

#[tokio::test]
async fn a_copy_is_whole_whatever_the_file_is_like() -> Result<()> {
    in_deadline(async {
        let settings: [&[(String, String)]; 6] = [
            &[],
            &[pragma("page_size", "512")],
            &[pragma("page_size", "8192")],
            &[pragma("page_size", "65536")],
            &[pragma("encoding", "UTF-16le")],
            &[pragma("auto_vacuum", "1"), pragma("page_size", "1024")],
        ];
        for pragmas in settings {
            for journal in ["wal", "delete", "persist"] {
                let file = File::open(Options { pragmas: pragmas.to_vec(), ..Options::default() }).await?;
                file.manager.pragma("journal_mode", Some(journal)).await?;
                fill(&file.manager, 2_000).await?;
                expect_a_good_copy(&file.manager).await?;
                file.manager.close().await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_database_in_memory_an_empty_one_and_one_without_readers_can_be_copied() -> Result<()> {
    in_deadline(async {
        let memory = Manager::open(":memory:", Options::default()).await?;
        let empty = memory.copy(CopyOptions::default()).await?;
        assert_eq!(integer(&empty, "SELECT count(*) FROM sqlite_schema").await?, 0);
        fill(&memory, 500).await?;
        expect_a_good_copy(&memory).await?;
        let lonely = File::open(Options { max_readers: 0, ..Options::default() }).await?;
        fill(&lonely.manager, 500).await?;
        expect_a_good_copy(&lonely.manager).await?;
        lonely.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_copy_has_readers_of_its_own_which_wait_for_nobody_and_refuses_writes() -> Result<()> {
    in_deadline(async {
        let file = File::open(Options { max_readers: 3, ..Options::default() }).await?;
        fill(&file.manager, 100).await?;
        let copy = file.manager.copy(CopyOptions::default()).await?;
        assert_eq!(copy.status().concurrency, Concurrency::Wal);
        let mut one = copy.read().await?;
        let mut two = copy.read().await?;
        for reader in [&mut one, &mut two] {
            let rows = reader.query("SELECT count(*) FROM t", Params::none()).await?.rows;
            assert_eq!(rows, [[Value::Integer(100)]]);
        }
        // While sessions last, and with a hint that leads to the writer.
        for sql in
            ["INSERT INTO t VALUES (101, '')", "DROP TABLE t", "CREATE TEMP TABLE u(x)", "CREATE INDEX i ON t(y)"]
        {
            let refused = run(&copy, sql).await.expect_err(sql);
            assert_eq!(refused.primary_code(), Some(rusqlite::ffi::SQLITE_READONLY), "{sql}: {refused:?}");
        }
        for sql in ["ATTACH ':memory:' AS u", "VACUUM"] {
            let refused = run(&copy, sql).await.expect_err(sql);
            assert!(refused.message.contains("too many attached databases"), "{sql}: {refused:?}");
        }
        assert_eq!(integer(&copy, "SELECT count(*) FROM t").await?, 100);
        drop((one, two));
        // A writer that is replaced, and readers that are opened later, find what was there.
        copy.exclusive().await?.release(Disposition::Discard);
        assert_eq!(integer(&copy, "SELECT count(*) FROM t").await?, 100);
        assert!(run(&copy, "DELETE FROM t").await.is_err());
        assert_eq!(copy.status().concurrency, Concurrency::Wal);
        file.manager.close().await?;
        assert_eq!(integer(&copy, "SELECT max(x) FROM t").await?, 100);
        copy.close().await
    })
    .await
}

#[tokio::test]
async fn a_copy_that_is_written_to_is_frozen_with_what_was_committed() -> Result<()> {
    in_deadline(async {
        let file = File::open(Options::default()).await?;
        fill(&file.manager, 10).await?;
        let copy = file.manager.copy(CopyOptions { writable: true, ..CopyOptions::default() }).await?;
        run(&copy, "CREATE INDEX by_y ON t(y)").await?;
        run(&copy, "CREATE TEMP TABLE t(x)").await?;
        let mut leftover = copy.write().await?;
        leftover.script("BEGIN; DELETE FROM main.t").await?;
        let frozen = copy.freeze().await?;
        assert_eq!(code(run(&copy, "SELECT 1").await), ErrorCode::Closed);
        assert_eq!(code(copy.freeze().await), ErrorCode::Closed);
        drop(leftover);
        assert_eq!(integer(&frozen, "SELECT count(*) FROM t").await?, 10);
        assert_eq!(integer(&frozen, "SELECT count(*) FROM pragma_index_list('t')").await?, 1);
        assert!(run(&frozen, "DELETE FROM t").await.is_err());
        assert_eq!(integer(&file.manager, "SELECT count(*) FROM pragma_index_list('t')").await?, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_copy_under_writes_is_of_one_moment_and_no_older_than_its_beginning() -> Result<()> {
    in_deadline(async {
        let pragmas = vec![pragma("page_size", "8192")];
        let file = File::open(Options { pragmas, ..Options::default() }).await?;
        fill(&file.manager, 20_000).await?;
        run(&file.manager, "CREATE TABLE a(n INTEGER)").await?;
        run(&file.manager, "CREATE TABLE b(n INTEGER)").await?;
        let writing = file.manager.sibling();
        let writer = tokio::spawn(async move {
            for number in 1..=400_i64 {
                let mut lease = writing.write().await?;
                let both = format!("BEGIN; INSERT INTO a VALUES ({number}); INSERT INTO b VALUES ({number}); COMMIT");
                lease.script(&both).await?;
            }
            Ok::<_, Error>(())
        });
        let mut newest = 0;
        while !writer.is_finished() {
            let before = integer(&file.manager, "SELECT count(*) FROM b").await?;
            let copy = file.manager.copy(CopyOptions::default()).await?;
            let (a, b) =
                (integer(&copy, "SELECT count(*) FROM a").await?, integer(&copy, "SELECT count(*) FROM b").await?);
            assert_eq!(a, b);
            assert!(a >= before && a >= newest, "{a} is older than {before} or {newest}");
            newest = a;
        }
        writer.await.expect("no panic")?;
        file.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_database_that_is_too_large_is_refused_before_it_is_copied() -> Result<()> {
    in_deadline(async {
        let file = File::open(Options::default()).await?;
        fill(&file.manager, 1_000).await?;
        let refused = file.manager.copy(CopyOptions { max_bytes: 100_000, ..CopyOptions::default() }).await;
        let error = refused.expect_err("too large");
        assert_eq!(error.code, ErrorCode::TooLarge);
        assert!(error.message.contains("100000"), "{}", error.message);
        // It waits for every reader.
        drop(file.manager.exclusive().await?);
        file.manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_copy_that_is_given_up_or_overtaken_by_close_gives_its_reader_back() -> Result<()> {
    in_deadline(async {
        let file = File::open(Options::default()).await?;
        fill(&file.manager, 100_000).await?;
        for _ in 0..10 {
            let given_up =
                tokio::time::timeout(Duration::from_millis(1), file.manager.copy(CopyOptions::default())).await;
            drop(given_up);
        }
        // Exclusive mode waits for every reader.
        drop(file.manager.exclusive().await?);
        let copying = file.manager.sibling();
        let copy = tokio::spawn(async move { copying.copy(CopyOptions::default()).await });
        while file.manager.status().readers.active == 0 && !copy.is_finished() {
            tokio::task::yield_now().await;
        }
        file.manager.close().await?;
        match copy.await.expect("no panic") {
            Ok(copy) => assert_eq!(integer(&copy, "SELECT count(*) FROM t").await?, 100_000),
            Err(error) => assert_eq!(error.code, ErrorCode::Closed),
        }
        assert_eq!(code(file.manager.copy(CopyOptions::default()).await), ErrorCode::Closed);
        Ok(())
    })
    .await
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.expect_err("it fails").code
}

/// Whether a change is told of once the file has been looked at: which somebody does who begins to watch.
async fn is_told(manager: &Manager, watch: &mut Watch) -> Result<bool> {
    drop(manager.watch(POLL).await?);
    let told = tokio::time::timeout(Duration::ZERO, watch.changed()).await;
    told.map_or(Ok(false), |told| told.map(|()| true))
}

#[tokio::test]
async fn commits_of_this_process_and_of_others_are_told_and_nothing_else() -> Result<()> {
    in_deadline(async {
        for journal in ["wal", "delete"] {
            let file = File::open(Options::default()).await?;
            file.manager.pragma("journal_mode", Some(journal)).await?;
            run(&file.manager, "CREATE TABLE t(x)").await?;
            let mut watch = file.manager.watch(POLL).await?;
            run(&file.manager, "SELECT * FROM t").await?;
            run(&file.manager, "UPDATE t SET x = 1").await?;
            assert!(!is_told(&file.manager, &mut watch).await?, "{journal}: nothing was changed");
            run(&file.manager, "INSERT INTO t VALUES (1)").await?;
            watch.changed().await?;
            file.other().execute_batch("INSERT INTO t VALUES (2)").expect("is written");
            watch.changed().await?;
            let mut lease = file.manager.write().await?;
            lease.script("BEGIN; INSERT INTO t VALUES (3); ROLLBACK").await?;
            drop(lease);
            assert!(!is_told(&file.manager, &mut watch).await?, "{journal}: what was written was rolled back");
            file.manager.close().await?;
            assert_eq!(code(watch.changed().await), ErrorCode::Closed);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_commit_of_this_process_is_told_without_a_look_at_the_clock() -> Result<()> {
    in_deadline(async {
        let never = Duration::from_hours(1);
        for readers in [0, 2] {
            let file = File::open(Options { max_readers: readers, ..Options::default() }).await?;
            let memory = Manager::open(":memory:", Options { max_readers: readers, ..Options::default() }).await?;
            for manager in [&file.manager, &memory] {
                run(manager, "CREATE TABLE t(x)").await?;
                let mut watch = manager.watch(never).await?;
                let mut second = manager.watch(never).await?;
                for _ in 0..20 {
                    run(manager, "INSERT INTO t VALUES (1)").await?;
                    watch.changed().await?;
                    second.changed().await?;
                }
            }
            file.manager.close().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn watching_is_in_nobodys_way() -> Result<()> {
    in_deadline(async {
        let options = Options { busy_timeout: Duration::ZERO, ..Options::default() };
        let file = File::open(options).await?;
        run(&file.manager, "CREATE TABLE t(x)").await?;
        let mut watch = file.manager.watch(Duration::from_millis(1)).await?;
        for journal in ["delete", "wal", "delete", "wal"] {
            // It fails while any other connection is open.
            let set = file.manager.pragma("journal_mode", Some(journal)).await?;
            assert_eq!(set.rows, [[Value::from(journal)]]);
            for _ in 0..50 {
                run(&file.manager, "INSERT INTO t VALUES (1)").await?;
            }
        }
        watch.changed().await?;
        drop(watch);
        let mut again = file.manager.watch(POLL).await?;
        run(&file.manager, "INSERT INTO t VALUES (1)").await?;
        again.changed().await?;
        let dir = file.dir.path().to_owned();
        file.manager.close().await?;
        let left: Vec<_> =
            std::fs::read_dir(dir).expect("is there").map(|entry| entry.expect("is there").file_name()).collect();
        assert_eq!(left, ["app.db"], "the last connection to close removes the log");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_reader_that_hands_its_permit_to_whoever_watches_goes_on_to_serve() -> Result<()> {
    in_deadline(async {
        let file = File::open(Options { max_readers: 1, ..Options::default() }).await?;
        let manager = &file.manager;
        run(manager, "CREATE TABLE t(x)").await?;
        let mut watch = manager.watch(Duration::from_hours(1)).await?;
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        for _ in 0..20 {
            let (cancel, answer) = (Cancel::new(), tokio::sync::oneshot::channel());
            let sink = Arc::new(Told(Mutex::new(Some(answer.0))));
            let request = Request::new(Query::new(endless), Params::none());
            manager.submit(request, Some(Arc::clone(&cancel)), sink, 1);
            while manager.status().readers.active == 0 {
                tokio::task::yield_now().await;
            }
            // The look that it brings about waits behind the read.
            run(manager, "INSERT INTO t VALUES (1)").await?;
            while manager.status().readers.waiting == 0 {
                tokio::task::yield_now().await;
            }
            cancel.cancel(CancelReason::Aborted);
            answer.1.await.expect("the read is answered");
            watch.changed().await?;
            assert!(manager.status().readers.open <= 1);
        }
        while manager.status().readers.active > 0 {
            tokio::task::yield_now().await;
        }
        let readers = manager.status().readers;
        assert_eq!((readers.open, readers.idle), (1, 1));
        // It waits until every reader is closed.
        drop(manager.exclusive().await?);
        drop(watch);
        file.manager.close().await
    })
    .await
}

/// Tells that the one call is answered.
struct Told(Mutex<Option<tokio::sync::oneshot::Sender<()>>>);

impl Sink for Told {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        let told = self.0.lock().expect("no panic").take().expect("told once");
        told.send(()).expect("somebody waits");
    }
}
