//! The floor of the benchmarks: the statements of a workload, run without JavaScript.
//!
//! A line-by-line conversation on standard input and output, so that the bench runner can interleave its rounds with those of the peers:
//!
//! ```text
//! open <bare|flights|core> <readers> <cache_size> <normal|full> <path>   one rusqlite connection, where each call is a transaction of
//!                                                  its own, or all that may be under way at once share one; or a manager
//! load <first|all|run> <in flight> <sql>                         what to run, and how many calls may be under way at once
//! params 1,2;3,4                                                 the values of the calls, taken in turn
//! run <calls>                                                    answers "<nanoseconds> <rows>"
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
            ("params", _) => {
                work.params = rest.split(';').map(numbers).collect::<Outcome<_>>()?;
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

fn numbers(list: &str) -> Outcome<Vec<i64>> {
    list.split(',').map(|number| Ok(number.parse()?)).collect()
}

/// What is run.
struct Work {
    sql: String,
    take: Take,
    in_flight: usize,
    params: Vec<Vec<i64>>,
}

impl Default for Work {
    fn default() -> Self {
        Self { sql: String::new(), take: Take::All, in_flight: 1, params: vec![Vec::new()] }
    }
}

impl Work {
    fn parse(mut line: &str) -> Outcome<Self> {
        let take = match next::<String>(&mut line)?.as_str() {
            "first" => Take::First,
            "run" => Take::None,
            _ => Take::All,
        };
        let in_flight = next(&mut line)?;
        Ok(Self { sql: line.to_owned(), take, in_flight, ..Self::default() })
    }

    fn params(&self, call: usize) -> &[i64] {
        &self.params[call % self.params.len()]
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
            Self::Bare(connection) => step(&mut connection.prepare(&work.sql)?, work, 0..calls)?,
            Self::Flights(connection) => step_in_flights(connection, work, calls)?,
            Self::Core(manager) => submit(manager, work, calls)?,
        };
        Ok(format!("{} {rows}", start.elapsed().as_nanos()))
    }
}

/// Steps the statement in transactions of as many calls as may be under way at once.
fn step_in_flights(connection: &Connection, work: &Work, calls: usize) -> Outcome<usize> {
    let mut statement = connection.prepare(&work.sql)?;
    let mut begin = connection.prepare(if statement.readonly() { "BEGIN" } else { "BEGIN IMMEDIATE" })?;
    let mut commit = connection.prepare("COMMIT")?;
    let mut count = 0;
    for first in (0..calls).step_by(work.in_flight) {
        begin.execute([])?;
        count += step(&mut statement, work, first..calls.min(first + work.in_flight))?;
        commit.execute([])?;
    }
    Ok(count)
}

/// Steps the statement on this thread and looks at every value.
fn step(statement: &mut Statement<'_>, work: &Work, calls: Range<usize>) -> Outcome<usize> {
    let columns = statement.column_count();
    let mut count = 0;
    for call in calls {
        let mut rows = statement.query(params_from_iter(work.params(call)))?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                black_box(row.get_ref(column)?);
            }
            count += 1;
            if work.take == Take::First {
                break;
            }
        }
    }
    Ok(count)
}

/// Submits the calls to a manager as JavaScript would, with so many under way.
fn submit(manager: &Manager, work: &Work, calls: usize) -> Outcome<usize> {
    let query = Query::new(work.sql.as_str());
    let counter = Arc::new(Counter::new(work.in_flight));
    for call in 0..calls {
        counter.wait_until(work.in_flight);
        let values = work.params(call).iter().map(|number| Value::Integer(*number));
        let mut request = Request::new(Arc::clone(&query), Params::positional(values));
        request.take = work.take;
        counter.open.fetch_add(1, Ordering::AcqRel);
        manager.submit(request, None, Arc::clone(&counter) as Arc<dyn Sink>, 1);
    }
    counter.wait_until(1);
    match counter.failed.load(Ordering::Acquire) {
        0 => Ok(counter.rows.load(Ordering::Acquire)),
        failed => Err(format!("{failed} of {calls} calls failed").into()),
    }
}

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
    fn deliver(&self, _call: u32, delivery: Delivery) {
        match delivery.untimed() {
            Delivery::Rows(_, chunk) => {
                self.rows.fetch_add(chunk.rows, Ordering::AcqRel);
            }
            Delivery::End(_, chunk, _) | Delivery::More(_, chunk) => {
                self.rows.fetch_add(chunk.rows, Ordering::AcqRel);
                self.answered();
            }
            Delivery::Failed(_) => {
                self.failed.fetch_add(1, Ordering::AcqRel);
                self.answered();
            }
            Delivery::Done | Delivery::Timed(_) => self.answered(),
        }
    }
}
