//! Calls that are submitted together.

mod reads;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_core::cell::{Tag, tagged};
use sluice_core::params::{PackedParams, ParamsKind};
use sluice_core::{
    Cancel, CancelReason, Delivery, ErrorCode, Manager, Options, Params, Query, ReadOrder, Request, Result, Sink, Take,
    Value,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a call came to: the number that it returned, if it returned one, or the code of its error.
type Answer = std::result::Result<Option<i64>, ErrorCode>;

struct Answers(UnboundedSender<(u32, Answer)>);

impl Sink for Answers {
    fn deliver(&self, call: u32, delivery: Delivery) {
        let first = delivery.chunk().and_then(|chunk| chunk.cells.first().copied());
        #[expect(clippy::cast_possible_truncation, reason = "the tests count to a few hundred")]
        let number = first.map(|cell| f64::from_bits(cell) as i64);
        let answer = match delivery {
            Delivery::Failed(failure) => Err(failure.error.code),
            Delivery::Rows(..) | Delivery::More(..) | Delivery::End(..) | Delivery::Done | Delivery::Timed(_) => {
                Ok(number)
            }
        };
        self.0.send((call, answer)).expect("the test takes every answer");
    }
}

struct Stage {
    dir: TempDir,
    manager: Manager,
    sink: Arc<dyn Sink>,
    answers: UnboundedReceiver<(u32, Answer)>,
}

impl Stage {
    async fn new(options: Options) -> Result<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let manager = Manager::open(dir.path().join("app.db"), options).await?;
        manager.query("CREATE TABLE t(x)", Params::none()).await?;
        manager.query("INSERT INTO t VALUES (0)", Params::none()).await?;
        let (sender, answers) = unbounded_channel();
        Ok(Self { dir, manager, sink: Arc::new(Answers(sender)), answers })
    }

    /// Takes so many answers, and returns them by the numbers of their calls.
    async fn take(&mut self, count: usize) -> HashMap<u32, Answer> {
        let mut taken = HashMap::new();
        for _ in 0..count {
            let (call, answer) = in_deadline(self.answers.recv()).await.expect("an answer");
            assert!(taken.insert(call, answer).is_none(), "{call} was answered twice");
        }
        taken
    }
}

async fn in_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("done within the deadline")
}

/// A write that tells which one of all it is.
fn count() -> Request {
    Request::new(Query::new("UPDATE t SET x = x + 1 RETURNING x"), Params::none())
}

#[tokio::test]
async fn writes_run_in_the_order_in_which_they_were_added_whatever_else_is_among_them() -> Result<()> {
    let mut stage = Stage::new(Options { max_readers: 2, ..Options::default() }).await?;
    let known = count();
    stage.manager.run(known.clone()).await?;
    let read = Request::new(Query::new("SELECT x FROM t"), Params::none());
    stage.manager.run(read.clone()).await?;
    for round in 0..50_u32 {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        for place in 0..20_u32 {
            let (request, cancel) = match place % 5 {
                1 => (read.clone(), None),
                2 => (known.clone(), Some(Cancel::new())),
                // Nobody has seen this text.
                3 => (count(), None),
                _ => (known.clone(), None),
            };
            bunch.add(request, cancel, round * 20 + place);
        }
    }
    let answers = stage.take(1_000).await;
    let mut writes = 1;
    for call in 0..1_000 {
        let Some(Ok(Some(number))) = answers.get(&call) else { panic!("{call}: {:?}", answers.get(&call)) };
        if call % 5 == 1 {
            continue;
        }
        writes += 1;
        assert_eq!(*number, writes, "call {call}");
    }
    in_deadline(stage.manager.close()).await
}

/// A text as the only value of a call, as the other side of the binding packs it.
fn packed_text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short text");
    [&tagged(Tag::Text, length).to_le_bytes(), text.as_bytes()].concat()
}

fn one_value(packed: &[u8]) -> PackedParams<'_> {
    PackedParams::new(ParamsKind::Positional, 1, packed).expect("values that are packed well")
}

