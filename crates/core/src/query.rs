//! A text of SQL that is asked for more than once, and what has been learnt about it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::connection::Route;
use crate::fitness::Fitness;
use crate::json::Fields;

/// A statement's text together with what the connections have learnt about it. Cheap to share, and kept by whoever runs it.
///
/// It begins on a cache line of its own: those who share it count their uses beside it, on several cores.
#[derive(Debug)]
#[repr(align(64))]
pub struct Query {
    id: u64,
    sql: Box<str>,
    hint: AtomicU8,
    single: AtomicBool,
    short_runs: AtomicU8,
    quickness: AtomicU8,
    fitness: Fitness,
    long_write: AtomicBool,
    plain: AtomicBool,
    shapes: Mutex<Vec<Arc<Shape>>>,
}

const UNKNOWN: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

/// How long a run may take that counts as short.
const SHORT: Duration = Duration::from_micros(200);
/// After how many short runs in a row a statement is expected to run short.
const SHORT_RUNS: u8 = 4;

/// How long a run may take that counts as quick: some times as long as a thread takes to find the next one, and less than one takes to wake up.
const QUICK: Duration = Duration::from_micros(5);
/// How many quick runs more than make up for the others a statement must have had to be expected to run quickly, and how many are remembered. Each
/// of the others takes as many of them as it took times [`QUICK`]: so a statement is quick that takes no longer on average, as far as
/// that is remembered, and one that once had to wait for a core stays it.
const QUICK_RUNS: u8 = 16;
const MOST_QUICK_RUNS: u8 = 128;

/// The most shapes that one query keeps: a schema that changes more often than that makes its shapes anew.
const MAX_SHAPES: usize = 8;

impl Query {
    /// Makes a query of one statement.
    #[must_use]
    pub fn new(sql: impl Into<Box<str>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sql: sql.into(),
            hint: AtomicU8::new(UNKNOWN),
            single: AtomicBool::new(false),
            short_runs: AtomicU8::new(0),
            quickness: AtomicU8::new(0),
            fitness: Fitness::default(),
            long_write: AtomicBool::new(false),
            plain: AtomicBool::new(false),
            shapes: Mutex::default(),
        })
    }

    /// Returns the number that no other query of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the text.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Returns where the statement ran last. A hint only: the connection that gets it looks again.
    pub(crate) fn hint(&self) -> Option<Route> {
        match self.hint.load(Ordering::Relaxed) {
            READ => Some(Route::Read),
            WRITE => Some(Route::Write),
            _ => None,
        }
    }

    pub(crate) fn set_hint(&self, route: Option<Route>) {
        let hint = match route {
            None => UNKNOWN,
            Some(Route::Read) => READ,
            Some(Route::Write) => WRITE,
        };
        if self.hint.load(Ordering::Relaxed) != hint {
            self.hint.store(hint, Ordering::Relaxed);
        }
    }

    /// Whether the text is known to hold one statement, so that its tail need not be looked at again.
    pub(crate) fn is_known_single(&self) -> bool {
        self.single.load(Ordering::Relaxed)
    }

    pub(crate) fn set_known_single(&self) {
        self.single.store(true, Ordering::Relaxed);
    }

    /// Whether it has run short lately, and so probably will again.
    pub(crate) fn runs_short(&self) -> bool {
        self.short_runs.load(Ordering::Relaxed) >= SHORT_RUNS
    }

    pub(crate) fn learn_duration(&self, elapsed: Duration) {
        let runs = self.short_runs.load(Ordering::Relaxed);
        let learnt = if elapsed > SHORT { 0 } else { runs.saturating_add(1).min(SHORT_RUNS) };
        if learnt != runs {
            self.short_runs.store(learnt, Ordering::Relaxed);
        }
        let runs = self.quickness.load(Ordering::Relaxed);
        let learnt = if elapsed > QUICK {
            let times = elapsed.as_nanos() / QUICK.as_nanos();
            runs.saturating_sub(u8::try_from(times).unwrap_or(u8::MAX))
        } else {
            (runs + 1).min(MOST_QUICK_RUNS)
        };
        if learnt != runs {
            self.quickness.store(learnt, Ordering::Relaxed);
        }
    }

    /// Learns from a run that failed, maybe before it had done anything: only if it took long.
    pub(crate) fn learn_failure(&self, elapsed: Duration) {
        if elapsed > SHORT {
            self.learn_duration(elapsed);
        }
    }

    /// Returns whether it is a read that is expected to take about as long as it takes to hand it over: [`ReadKind::Quick`](crate::gate::ReadKind).
    #[must_use]
    pub fn runs_quickly(&self) -> bool {
        self.quickness.load(Ordering::Relaxed) >= QUICK_RUNS
    }

    /// What is known about whether it may run inline.
    pub(crate) fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    /// Whether it may run inline, where so many short runs are asked for.
    pub(crate) fn is_fit_inline(&self, runs: u16) -> bool {
        self.fitness.is_fit(runs) && self.hint() == Some(Route::Read)
    }

    /// Whether it is known neither to begin nor to end a transaction. No change of the schema makes another statement of a text.
    pub(crate) fn is_known_plain(&self) -> bool {
        self.plain.load(Ordering::Relaxed)
    }

    pub(crate) fn set_known_plain(&self) {
        self.plain.store(true, Ordering::Relaxed);
    }

    /// Whether it took so long as a write that those of others must not wait for its transaction.
    pub(crate) fn writes_long(&self) -> bool {
        self.long_write.load(Ordering::Relaxed)
    }

    pub(crate) fn set_writes_long(&self, long: bool) {
        if self.writes_long() != long {
            self.long_write.store(long, Ordering::Relaxed);
        }
    }

    /// Returns the shape with these columns: the same one for the same columns, from whichever connection.
    pub(crate) fn shape(&self, columns: Vec<Column>) -> Arc<Shape> {
        let mut shapes = self.shapes.lock();
        if let Some(known) = shapes.iter().find(|shape| shape.columns == columns) {
            return Arc::clone(known);
        }
        if shapes.len() == MAX_SHAPES {
            // A run that began long ago may still answer with it, when whoever was told has forgotten it too.
            shapes.remove(0).announced.store(false, Ordering::Relaxed);
        }
        let shape = Arc::new(Shape::new(columns));
        shapes.push(Arc::clone(&shape));
        shape
    }
}

