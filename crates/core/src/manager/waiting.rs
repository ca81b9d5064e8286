//! What waits at the gate: a job, or a task that wants a lease.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::calls::Calls;
use super::{Permit, Shared};
use crate::cancel::Cancel;
use crate::control;
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, Mode, ReadKind, Rejection, Request, Ticket, Told, Waiter};
use crate::lease::RawLease;
use crate::session::Wanted;
use crate::worker::Job;

/// A waiter of the gate.
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    wants: Wants,
    /// When it was asked for.
    since: Instant,
}

enum Wants {
    Run(Job),
    /// One after another, each with a permit of its own.
    Calls(Calls),
    Lease(oneshot::Sender<Result<RawLease>>),
    /// The right to proceed on a connection of one's own.
    Permit(oneshot::Sender<Result<Permit>>),
    Session(Box<Wanted>),
}

impl Waiting {
    pub(super) fn job(shared: &Arc<Shared>, job: Job, since: Instant) -> Self {
        Self { shared: Arc::clone(shared), wants: Wants::Run(job), since }
    }

    pub(crate) fn calls(shared: &Arc<Shared>, calls: Calls, since: Instant) -> Self {
        Self { shared: Arc::clone(shared), wants: Wants::Calls(calls), since }
    }

    /// The calls that others like them may join.
    pub(super) fn calls_mut(&mut self) -> Option<&mut Calls> {
        match &mut self.wants {
            Wants::Calls(calls) => Some(calls),
            Wants::Run(_) | Wants::Lease(_) | Wants::Permit(_) | Wants::Session(_) => None,
        }
    }

    /// Whether it is for calls that are expected to run short.
    pub(crate) fn runs_short(&self) -> bool {
        match &self.wants {
            Wants::Calls(calls) => calls.query().runs_short(),
            Wants::Run(_) | Wants::Lease(_) | Wants::Permit(_) | Wants::Session(_) => false,
        }
    }

    /// When it was asked for.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Hands the permit over to whoever waits. Returns it when nobody does any more.
    pub(crate) fn admit(self, permit: Permit) -> Option<Permit> {
        self.admitted(permit)
    }

    /// Answers that it does not get what it waits for.
    pub(crate) fn fail(self, error: Error) {
        match self.wants {
            Wants::Run(job) => job.fail(error),
            Wants::Calls(mut calls) => {
                while let Some(job) = calls.next() {
                    job.fail(error.clone());
                }
            }
            Wants::Session(wanted) => wanted.reject(&error),
            Wants::Lease(sender) => drop(sender.send(Err(error))),
            Wants::Permit(sender) => drop(sender.send(Err(error))),
        }
    }

    /// Takes several calls out, to run them on the connection that is at hand.
    ///
    /// # Errors
    /// The waiter itself, when it is for one.
    #[expect(clippy::result_large_err, reason = "what is not several calls is given back whole")]
    pub(crate) fn into_calls(self) -> Result<Calls, Self> {
        let Self { shared, wants, since } = self;
        match wants {
            Wants::Calls(calls) if calls.count() > 1 => Ok(calls),
            wants @ (Wants::Calls(_) | Wants::Run(_) | Wants::Lease(_) | Wants::Permit(_) | Wants::Session(_)) => {
                Err(Self { shared, wants, since })
            }
        }
    }

    /// Takes the job out, to run it on the connection that is at hand.
    ///
    /// # Errors
    /// The waiter itself, when it wants a lease.
    #[expect(clippy::result_large_err, reason = "what is no job is given back whole")]
    pub(crate) fn into_job(self) -> Result<Job, Self> {
        let Self { shared, wants, since } = self;
        match wants {
            Wants::Run(job) => Ok(job),
            Wants::Calls(calls) => Ok(calls.last()),
            wants @ (Wants::Lease(_) | Wants::Permit(_) | Wants::Session(_)) => Err(Self { shared, wants, since }),
        }
    }
}

impl Waiting {
    /// Goes on with the permit. Returns it when nobody wants it any more.
    fn proceed(self, permit: Permit) -> Option<Permit> {
        let Self { shared, wants, since } = self;
        match wants {
            Wants::Run(job) => {
                shared.dispatch(job, permit, since);
                None
            }
            Wants::Calls(calls) => {
                shared.dispatch(calls.last(), permit, since);
                None
            }
            Wants::Session(wanted) => {
                wanted.admit(permit, since);
                None
            }
            Wants::Lease(sender) if sender.is_closed() => Some(permit),
            Wants::Permit(sender) => sender.send(Ok(permit)).err().and_then(Result::ok),
            Wants::Lease(sender) => {
                // A receiver that has gone meanwhile drops the lease, which hands everything back.
                drop(sender.send(shared.equip(permit)));
                None
            }
        }
    }
}

