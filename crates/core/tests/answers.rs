//! Answers reach whoever waits for them, whatever comes after them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sluice_core::{Channel, Delivery, Manager, Options, Params, Query, Request, Result, Sink, Value};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Counts to the number it is given.
const COUNT: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n";

fn count_to(query: &Arc<Query>, number: i64) -> Request {
    Request::new(Arc::clone(query), Params::positional([Value::from(number)]))
}

#[tokio::test]
async fn an_answer_does_not_wait_for_a_read_that_was_expected_to_run_short() -> Result<()> {
    let manager = Manager::open(":memory:", Options { max_readers: 1, ..Options::default() }).await?;
    let (first, last) = (Query::new(COUNT), Query::new(COUNT));
    for _ in 0..10 {
        manager.run(count_to(&first, 5)).await?;
        manager.run(count_to(&last, 5)).await?;
    }
    let (sender, mut wakes) = unbounded_channel();
    let channel = Channel::new(move || sender.send(()).unwrap_or_default());
    // Long enough for the second to queue behind it, and the last never ends by itself.
    manager.submit(count_to(&first, 300_000), None, channel.clone(), 1);
    manager.submit(count_to(&last, i64::MAX), None, channel.clone(), 2);
    let answered = async {
        let mut taken = VecDeque::new();
        while taken.is_empty() {
            wakes.recv().await.expect("the channel lives");
            channel.take(&mut taken);
        }
        taken.iter().map(|(call, _)| *call).collect::<Vec<_>>()
    };
    let answered = tokio::time::timeout(Duration::from_secs(20), answered).await.expect("the first is answered");
    assert_eq!(answered, [1]);
    manager.close_within(Duration::ZERO).await
}

/// Looks at how many readers are active when it is told of an answer.
struct Looking {
    manager: Manager,
    found: UnboundedSender<usize>,
}

impl Sink for Looking {
    fn deliver(&self, _call: u32, _delivery: Delivery) {}

    fn announce(&self) {
        self.found.send(self.manager.status().readers.active).expect("the test waits for it");
    }
}

#[tokio::test]
async fn whoever_is_told_of_an_answer_finds_its_reader_free() -> Result<()> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let manager = Manager::open(file.path(), Options::default()).await?;
    let (found, mut active) = unbounded_channel();
    let sink: Arc<dyn Sink> = Arc::new(Looking { manager: manager.clone(), found });
    let query = Query::new(COUNT);
    for call in 1..=100 {
        manager.submit(count_to(&query, 5), None, Arc::clone(&sink), call);
        let active = tokio::time::timeout(Duration::from_secs(20), active.recv()).await.expect("it is answered");
        assert_eq!(active, Some(0), "call {call}");
    }
    assert_eq!(manager.status().readers.open, 1);
    drop(sink);
    manager.close().await
}
