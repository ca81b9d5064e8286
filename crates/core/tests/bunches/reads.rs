//! Reads of a bunch, of which a reader takes several at a time.

use super::*;

/// Counts the pairs of so many rows, which takes as long.
const COUNT: &str = "SELECT count(*) FROM n AS a, n AS b WHERE a.i <= ?1 AND b.i <= ?1";

/// That takes several tenths of a second.
const LONG: i64 = 2_500;

/// As many calls as are more than all readers take at a time.
const CALLS: u32 = 64;

/// A read with these values, which is known to run short with the first of them.
async fn short_read(stage: &Stage, sql: &str, value: i64) -> Result<Request> {
    let params = Params::from_packed(ParamsKind::Positional, 1, &packed_integer(value), Vec::new())?;
    let request = Request::new(Query::new(sql), params);
    run_short(stage, &request).await?;
    Ok(request)
}

async fn run_short(stage: &Stage, request: &Request) -> Result<()> {
    for _ in 0..20 {
        stage.manager.run(request.clone()).await?;
    }
    Ok(())
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
    let read = short_read(&stage, COUNT, 1).await?;
    for long in [0, 1, 20, 27, 30, 33, 36, CALLS - 1] {
        let values = (0..CALLS).map(|call| if call == long { LONG } else { 1 });
        submit(&stage, &stage.sink, &read, values);
        let others = stage.take(CALLS as usize - 1).await;
        assert!(!others.contains_key(&long), "call {long} ran as long as its {} others waited", others.len());
        assert!(others.values().all(|answer| *answer == Ok(Some(1))), "{others:?}");
        assert_eq!(stage.take(1).await, HashMap::from([(long, Ok(Some(LONG * LONG)))]));
        // It is known to run long now.
        run_short(&stage, &read).await?;
    }
    in_deadline(stage.manager.close()).await
}

#[tokio::test]
async fn a_read_that_fails_fails_none_of_those_taken_with_it() -> Result<()> {
    for readers in [1, 2] {
        let mut stage = stage(readers).await?;
        let read = short_read(&stage, "SELECT abs(?)", 1).await?;
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
    let read = short_read(&stage, "SELECT x FROM v WHERE ? > 0", 1).await?;
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
    let read = short_read(&stage, sql, 1).await?;
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
        let read = short_read(&stage, COUNT, 1).await?;
        submit(&stage, &stage.sink, &read, (0..CALLS).map(|call| if call == long { LONG } else { 1 }));
        in_deadline(stage.manager.close()).await?;
        for (call, answer) in stage.take(CALLS as usize).await {
            let pairs = if call == long { LONG * LONG } else { 1 };
            assert!([Ok(Some(pairs)), Err(ErrorCode::Closed)].contains(&answer), "call {call}: {answer:?}");
        }
    }
    Ok(())
}
