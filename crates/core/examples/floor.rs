//! The floor of the benchmarks: the statements of a workload, run without JavaScript.
//!
//! A line-by-line conversation on standard input and output, so that the bench runner can interleave its rounds with those of the peers:
//!
//! ```text
//! open <bare|flights|core> <readers> <cache_size> <normal|full> <path>   one rusqlite connection, where each call is a transaction of
//!                                                its own, or all that may be under way at once share one; or a manager
//! load <calls|transactions> <in flight>          what a call is, and how many may be under way at once
//! step <first|all|run> <sql>                     a statement that calls may run
//! params 0:1,n|1:r0.5;0:t6869                    the calls, taken in turn: each runs some of the steps, with values; texts
//!                                                and BLOBs are in hexadecimal
//! exec <sql>                                     runs a statement once
//! run <calls>                                    answers "<nanoseconds> <rows>"
//! ```
//!
//! Every line but `run` is answered by `ok`. The program ends with its input.

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write, stdin, stdout};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement, params_from_iter};
use sluice_core::{Delivery, Durability, Manager, Options, Params, Query, Request, Sink, Take, Value};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut floor: Option<Floor> = None;
    let mut work = Work::default();
    for line in stdin().lock().lines() {
        let line = line?;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match (command, &floor) {
            ("open", _) => {
                floor = Some(Floor::open(rest)?);
                "ok".to_owned()
            }
            ("load", _) => {
                work = Work::parse(rest)?;
                "ok".to_owned()
            }
            ("step", _) => {
                work.steps.push(Step::parse(rest)?);
                "ok".to_owned()
            }
            ("params", _) => {
                work.calls = rest.split(';').map(runs).collect::<Outcome<_>>()?;
                "ok".to_owned()
            }
            ("exec", Some(floor)) => {
                floor.run(&Work::once(rest), 1)?;
                "ok".to_owned()
            }
            ("run", Some(floor)) => floor.run(&work, rest.parse()?)?,
            _ => return Err(format!("not understood: {line}").into()),
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

/// Splits off the next word.
fn next<'l, T>(rest: &mut &'l str) -> Outcome<T>
where
    T: FromStr,
    T::Err: Error + 'static,
{
    let (word, after): (&'l str, &'l str) = rest.split_once(' ').ok_or("the line is too short")?;
    *rest = after;
    Ok(word.parse()?)
}

/// Reads what one call runs: steps and their values.
fn runs(call: &str) -> Outcome<Vec<Run>> {
    call.split('|').map(Run::parse).collect()
}

fn value(word: &str) -> Outcome<Value> {
    let (kind, rest) = word.split_at(word.len().min(1));
    Ok(match kind {
        "n" => Value::Null,
        "r" => Value::Real(rest.parse()?),
        "t" => Value::Text(String::from_utf8(bytes(rest)?)?),
        "b" => Value::Blob(bytes(rest)?),
        _ => Value::Integer(word.parse()?),
    })
}

/// Reads hexadecimal digits, two for each byte.
fn bytes(digits: &str) -> Outcome<Vec<u8>> {
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}

/// A statement that calls may run.
struct Step {
    sql: String,
    take: Take,
}

impl Step {
    fn parse(mut line: &str) -> Outcome<Self> {
        let take = match next::<String>(&mut line)?.as_str() {
            "first" => Take::First,
            "run" => Take::None,
            _ => Take::All,
        };
        Ok(Self { sql: line.to_owned(), take })
    }
}

/// One step of one call, by its number, with its values.
struct Run {
    step: usize,
    values: Vec<Value>,
}

impl Run {
    fn parse(text: &str) -> Outcome<Self> {
        let (step, list) = text.split_once(':').ok_or("a step has no values")?;
        let values = list.split(',').filter(|word| !word.is_empty()).map(value).collect::<Outcome<_>>()?;
        Ok(Self { step: step.parse()?, values })
    }
}

/// What is run.
#[derive(Default)]
struct Work {
    /// Whether a call is one transaction of all it runs, instead of one statement.
    is_transaction: bool,
    in_flight: usize,
    steps: Vec<Step>,
    calls: Vec<Vec<Run>>,
}

impl Work {
    fn parse(line: &str) -> Outcome<Self> {
        let (kind, in_flight) = line.split_once(' ').ok_or("the line is too short")?;
        Ok(Self { is_transaction: kind == "transactions", in_flight: in_flight.parse()?, ..Self::default() })
    }

    /// Makes the work of one statement without values.
    fn once(sql: &str) -> Self {
        let steps = vec![Step { sql: sql.to_owned(), take: Take::None }];
        Self { in_flight: 1, steps, calls: vec![vec![Run { step: 0, values: Vec::new() }]], ..Self::default() }
    }

    fn call(&self, call: usize) -> &[Run] {
        &self.calls[call % self.calls.len()]
    }
}

/// Who runs it.
enum Floor {
    Bare(Connection),
    /// As many calls as may be under way share a transaction: as far as sharing can get, for whoever knows all calls before.
    Flights(Connection),
    Core(Manager),
}

impl Floor {
    fn open(mut line: &str) -> Outcome<Self> {
        let kind: String = next(&mut line)?;
        let max_readers = next(&mut line)?;
        let cache_size: i64 = next(&mut line)?;
        let synchronous: String = next(&mut line)?;
        if kind != "core" {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(line, flags)?;
            connection.pragma_update(None, "cache_size", cache_size)?;
            connection.pragma_update(None, "synchronous", synchronous)?;
            return Ok(if kind == "flights" { Self::Flights(connection) } else { Self::Bare(connection) });
        }
        let durability = if synchronous == "full" { Durability::Full } else { Durability::Normal };
        let pragmas = vec![("cache_size".to_owned(), cache_size.to_string())];
        let options = Options { max_readers, durability, pragmas, ..Options::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self::Core(runtime.block_on(Manager::open(line, options))?))
    }

    fn run(&self, work: &Work, calls: usize) -> Outcome<String> {
        let start = Instant::now();
        let rows = match self {
            Self::Bare(connection) => Stepper::new(connection, work)?.run(work, 0..calls)?,
            Self::Flights(connection) => step_in_flights(connection, work, calls)?,
            Self::Core(manager) => submit(manager, work, calls)?,
        };
        Ok(format!("{} {rows}", start.elapsed().as_nanos()))
    }
}

/// Steps the statement in transactions of as many calls as may be under way at once.
fn step_in_flights(connection: &Connection, work: &Work, calls: usize) -> Outcome<usize> {
    let mut stepper = Stepper::new(connection, work)?;
    let mut count = 0;
    for first in (0..calls).step_by(work.in_flight) {
        stepper.begin.execute([])?;
        count += stepper.run(work, first..calls.min(first + work.in_flight))?;
        stepper.commit.execute([])?;
    }
    Ok(count)
}

/// The prepared statements of some work.
struct Stepper<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    steps: Vec<Statement<'c>>,
}

