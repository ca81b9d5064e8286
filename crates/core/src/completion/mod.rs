//! How results leave the workers: one queue per channel, and one wake-up for many results.

mod channel;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::Location;
use crate::error::{Error, ErrorCode};
use crate::manager::UnderWay;
use crate::query::{Outcome, Query, Shape};
use crate::rows::Chunk;
use crate::trace::{self, Stopwatch};

pub use self::channel::{Channel, Watched};

/// How many bytes may wait in a [`Channel`] before the workers that stream into it pause.
pub const MAX_UNDELIVERED_BYTES: usize = 8 * 1024 * 1024;

/// A step of a call's answer.
#[derive(Debug)]
pub enum Delivery {
    /// Some rows; more follows.
    Rows(Arc<Shape>, Box<Chunk>),
    /// The columns, unless it has none, the last rows, if there are any, and what the statement did. Nothing follows.
    ///
    /// Answers of statements without columns, most of them writes, share nothing: to count who shares a shape made cores wait for each other.
    End(Option<Arc<Shape>>, Option<Box<Chunk>>, Outcome),
    /// The last rows of this call of a [`Cursor`](crate::Cursor), which has more. Nothing follows.
    More(Arc<Shape>, Option<Box<Chunk>>),
    /// The call failed; rows that were delivered before are void. Nothing follows.
    Failed(Box<Failure>),
    /// The call had nothing to answer but that it is done. Nothing follows.
    Done,
    /// The last step of a call that asked for its times: [`Request::timed`](crate::Request::timed). Nothing follows.
    Timed(Box<Timed>),
}

/// The last step of an answer, with what the call took.
#[derive(Debug)]
pub struct Timed {
    /// The step itself, which is no `Timed`.
    pub delivery: Delivery,
    /// How long it waited before a connection began it.
    pub queued: Duration,
    /// How long it ran there: its own commit counts, one that it shared with other calls does not. Zero if it never began.
    pub ran: Duration,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error.
    pub error: Error,
    /// Which statement of a script, from 0.
    pub statement: Option<usize>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, statement: None }
    }
}

impl Delivery {
    /// Returns the step itself, without what the call took.
    #[must_use]
    pub fn untimed(self) -> Self {
        match self {
            Self::Timed(timed) => timed.delivery,
            Self::Rows(..) | Self::End(..) | Self::More(..) | Self::Failed(_) | Self::Done => self,
        }
    }

    /// Makes the step of a call that failed.
    #[must_use]
    pub fn failed(failure: impl Into<Failure>) -> Self {
        Self::Failed(Box::new(failure.into()))
    }

    /// Returns the rows it brings, if it brings some.
    #[must_use]
    pub fn chunk(&self) -> Option<&Chunk> {
        match self {
            Self::Rows(_, chunk) => Some(chunk),
            Self::More(_, chunk) | Self::End(_, chunk, _) => chunk.as_deref(),
            Self::Failed(_) | Self::Done => None,
            Self::Timed(timed) => timed.delivery.chunk(),
        }
    }

    /// Returns why the call failed, if it did.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Timed(timed) => timed.delivery.failure(),
            Self::Rows(..) | Self::End(..) | Self::More(..) | Self::Done => None,
        }
    }

    fn bytes(&self) -> usize {
        self.chunk().map_or(0, Chunk::bytes)
    }
}

/// Who takes the answers of calls.
pub trait Sink: Send + Sync {
    /// Takes one step of the answer to `call`. Must not block.
    fn deliver(&self, call: u32, delivery: Delivery);

    /// Takes one step of an answer without waking anyone: [`Sink::announce`] follows, after more of them.
    fn deliver_quietly(&self, call: u32, delivery: Delivery) {
        self.deliver(call, delivery);
    }

    /// Takes the last steps of several answers, each with the number of its call, as [`Sink::deliver_quietly`] takes one.
    ///
    /// What it has taken is not among them any more: where this panics, it is called again for the rest.
    fn deliver_all_quietly(&self, answers: &mut VecDeque<(u32, Delivery)>) {
        while let Some((call, delivery)) = answers.pop_front() {
            self.deliver_quietly(call, delivery);
        }
    }

    /// Wakes whoever takes what was delivered quietly.
    fn announce(&self) {}

    /// Blocks while too much is undelivered. Returns `false` when nobody will ever take it.
    fn wait_for_room(&self) -> bool {
        true
    }

    /// Tells whether nobody takes answers any more: what was asked for need not be done.
    fn is_closed(&self) -> bool {
        false
    }

    /// Returns a number that no other sink has while this one lives. One that passes answers on returns that of whom it passes them on to.
    fn number(&self) -> usize {
        std::ptr::from_ref(self).cast::<()>() as usize
    }
}

/// The duty to answer one call exactly once. Dropped unanswered, it answers that the job was lost.
pub struct Reply {
    sink: Option<Arc<dyn Sink>>,
    call: u32,
    /// What lets later reads of the handle know of the call. It ends before the answer: who is answered finds it ended.
    under_way: Option<UnderWay>,
    /// Measures the call, when somebody wants to know.
    watch: Option<Box<Stopwatch>>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("call", &self.call).field("settled", &self.sink.is_none()).finish_non_exhaustive()
    }
}