impl Waiter for Waiting {
    fn admitted(self, permit: Permit) -> Option<Permit> {
        self.shared.metrics.waited(permit.class(), self.since.elapsed());
        self.proceed(permit)
    }

    fn rejected(self, reason: Rejection) {
        let error = self.shared.rejection(reason);
        self.shared.metrics.failed(&error);
        self.fail(error);
    }

    fn requests(&self) -> usize {
        match &self.wants {
            Wants::Calls(calls) => calls.count(),
            Wants::Run(_) | Wants::Lease(_) | Wants::Permit(_) | Wants::Session(_) => 1,
        }
    }

    fn take_first(&mut self, count: usize) -> Option<Self> {
        match &mut self.wants {
            Wants::Calls(calls) => {
                let first = calls.take_first(count)?;
                Some(Self::calls(&self.shared, first, self.since))
            }
            Wants::Run(_) | Wants::Lease(_) | Wants::Permit(_) | Wants::Session(_) => None,
        }
    }
}

/// Calls that a permit was passed on to, all but the first ahead of their turns.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// The ticket of the first of them.
    pub(crate) first: Ticket,
    pub(crate) count: usize,
    pub(crate) queued_at: Instant,
    /// When they were asked for.
    pub(crate) since: Instant,
}

impl Ahead {
    /// How many are ahead of their turns.
    pub(crate) fn ahead(&self) -> usize {
        self.count - 1
    }

    /// The ticket of the first of those that are left.
    fn first_of(&self, left: &Calls) -> Ticket {
        self.first.after(self.count - left.count())
    }
}

/// Waits for a permit and the connection that goes with it.
pub(crate) async fn lease(shared: &Arc<Shared>, class: Class) -> Result<RawLease> {
    wait_for(shared, class, Wants::Lease).await
}

/// Waits for a permit alone.
pub(crate) async fn permit(shared: &Arc<Shared>, class: Class) -> Result<Permit> {
    wait_for(shared, class, Wants::Permit).await
}

async fn wait_for<T>(
    shared: &Arc<Shared>,
    class: Class,
    wants: impl FnOnce(oneshot::Sender<Result<T>>) -> Wants,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    let since = Instant::now();
    let waiting = Waiting { shared: Arc::clone(shared), wants: wants(sender), since };
    let request = shared.gate.request(class, waiting, since);
    let _cancel = shared.settle_request(request).map(|ticket| CancelOnDrop { shared, ticket });
    let granted = receiver.await.unwrap_or_else(|_| Err(shared.rejection(Rejection::Closed)))?;
    if class == Class::Exclusive {
        shared.metrics.switched(shared.location(), Mode::Write, since.elapsed());
    }
    Ok(granted)
}

/// Takes a request out of the queue when its future is dropped. Once admitted it is not there any more.
struct CancelOnDrop<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        drop(self.shared.gate.cancel(self.ticket));
    }
}

impl Shared {
    /// Acts on the gate's answer. Returns the ticket when the waiter is queued.
    pub(super) fn settle_request(self: &Arc<Self>, request: Request<Waiting>) -> Option<Ticket> {
        match request {
            Request::Admitted(waiting, permit) => {
                drop(waiting.proceed(permit));
                None
            }
            Request::Queued { ticket, first } => {
                if first {
                    self.queue_timer.arm(self);
                }
                Some(ticket)
            }
            Request::Rejected(waiting, reason) => {
                waiting.rejected(reason);
                None
            }
        }
    }

    /// Acts on the gate's answer, and lets `cancel` find the waiter while it is queued.
    pub(super) fn settle_cancellable(self: &Arc<Self>, request: Request<Waiting>, cancel: Option<&Arc<Cancel>>) {
        let ticket = self.settle_request(request);
        if let (Some(ticket), Some(cancel)) = (ticket, cancel)
            && let Err(reason) = cancel.queued(self, ticket)
        {
            self.withdraw(ticket, reason.to_error());
        }
    }

