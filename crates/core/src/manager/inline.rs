//! Inline reads: on the thread of the caller, which spares two ways between threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bursts::Bursts;
use super::{Manager, Permit, Shared};
use crate::completion::Delivery;
use crate::error::Error;
use crate::gate::{Class, ReadKind};
use crate::query::{Request, Scope};
use crate::statement::NotInline;
use crate::trace::{self, Stopwatch};
use crate::worker::{Disposition, Message, RanIn, Worker, guard};

/// The answer of a statement that ran on the thread of its caller.
#[derive(Debug)]
pub struct Inline {
    /// The whole answer.
    pub delivery: Delivery,
    /// How long the thread was kept.
    pub took: Duration,
    /// Whether it has left its snapshot open for those that follow: [`Manager::end_burst`] ends it.
    pub held: bool,
}

impl Manager {
    /// Runs a read on this thread, if it is expected to be short and can run at once. Otherwise returns `None`, and nothing has happened:
    /// [`Manager::submit`] is the way then.
    ///
    /// That is so for a statement that has run short on readers often enough ([`Options::inline_reads`](super::Options::inline_reads)),
    /// when the gate admits it at once, and an idle reader has it prepared. The connection of that reader is used, while its own thread
    /// waits: it counts as that reader at work, and its file handles, limits and status are those of any reader. Nothing is opened, prepared or
    /// closed here. A run that would wait for another process, takes more than 20,000 steps of SQLite's virtual machine or returns more
    /// than one chunk of rows is given up, and its statement has to show anew that it is short. So is one that fails: the worker fails too, and says why.
    ///
    /// Where there is a write-ahead log, a read that follows another one within 20 µs may leave its snapshot open for the next ones, each of which uses it
    /// only if nothing has been committed since, by any process: [`Inline::held`] says so, and [`Manager::end_burst`] ends it.
    ///
    /// Only the file system can keep this thread longer: a page that is not in memory is read from the disk.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sluice_core::Result<()> {
    /// use sluice_core::{Delivery, Manager, Options, Params, Query, Request};
    /// let manager = Manager::open(":memory:", Options { max_readers: 1, ..Options::default() }).await?;
    /// let request = Request::new(Query::new("SELECT 1"), Params::none());
    /// while manager.try_inline(&request).is_none() {
    ///     manager.run(request.clone()).await?;
    /// }
    /// # manager.close().await
    /// # }
    /// ```
    #[must_use]
    pub fn try_inline(&self, request: &Request) -> Option<Inline> {
        let shared = &self.shared;
        if !request.query.is_fit_inline(shared.options.inline_reads?)
            || request.scope != Scope::Outside
            || self.member.has_left()
            || self.reads_behind_writes()
            || shared.runs_all_on_the_writer()
            || shared.lost().is_some()
        {
            return None;
        }
        let permit = shared.gate.try_request(Class::Read(ReadKind::Short))?;
        let worker = shared.readers.lock().take_idle()?;
        AtHand { shared, bursts: self.member.bursts(), worker: Some(worker), permit: Some(permit) }.run(request)
    }
}

/// An idle reader, and the right to use it. Dropping it gives both back, the reader first: whoever is admitted next finds it.
struct AtHand<'s> {
    shared: &'s Arc<Shared>,
    bursts: &'s Bursts,
    worker: Option<Arc<Worker>>,
    permit: Option<Permit>,
}

