//! The writer: runs whatever is not a read, one job at a time, or a group of them in one transaction.

use std::sync::Arc;
use std::time::Instant;

use super::answered::{Answered, answer_all};
use super::company::Company;
use super::in_session::{Cursors, Rows, Side, close_cursor, end_lease, run_asked};
use super::next::let_go;
use super::{
    Disposition, Exit, Job, Message, Next, Queued, Work, Worker, disposition_after, explain_interrupt, guard, is_clean,
};
use crate::completion::{Failure, Reply};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::cores;
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, Mode};
use crate::manager::{Permit, Shared, Writable};
use crate::metrics::OpenTransaction;
use crate::query::{Query, Request};
use crate::statement::{Statements, Stopped, Transaction, Written, run_script};

/// Serves the writer's connection until it is closed or discarded.
pub(crate) fn serve_writer(worker: &Arc<Worker>, shared: &Arc<Shared>, connection: &PolicedConnection) -> Exit {
    let statements = shared.statements(connection);
    let transaction = Transaction::new(connection);
    Writer {
        worker,
        shared,
        connection,
        statements,
        transaction,
        company: Company::default(),
        cursors: Cursors::new(),
        writable: shared.writable(),
        broken: false,
        private_schema: false,
        session_transaction: OpenTransaction::default(),
    }
    .serve()
}

pub(super) struct Writer<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) connection: &'a PolicedConnection,
    pub(super) statements: Statements<'a>,
    /// Of groups and batches.
    pub(super) transaction: Transaction<'a>,
    pub(super) company: Company,
    cursors: Cursors<'a>,
    writable: Writable,
    /// Whether a job of the present lease left the connection in doubt.
    broken: bool,
    /// Whether a job under the present permit made or dropped temporary objects, which a rollback may undo at any time.
    private_schema: bool,
    /// That of the present session, if it has one.
    session_transaction: OpenTransaction,
}

/// What became of a job.
pub(super) enum Done {
    Answered(Answered),
    /// The items of a batch and what they are answered, in order.
    Batch(Vec<Answered>),
    /// It changes the journal mode, and must wait until every other connection is closed.
    NeedsExclusive,
    /// It was not known, is a read, and might hold up every write.
    NeedsReader,
}

/// The policy for a job that was admitted by itself.
fn policy_of(work: &Work, permit: &Permit) -> Policy {
    match (work, permit.class()) {
        (Work::Script(_), _) => Policy::Script,
        (Work::Batch(_), _) => Policy::Transaction,
        (Work::Query(_), Class::Exclusive) => Policy::Exclusive,
        (Work::Query(_), Class::Read(_) | Class::Write) => Policy::Statement,
    }
}

