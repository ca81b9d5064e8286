//! A reader: runs reads, and forwards what turns out to be none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answered::Answered;
use super::hold::{Desk, Hold};
use super::in_session::{Cursors, Rows, Side, close_cursor, end_lease, run_asked};
use super::next::{NextRead, let_go};
use super::reads::how_many;
use super::snapshot::Snapshot;
use super::tray::Tray;
use super::unannounced::{Unannounced, Watch};
use super::{
    Disposition, Exit, Job, Message, Next, Queued, Work, Worker, disposition_after, explain_interrupt, guard, is_clean,
};
use crate::cancel::CancelReason;
use crate::completion::{Delivery, Reply};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::cores;
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, ReadKind};
use crate::manager::{Permit, Shared};
use crate::metrics::OpenTransaction;
use crate::query::{Query, Request, Shape};
use crate::statement::{Answer, ReadError, Statements, Stopped};

/// Serves a reader's connection until it is closed or discarded.
pub(crate) fn serve_reader(worker: &Arc<Worker>, shared: &Arc<Shared>, connection: &PolicedConnection) -> Exit {
    let statements = shared.statements(connection);
    let snapshot = Snapshot::new(connection);
    let hold = Hold::new(worker, connection, shared.holds());
    let tray = Arc::default();
    let watch = Watch::new(shared, &tray);
    Reader {
        worker,
        shared,
        connection,
        statements,
        cursors: Cursors::new(),
        snapshot,
        hold,
        broken: false,
        watch,
        tray,
        ready: VecDeque::new(),
        now: Instant::now(),
        took: Duration::MAX,
        is_quick: false,
    }
    .serve()
}

pub(super) struct Reader<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) connection: &'a PolicedConnection,
    pub(super) statements: Statements<'a>,
    cursors: Cursors<'a>,
    snapshot: Snapshot<'a>,
    hold: Hold<'a>,
    /// Whether a job of the present lease left the connection in doubt.
    broken: bool,
    pub(super) watch: Watch,
    pub(super) tray: Arc<Tray>,
    /// Answers of several calls that are about to be delivered. Kept for its memory.
    pub(super) ready: VecDeque<(u32, Delivery)>,
    /// When the present job began; the clock is read once per job.
    pub(super) now: Instant,
    /// How long the last read took.
    took: Duration,
    /// Whether more like it are expected to run quickly.
    is_quick: bool,
}

/// Who asked for a read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A call by itself: what a reader refuses goes to the writer.
    Alone,
    /// A lease: what its reader refuses is final.
    ByLease,
}

/// What became of a read.
pub(super) enum Judged {
    Answered(Delivery),
    /// A reader refuses it, and nothing was delivered.
    NotARead(Error),
    Failed(Error),
    /// It failed, and the connection may be broken.
    Broken(Error),
    /// Nobody takes the answer.
    Abandoned,
}

/// What became of a job.
enum Ran {
    Answered,
    /// Answered, and the connection may be broken.
    Broken,
    /// It is not a read, and nothing was answered.
    NotARead(Job),
}