/// A column of a result: <https://sqlite.org/c3ref/column_database_name.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name, from `AS` or as SQLite makes it.
    pub name: Box<str>,
    /// The type in the column's declaration; `None` for an expression.
    pub declared_type: Option<Box<str>>,
    /// The table the column comes from; `None` for an expression.
    pub table: Option<Box<str>>,
    /// The column's name in that table; `None` for an expression.
    pub origin: Option<Box<str>>,
}

/// The columns of a result, shared by all results that have them. Aligned as [`Query`], for the same reason.
#[derive(Debug)]
#[repr(align(64))]
pub struct Shape {
    id: u32,
    columns: Vec<Column>,
    announced: AtomicBool,
    json_objects: OnceLock<Fields>,
    json_arrays: OnceLock<Fields>,
}

impl Shape {
    fn new(columns: Vec<Column>) -> Self {
        // 0 stands for a statement without columns.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = if columns.is_empty() { 0 } else { NEXT.fetch_add(1, Ordering::Relaxed).max(1) };
        Self {
            id,
            columns,
            announced: AtomicBool::new(false),
            json_objects: OnceLock::new(),
            json_arrays: OnceLock::new(),
        }
    }

    /// Returns it, if there are columns.
    pub(crate) fn unless_empty(self: &Arc<Self>) -> Option<Arc<Self>> {
        (!self.columns.is_empty()).then(|| Arc::clone(self))
    }

    /// Returns the number of the shape; 0 has no columns.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns what stands before the values in a JSON text.
    pub(crate) fn json_fields(&self, rows: JsonRows) -> &Fields {
        let fields = match rows {
            JsonRows::Objects => &self.json_objects,
            JsonRows::Arrays => &self.json_arrays,
        };
        fields.get_or_init(|| Fields::new(&self.columns, rows))
    }

    /// Returns `true` once, to the first who asks: whoever carries results elsewhere tells the columns then. Once more when the query
    /// has let the shape go, because it has had too many since.
    #[must_use]
    pub fn announce(&self) -> bool {
        !self.announced.load(Ordering::Relaxed) && !self.announced.swap(true, Ordering::Relaxed)
    }
}

/// Which rows of a result are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// All of them.
    #[default]
    All,
    /// The first. A write runs to its end all the same.
    First,
    /// None: only what it changed.
    None,
    /// Nothing is run: only the columns.
    Describe,
    /// All of them, as one JSON text. A [`RowSet`](crate::RowSet) has one row of one value then, a blob of UTF-8; none where there is no row.
    Json(JsonRows),
}

/// What each row is in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonRows {
    /// An object, whose keys stand in the order of JavaScript; of columns with one name the last counts.
    Objects,
    /// An array of all values.
    Arrays,
}

/// How INTEGER values are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integers {
    /// As a double when it is exact, else as a 64-bit integer.
    #[default]
    Auto,
    /// As a double; one that would be rounded fails the statement.
    Number,
    /// As 64-bit integers, all of them.
    BigInt,
}