#[tokio::test]
async fn a_request_is_added_again_with_values_of_its_own() -> Result<()> {
    for room in [1_000, 300] {
        let mut stage = Stage::new(Options { max_queued: room as usize, ..Options::default() }).await?;
        let insert = Query::new("INSERT INTO t VALUES (length(?)) RETURNING x");
        let first = Params::from_packed(ParamsKind::Positional, 1, &packed_text(""), Vec::new())?;
        let request = Request::new(insert, first);
        stage.manager.run(request.clone()).await?;
        let lease = in_deadline(stage.manager.write()).await?;
        {
            let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
            bunch.add(request, None, 0);
            for call in 1..400 {
                let packed = packed_text(&"é".repeat(call as usize % 50));
                assert!(bunch.add_again(one_value(&packed), call), "call {call}");
            }
        }
        let refused = 400_u32.saturating_sub(room) as usize;
        let overloaded = stage.take(refused).await;
        drop(lease);
        let answered = stage.take(400 - refused).await;
        for call in 0..400 {
            let expected = if call < room {
                (&answered, Ok(Some(i64::from(call % 50))))
            } else {
                (&overloaded, Err(ErrorCode::Overloaded))
            };
            assert_eq!(expected.0.get(&call), Some(&expected.1), "call {call}");
        }
        in_deadline(stage.manager.close()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_added_again_on_a_handle_that_was_closed_meanwhile() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    let known = Query::new("INSERT INTO t VALUES (length(?)) RETURNING x");
    let packed = packed_text("four");
    let params = Params::from_packed(ParamsKind::Positional, 1, &packed, Vec::new())?;
    let request = Request::new(known, params);
    stage.manager.run(request.clone()).await?;
    // With it the database stays open.
    let other = Manager::open(stage.dir.path().join("app.db"), Options::default()).await?;
    {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        bunch.add(request.clone(), None, 1);
        assert!(bunch.grows());
        in_deadline(stage.manager.close()).await?;
        assert!(!bunch.add_again(one_value(&packed), 2), "the handle is closed");
        bunch.add(request, None, 2);
        assert!(!bunch.add_again(one_value(&packed), 3), "the one before it was refused");
    }
    let answers = stage.take(2).await;
    assert_eq!(answers.get(&2), Some(&Err(ErrorCode::Closed)));
    in_deadline(other.close()).await
}

#[tokio::test]
async fn only_a_request_that_may_wait_with_others_is_added_again() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    let packed = packed_text("two");
    let of_text = |query: &Arc<Query>| {
        let params = Params::from_packed(ParamsKind::Positional, 1, &packed_text("one"), Vec::new());
        params.map(|params| Request::new(Arc::clone(query), params))
    };
    let known = Query::new("INSERT INTO t VALUES (length(?)) RETURNING x");
    let unknown = Query::new("INSERT INTO t VALUES (length(?) + 0) RETURNING x");
    stage.manager.run(of_text(&known)?).await?;
    {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        assert!(!bunch.add_again(one_value(&packed), 1), "nothing was added before");
        bunch.add(of_text(&unknown)?, None, 1);
        assert!(!bunch.add_again(one_value(&packed), 2), "nobody knows what it does");
        bunch.add(of_text(&known)?, Some(Cancel::new()), 2);
        assert!(!bunch.add_again(one_value(&packed), 3), "it can be stopped");
        bunch.add(Request { timed: true, ..of_text(&known)? }, None, 3);
        assert!(!bunch.add_again(one_value(&packed), 4), "it is measured");
        bunch.add(Request::new(Arc::clone(&known), Params::positional([Value::from("apart")])), None, 4);
        assert!(!bunch.add_again(one_value(&packed), 5), "its value travels apart");
        bunch.add(of_text(&known)?, None, 5);
        let none = PackedParams::new(ParamsKind::None, 0, &[])?;
        assert!(!bunch.add_again(none, 6), "it has a value");
        let two = [packed_text(""), packed_text("")].concat();
        let two = PackedParams::new(ParamsKind::Positional, 2, &two)?;
        assert!(!bunch.add_again(two, 6), "it has one value");
        let named = [packed_text(""), packed_text("")].concat();
        let named = PackedParams::new(ParamsKind::Named, 1, &named)?;
        assert!(!bunch.add_again(named, 6), "its value has no name");
        assert!(bunch.add_again(one_value(&packed), 6), "those before it were not added");
    }
    let expected = [3, 3, 3, 5, 3, 3].map(|length| Ok(Some(length)));
    assert_eq!(stage.take(6).await, (1..).zip(expected).collect());
    assert!(PackedParams::new(ParamsKind::Positional, 1, &packed[..9]).is_err(), "the text is cut off");
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn reads_see_the_writes_before_them_where_their_handle_asks_for_that() -> Result<()> {
    let mut stage = Stage::new(Options { read_order: ReadOrder::Submitted, ..Options::default() }).await?;
    let write = Request { take: Take::None, ..count() };
    stage.manager.run(write.clone()).await?;
    let read = Request::new(Query::new("SELECT x FROM t"), Params::none());
    stage.manager.run(read.clone()).await?;
    for round in 0..50_u32 {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        for place in 0..10_u32 {
            let request = if place % 2 == 0 { &write } else { &read };
            bunch.add(request.clone(), None, round * 10 + place);
        }
    }
    let answers = stage.take(500).await;
    for call in (1..500).step_by(2) {
        assert_eq!(answers.get(&call), Some(&Ok(Some(i64::from(call / 2) + 2))), "call {call}");
    }
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn calls_of_a_bunch_wait_no_longer_than_they_may() -> Result<()> {
    let acquire_timeout = Duration::from_millis(50);
    let mut stage = Stage::new(Options { acquire_timeout, ..Options::default() }).await?;
    let known = count();
    stage.manager.run(known.clone()).await?;
    let lease = in_deadline(stage.manager.write()).await?;
    {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        (1..=3).for_each(|call| bunch.add(known.clone(), None, call));
    }
    assert_eq!(stage.take(3).await, (1..=3).map(|call| (call, Err(ErrorCode::AcquireTimeout))).collect());
    drop(lease);
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn what_a_full_queue_refuses_is_told_and_the_others_run() -> Result<()> {
    let mut stage = Stage::new(Options { max_queued: 3, ..Options::default() }).await?;
    let request = Request { take: Take::None, ..count() };
    stage.manager.run(request.clone()).await?;
    let lease = in_deadline(stage.manager.write()).await?;
    {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        (1..=5).for_each(|call| bunch.add(request.clone(), None, call));
    }
    let refused = stage.take(2).await;
    assert_eq!(refused, HashMap::from([(4, Err(ErrorCode::Overloaded)), (5, Err(ErrorCode::Overloaded))]));
    assert_eq!(stage.manager.status().queued, 3);
    drop(lease);
    assert_eq!(stage.take(3).await, (1..=3).map(|call| (call, Ok(None))).collect());
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn a_call_of_a_bunch_can_be_stopped_while_it_waits() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    stage.manager.run(count()).await?;
    let lease = in_deadline(stage.manager.write()).await?;
    let cancel = Cancel::new();
    {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        bunch.add(count(), None, 1);
        bunch.add(count(), Some(Arc::clone(&cancel)), 2);
        bunch.add(count(), None, 3);
    }
    cancel.cancel(CancelReason::Aborted);
    assert_eq!(stage.take(1).await, HashMap::from([(2, Err(ErrorCode::Aborted))]));
    drop(lease);
    assert_eq!(stage.take(2).await, HashMap::from([(1, Ok(Some(2))), (3, Ok(Some(3)))]));
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn a_bunch_on_a_closed_handle_fails_each_of_its_calls() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    in_deadline(stage.manager.close()).await?;
    {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        (1..=2).for_each(|call| bunch.add(count(), None, call));
    }
    assert_eq!(stage.take(2).await, (1..=2).map(|call| (call, Err(ErrorCode::Closed))).collect());
    Ok(())
}