    /// Asks for the permit of a session. `cancel` finds it while it is queued.
    pub(crate) fn request_session(self: &Arc<Self>, class: Class, wanted: Wanted, cancel: &Arc<Cancel>) {
        let since = Instant::now();
        let waiting = Waiting { shared: Arc::clone(self), wants: Wants::Session(Box::new(wanted)), since };
        let request = self.gate.request(class, waiting, since);
        self.settle_cancellable(request, Some(cancel));
    }

    /// Takes a request out of the queue and fails it, if it is still there.
    pub(crate) fn withdraw(&self, ticket: Ticket, error: Error) {
        if let Some(waiting) = self.gate.cancel(ticket) {
            self.metrics.failed(&error);
            waiting.fail(error);
        }
    }

    /// Puts those of the calls back to which `permit` was passed on ahead of their turns that have not used it: they wait again where they waited.
    pub(crate) fn put_back(self: &Arc<Self>, permit: &mut Permit, passed: &Ahead, left: Option<Calls>) {
        let Some(calls) = left else { return permit.used() };
        let first = passed.first_of(&calls);
        let back = permit.put_back(first, Waiting::calls(self, calls, passed.since), passed.queued_at);
        self.are_put_back(back);
    }

    /// The same of reads, which wait for short ones from here on; for whoever does not have the permit.
    pub(crate) fn put_back_reads(self: &Arc<Self>, passed: &Ahead, calls: Calls) {
        let (first, left) = (passed.first_of(&calls), calls.count());
        self.gate.used(passed.ahead() - left);
        if left > 0 {
            let waiting = Waiting::calls(self, calls, passed.since);
            let back = self.gate.put_back_reads(ReadKind::Short, first, waiting, passed.queued_at);
            self.are_put_back(back);
        }
    }

    /// Says of a permit of a quick read that the read is slow, for whoever does not have that permit. Whoever runs now is told when what is
    /// returned is dropped.
    pub(crate) fn slow_down(&self) -> Told<Waiting> {
        self.gate.slow_down()
    }

    fn are_put_back(self: &Arc<Self>, back: std::result::Result<bool, Waiting>) {
        match back {
            // The timer knows only of those behind it.
            Ok(true) => self.queue_timer.look_again(self),
            Ok(false) => {}
            Err(mut waiting) => {
                while let Some(first) = waiting.take_first(1) {
                    first.rejected(Rejection::Closed);
                }
                waiting.rejected(Rejection::Closed);
            }
        }
    }

    fn dispatch(self: &Arc<Self>, job: Job, permit: Permit, since: Instant) {
        match permit.class() {
            Class::Read(_) => self.run_on_a_reader(job, permit),
            Class::Write => self.run_on_the_writer(job, permit),
            Class::Exclusive => {
                let shared = Arc::clone(self);
                control::spawn(async move {
                    shared.close_readers().await;
                    shared.metrics.switched(&shared.location, Mode::Write, since.elapsed());
                    shared.run_on_the_writer(job, permit);
                });
            }
        }
    }

    /// Gives an admitted lease its connection.
    pub(crate) fn equip(self: &Arc<Self>, permit: Permit) -> Result<RawLease> {
        let worker = match permit.class() {
            Class::Read(_) => self.lease_reader()?,
            Class::Write | Class::Exclusive => Arc::clone(&self.writer),
        };
        Ok(RawLease::new(Arc::clone(self), worker, permit))
    }

    fn rejection(&self, reason: Rejection) -> Error {
        match reason {
            Rejection::Closed => closed(),
            Rejection::Overloaded => {
                let limit = self.options.max_queued;
                Error::new(ErrorCode::Overloaded, format!("{limit} calls are queued already (maxQueued)"))
            }
            Rejection::TimedOut => Error::new(ErrorCode::AcquireTimeout, self.timeout_message()),
        }
    }

    fn timeout_message(&self) -> String {
        let waited = self.options.acquire_timeout.as_millis();
        let status = self.status();
        let holder = match (status.writer.holder, status.writer.active) {
            (Some(holder), _) => {
                format!("; the writer has been held for {} ms by \"{}\"", holder.elapsed.as_millis(), holder.sql)
            }
            (None, true) => "; a lease holds the writer and runs nothing".to_owned(),
            (None, false) => String::new(),
        };
        let (active, queued) = (status.readers.active, status.queued);
        format!("no turn within acquireTimeoutMs ({waited}): {active} readers active, {queued} calls queued{holder}")
    }
}

/// The error of everything that comes after `close`.
pub(crate) fn closed() -> Error {
    Error::new(ErrorCode::Closed, "the database is closed")
}
