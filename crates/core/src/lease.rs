//! Leases: a permit together with its connection. Dropping one hands both back.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::cell::{Cell, Tag};
use crate::completion::{Delivery, Reply, Sink};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::manager::{Permit, Shared};
use crate::params::Params;
use crate::query::{Column, Integers, Outcome, Query, Request, Shape};
use crate::rows::Chunk;
use crate::value::Value;
use crate::worker::{Disposition, Job, Message, OwnWork, Work, Worker};

/// All rows of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSet {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows; each has one value per column.
    pub rows: Vec<Vec<Value>>,
    /// What the statement did.
    pub outcome: Outcome,
}

/// A permit and the worker that serves it.
#[derive(Debug)]
pub(crate) struct RawLease {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    permit: Option<Permit>,
    disposition: Disposition,
}

impl RawLease {
    pub(crate) fn new(shared: Arc<Shared>, worker: Arc<Worker>, permit: Permit) -> Self {
        Self { shared, worker, permit: Some(permit), disposition: Disposition::Reuse }
    }

    /// Does the driver's own work on the connection, and returns what came of it. `shown` stands for it in the status.
    ///
    /// # Errors
    /// Those of the work; why there is no connection.
    pub(crate) async fn lend<T: Send + 'static>(
        &mut self,
        shown: &'static Arc<Query>,
        work: impl FnOnce(&PolicedConnection, &Answer<T>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, done) = oneshot::channel();
        let answer = Answer(sender);
        let work = Box::new(move |connection: &PolicedConnection| {
            let result = work(connection, &answer);
            drop(answer.0.send(result));
        });
        drop(self.worker.send(Message::Lend(OwnWork { shown, work })));
        done.await.unwrap_or_else(|_| Err(self.shared.lost_or_broken()))
    }

    /// Hands the connection back like this.
    pub(crate) fn end_as(mut self, disposition: Disposition) {
        self.disposition = disposition;
    }

    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    pub(crate) fn permit(&self) -> &Permit {
        self.permit.as_ref().expect("BUG: I5 a lease has its permit until it is dropped")
    }

    async fn run(&mut self, work: Work, policy: Policy) -> Result<RowSet> {
        let (sink, answer) = collect();
        let job = Job::new(work, Reply::new(sink, 1));
        if let Err(Message::RunLeased(job, _)) = self.worker.send(Message::RunLeased(job, policy)) {
            job.reply.fail(self.shared.lost_or_closed());
        }
        answer.await
    }
}

/// Where the driver's own work on a lent connection is answered.
#[derive(Debug)]
pub(crate) struct Answer<T>(oneshot::Sender<Result<T>>);

impl<T> Answer<T> {
    /// Whether nobody waits for it any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.is_closed()
    }
}

impl Drop for RawLease {
    fn drop(&mut self) {
        let permit = self.permit.take().expect("BUG: I5 a lease is dropped once");
        // A worker that has ended gives the permit back by dropping it.
        drop(self.worker.send(Message::Release(permit, self.disposition)));
    }
}

/// A reader of one's own. It has no way to write, and its connection refuses one.
///
/// ```compile_fail
/// # async fn f(mut lease: sluice_core::ReadLease) {
/// lease.execute("DELETE FROM t", sluice_core::Params::none()).await; // a ReadLease has no `execute`
/// # }
/// ```
#[derive(Debug)]
pub struct ReadLease(RawLease);

impl ExclusiveLease {
    /// Runs a setting of the driver's own, which no policy lets through.
    pub(crate) async fn set(&mut self, pragma: &str) -> Result<RowSet> {
        self.0.run(query(pragma, Params::none()), Policy::Internal).await
    }
}

/// The writer, leased.
#[derive(Debug)]
pub struct WriteLease(RawLease);

/// Exclusive write mode: the writer, with no other connection open.
#[derive(Debug)]
pub struct ExclusiveLease(RawLease);

impl ReadLease {
    pub(crate) fn new(lease: RawLease) -> Self {
        Self(lease)
    }

    /// Runs a statement that reads.
    ///
    /// # Errors
    /// [`ErrorCode::NotAuthorized`] or `SQLITE_READONLY` for one that does not; those of SQLite, among them those of opening the
    /// reader; [`ErrorCode::Closed`] once the closing took the connection.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer, not the statement.
    pub async fn query(&mut self, sql: &str, params: Params) -> Result<RowSet> {
        self.0.run(query(sql, params), Policy::Reader).await
    }

    /// Hands the reader back, to be reused or replaced. Dropping it reuses it.
    pub fn release(mut self, disposition: Disposition) {
        self.0.disposition = disposition;
    }
}

/// The methods of a lease on the writer.
macro_rules! writes {
    ($lease:ident, $policy:expr) => {
        impl $lease {
            pub(crate) fn new(lease: RawLease) -> Self {
                Self(lease)
            }

            /// Runs a statement, and returns its rows. `BEGIN` and `COMMIT` as text are allowed here; a transaction that is
            /// open when the lease ends is rolled back.
            ///
            /// # Errors
            /// Those of SQLite; [`ErrorCode::Pragma`] for a setting that belongs to every connection; [`ErrorCode::Closed`]
            /// once the closing took the connection.
            ///
            /// # Cancel safety
            /// Dropping the future gives up the answer, not the statement.
            pub async fn query(&mut self, sql: &str, params: Params) -> Result<RowSet> {
                self.0.run(query(sql, params), $policy).await
            }

            /// Runs a statement for what it changes.
            ///
            /// # Errors
            /// As [`Self::query`].
            ///
            /// # Cancel safety
            /// As [`Self::query`].
            pub async fn execute(&mut self, sql: &str, params: Params) -> Result<Outcome> {
                self.query(sql, params).await.map(|rows| rows.outcome)
            }

            /// Runs many statements, up to the first that fails.
            ///
            /// # Errors
            /// As [`Self::query`], with the number of the statement in the message.
            ///
            /// # Cancel safety
            /// As [`Self::query`].
            pub async fn script(&mut self, sql: &str) -> Result<()> {
                self.0.run(Work::Script(Query::new(sql)), $policy).await.map(drop)
            }

            /// Hands the writer back, to be reused or replaced. Dropping it reuses it.
            pub fn release(mut self, disposition: Disposition) {
                self.0.disposition = disposition;
            }
        }
    };
}