impl Reader<'_> {
    fn serve(mut self) -> Exit {
        loop {
            let message =
                self.worker.next_lending(&mut Desk { statements: &mut self.statements, hold: &mut self.hold });
            let _working = cores::work();
            // Before anything else: what comes sees the present, and leaves nothing behind.
            if self.hold.end().is_err() {
                self.worker.take_back(message);
                return Exit::Renew;
            }
            match message {
                Message::Run(job, permit) => {
                    if let Err(exit) = self.run_backlog(job, permit) {
                        return exit;
                    }
                }
                Message::RunLeased(job, _) => {
                    self.now = Instant::now();
                    let ran = self.run(job, Asked::ByLease, &mut Unannounced::default());
                    self.worker.finish();
                    self.broken |= matches!(ran, Ran::Broken);
                }
                Message::Asked(asked) => {
                    let disposition = run_asked(&mut self, asked);
                    self.broken |= disposition == Disposition::Discard;
                }
                Message::CloseCursor(cursor) => close_cursor(&mut self, cursor),
                Message::Lend(own) => self.broken |= own.run(self.worker, self.connection) == Disposition::Discard,
                Message::EndHold(receipt) => drop(receipt),
                Message::Release(permit, disposition) => {
                    let disposition = disposition.or(end_lease(&mut self));
                    if self.broken || disposition == Disposition::Discard {
                        return Exit::Discard(permit);
                    }
                    self.shared.give_back_reader(Arc::clone(self.worker), Instant::now());
                    drop(permit);
                }
                Message::Close(receipt) => return Exit::Close(receipt),
            }
        }
    }

    /// Runs a job, and those that wait for the same permit, one after another.
    ///
    /// # Errors
    /// How it ends, when the connection must not be used again.
    fn run_backlog(&mut self, job: Job, permit: Permit) -> Result<(), Exit> {
        let mut answers = Unannounced::default();
        let mut next = NextRead::One(Next::first(job, permit));
        self.now = Instant::now();
        let (heir, permit) = loop {
            let mut ready_for = None;
            let (is_usable, permit) = match next {
                NextRead::One(Next::Run(job, mut permit, queued)) => {
                    if let Some(Queued { since, .. }) = queued {
                        self.shared.metrics.waited(permit.class(), self.now.saturating_duration_since(since));
                    }
                    answers.before(&job, self.now, &mut self.watch);
                    let is_usable = if permit.class() == Class::Read(ReadKind::Quick) {
                        self.run_quick(job, queued, &mut permit, &mut answers)
                    } else {
                        self.run_alone(job, queued, &mut answers)
                    };
                    (is_usable, permit)
                }
                NextRead::Several(taken, mut permit) => {
                    let (is_usable, sink) = self.run_calls(taken, &mut permit, &mut answers);
                    ready_for = Some(sink);
                    (is_usable, permit)
                }
                NextRead::One(Next::HandOver(waiting, permit)) => break (Some(waiting), permit),
                NextRead::One(Next::Rest(permit)) => break (None, permit),
            };
            let after = if is_usable { Ok(NextRead::after(permit, how_many(self.took))) } else { Err(permit) };
            // The gate has learnt by then that they have used the permit: whoever is answered finds its room in the queue free.
            if let Some(sink) = ready_for {
                answers.answer_all(&sink, &mut self.ready, self.now);
            }
            next = match after {
                Ok(next) => next,
                Err(permit) => {
                    self.worker.finish();
                    return Err(Exit::Discard(permit));
                }
            };
        };
        self.worker.finish();
        if self.snapshot.close().is_err() || !is_clean(self.connection) {
            let Some(waiting) = heir else { return Err(Exit::Discard(permit)) };
            let_go(Some(waiting), permit);
            return Err(Exit::Renew);
        }
        // Before its permit is released or handed over, so that whoever is admitted by that finds it.
        self.shared.give_back_reader(Arc::clone(self.worker), Instant::now());
        let_go(heir, permit);
        // Only now: whoever calls again at once finds this reader free, and needs no other.
        drop(answers);
        Ok(())
    }

    /// Runs a job that others may wait for because it is expected to be quick. Returns whether the connection may be used again.
    fn run_quick(&mut self, job: Job, queued: Option<Queued>, permit: &mut Permit, answers: &mut Unannounced) -> bool {
        let serving = self.tray.load(permit, self.now, None);
        self.watch.over(job.reply.sink());
        let is_usable = self.run_alone(job, queued, answers);
        drop(serving);
        self.slow_down_unless_quick(permit);
        is_usable
    }

    /// Lets nobody wait any more for what `permit` is for because it is expected to be quick, where the last read has shown that it is not.
    pub(super) fn slow_down_unless_quick(&self, permit: &mut Permit) {
        if !self.is_quick && permit.class() == Class::Read(ReadKind::Quick) {
            drop(permit.slow_down());
        }
    }

    /// Runs a job that nobody has leased the reader for. Returns whether the connection may be used again.
    fn run_alone(&mut self, job: Job, queued: Option<Queued>, answers: &mut Unannounced) -> bool {
        if let Err(error) = self.choose_snapshot(queued.filter(|_| job.work.runs_short())) {
            job.fail(error);
            return false;
        }
        match self.run(job, Asked::Alone, answers) {
            Ran::Answered => {}
            Ran::Broken => return false,
            Ran::NotARead(job) => self.shared.forward_to_writer(job),
        }
        self.is_in_order()
    }

    /// Whether the connection is in the transaction in which it should be.
    pub(super) fn is_in_order(&self) -> bool {
        self.connection.raw().is_autocommit() != self.snapshot.is_open()
    }

    /// Lets a short read of the backlog use the snapshot of the one before it, if it may, or begins one for those to come.
    pub(super) fn choose_snapshot(&mut self, short: Option<Queued>) -> Result<()> {
        let Some(Queued { ticket, horizon, since: _ }) = short else {
            return self.snapshot.close();
        };
        if self.snapshot.covers(ticket, self.now) {
            return Ok(());
        }
        self.snapshot.close()?;
        self.snapshot.open(horizon, self.now)
    }

    fn run(&mut self, job: Job, asked: Asked, answers: &mut Unannounced) -> Ran {
        let Job { work: Work::Query(request), reply, mut place, cancel } = job else {
            job.fail(Error::new(ErrorCode::NotAuthorized, "a reader runs no scripts"));
            return Ran::Answered;
        };
        if let Err(reason) = self.worker.begin(&request.query, self.now, cancel.as_ref(), &reply) {
            drop(place);
            let error = reason.to_error();
            self.shared.metrics.failed(&error);
            reply.fail(error);
            return Ran::Answered;
        }
        let counters = &self.shared.counters;
        // A read needs no place in the write queue: it goes before the first step, which may take long, and before each answer, so
        // that whoever is answered finds the queue without it.
        let mut reading = None;
        let mut classified = || {
            drop(place.take());
            reading.get_or_insert_with(|| self.shared.activity.begin_reading());
        };
        let mut send = |shape: &Arc<Shape>, chunk| reply.send(shape, chunk);
        let result = guard(|| self.statements.read(&request, &mut send, &mut classified));
        drop(reading);
        self.shared.metrics.follow_busy(self.connection);
        let interrupted = self.worker.end_job(cancel.as_ref());
        match self.judge(&request, result, interrupted) {
            Judged::Answered(delivery) => {
                counters.reads.add();
                answers.answer(reply, delivery, self.now);
                Ran::Answered
            }
            Judged::NotARead(error) if asked == Asked::ByLease => {
                counters.denied.add();
                reply.fail(error);
                Ran::Answered
            }
            Judged::NotARead(_) => {
                self.learn_not_a_read(&request.query);
                reply.goes_on();
                if let Some(cancel) = &cancel {
                    cancel.paused();
                }
                Ran::NotARead(Job { work: Work::Query(request), reply, place, cancel })
            }
            Judged::Failed(error) => {
                drop(place);
                reply.fail(error);
                Ran::Answered
            }
            Judged::Broken(error) => {
                drop(place);
                reply.fail(error);
                Ran::Broken
            }
            Judged::Abandoned => Ran::Answered,
        }
    }

    /// Learns from a read that has ended, and says what became of it.
    pub(super) fn judge(
        &mut self,
        request: &Request,
        result: Result<Result<Answer, ReadError>>,
        interrupted: Option<CancelReason>,
    ) -> Judged {
        let counters = &self.shared.counters;
        if interrupted.is_some() {
            counters.interrupts.add();
        }
        let began = std::mem::replace(&mut self.now, Instant::now());
        let (query, took) = (&request.query, self.now.duration_since(began));
        match &result {
            Ok(Ok(_)) => query.learn_duration(took),
            Ok(Err(_)) | Err(_) => query.learn_failure(took),
        }
        (self.took, self.is_quick) = (took, query.runs_quickly());
        match result {
            Ok(Ok(answer)) => {
                query.set_hint(Some(Route::Read));
                query.fitness().ran_on_a_worker(took);
                Judged::Answered(Delivery::End(answer.shape, answer.chunk, answer.outcome))
            }
            Ok(Err(ReadError::NotARead(error))) => Judged::NotARead(error),
            Ok(Err(ReadError::Failed(error))) => {
                counters.errors.add();
                let is_broken = disposition_after(&error) == Disposition::Discard;
                let error = explain_interrupt(interrupted, error);
                self.shared.metrics.failed(&error);
                if is_broken { Judged::Broken(error) } else { Judged::Failed(error) }
            }
            Ok(Err(ReadError::Abandoned)) => Judged::Abandoned,
            Err(panic) => {
                counters.panics.add();
                Judged::Broken(panic)
            }
        }
    }

    /// Learns that a reader refuses a query.
    pub(super) fn learn_not_a_read(&mut self, query: &Query) {
        let known_write = self.statements.class_of(query).is_some();
        query.set_hint(known_write.then_some(Route::Write));
    }
}

