//! Calls of one statement that are made together: what each comes to is what it comes to by itself.

use proptest::collection::vec;
use proptest::prelude::*;
use sluice_core::cell::{Tag, tagged};
use sluice_core::params::{PackedParams, ParamsKind};
use sluice_core::{Options, Value};

use super::bench::Answer;
use super::*;

/// A statement, and a value for its parameter.
type Step = (usize, i64);

const SCHEMA: &str = "CREATE TABLE t(x INTEGER PRIMARY KEY, y); CREATE TABLE guard(x);
    CREATE TABLE parent(x INTEGER PRIMARY KEY);
    CREATE TABLE child(x REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER refuse BEFORE INSERT ON guard WHEN NEW.x = 3 BEGIN SELECT RAISE(ROLLBACK, 'refused'); END;";

/// Writes of all kinds. Each answers with something that tells what it saw.
const STATEMENTS: &[&str] = &[
    "INSERT INTO t SELECT ?1, count(*) FROM t",
    "INSERT OR REPLACE INTO t SELECT ?1, count(*) FROM t RETURNING x, y",
    "INSERT OR ROLLBACK INTO t SELECT ?1, count(*) FROM t",
    "UPDATE t SET y = y + ?1 RETURNING x, y, hex(zeroblob(200))",
    "DELETE FROM t WHERE x = ?1",
    "INSERT INTO guard VALUES (?1)",
    "INSERT INTO child VALUES (?1)",
    "INSERT OR IGNORE INTO parent VALUES (?1 % 2)",
    "INSERT INTO missing VALUES (?1)",
    "INSERT INTO t SELECT sum(value), ?1 FROM json_each('[1, 2]') WHERE ?1 > json('no number')",
];

/// What a call came to, as far as it can be told again.
fn told(answers: Vec<Answer>) -> Vec<(u32, String)> {
    let text = |result| match result {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => format!("{error:?}"),
    };
    answers.into_iter().map(|(call, result)| (call, text(result))).collect()
}

async fn contents(bench: &Bench) -> Result<Vec<Vec<Vec<Value>>>> {
    let mut tables = Vec::new();
    for table in ["t", "guard", "parent", "child"] {
        let rows = bench.manager.query(&format!("SELECT rowid, * FROM {table} ORDER BY rowid"), Params::none()).await?;
        tables.push(rows.rows);
    }
    Ok(tables)
}

/// Runs the steps, all made together behind a write that waits or each when the one before it is answered.
async fn run(
    limits: GroupLimits,
    steps: &[Step],
    together: bool,
) -> Result<(Vec<(u32, String)>, Vec<Vec<Vec<Value>>>)> {
    // Without readers it need not be found out which of them write.
    let options = Options { max_readers: 0, group_commit: Some(limits), ..Options::default() };
    let mut bench = Bench::open_with(None, SCHEMA, options).await?;
    let queries: Vec<_> = STATEMENTS.iter().map(|sql| Query::new(*sql)).collect();
    let sink: Arc<dyn Sink> = bench.channel.clone();
    let numbered = (1..).zip(steps);
    let request = |(statement, value): &Step| request(&queries[*statement], *value);
    let mut answers = Vec::new();
    if together {
        let lease = bench.hold().await?;
        let mut calls = bench.manager.bunch(sink);
        let mut before = None;
        for (call, step) in numbered {
            // Every other one as the binding adds those that differ in their values alone.
            let is_again = call % 2 == 0 && before == Some(step.0);
            let packed = [tagged(Tag::Int64, 0).to_le_bytes(), step.1.to_le_bytes()].concat();
            let packed = PackedParams::new(ParamsKind::Positional, 1, &packed)?;
            if !is_again || !calls.add_again(packed, call) {
                calls.add(request(step), None, call);
            }
            before = Some(step.0);
        }
        drop(calls);
        drop(lease);
        answers = bench.answers(steps.len()).await;
    } else {
        for (call, step) in numbered {
            bench.manager.submit(request(step), None, Arc::clone(&sink), call);
            answers.extend(bench.answers(1).await);
        }
    }
    assert!(order(&answers).is_sorted(), "they are answered in order");
    let contents = contents(&bench).await?;
    bench.manager.close().await?;
    Ok((told(answers), contents))
}

fn request(query: &Arc<Query>, value: i64) -> Request {
    Request::new(Arc::clone(query), Params::positional([Value::from(value)]))
}

/// A few of one statement after another.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let few = (0..STATEMENTS.len(), vec(0_i64..6, 1..8));
    vec(few, 1..8).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(statement, values)| values.into_iter().map(move |value| (statement, value)))
            .collect()
    })
}

fn any_limits() -> impl Strategy<Value = GroupLimits> {
    prop_oneof![
        Just(WIDE),
        (2_u32..6).prop_map(|statements| GroupLimits { statements, ..WIDE }),
        Just(GroupLimits { bytes: 1_000, ..WIDE }),
        Just(GroupLimits { time: Duration::ZERO, ..WIDE }),
    ]
}

#[tokio::test]
async fn a_call_that_turns_out_to_be_long_ends_the_group_of_the_short_ones_before_it() -> Result<()> {
    in_deadline(async {
        let count = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT max(i) FROM n";
        // The clock is not asked after each of them.
        for short in 11..=16 {
            let options = Options { max_readers: 0, ..Options::default() };
            let mut bench = Bench::open_with(None, "CREATE TABLE t(x)", options).await?;
            let count = Query::new(count);
            let lease = bench.hold().await?;
            let mut calls = bench.manager.bunch(bench.channel.clone());
            for call in 1..=short + 3 {
                calls.add(request(&count, if call <= short { 1 } else { 300_000 }), None, call);
            }
            drop(calls);
            drop(lease);
            let answers = bench.answers(short as usize + 3).await;
            assert_eq!((order(&answers), failed(&answers).len()), ((1..=short + 3).collect(), 0));
            let grouped = bench.counter("groupedWrites");
            assert!(grouped <= u64::from(short) + 1, "{grouped} ran in groups, of which {short} were short");
            bench.manager.close().await?;
        }
        Ok(())
    })
    .await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_that_are_made_together_come_to_what_they_come_to_one_by_one(steps in any_steps(), limits in any_limits()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (together, singly) = runtime.expect("a runtime").block_on(in_deadline(async {
            (run(limits, &steps, true).await, run(limits, &steps, false).await)
        }));
        prop_assert_eq!(together.expect("it runs"), singly.expect("it runs"));
    }
}