writes!(WriteLease, Policy::Lease);
writes!(ExclusiveLease, Policy::Exclusive);

fn query(sql: &str, params: Params) -> Work {
    Work::Query(Request { integers: Integers::BigInt, ..Request::new(Query::new(sql), params) })
}

/// Collects the answer to one call.
struct Collector(Mutex<Collecting>);

struct Collecting {
    chunks: Vec<Chunk>,
    answer: Option<oneshot::Sender<Result<RowSet>>>,
}

/// Makes a sink for one call, and the future of its answer.
pub(crate) fn collect() -> (Arc<dyn Sink>, impl Future<Output = Result<RowSet>>) {
    let (answer, receiver) = oneshot::channel();
    let collector = Arc::new(Collector(Mutex::new(Collecting { chunks: Vec::new(), answer: Some(answer) })));
    let lost = || Err(Error::new(ErrorCode::Panic, "the answer was lost"));
    (collector, async move { receiver.await.unwrap_or_else(|_| lost()) })
}

impl Sink for Collector {
    fn deliver(&self, _call: u32, delivery: Delivery) {
        let delivery = delivery.untimed();
        let mut state = self.0.lock();
        let result = match delivery {
            Delivery::Rows(_, chunk) => return state.chunks.push(*chunk),
            Delivery::More(shape, chunk) => {
                let mut chunks = std::mem::take(&mut state.chunks);
                chunks.extend(chunk.map(|chunk| *chunk));
                Ok(row_set(Some(&shape), &chunks, READ))
            }
            Delivery::End(shape, chunk, outcome) => {
                let mut chunks = std::mem::take(&mut state.chunks);
                chunks.extend(chunk.map(|chunk| *chunk));
                Ok(row_set(shape.as_deref(), &chunks, outcome))
            }
            Delivery::Failed(failure) => Err(failure.error),
            Delivery::Done => Ok(row_set(None, &[], NOTHING)),
            Delivery::Timed(_) => unreachable!("BUG: an answer is timed twice"),
        };
        if let Some(answer) = state.answer.take() {
            drop(answer.send(result));
        }
    }

    fn wait_for_room(&self) -> bool {
        self.0.lock().answer.as_ref().is_some_and(|answer| !answer.is_closed())
    }
}

/// What a part of a result reports.
const READ: Outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Read };

/// What a script reports.
const NOTHING: Outcome = Outcome { changes: 0, last_insert_rowid: None, route: Route::Write };

fn row_set(shape: Option<&Shape>, chunks: &[Chunk], outcome: Outcome) -> RowSet {
    let columns = shape.map_or(&[][..], Shape::columns);
    let rows = chunks.iter().flat_map(|chunk| decode(chunk, columns.len())).collect();
    RowSet { columns: columns.to_vec(), rows, outcome }
}

fn decode(chunk: &Chunk, columns: usize) -> Vec<Vec<Value>> {
    let text = std::str::from_utf8(&chunk.text).expect("BUG: an encoder writes valid UTF-8");
    let mut decoder = Decoder { chunk, text, blobs: &chunk.blobs, remembered: Vec::new() };
    let width = columns.max(1);
    chunk.cells.chunks(width).map(|row| row.iter().map(|cell| decoder.value(*cell)).collect()).collect()
}

struct Decoder<'a> {
    chunk: &'a Chunk,
    text: &'a str,
    blobs: &'a [u8],
    remembered: Vec<&'a str>,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, bits: u64) -> Value {
        match Cell::from_bits(bits).expect("BUG: an encoder writes no NaN") {
            Cell::Number(number) => Value::Real(number),
            Cell::Tagged(Tag::Null, _) => Value::Null,
            Cell::Tagged(Tag::Text, units) => Value::Text(self.text(units as usize).to_owned()),
            Cell::Tagged(Tag::Remembered, units) => {
                let text = self.text(units as usize);
                self.remembered.push(text);
                Value::Text(text.to_owned())
            }
            Cell::Tagged(Tag::Again, index) => Value::Text(self.remembered[index as usize].to_owned()),
            Cell::Tagged(Tag::Blob, length) => {
                let (blob, rest) = self.blobs.split_at(length as usize);
                self.blobs = rest;
                Value::Blob(blob.to_vec())
            }
            Cell::Tagged(Tag::Int64, index) => Value::Integer(self.chunk.integers[index as usize]),
            Cell::Tagged(Tag::Extra, index) => self.chunk.extras[index as usize].clone(),
        }
    }

    /// Takes the next text, whose length is in UTF-16 units.
    fn text(&mut self, units: usize) -> &'a str {
        let mut left = units;
        let end = self.text.char_indices().find(|(_, character)| {
            let done = left == 0;
            left = left.saturating_sub(character.len_utf16());
            done
        });
        let (text, rest) = self.text.split_at(end.map_or(self.text.len(), |(at, _)| at));
        self.text = rest;
        text
    }
}