impl<'c> Stepper<'c> {
    fn new(connection: &'c Connection, work: &Work) -> Outcome<Self> {
        let steps = work.steps.iter().map(|step| connection.prepare(&step.sql)).collect::<Result<Vec<_>, _>>()?;
        let begin = if steps.iter().all(Statement::readonly) { "BEGIN" } else { "BEGIN IMMEDIATE" };
        Ok(Self { begin: connection.prepare(begin)?, commit: connection.prepare("COMMIT")?, steps })
    }

    /// Runs the calls on this thread.
    fn run(&mut self, work: &Work, calls: Range<usize>) -> Outcome<usize> {
        let mut count = 0;
        for call in calls {
            if work.is_transaction {
                self.begin.execute([])?;
            }
            for run in work.call(call) {
                count += step(&mut self.steps[run.step], work.steps[run.step].take, &run.values)?;
            }
            if work.is_transaction {
                self.commit.execute([])?;
            }
        }
        Ok(count)
    }
}

/// Steps the statement on this thread and looks at every value.
fn step(statement: &mut Statement<'_>, take: Take, values: &[Value]) -> Outcome<usize> {
    let columns = statement.column_count();
    let mut count = 0;
    let mut rows = statement.query(params_from_iter(values.iter().map(bound)))?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            black_box(row.get_ref(column)?);
        }
        count += 1;
        if take == Take::First {
            break;
        }
    }
    Ok(count)
}

