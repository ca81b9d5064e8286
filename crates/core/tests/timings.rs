//! Calls that ask for it are told how long they waited and how long they ran.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sluice_core::{
    Behavior, Delivery, Failure, Manager, Options, Params, Query, Request, Result, Script, SessionKind, SessionLimits,
    Sink, Timed,
};
use tokio::sync::oneshot;

/// Counts to 300,000: some milliseconds.
const SLOW: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n";

/// Takes the last step of the answer to call 1.
struct Last(Mutex<Option<oneshot::Sender<Delivery>>>);

impl Sink for Last {
    fn deliver(&self, call: u32, delivery: Delivery) {
        if call != 1 || matches!(delivery, Delivery::Rows(..)) {
            return;
        }
        drop(self.0.lock().take().expect("one answer").send(delivery));
    }
}

fn last() -> (Arc<dyn Sink>, oneshot::Receiver<Delivery>) {
    let (sender, answer) = oneshot::channel();
    (Arc::new(Last(Mutex::new(Some(sender)))), answer)
}

fn timed(sql: &str) -> Request {
    Request { timed: true, ..Request::new(Query::new(sql), Params::none()) }
}

async fn times(answer: oneshot::Receiver<Delivery>) -> (Duration, Duration, Result<(), Failure>) {
    let Delivery::Timed(answer) = answer.await.expect("answered") else { panic!("the answer tells no times") };
    let Timed { delivery, queued, ran } = *answer;
    let failure = if let Delivery::Failed(failure) = delivery { Err(*failure) } else { Ok(()) };
    (queued, ran, failure)
}

#[tokio::test]
async fn a_statement_tells_how_long_it_ran_and_nobody_else_does() -> Result<()> {
    let manager = Manager::open(":memory:", Options::default()).await?;
    let (sink, answer) = last();
    let began = Instant::now();
    manager.submit(timed(SLOW), None, sink, 1);
    let (queued, ran, failure) = times(answer).await;
    assert!(failure.is_ok());
    assert!(ran > Duration::from_millis(1), "it ran for {ran:?}");
    assert!(queued + ran <= began.elapsed());

    let (sink, answer) = last();
    manager.submit(Request { timed: false, ..timed(SLOW) }, None, sink, 1);
    assert!(matches!(answer.await, Ok(Delivery::End(..))));
    manager.close().await
}

#[tokio::test]
async fn a_write_tells_how_long_it_waited_for_the_writer() -> Result<()> {
    let manager = Manager::open(":memory:", Options::default()).await?;
    let writer = manager.write().await?;
    let (sink, answer) = last();
    manager.submit(timed("CREATE TABLE t(x)"), None, sink, 1);
    let asked = Instant::now();
    let held = Duration::from_millis(20);
    while asked.elapsed() < held {
        tokio::task::yield_now().await;
    }
    let left = Instant::now();
    drop(writer);
    let (queued, ran, failure) = times(answer).await;
    assert!(failure.is_ok());
    assert!(queued >= held, "it waited for {queued:?}");
    assert!(ran <= left.elapsed());
    manager.close().await
}

#[tokio::test]
async fn members_of_a_group_tell_their_own_time_and_not_that_of_the_others() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = Manager::open(folder.path().join("a.db"), Options::default()).await?;
    let setup = manager.write().await?;
    let slow = format!("INSERT INTO t {SLOW}");
    let answers: Vec<_> = ["CREATE TABLE t(x)", "INSERT INTO t VALUES (1)", slow.as_str(), "INSERT INTO t VALUES (2)"]
        .map(|sql| {
            let (sink, answer) = last();
            manager.submit(timed(sql), None, sink, 1);
            answer
        })
        .into_iter()
        .collect();
    let began = Instant::now();
    drop(setup);
    let mut ran = Vec::new();
    for answer in answers {
        let (_, took, failure) = times(answer).await;
        assert!(failure.is_ok());
        ran.push(took);
    }
    assert!(ran[2] > Duration::from_millis(1));
    assert!(ran.iter().sum::<Duration>() <= began.elapsed(), "{ran:?}");
    manager.close().await
}

#[tokio::test]
async fn failures_scripts_batches_sessions_and_private_handles_tell_their_times_too() -> Result<()> {
    let manager = Manager::open(":memory:", Options::default()).await?;
    let (sink, answer) = last();
    manager.submit(timed("SELECT nothing"), None, sink, 1);
    assert!(times(answer).await.2.is_err());

    let (sink, answer) = last();
    manager.submit_script(Script { text: Query::new(SLOW), timed: true }, None, sink, 1);
    assert!(times(answer).await.1 > Duration::from_millis(1));

    let (sink, answer) = last();
    manager.submit_batch(vec![(timed(SLOW), 2), (timed("SELECT 1"), 3)], None, &sink, 1);
    assert!(times(answer).await.1 > Duration::from_millis(1));

    let (sink, begun) = last();
    let kind = SessionKind::Transaction(Behavior::Immediate);
    let session = manager.session(kind, SessionLimits::default(), None, &sink, 1, 9);
    assert!(matches!(begun.await, Ok(Delivery::Done)));
    let (sink, answer) = last();
    session.submit(timed(SLOW), None, sink, 1);
    assert!(times(answer).await.1 > Duration::from_millis(1));
    drop(session);

    let private = manager.sibling().private_handle(None);
    for sql in ["BEGIN", SLOW, "COMMIT"] {
        let (sink, answer) = last();
        private.submit(timed(sql), None, sink, 1);
        assert!(times(answer).await.2.is_ok());
    }
    drop(private);

    manager.close_within(Duration::ZERO).await?;
    let (sink, answer) = last();
    manager.submit(timed("SELECT 1"), None, sink, 1);
    let (_, ran, failure) = times(answer).await;
    assert!(failure.is_err());
    assert_eq!(ran, Duration::ZERO, "it never ran");
    Ok(())
}