impl Writer<'_> {
    fn serve(mut self) -> Exit {
        loop {
            let message = self.worker.next();
            let _working = cores::work();
            match message {
                Message::Run(job, permit) if self.writable.is_due_again(self.shared) => {
                    self.worker.take_back(Message::Run(job, permit));
                    return Exit::Renew;
                }
                Message::Run(job, permit) => {
                    if let Err(permit) = self.run_backlog(job, permit) {
                        return Exit::Discard(permit);
                    }
                }
                Message::RunLeased(job, policy) => {
                    let disposition = self.run(job, policy, None);
                    self.worker.finish();
                    self.broken |= disposition == Disposition::Discard;
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
                    let is_broken = self.broken || disposition == Disposition::Discard;
                    if is_broken || self.writable.is_due_again(self.shared) {
                        return Exit::Discard(permit);
                    }
                    self.release(&permit);
                    drop(permit);
                }
                Message::Close(receipt) => return Exit::Close(receipt),
            }
        }
    }

    /// Runs a job, and those that wait for the same permit, one after another or several in one transaction.
    ///
    /// # Errors
    /// The permit, when the connection must not be used again.
    fn run_backlog(&mut self, job: Job, permit: Permit) -> Result<(), Permit> {
        let mut next = Next::first(job, permit);
        let (heir, permit) = loop {
            let (job, permit, queued) = match next {
                Next::Run(job, permit, queued) => (job, permit, queued),
                Next::HandOver(waiting, permit) => break (Some(waiting), permit),
                Next::Rest(permit) => break (None, permit),
            };
            if let Some(Queued { since, .. }) = queued {
                self.shared.metrics.waited(permit.class(), since.elapsed());
            }
            next = if self.begins_group(&job, &permit) {
                self.run_group(job, permit)?
            } else {
                let policy = policy_of(&job.work, &permit);
                let disposition = self.run(job, policy, Some(&permit));
                self.expect_usable(disposition, permit)?
            };
        };
        self.worker.finish();
        let_go(heir, permit);
        Ok(())
    }

    /// Goes on to the next job, if the connection may still be used.
    ///
    /// # Errors
    /// The permit, when it may not.
    pub(super) fn expect_usable(&mut self, disposition: Disposition, permit: Permit) -> Result<Next, Permit> {
        if disposition == Disposition::Discard || !is_clean(self.connection) {
            self.worker.finish();
            return Err(permit);
        }
        self.release(&permit);
        Ok(Next::after(permit))
    }

    /// Does what is due before a permit is released, on a connection that stays.
    fn release(&mut self, permit: &Permit) {
        let began = (permit.class() == Class::Exclusive).then(Instant::now);
        if std::mem::take(&mut self.private_schema) {
            self.shared.follow_private_objects(self.connection);
        }
        self.shared.writer_released(self.connection, permit);
        self.shared.follow_wal(self.connection, permit);
        if let Some(began) = began {
            self.shared.metrics.switched(self.shared.location(), Mode::Read, began.elapsed());
        }
    }

    /// Runs a job by itself. `permit` is its own, if it has one.
    pub(super) fn run(&mut self, job: Job, policy: Policy, permit: Option<&Permit>) -> Disposition {
        let Job { work, reply, place, cancel } = job;
        // Whoever classified the statement took its place.
        let unclassified = place.is_some();
        drop(place);
        let began = Instant::now();
        if let Err(reason) = self.worker.begin(work.query(), began, cancel.as_ref(), &reply) {
            let error = reason.to_error();
            self.shared.metrics.failed(&error);
            work.fail(reply, error.into());
            return Disposition::Reuse;
        }
        // Those that waited behind the job that found it out come here without a look at the manager.
        let result = if let Some(lost) = self.shared.lost() {
            Ok(Err(lost.into()))
        } else {
            let _writing = self.shared.activity.begin_writing();
            guard(|| self.run_work(&work, policy, unclassified))
        };
        self.shared.metrics.follow_busy(self.connection);
        let interrupted = self.worker.end_job(cancel.as_ref());
        if interrupted.is_some() {
            self.shared.counters.interrupts.add();
        }
        let again = |work, reply: Reply| {
            reply.goes_on();
            if let Some(cancel) = &cancel {
                cancel.paused();
            }
            Job { work, reply, place: None, cancel: cancel.clone() }
        };
        let counters = &self.shared.counters;
        match result {
            Ok(Ok(Done::Answered(answered))) => {
                // What the driver does for itself is no write of anybody's.
                if policy != Policy::Internal {
                    counters.writes.add();
                }
                self.learn_duration(&work, began);
                // Whoever is answered finds the concurrency that goes with the journal mode.
                if let Some(permit) = permit {
                    self.shared.writer_released(self.connection, permit);
                }
                answered.send(reply);
                Disposition::Reuse
            }
            Ok(Ok(Done::Batch(answers))) => {
                counters.writes.add();
                answer_batch(work, answers, reply);
                Disposition::Reuse
            }
            Ok(Ok(Done::NeedsExclusive)) => {
                self.shared.request_exclusive(again(work, reply));
                Disposition::Reuse
            }
            Ok(Ok(Done::NeedsReader)) => {
                self.shared.request_reader(again(work, reply));
                Disposition::Reuse
            }
            Ok(Err(Failure { error, statement })) => {
                counters.errors.add();
                let disposition = disposition_after(&error);
                let failure = Failure { error: explain_interrupt(interrupted, error), statement };
                self.shared.metrics.failed(&failure.error);
                work.fail(reply, failure);
                disposition
            }
            Err(panic) => {
                counters.panics.add();
                self.shared.metrics.failed(&panic);
                work.fail(reply, panic.into());
                Disposition::Discard
            }
        }
    }

    fn run_work(&mut self, work: &Work, policy: Policy, unclassified: bool) -> Result<Done, Failure> {
        match work {
            Work::Query(request) if unclassified && self.belongs_on_a_reader(request)? => Ok(Done::NeedsReader),
            Work::Query(request) => self.run_query(request, policy).map_err(Failure::from),
            Work::Batch(items) => self.run_batch(items, policy).map(Done::Batch),
            Work::Script(script) => {
                let result = self.run_statements(script, policy);
                self.after_write_of(policy, true)?;
                result.map(|()| Done::Answered(Answered::done())).map_err(Failure::from)
            }
        }
    }

    fn run_statements(&self, script: &Query, policy: Policy) -> Result<(), Stopped> {
        run_script(self.connection, script.sql(), policy, || {
            if policy == Policy::Exclusive { self.shared.after_exclusive(self.connection) } else { Ok(()) }
        })
    }

    /// Classifies a statement, and remembers if it is a read that some reader may run.
    fn belongs_on_a_reader(&mut self, request: &Request) -> Result<bool> {
        let route = self.statements.route_of(&request.query)?;
        let belongs = route == Route::Read && !self.shared.runs_all_on_the_writer();
        if belongs {
            request.query.set_hint(Some(route));
        }
        Ok(belongs)
    }

    fn run_query(&mut self, request: &Request, policy: Policy) -> Result<Done> {
        if policy == Policy::Statement && self.statements.needs_exclusive(request)? {
            return Ok(Done::NeedsExclusive);
        }
        let Written { chunks, answer, class, touched_private_schema } = self.statements.write(request, policy)?;
        self.shared.learn_from_writer(&request.query, class);
        self.after_write_of(policy, touched_private_schema)?;
        Ok(Done::Answered(Answered::new(chunks, answer)))
    }

    /// A write that was long in a group runs alone until it was short, its commit included.
    fn learn_duration(&self, work: &Work, began: Instant) {
        let (Work::Query(request), Some(limits)) = (work, self.shared.group_limits()) else { return };
        if request.query.writes_long() {
            request.query.set_writes_long(began.elapsed() > limits.time);
        }
    }

    /// Looks at what the job may have changed beside rows, before it is answered.
    pub(super) fn after_write_of(&mut self, policy: Policy, touched: bool) -> Result<()> {
        if policy == Policy::Exclusive {
            self.shared.after_exclusive(self.connection)?;
        }
        let was_pinned = self.shared.is_pinned();
        self.shared.after_write(self.connection, touched || self.private_schema)?;
        self.private_schema |= touched && (was_pinned || self.shared.is_pinned());
        Ok(())
    }
}

