//! Reads of a bunch, of which a reader takes several at a time.

use super::*;

/// Counts the pairs of so many rows, which takes as long, unless it is one.
const COUNT: &str =
    "SELECT CASE ?1 WHEN 1 THEN 1 ELSE (SELECT count(*) FROM n AS a, n AS b WHERE a.i <= ?1 AND b.i <= ?1) END";

/// That takes several tenths of a second.
const LONG: i64 = 2_500;

/// That takes less time than a reader is given for a call, and far more than a quick read has.
const MEDIUM: i64 = 200;

/// As many calls as are more than all readers take at a time.
const CALLS: u32 = 64;

/// A read of one, which is known to run short with that.
async fn short_read(stage: &Stage, sql: &str) -> Result<Request> {
    let params = Params::from_packed(ParamsKind::Positional, 1, &packed_integer(1), Vec::new())?;
    let request = Request::new(Query::new(sql), params);
    for _ in 0..20 {
        stage.manager.run(request.clone()).await?;
    }
    Ok(request)
}

/// The same, which has proved quick.
async fn quick_read(stage: &Stage, sql: &str) -> Result<Request> {
    let request = short_read(stage, sql).await?;
    make_quick(stage, &request).await?;
    Ok(request)
}

async fn make_quick(stage: &Stage, request: &Request) -> Result<()> {
    in_deadline(async {
        while !request.query.runs_quickly() {
            stage.manager.run(request.clone()).await?;
        }
        Ok(())
    })
    .await
}

fn packed_integer(value: i64) -> Vec<u8> {
    [tagged(Tag::Int64, 0).to_le_bytes(), value.to_le_bytes()].concat()
}

/// Submits one call with each of these values, whose answers go to `sink`.
fn submit(stage: &Stage, sink: &Arc<dyn Sink>, request: &Request, values: impl IntoIterator<Item = i64>) {
    let mut bunch = stage.manager.bunch(Arc::clone(sink));
    for (call, value) in (0..).zip(values) {
        let packed = packed_integer(value);
        if !bunch.add_again(one_value(&packed), call) {
            assert_eq!(call, 0, "the calls are alike");
            let params = Params::from_packed(ParamsKind::Positional, 1, &packed, Vec::new());
            let params = params.expect("values that are packed well");
            bunch.add(Request { params, ..request.clone() }, None, call);
        }
    }
}

async fn stage(max_readers: u32) -> Result<Stage> {
    let stage = Stage::new(Options { max_readers, ..Options::default() }).await?;
    let rows =
        "CREATE TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2500) SELECT i FROM n";
    stage.manager.query(rows, Params::none()).await?;
    stage.manager.query("CREATE UNIQUE INDEX n_i ON n(i)", Params::none()).await?;
    Ok(stage)
}

fn reads(stage: &Stage) -> u64 {
    let counters = stage.manager.status().counters;
    counters.into_iter().find(|(name, _)| *name == "reads").expect("it is counted").1
}

/// `:n`, in one cell or in two.
fn packed_by_name(value: u32) -> Vec<u8> {
    let name = tagged(Tag::Text, 1).to_le_bytes();
    let value = if value.is_multiple_of(2) {
        f64::from(value).to_le_bytes().to_vec()
    } else {
        [tagged(Tag::Int64, 0).to_le_bytes(), i64::from(value).to_le_bytes()].concat()
    };
    [&name, value.as_slice(), b"n"].concat()
}