impl Reply {
    /// Makes the duty to answer `call` to `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>, call: u32) -> Self {
        Self { sink: Some(sink), call, under_way: None, watch: None }
    }

    /// Makes the duty to answer a call of `query` on the database at `location`. `timed` is [`Request::timed`](crate::Request::timed).
    pub(crate) fn watched(
        sink: Arc<dyn Sink>,
        call: u32,
        query: &Arc<Query>,
        timed: bool,
        location: &Location,
    ) -> Self {
        let mut reply = Self::new(sink, call);
        reply.watch = Stopwatch::start(query, timed, || trace::name(location).into());
        reply
    }

    /// Lets `around` make the sink that is answered instead.
    pub(crate) fn through(mut self, around: impl FnOnce(Arc<dyn Sink>) -> Arc<dyn Sink>) -> Self {
        let mut reply = Self::new(around(self.take_sink()), self.call);
        reply.watch = self.watch.take();
        reply
    }

    /// The call begins to run on the connection of this thread.
    #[inline]
    pub(crate) fn begins(&self, now: Instant) {
        if let Some(watch) = &self.watch {
            watch.begins(now);
        }
    }

    /// The call has not run after all, and goes elsewhere.
    #[inline]
    pub(crate) fn goes_on(&self) {
        if let Some(watch) = &self.watch {
            watch.goes_on();
        }
    }

    /// The call has run, but its answer waits for other calls.
    #[inline]
    pub(crate) fn has_run(&self, now: Instant) {
        if let Some(watch) = &self.watch {
            watch.has_run(now);
        }
    }

    /// The same, of a call after which nobody has looked at the clock.
    #[inline]
    pub(crate) fn has_run_now(&self) {
        if self.watch.is_some() {
            self.has_run(Instant::now());
        }
    }

    /// The same of the beginning.
    #[inline]
    pub(crate) fn begins_now(&self) {
        if self.watch.is_some() {
            self.begins(Instant::now());
        }
    }

    /// Whether somebody wants to know what the call took.
    pub(crate) fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    fn stop_watch(&mut self, delivery: Delivery) -> Delivery {
        match self.watch.take() {
            Some(watch) => watch.stop(delivery),
            None => delivery,
        }
    }

    /// Counts the call as under way until it is answered.
    pub(crate) fn counts(&mut self, under_way: UnderWay) {
        self.under_way = Some(under_way);
    }

    /// Returns its sink.
    pub(crate) fn sink(&self) -> &Arc<dyn Sink> {
        self.sink.as_ref().expect("BUG: a reply is settled once")
    }

    /// Tells its sink from those of others.
    pub(crate) fn sink_number(&self) -> usize {
        self.sink.as_ref().map_or(0, |sink| sink.number())
    }

    /// Whether nobody takes the answer any more.
    pub(crate) fn is_for_nobody(&self) -> bool {
        self.sink.as_ref().is_none_or(|sink| sink.is_closed())
    }

    fn take_sink(&mut self) -> Arc<dyn Sink> {
        self.under_way = None;
        self.sink.take().expect("BUG: a reply is settled once")
    }

    /// Sends some rows ahead of the end. Returns `false` when nobody will ever take them.
    pub(crate) fn send(&self, shape: &Arc<Shape>, chunk: Box<Chunk>) -> bool {
        self.push(shape, chunk);
        self.sink.as_ref().expect("BUG: rows after the answer").wait_for_room()
    }

    /// Sends some rows ahead of the end, without asking for room: a writer must not wait for a reader of its rows.
    pub(crate) fn push(&self, shape: &Arc<Shape>, chunk: Box<Chunk>) {
        let sink = self.sink.as_ref().expect("BUG: rows after the answer");
        if let Some(watch) = &self.watch {
            watch.count_rows(chunk.rows);
        }
        sink.deliver(self.call, Delivery::Rows(Arc::clone(shape), chunk));
    }

    /// Answers.
    pub fn settle(mut self, delivery: Delivery) {
        let delivery = self.stop_watch(delivery);
        let sink = self.take_sink();
        sink.deliver(self.call, delivery);
    }

    /// Answers, and leaves it to the caller to announce that to the sink, which is returned.
    #[must_use]
    pub(crate) fn settle_quietly(self, delivery: Delivery) -> Arc<dyn Sink> {
        let (sink, call, delivery) = self.conclude(delivery);
        sink.deliver_quietly(call, delivery);
        sink
    }

    /// Ends the call, and leaves it to the caller to deliver its answer, under the number of the call, to the sink.
    #[must_use]
    pub(crate) fn conclude(mut self, delivery: Delivery) -> (Arc<dyn Sink>, u32, Delivery) {
        let delivery = self.stop_watch(delivery);
        (self.take_sink(), self.call, delivery)
    }

    /// Answers that the call failed.
    pub fn fail(self, failure: impl Into<Failure>) {
        self.settle(Delivery::failed(failure));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.under_way = None;
        if let Some(sink) = self.sink.take() {
            let error = Error::new(ErrorCode::Panic, "the job was lost to a panic in a worker");
            let delivery = self.stop_watch(Delivery::failed(error));
            sink.deliver(self.call, delivery);
        }
    }
}

/// Returns how many bytes [`Channel::delivered`] must be told for `delivery`.
#[must_use]
pub fn delivery_bytes(delivery: &Delivery) -> usize {
    delivery.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_dropped_unanswered_answers_that_it_was_lost() {
        let channel = Channel::new(|| {});
        drop(Reply::new(channel.clone(), 7));
        let mut taken = std::collections::VecDeque::new();
        channel.take(&mut taken);
        assert!(
            matches!(taken.pop_front(), Some((7, Delivery::Failed(failure))) if failure.error.code == ErrorCode::Panic)
        );
        assert!(taken.is_empty());
    }
}