impl<'a> Side<'a> for Writer<'a> {
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
        Some(&mut self.session_transaction)
    }

    fn run_statement(&mut self, request: &Request, policy: Policy, _reply: &Reply) -> Result<Answered> {
        if policy == Policy::Reader {
            self.statements.expect_read(request)?;
        }
        let _writing = self.shared.activity.begin_writing();
        let Written { chunks, answer, class, touched_private_schema } = self.statements.write(request, policy)?;
        self.shared.learn_from_writer(&request.query, class);
        self.after_write_of(policy, touched_private_schema)?;
        self.shared.counters.writes.add();
        Ok(Answered::new(chunks, answer))
    }

    fn run_script(&mut self, script: &Query, policy: Policy) -> Result<(), Stopped> {
        if policy == Policy::Reader {
            return Err(Error::new(ErrorCode::NotAuthorized, "a read session runs no scripts").into());
        }
        let _writing = self.shared.activity.begin_writing();
        let result = self.run_statements(script, policy);
        self.after_write_of(policy, true)?;
        result
    }

    fn after_write(&mut self, policy: Policy) -> Result<()> {
        self.after_write_of(policy, false)
    }

    /// A writer waits for nobody who takes rows; a cursor's are few at a time.
    fn send_rows(&mut self, reply: &Reply, (shape, chunk): Rows) -> bool {
        reply.push(&shape, chunk);
        true
    }
}

/// Answers a batch that was committed: each item, then the whole.
fn answer_batch(work: Work, answers: Vec<Answered>, reply: Reply) {
    match work {
        Work::Query(_) | Work::Script(_) => unreachable!("BUG: the answers of a batch for something else"),
        Work::Batch(items) => {
            let items = items.into_iter().map(|(_, item)| item).zip(answers.into_iter().map(Ok));
            answer_all(items.chain(std::iter::once((reply, Ok(Answered::done())))));
        }
    }
}