/// Returns the value as rusqlite binds it, without a copy.
fn bound(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

/// Submits the calls to a manager as JavaScript would, with so many under way.
fn submit(manager: &Manager, work: &Work, calls: usize) -> Outcome<usize> {
    let queries: Vec<_> = work.steps.iter().map(|step| Query::new(step.sql.as_str())).collect();
    let counter = Arc::new(Counter::new(work.in_flight));
    let sink = Arc::clone(&counter) as Arc<dyn Sink>;
    let request = |run: &Run| {
        let mut request = Request::new(Arc::clone(&queries[run.step]), Params::positional(run.values.iter().cloned()));
        request.take = work.steps[run.step].take;
        request
    };
    let mut next = 0;
    while next < calls {
        counter.wait_until(work.in_flight);
        let room = work.in_flight - counter.open.load(Ordering::Acquire);
        let together = next..calls.min(next + room.min(TOGETHER));
        counter.open.fetch_add(together.len(), Ordering::AcqRel);
        next = together.end;
        if work.is_transaction {
            for call in together {
                let items = work.call(call).iter().map(|run| (request(run), ITEM)).collect();
                manager.submit_batch(items, None, &sink, WHOLE);
            }
        } else {
            let mut bunch = manager.bunch(Arc::clone(&sink));
            together.for_each(|call| bunch.add(request(&work.call(call)[0]), None, WHOLE));
        }
    }
    counter.wait_until(1);
    match counter.failed.load(Ordering::Acquire) {
        0 => Ok(counter.rows.load(Ordering::Acquire)),
        failed => Err(format!("{failed} of {calls} calls failed").into()),
    }
}

/// The numbers that answers come under: those of a call, and those of the single statements of a transaction.
const WHOLE: u32 = 1;
const ITEM: u32 = 2;

/// How many calls are submitted together: as JavaScript begins with those after the first of a turn. It goes on with more, and adds those that
/// are alike without making a request of each.
const TOGETHER: usize = 8;

/// Counts answers, and wakes the submitter once half of what may be under way has been answered.
struct Counter {
    submitter: Thread,
    wake_at: usize,
    open: AtomicUsize,
    rows: AtomicUsize,
    failed: AtomicUsize,
}

impl Counter {
    fn new(in_flight: usize) -> Self {
        Self {
            submitter: thread::current(),
            wake_at: in_flight / 2,
            open: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    /// Blocks until fewer than `limit` calls are under way.
    fn wait_until(&self, limit: usize) {
        while self.open.load(Ordering::Acquire) >= limit {
            thread::park();
        }
    }

    fn answered(&self) {
        let open = self.open.fetch_sub(1, Ordering::AcqRel) - 1;
        if open == 0 || open == self.wake_at {
            self.submitter.unpark();
        }
    }
}

impl Sink for Counter {
    fn deliver(&self, call: u32, delivery: Delivery) {
        let delivery = delivery.untimed();
        if let Some(chunk) = delivery.chunk() {
            self.rows.fetch_add(chunk.rows, Ordering::AcqRel);
        }
        if call == ITEM || matches!(delivery, Delivery::Rows(..)) {
            return;
        }
        if matches!(delivery, Delivery::Failed(_)) {
            self.failed.fetch_add(1, Ordering::AcqRel);
        }
        self.answered();
    }
}