#[tokio::test]
async fn reads_that_are_added_again_take_their_own_values_each_on_some_reader() -> Result<()> {
    let mut stage = Stage::new(Options { max_readers: 2, ..Options::default() }).await?;
    let read = Query::new("SELECT :n");
    let first = Params::from_packed(ParamsKind::Named, 1, &packed_by_name(0), Vec::new())?;
    let request = Request::new(read, first);
    stage.manager.run(request.clone()).await?;
    for round in 0..20 {
        let mut bunch = stage.manager.bunch(Arc::clone(&stage.sink));
        bunch.add(request.clone(), None, round * 50);
        for call in 1..50 {
            let packed = packed_by_name(call);
            let params = PackedParams::new(ParamsKind::Named, 1, &packed)?;
            assert!(bunch.add_again(params, round * 50 + call), "call {call}");
        }
    }
    let expected = (0..1_000).map(|call| (call, Ok(Some(i64::from(call % 50)))));
    assert_eq!(stage.take(1_000).await, expected.collect());
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn those_taken_with_a_read_that_runs_long_are_answered_by_another_reader() -> Result<()> {
    let mut stage = stage(2).await?;
    let read = quick_read(&stage, COUNT).await?;
    for long in [0, 1, 20, 27, 30, 33, 36, CALLS - 1] {
        let values = (0..CALLS).map(|call| if call == long { LONG } else { 1 });
        let before = reads(&stage);
        submit(&stage, &stage.sink, &read, values);
        let others = stage.take(CALLS as usize - 1).await;
        assert_eq!(reads(&stage) - before, u64::from(CALLS) - 1, "whoever is answered finds it counted");
        assert!(!others.contains_key(&long), "call {long} ran as long as its {} others waited", others.len());
        assert!(others.values().all(|answer| *answer == Ok(Some(1))), "{others:?}");
        assert_eq!(stage.take(1).await, HashMap::from([(long, Ok(Some(LONG * LONG)))]));
        // It is known to run long now.
        make_quick(&stage, &read).await?;
    }
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn reads_that_are_slower_than_they_were_go_to_every_reader() -> Result<()> {
    let mut stage = stage(2).await?;
    let read = quick_read(&stage, COUNT).await?;
    submit(&stage, &stage.sink, &read, (0..CALLS).map(|_| MEDIUM));
    let mut most = 0;
    for _ in 0..CALLS {
        let (_, answer) = in_deadline(stage.answers.recv()).await.expect("an answer");
        assert_eq!(answer, Ok(Some(MEDIUM * MEDIUM)));
        most = most.max(stage.manager.status().readers.active);
    }
    assert_eq!(most, 2);
    in_deadline(stage.manager.close()).await
}

/// Passes answers on; that of one call holds its reader until it is told to go on.
struct Holding {
    answers: Answers,
    call: u32,
    go_on: parking_lot::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Sink for Holding {
    fn deliver(&self, call: u32, delivery: Delivery) {
        self.answers.deliver(call, delivery);
        if call == self.call {
            self.go_on.lock().recv_timeout(Duration::from_secs(20)).expect("the test goes on");
        }
    }
}

#[tokio::test]
async fn who_is_answered_has_left_its_room_in_the_queue_to_others() -> Result<()> {
    const ROOM: u32 = 7;
    let options = Options { max_readers: 1, max_queued: ROOM as usize, ..Options::default() };
    let mut stage = Stage::new(options).await?;
    let read = quick_read(&stage, "SELECT ?").await?;
    let (answers, taken) = unbounded_channel();
    stage.answers = taken;
    let (go_on, held) = std::sync::mpsc::channel();
    let sink: Arc<dyn Sink> =
        Arc::new(Holding { answers: Answers(answers), call: ROOM - 1, go_on: parking_lot::Mutex::new(held) });
    let values = || (0..ROOM).map(i64::from);
    submit(&stage, &sink, &read, values());
    for _ in 0..20 {
        let answers = stage.take(ROOM as usize).await;
        assert!(answers.values().all(Result::is_ok), "{answers:?}");
        submit(&stage, &sink, &read, values());
        go_on.send(()).expect("the reader waits");
    }
    stage.take(ROOM as usize).await;
    go_on.send(()).expect("the reader waits");
    in_deadline(stage.manager.close()).await
}

/// Panics at every answer, and is gone then.
struct Panicking(#[expect(dead_code, reason = "it tells when it is dropped")] UnboundedSender<()>);

impl Sink for Panicking {
    fn deliver(&self, _call: u32, _delivery: Delivery) {
        panic!("a sink that panics");
    }
}

#[tokio::test]
async fn a_sink_that_panics_at_a_quick_read_leaves_nothing_to_do_for_its_reader() -> Result<()> {
    // One reader is enough for two of these; all of them take some times as long as a reader is given for one call.
    const WAVE: usize = 500;
    const WAVES: usize = 20;
    let mut stage = stage(2).await?;
    let read = quick_read(&stage, COUNT).await?;
    for _ in 0..4 {
        let (alive, mut gone) = unbounded_channel();
        let sink: Arc<dyn Sink> = Arc::new(Panicking(alive));
        submit(&stage, &sink, &read, [1]);
        drop(sink);
        assert_eq!(in_deadline(gone.recv()).await, None);
        // Another reader has a permit of a quick read when the time of the first has come.
        for wave in 0..=WAVES {
            if wave < WAVES {
                submit(&stage, &stage.sink, &read, [1; WAVE]);
            }
            for _ in 0..if wave > 0 { WAVE } else { 0 } {
                let (_, answer) = in_deadline(stage.answers.recv()).await.expect("an answer");
                assert_eq!(answer, Ok(Some(1)));
            }
        }
        make_quick(&stage, &read).await?;
    }
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn a_read_that_fails_fails_none_of_those_taken_with_it() -> Result<()> {
    for readers in [1, 2] {
        let mut stage = stage(readers).await?;
        let read = short_read(&stage, "SELECT abs(?)").await?;
        let fails = |call: u32| call % 7 == 3;
        let values = (0..CALLS).map(|call| if fails(call) { i64::MIN } else { -i64::from(call) });
        submit(&stage, &stage.sink, &read, values);
        let expected = |call| if fails(call) { Err(ErrorCode::Sqlite) } else { Ok(Some(i64::from(call))) };
        assert_eq!(stage.take(CALLS as usize).await, (0..CALLS).map(|call| (call, expected(call))).collect());
        in_deadline(stage.manager.close()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_reader_refuses_is_answered_as_if_it_had_been_asked_for_alone() -> Result<()> {
    let mut stage = stage(2).await?;
    stage.manager.query("CREATE VIEW v AS SELECT 1 AS x", Params::none()).await?;
    let read = short_read(&stage, "SELECT x FROM v WHERE ? > 0").await?;
    stage.manager.query("DROP VIEW v", Params::none()).await?;
    stage.manager.query("CREATE VIEW v AS SELECT changes() AS x", Params::none()).await?;
    submit(&stage, &stage.sink, &read, (0..CALLS).map(|_| 1));
    let answers = stage.take(CALLS as usize).await;
    assert!(answers.values().all(|answer| *answer == Err(ErrorCode::ConnectionState)), "{answers:?}");
    in_deadline(stage.manager.close()).await
}

/// Counts the rows of each call, until its last step.
struct Rows {
    rows: std::sync::Mutex<HashMap<u32, i64>>,
    answers: UnboundedSender<(u32, Answer)>,
}

impl Sink for Rows {
    fn deliver(&self, call: u32, delivery: Delivery) {
        let mut rows = self.rows.lock().expect("nobody panics");
        let count = rows.entry(call).or_default();
        *count += delivery.chunk().map_or(0, |chunk| i64::try_from(chunk.rows).expect("few rows"));
        match delivery {
            Delivery::Rows(..) => {}
            Delivery::Failed(failure) => self.answers.send((call, Err(failure.error.code))).expect("the test waits"),
            Delivery::More(..) | Delivery::End(..) | Delivery::Done | Delivery::Timed(_) => {
                self.answers.send((call, Ok(Some(*count)))).expect("the test waits");
            }
        }
    }
}

#[tokio::test]
async fn a_read_of_many_rows_sends_them_ahead_of_its_answer() -> Result<()> {
    let mut stage = stage(2).await?;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n";
    let read = short_read(&stage, sql).await?;
    let (answers, taken) = unbounded_channel();
    stage.answers = taken;
    let sink: Arc<dyn Sink> = Arc::new(Rows { rows: std::sync::Mutex::default(), answers });
    let wanted = |call: u32| if call % 9 == 4 { 100_000 } else { 2 };
    submit(&stage, &sink, &read, (0..CALLS).map(wanted));
    let expected = (0..CALLS).map(|call| (call, Ok(Some(wanted(call)))));
    assert_eq!(stage.take(CALLS as usize).await, expected.collect());
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn close_meets_reads_that_were_taken_together_and_answers_each_once() -> Result<()> {
    for long in [0, 24, 28, 31, 35] {
        let mut stage = stage(2).await?;
        let read = quick_read(&stage, COUNT).await?;
        submit(&stage, &stage.sink, &read, (0..CALLS).map(|call| if call == long { LONG } else { 1 }));
        in_deadline(stage.manager.close()).await?;
        for (call, answer) in stage.take(CALLS as usize).await {
            let pairs = if call == long { LONG * LONG } else { 1 };
            assert!([Ok(Some(pairs)), Err(ErrorCode::Closed)].contains(&answer), "call {call}: {answer:?}");
        }
    }
    Ok(())
}
