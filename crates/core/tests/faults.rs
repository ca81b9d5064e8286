//! What breaks, and what goes on all the same.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::{
    Concurrency, Delivery, Disposition, Error, ErrorCode, Manager, Options, Params, Query, Request, Result, Sink, Value,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("done within the deadline")
}

async fn open(options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join("app.db"), options).await?;
    manager.query("CREATE TABLE t(x)", Params::none()).await?;
    Ok((dir, manager))
}

fn request(sql: &str) -> Request {
    Request::new(Query::new(sql), Params::none())
}

/// Panics at every answer.
struct Panicking(Mutex<Option<UnboundedSender<()>>>);

impl Sink for Panicking {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        drop(self.0.lock().take());
        panic!("a sink that panics");
    }
}

async fn panic_at(manager: &Manager, sql: &str) {
    let (alive, mut gone) = unbounded_channel();
    manager.submit(request(sql), None, Arc::new(Panicking(Mutex::new(Some(alive)))), 1);
    assert_eq!(gone.recv().await, None);
}

#[tokio::test]
async fn a_panic_in_a_sink_ends_no_worker() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_readers: 1, ..Options::default() }).await?;
        for _ in 0..3 {
            panic_at(&manager, "INSERT INTO t VALUES (1)").await;
            manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
            panic_at(&manager, "SELECT x FROM t").await;
            manager.query("SELECT x FROM t", Params::none()).await?;
        }
        let mut reader = manager.read().await?;
        let rows = reader.query("SELECT count(*) FROM t", Params::none()).await?.rows;
        assert_eq!(rows, [[Value::Integer(6)]]);
        drop(reader);
        manager.close().await
    })
    .await
}

/// Takes what became of each call.
struct Outcomes(UnboundedSender<Option<Error>>);

impl Sink for Outcomes {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let outcome = match delivery {
            Delivery::Rows(..) => return,
            Delivery::End(..) | Delivery::More(..) | Delivery::Done | Delivery::Timed(_) => None,
            Delivery::Failed(failure) => Some(failure.error),
        };
        drop(self.0.send(outcome));
    }
}

#[tokio::test]
async fn no_queued_write_is_acknowledged_once_the_log_is_gone() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        manager.query("INSERT INTO t VALUES (0)", Params::none()).await?;
        let lease = manager.write().await?;
        let (outcomes, mut answers) = unbounded_channel();
        let sink = Arc::new(Outcomes(outcomes));
        let insert = request("INSERT INTO t VALUES (1)");
        for call in 1..=4 {
            manager.submit(insert.clone(), None, sink.clone(), call);
        }
        std::fs::remove_file(dir.path().join("app.db-wal")).expect("there is a log");
        drop(lease);
        for call in 1..=4 {
            let error = answers.recv().await.expect("an answer").expect("a failure");
            assert_eq!(error.code, ErrorCode::WalGone, "call {call}");
        }
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn no_leased_write_is_acknowledged_once_the_log_is_gone() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        manager.query("INSERT INTO t VALUES (0)", Params::none()).await?;
        let mut lease = manager.write().await?;
        std::fs::remove_file(dir.path().join("app.db-wal")).expect("there is a log");
        for _ in 0..3 {
            let error = lease.execute("INSERT INTO t VALUES (1)", Params::none()).await.expect_err("no log");
            assert_eq!(error.code, ErrorCode::WalGone);
        }
        drop(lease);
        manager.close().await
    })
    .await
}

#[tokio::test]
async fn a_lease_whose_reader_could_not_be_opened_does_not_say_that_the_database_is_closed() -> Result<()> {
    in_deadline(async {
        let (dir, manager) = open(Options::default()).await?;
        manager.close().await?;
        let path = dir.path().join("app.db");
        let manager = Manager::open(&path, Options::default()).await?;
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file is there");
        file.write_all(b"nonsense").expect("it is writable");
        let mut lease = manager.read().await?;
        for _ in 0..2 {
            let error = lease.query("SELECT * FROM t", Params::none()).await.expect_err("no database");
            assert_eq!(error.code, ErrorCode::Sqlite, "{error}");
        }
        drop(lease);
        drop(manager.close().await);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_text_above_the_limit_fails_however_short_it_is() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open(Options { max_text_bytes: 10, ..Options::default() }).await?;
        manager.query("SELECT '0123456789'", Params::none()).await?;
        let error = manager.query("SELECT '0123456789!'", Params::none()).await.expect_err("eleven bytes");
        assert_eq!(error.code, ErrorCode::TooLarge);
        manager.close().await
    })
    .await
}

/// Another connection keeps the file for itself while the writer is being replaced.
#[tokio::test]
async fn a_writer_that_cannot_be_replaced_now_is_replaced_later() -> Result<()> {
    in_deadline(async {
        let dir = TempDir::new().expect("a temporary directory");
        let path = dir.path().join("app.db");
        let options = Options {
            concurrency: Some(Concurrency::Exclusive),
            busy_timeout: Duration::from_millis(1),
            ..Options::default()
        };
        let manager = Manager::open(&path, options).await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        let other = rusqlite::Connection::open(&path)?;
        let lease = manager.write().await?;
        other.execute_batch("BEGIN EXCLUSIVE")?;
        lease.release(Disposition::Discard);
        let insert = "INSERT INTO t VALUES (1)";
        let busy = manager.query(insert, Params::none()).await.expect_err("the file is locked");
        assert_eq!(busy.primary_code(), Some(rusqlite::ffi::SQLITE_BUSY), "{busy:?}");
        other.execute_batch("ROLLBACK")?;
        while manager.query(insert, Params::none()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(other);
        manager.close().await
    })
    .await
}