impl<'a> Side<'a> for Reader<'a> {
    fn worker(&self) -> &Arc<Worker> {
        self.worker
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared
    }

    fn connection(&self) -> &'a PolicedConnection {
        self.connection
    }

    fn statements(&mut self) -> &mut Statements<'a> {
        &mut self.statements
    }

    fn cursors(&mut self) -> &mut Cursors<'a> {
        &mut self.cursors
    }

    fn session_transaction(&mut self) -> Option<&mut OpenTransaction> {
        None
    }

    fn run_statement(&mut self, request: &Request, _policy: Policy, reply: &Reply) -> Result<Answered> {
        let mut reading = None;
        let mut classified = || {
            reading.get_or_insert_with(|| self.shared.activity.begin_reading());
        };
        let mut send = |shape: &Arc<Shape>, chunk| reply.send(shape, chunk);
        let read = self.statements.read(request, &mut send, &mut classified);
        drop(reading);
        match read {
            Ok(answer) => {
                self.shared.counters.reads.add();
                Ok(Answered::new(Vec::new(), answer))
            }
            Err(ReadError::NotARead(error)) => {
                self.shared.counters.denied.add();
                Err(error)
            }
            Err(ReadError::Failed(error)) => Err(error),
            Err(ReadError::Abandoned) => Err(abandoned()),
        }
    }

    fn run_script(&mut self, _script: &Query, _policy: Policy) -> Result<(), Stopped> {
        Err(Error::new(ErrorCode::NotAuthorized, "a reader runs no scripts").into())
    }

    fn after_write(&mut self, _policy: Policy) -> Result<()> {
        Ok(())
    }

    fn send_rows(&mut self, reply: &Reply, (shape, chunk): Rows) -> bool {
        reply.send(&shape, chunk)
    }
}

fn abandoned() -> Error {
    Error::new(ErrorCode::Closed, "nobody takes the rows any more")
}
