//! What a panic ends, wherever it comes from: the call it belongs to, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::{Delivery, ErrorCode, Manager, Options, Params, Query, Request, Result, Sink, Value};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within the deadline")
}

async fn open(name: &str, options: Options) -> Result<(TempDir, Manager)> {
    let dir = TempDir::new().expect("a temporary directory");
    let manager = Manager::open(dir.path().join(name), options).await?;
    manager.query("CREATE TABLE t(x)", Params::none()).await?;
    Ok((dir, manager))
}

fn request(sql: &str) -> Request {
    Request::new(Query::new(sql), Params::none())
}

async fn count(manager: &Manager) -> Result<i64> {
    let rows = manager.query("SELECT count(*) FROM t", Params::none()).await?.rows;
    match rows[0][0] {
        Value::Integer(count) => Ok(count),
        Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => panic!("no count: {rows:?}"),
    }
}

/// Panics when it is dropped, on the thread that held it last. Tells how its call ended.
struct PanicsWhenDropped(UnboundedSender<bool>);

impl Sink for PanicsWhenDropped {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let is_well = match delivery {
            Delivery::Rows(..) => return,
            Delivery::End(..) | Delivery::More(..) | Delivery::Done | Delivery::Timed(_) => true,
            Delivery::Failed(_) => false,
        };
        self.0.send(is_well).unwrap_or_default();
    }
}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("planted in a drop");
    }
}

/// Submits statements, each with a sink of its own that nobody else holds.
fn submit_all(manager: &Manager, statements: &[&str]) -> UnboundedReceiver<bool> {
    let (ended, ends) = unbounded_channel();
    for (call, sql) in (1..).zip(statements) {
        manager.submit(request(sql), None, Arc::new(PanicsWhenDropped(ended.clone())), call);
    }
    ends
}

#[tokio::test]
async fn h04_a_panic_in_a_drop_disturbs_no_other_call() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open("app.db", Options { max_readers: 1, ..Options::default() }).await?;
        let insert = "INSERT INTO t VALUES (1)";
        let mut expected = 0;
        for _ in 0..3 {
            // One that writes alone, several that share a transaction, reads behind one another, and both.
            for statements in
                [&[insert][..], &[insert; 8], &["SELECT x FROM t"; 8], &[insert, "SELECT x FROM t", insert]]
            {
                let mut ends = submit_all(&manager, statements);
                let mut answered = 0;
                while let Some(is_well) = ends.recv().await {
                    assert!(is_well, "{statements:?}");
                    answered += 1;
                }
                assert_eq!(answered, statements.len());
                expected += i64::try_from(statements.iter().filter(|sql| **sql == insert).count()).expect("few");
                assert_eq!(count(&manager).await?, expected, "each was done once");
            }
        }
        manager.close().await
    })
    .await
}

/// Fails its call and the answer both: the sink panics when it is told, and when it is dropped.
struct PanicsTwice(Mutex<Option<UnboundedSender<()>>>);

impl Sink for PanicsTwice {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        drop(self.0.lock().take());
        panic!("planted in an answer");
    }
}

impl Drop for PanicsTwice {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "planted in a drop");
    }
}

#[tokio::test]
async fn h04_a_panic_in_an_answer_and_in_its_drop_ends_no_worker() -> Result<()> {
    in_deadline(async {
        let (_dir, manager) = open("app.db", Options { max_readers: 1, ..Options::default() }).await?;
        for sql in ["INSERT INTO t VALUES (1)", "SELECT x FROM t"].repeat(3) {
            let (alive, mut gone) = unbounded_channel();
            manager.submit(request(sql), None, Arc::new(PanicsTwice(Mutex::new(Some(alive)))), 1);
            assert_eq!(gone.recv().await, None);
            manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
        }
        assert_eq!(count(&manager).await?, 9);
        manager.close().await
    })
    .await
}

static ARMED: AtomicBool = AtomicBool::new(false);
static PLANTED: AtomicU64 = AtomicU64::new(0);

/// Is told of events, and panics on the threads of one database while it is armed.
struct PanickingSubscriber;

impl Subscriber for PanickingSubscriber {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let is_worker = std::thread::current().name().is_some_and(|name| name.starts_with("sluice:told.db:"));
        if is_worker && event.metadata().target() == "sluice::statement" && ARMED.load(Ordering::SeqCst) {
            PLANTED.fetch_add(1, Ordering::SeqCst);
            panic!("planted in a subscriber");
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[tokio::test]
async fn h04_a_panic_in_a_callback_rejects_or_answers_its_call_and_the_next_one_is_served() -> Result<()> {
    in_deadline(async {
        tracing::subscriber::set_global_default(PanickingSubscriber).expect("the only one");
        let (_dir, manager) = open("told.db", Options { max_readers: 1, ..Options::default() }).await?;
        for sql in ["INSERT INTO t VALUES (1)", "SELECT x FROM t"].repeat(3) {
            ARMED.store(true, Ordering::SeqCst);
            let outcome = manager.query(sql, Params::none()).await;
            ARMED.store(false, Ordering::SeqCst);
            if let Err(error) = outcome {
                assert_eq!(error.code, ErrorCode::Panic, "{sql}: {error:?}");
            }
            manager.query("INSERT INTO t VALUES (2)", Params::none()).await?;
            assert!(count(&manager).await? >= 1);
        }
        assert!(PLANTED.load(Ordering::SeqCst) > 0, "it was told of a statement");
        manager.close().await
    })
    .await
}