/// One call of a query.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to run.
    pub query: Arc<Query>,
    /// The values, as they were at the moment of the call.
    pub params: crate::params::Params,
    /// Which rows are wanted.
    pub take: Take,
    /// How INTEGER values are delivered.
    pub integers: Integers,
    /// In whose callback the call is made, and so for what it must not wait.
    pub scope: Scope,
    /// Whether the answer tells how long it waited and ran: [`Delivery::Timed`](crate::Delivery::Timed).
    pub timed: bool,
}

/// One call of a script: many statements in one text.
#[derive(Clone, Debug)]
pub struct Script {
    /// What to run.
    pub text: Arc<Query>,
    /// As [`Request::timed`].
    pub timed: bool,
}

impl From<Arc<Query>> for Script {
    fn from(text: Arc<Query>) -> Self {
        Self { text, timed: false }
    }
}

/// In whose callback a call on the shared handle is made. It must not wait for what that callback holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// In none.
    #[default]
    Outside,
    /// In one that holds a read session: reads pass waiting writers, writes are refused.
    Read,
    /// In one that holds a transaction: reads are let through where they run beside the writer, writes are refused.
    Transaction,
    /// In one that has the database to itself: everything is refused.
    Exclusive,
}

impl Request {
    /// Makes a request for all rows.
    #[must_use]
    pub fn new(query: Arc<Query>, params: crate::params::Params) -> Self {
        let (take, integers, scope) = (Take::default(), Integers::default(), Scope::default());
        Self { query, params, take, integers, scope, timed: false }
    }
}

impl Request {
    /// Whether it may share a transaction with others, as far as can be said without preparing it.
    pub(crate) fn may_share(&self) -> bool {
        self.take != Take::Describe && !self.query.writes_long()
    }
}

/// What a statement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rows that INSERT, UPDATE or DELETE changed; 0 for any other statement.
    pub changes: u64,
    /// The rowid of the last row that this statement inserted, if it did.
    pub last_insert_rowid: Option<i64>,
    /// Who ran it: a reader, or the writer.
    pub route: Route,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(name: &str) -> Vec<Column> {
        vec![Column { name: name.into(), declared_type: None, table: None, origin: None }]
    }

    #[test]
    fn a_shape_is_announced_once_and_once_more_when_it_was_let_go() {
        let query = Query::new("SELECT * FROM t");
        let first = query.shape(columns("first"));
        assert!(first.announce());
        assert!(!first.announce());
        for later in 1..MAX_SHAPES {
            query.shape(columns(&later.to_string()));
        }
        assert!(!first.announce(), "it is still kept");
        query.shape(columns("one too many"));
        assert!(first.announce(), "a slow run may still answer with it");
        assert!(!first.announce());
    }

    /// Lets a query run for so many microseconds, one after another and over again, and returns how many of the last thousand runs found it quick.
    fn quick_ones(micros: &[u64]) -> usize {
        let query = Query::new("SELECT 1");
        let runs = micros.iter().cycle().map(|&micros| {
            let is_quick = query.runs_quickly();
            query.learn_duration(Duration::from_micros(micros));
            is_quick
        });
        runs.skip(2_000).take(1_000).filter(|quick| *quick).count()
    }

    #[test]
    fn a_statement_is_quick_as_long_as_it_is_on_average() {
        assert_eq!(quick_ones(&[1]), 1_000);
        assert_eq!(quick_ones(&[4, 4, 6]), 1_000);
        assert_eq!(quick_ones(&[6]), 0);
        assert_eq!(quick_ones(&[2, 2, 2, 190, 190]), 0);
        let seldom_long: Vec<_> = std::iter::repeat_n(1, 99).chain([3_000]).collect();
        assert!(quick_ones(&seldom_long) < 900, "it is learnt anew after each");
        let waits_for_a_core: Vec<_> = std::iter::repeat_n(1, 199).chain([300]).collect();
        assert_eq!(quick_ones(&waits_for_a_core), 1_000);
    }

    #[test]
    fn a_failure_that_took_no_time_tells_nothing() {
        let query = Query::new("SELECT 1");
        for _ in 0..QUICK_RUNS {
            query.learn_duration(QUICK);
        }
        query.learn_failure(SHORT);
        assert!(query.runs_quickly() && query.runs_short());
        query.learn_failure(SHORT * 2);
        assert!(!query.runs_quickly() && !query.runs_short());
        for _ in 0..QUICK_RUNS {
            query.learn_failure(QUICK);
        }
        assert!(!query.runs_quickly());
    }
}