impl AtHand<'_> {
    fn run(mut self, request: &Request) -> Option<Inline> {
        let (shared, query) = (self.shared, &request.query);
        let worker = self.worker.as_ref()?;
        let watch = Stopwatch::start(query, request.timed, || trace::name(&shared.location).into());
        let began = Instant::now();
        let reading = shared.activity.begin_reading();
        let ran = guard(|| worker.borrow(|desk| desk.read(request, began)));
        drop(reading);
        let ended = Instant::now();
        let took = ended.saturating_duration_since(began);
        let mut held = false;
        let delivery = match ran {
            // Its thread was about to wait, but did not yet.
            Ok(None | Some(Err(NotInline::Unprepared))) => return None,
            Ok(Some(Err(refused @ (NotInline::Changed | NotInline::Unfit)))) => {
                shared.counters.inline_fallbacks.add();
                if refused == NotInline::Changed {
                    query.fitness().begin_again();
                } else {
                    query.fitness().bar();
                }
                return None;
            }
            Ok(Some(Err(NotInline::Stuck))) => {
                self.discard();
                return None;
            }
            Ok(Some(Ok((answer, ran_in)))) => {
                held = self.follow(ran_in);
                shared.counters.reads.add();
                shared.counters.inline_reads.add();
                query.fitness().ran_inline(took);
                Delivery::End(answer.shape, answer.chunk, answer.outcome)
            }
            Err(panic) => self.replace(panic),
        };
        let delivery = match watch {
            Some(watch) => self.tell(&watch, began, delivery),
            None => delivery,
        };
        self.give_back(ended);
        Some(Inline { delivery, took, held })
    }

    /// I9: a panic fails its own call, and its connection is replaced: by its own thread.
    fn replace(&mut self, panic: Error) -> Delivery {
        self.shared.counters.panics.add();
        self.shared.metrics.failed(&panic);
        self.discard();
        Delivery::failed(panic)
    }

    /// Has the connection replaced by its own thread.
    fn discard(&mut self) {
        if let (Some(worker), Some(permit)) = (&self.worker, self.permit.take()) {
            drop(worker.send(Message::Release(permit, Disposition::Discard)));
            self.worker = None;
        }
    }

    /// Sees to the end of a snapshot that was left open. Returns whether one was.
    fn follow(&self, ran_in: RanIn) -> bool {
        match ran_in {
            RanIn::Own => return false,
            RanIn::Found => {
                self.shared.counters.inline_reuses.add();
                return false;
            }
            RanIn::Left => {}
        }
        if let Some(worker) = &self.worker {
            self.bursts.begin(worker);
        }
        self.shared.follow_hold();
        true
    }

    /// Stops the watch of a call, as the reader.
    fn tell(&self, watch: &Stopwatch, began: Instant, delivery: Delivery) -> Delivery {
        watch.begins(began);
        let role = self.worker.as_ref().map(|worker| worker.role());
        trace::on_behalf_of(&self.shared.location, role, || watch.stop(delivery))
    }

    fn give_back(&mut self, now: Instant) {
        if let Some(worker) = self.worker.take() {
            self.shared.give_back_reader(worker, now);
        }
        self.permit = None;
    }
}

impl Drop for AtHand<'_> {
    fn drop(&mut self) {
        if self.worker.is_some() {
            self.give_back(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, Options, Params, Query, Result};

    #[tokio::test]
    async fn i9_a_panic_inline_fails_its_call_and_has_the_reader_replaced_by_its_own_thread() -> Result<()> {
        let manager = Manager::open(":memory:", Options { max_readers: 1, ..Options::default() }).await?;
        let request = Request::new(Query::new("SELECT 1"), Params::none());
        manager.run(request.clone()).await?;
        let shared = &manager.shared;
        let (permit, worker) = loop {
            let permit = shared.gate.try_request(Class::Read(ReadKind::Short));
            let worker = permit.as_ref().and_then(|_| shared.readers.lock().take_idle());
            if let (Some(permit), Some(worker)) = (permit, worker) {
                break (permit, worker);
            }
            tokio::task::yield_now().await;
        };
        let mut hand = AtHand { shared, bursts: manager.member.bursts(), worker: Some(worker), permit: Some(permit) };
        let delivery = hand.replace(Error::new(ErrorCode::Panic, "the job panicked"));
        drop(hand);
        assert!(matches!(delivery, Delivery::Failed(failure) if failure.error.code == ErrorCode::Panic));
        manager.run(request).await?;
        let counters = &shared.counters;
        assert_eq!((counters.panics.get(), counters.discards.get(), counters.reader_opens.get()), (1, 1, 2));
        manager.close().await
    }
}
