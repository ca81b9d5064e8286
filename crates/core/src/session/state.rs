//! What a session is at a moment: waiting, active, or ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::asked::{Asked, What, stand_in};
use super::wanted::Wanted;
use super::{SessionKind, SessionLimits};
use crate::cancel::{Cancel, CancelReason};
use crate::completion::{Delivery, Reply, Sink};
use crate::error::{Error, ErrorCode, Result};
use crate::gate::{Class, ReadKind};
use crate::lease::RawLease;
use crate::manager::{Manager, Permit, Shared};
use crate::query::{Query, Request};
use crate::worker::Message;

/// How long after a commit that was under way a session's limits are looked at again: the commit may have failed.
const COMMITTING: Duration = Duration::from_secs(1);

/// The state that a session's holder, its worker and the control plane share.
#[derive(Debug)]
pub(crate) struct SessionState {
    pub(super) shared: Arc<Shared>,
    pub(crate) kind: SessionKind,
    /// The number of the handle that began it.
    pub(super) handle: u64,
    /// What stands for it while it runs nothing.
    at_rest: Arc<Query>,
    pub(super) limits: SessionLimits,
    /// Stops the beginning.
    pub(super) cancel: Arc<Cancel>,
    /// A read that must see writes which are under way.
    behind_writes: bool,
    cursors: AtomicU32,
    phase: Mutex<Phase>,
}

#[derive(Debug)]
enum Phase {
    /// At the gate.
    Waiting,
    Active(Active),
    /// With what late calls are told.
    Ended(Error),
}

/// A session that has its connection.
#[derive(Debug)]
struct Active {
    lease: RawLease,
    transaction: Transaction,
    pending: u32,
    began: Instant,
    idle_since: Instant,
    /// Why it is to end as soon as the commit under way has failed.
    ends_with: Option<Error>,
    /// Who is told of the end.
    ended: Option<Reply>,
}

/// What has become of the transaction that the driver began.
#[derive(Debug)]
pub(crate) enum Transaction {
    None,
    Open,
    /// The commit is under way: no limit reaches it any more.
    Committing,
    /// SQLite rolled it back by itself; with what every later call is told.
    Aborted(Error),
}

/// Keeps a session from being idle.
#[derive(Debug)]
pub(crate) struct Pending(Arc<SessionState>);

impl Drop for Pending {
    fn drop(&mut self) {
        match &mut *self.0.phase.lock() {
            Phase::Active(active) => {
                active.pending = active.pending.checked_sub(1).expect("BUG: I5 a call of a session ended twice");
                active.idle_since = Instant::now();
            }
            Phase::Waiting | Phase::Ended(_) => {}
        }
    }
}

impl SessionState {
    pub(super) fn new(
        manager: &Manager,
        kind: SessionKind,
        limits: SessionLimits,
        cancel: Arc<Cancel>,
        behind_writes: bool,
    ) -> Self {
        Self {
            shared: Arc::clone(manager.shared()),
            kind,
            handle: manager.handle_id(),
            at_rest: Arc::clone(stand_in(kind)),
            limits,
            cancel,
            behind_writes,
            cursors: AtomicU32::new(super::cursor::OWN + 1),
            phase: Mutex::new(Phase::Waiting),
        }
    }

    /// Makes one that a cursor on `request` has for itself.
    pub(super) fn of_cursor(manager: &Manager, request: &Request, limits: SessionLimits, cancel: Arc<Cancel>) -> Self {
        let at_rest = Arc::clone(&request.query);
        Self { at_rest, ..Self::new(manager, SessionKind::Read(request.scope), limits, cancel, false) }
    }

    /// Waits for the connection, and asks it for `first`.
    pub(super) fn request(self: &Arc<Self>, first: What, reply: Reply, ended: Option<Reply>) {
        Wanted::new(self, first, reply, ended).request(self.class());
    }

    fn class(&self) -> Class {
        match self.kind {
            // Where readers would not see what the writer sees or is about to do, or there are none.
            SessionKind::Read(_) if self.behind_writes || self.shared.runs_all_on_the_writer() => Class::Write,
            SessionKind::Read(_) => Class::Read(ReadKind::Session),
            SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Private => Class::Write,
            SessionKind::Exclusive => Class::Exclusive,
        }
    }

    /// Whether the writes that a read has to see are done, with its turn to write: it goes on to a reader then. On the writer it would hold
    /// up every write, and, where reads and writes take turns, also the reads that are made in its callback.
    pub(super) fn has_waited_for_writes(&self, permit: &Permit) -> bool {
        self.behind_writes && permit.class() == Class::Write && !self.shared.runs_all_on_the_writer()
    }

    /// Takes the connection that came, and asks it for what was wanted first.
    pub(super) fn activate(self: &Arc<Self>, permit: Permit, first: What, reply: Reply, ended: Option<Reply>) {
        let lease = match self.shared.equip(permit) {
            Ok(lease) => lease,
            Err(error) => return self.fail_to_begin(reply, ended, &error),
        };
        let now = Instant::now();
        let (worker, transaction) = (Arc::clone(lease.worker()), Transaction::None);
        let asked = {
            let mut phase = self.phase.lock();
            match &*phase {
                Phase::Waiting => {}
                Phase::Active(_) => unreachable!("BUG: I1 a session is admitted twice"),
                Phase::Ended(error) => {
                    let error = error.clone();
                    drop(phase);
                    drop(lease);
                    return self.fail_to_begin(reply, ended, &error);
                }
            }
            *phase = Phase::Active(Active {
                lease,
                transaction,
                pending: 1,
                began: now,
                idle_since: now,
                ends_with: None,
                ended,
            });
            let (session, cancel) = (Arc::clone(self), Some(Arc::clone(&self.cancel)));
            Asked { session, what: first, reply, cancel, pending: Pending(Arc::clone(self)) }
        };
        self.shared.sessions.register(self);
        self.shared.counters.sessions.add();
        self.send(&worker, asked);
    }

    pub(super) fn fail_to_begin(&self, reply: Reply, ended: Option<Reply>, error: &Error) {
        *self.phase.lock() = Phase::Ended(error.clone());
        reply.fail(error.clone());
        if let Some(ended) = ended {
            ended.fail(error.clone());
        }
    }

    fn send(&self, worker: &crate::worker::Worker, asked: Asked) {
        if let Err(Message::Asked(asked)) = worker.send(Message::Asked(Box::new(asked))) {
            asked.fail_for_good(self.shared.lost_or_closed());
        }
    }

    /// Asks the connection for something, after what was asked before.
    pub(super) fn ask(self: &Arc<Self>, what: What, cancel: Option<Arc<Cancel>>, reply: Reply) {
        let mut phase = self.phase.lock();
        let error = match &mut *phase {
            Phase::Active(active) => {
                active.pending += 1;
                let worker = Arc::clone(active.lease.worker());
                // In the order of the calls, so that it is sent before anyone else gets at the session.
                let asked =
                    Asked { session: Arc::clone(self), what, reply, cancel, pending: Pending(Arc::clone(self)) };
                let stopped = asked.cancel.as_ref().and_then(|cancel| cancel.sent(&worker).err());
                let sent = match stopped {
                    Some(reason) => Err((asked, reason.to_error())),
                    None => match worker.send(Message::Asked(Box::new(asked))) {
                        Err(Message::Asked(asked)) => Err((*asked, self.shared.lost_or_closed())),
                        Ok(()) | Err(_) => Ok(()),
                    },
                };
                drop(phase);
                if let Err((asked, error)) = sent {
                    asked.fail(error);
                }
                return;
            }
            Phase::Waiting => Error::new(ErrorCode::TxClosed, "the session has not begun"),
            Phase::Ended(error) => error.clone(),
        };
        drop(phase);
        self.shared.metrics.failed(&error);
        reply.fail(error);
    }

    /// Makes the duty to answer a call of `query`.
    pub(super) fn reply(&self, sink: Arc<dyn Sink>, call: u32, query: &Arc<Query>, timed: bool) -> Reply {
        Reply::watched(sink, call, query, timed, self.shared.location())
    }

    pub(super) fn next_cursor(&self) -> u32 {
        self.cursors.fetch_add(1, Ordering::Relaxed)
    }

    /// Closes a cursor, if the session still has its connection.
    pub(super) fn close_cursor(&self, cursor: u32) {
        if let Phase::Active(active) = &*self.phase.lock() {
            drop(active.lease.worker().send(Message::CloseCursor(cursor)));
        }
    }

    /// Returns since when it has its connection. Asked by its worker before each thing.
    ///
    /// # Errors
    /// Why nothing may run in it.
    pub(crate) fn expect_active(&self) -> Result<Instant> {
        match &*self.phase.lock() {
            Phase::Active(active) => Ok(active.began),
            Phase::Waiting => unreachable!("BUG: a session runs something before it is admitted"),
            Phase::Ended(error) => Err(error.clone()),
        }
    }

    /// What stands for the session while it runs nothing, and since when it has its connection.
    pub(crate) fn at_rest(&self) -> Option<(&Arc<Query>, Instant)> {
        match &*self.phase.lock() {
            Phase::Active(active) => Some((&self.at_rest, active.began)),
            Phase::Waiting | Phase::Ended(_) => None,
        }
    }

    /// Takes note that the commit under way has succeeded. Returns why the session ends now, if it was to end meanwhile.
    pub(crate) fn committed(&self) -> Option<Error> {
        match &mut *self.phase.lock() {
            Phase::Active(active) => {
                active.transaction = Transaction::None;
                active.ends_with.take()
            }
            Phase::Waiting | Phase::Ended(_) => None,
        }
    }

    /// Takes note that the commit under way has failed. Returns why the session ends now, if it was to end meanwhile.
    pub(crate) fn commit_failed(&self) -> Option<Error> {
        match &mut *self.phase.lock() {
            Phase::Active(active) => {
                active.transaction = Transaction::Open;
                active.ends_with.take()
            }
            Phase::Waiting | Phase::Ended(_) => None,
        }
    }

    /// Returns what late calls are told, once it has ended.
    pub(super) fn told(&self) -> Option<Error> {
        match &*self.phase.lock() {
            Phase::Waiting | Phase::Active(_) => None,
            Phase::Ended(error) => Some(error.clone()),
        }
    }

    /// Looks at the transaction, or changes what is known of it. Returns nothing when the session has ended.
    pub(crate) fn with_transaction<T>(&self, look: impl FnOnce(&mut Transaction) -> T) -> Option<T> {
        match &mut *self.phase.lock() {
            Phase::Active(active) => Some(look(&mut active.transaction)),
            Phase::Waiting | Phase::Ended(_) => None,
        }
    }

    /// Ends the session because its holder said so, or because it could not begin. Called on its worker, when nothing is open.
    pub(crate) fn finish(&self, result: Result<()>) {
        self.finish_after(result, |_| ());
    }

    /// As `finish`, after what `look` does under its permit: whoever is told finds that done.
    pub(crate) fn finish_after(&self, result: Result<()>, look: impl FnOnce(&Permit)) {
        let told = match &result {
            Ok(()) => self.closed(),
            Err(error) => error.clone(),
        };
        let Some(Active { lease, ended, .. }) = self.leave(told) else { return };
        look(lease.permit());
        if let Some(ended) = ended {
            match result {
                Ok(()) => ended.settle(Delivery::Done),
                Err(error) => ended.fail(error),
            }
        }
        drop(lease);
    }

    /// Ends the session with `error`, from anywhere: what it runs is interrupted, what is open is rolled back.
    pub(crate) fn end(&self, error: &Error) {
        let Some(Active { lease, ended, .. }) = self.leave(error.clone()) else { return };
        // The permit is still out, so that whatever runs there is the session's own.
        lease.worker().interrupt_all();
        drop(lease);
        if let Some(ended) = ended {
            ended.fail(error.clone());
        }
    }

    /// Ends the session because a limit is reached.
    pub(super) fn time_out(&self, error: &Error) {
        self.shared.counters.session_timeouts.add();
        self.end(error);
    }

    /// Ends the session because nobody has it any more.
    pub(super) fn give_up(&self) {
        self.give_up_waiting(CancelReason::Aborted);
        let Some(Active { lease, ended, pending, .. }) = self.leave(self.closed()) else { return };
        if pending > 0 {
            lease.worker().interrupt_all();
        }
        drop(lease);
        if let Some(ended) = ended {
            ended.settle(Delivery::Done);
        }
    }

    /// Ends the session of a cursor. Its first call is stopped wherever it is: it may have been passed on.
    pub(super) fn give_up_cursor(&self) {
        self.cancel.cancel(CancelReason::Aborted);
        self.give_up();
    }

    /// Leaves the queue, if it waits there.
    pub(super) fn give_up_waiting(&self, reason: CancelReason) {
        let waiting = matches!(&*self.phase.lock(), Phase::Waiting);
        if waiting {
            self.cancel.cancel(reason);
        }
    }

    /// Takes the connection from the session, unless it is committing or has ended.
    fn leave(&self, told: Error) -> Option<Active> {
        let mut phase = self.phase.lock();
        match &mut *phase {
            Phase::Active(Active { transaction: Transaction::Committing, ends_with, .. }) => {
                ends_with.get_or_insert(told);
                None
            }
            Phase::Ended(_) => None,
            Phase::Waiting | Phase::Active(_) => match std::mem::replace(&mut *phase, Phase::Ended(told)) {
                Phase::Active(active) => Some(active),
                Phase::Waiting | Phase::Ended(_) => None,
            },
        }
    }

    /// The error of a session that its holder's caller stopped.
    pub(super) fn aborted(&self, reason: CancelReason) -> Error {
        match (reason, self.kind) {
            (CancelReason::Aborted | CancelReason::Closed, _) | (CancelReason::TimedOut, SessionKind::Read(_)) => {
                reason.to_error()
            }
            (
                CancelReason::TimedOut,
                SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Exclusive | SessionKind::Private,
            ) => {
                Error::new(ErrorCode::TxTimeout, "the transaction took longer than its timeoutMs, and was rolled back")
            }
        }
    }

    fn closed(&self) -> Error {
        let message = match self.kind {
            SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Private => {
                "the transaction has ended"
            }
            SessionKind::Read(_) => "the read session has ended",
            SessionKind::Exclusive => "the writeMode callback has ended",
        };
        Error::new(ErrorCode::TxClosed, message)
    }

    /// Returns when a limit is reached at the earliest, or with what it has been reached. Nothing when there is none to reach.
    pub(super) fn due(&self, now: Instant) -> Option<Result<Instant>> {
        let phase = self.phase.lock();
        let Phase::Active(active) = &*phase else { return None };
        if matches!(active.transaction, Transaction::Committing) {
            return Some(Ok(now + COMMITTING));
        }
        let total = self.limits.total.and_then(|total| active.began.checked_add(total));
        let idle = self.limits.idle.and_then(|idle| match active.pending {
            0 => active.idle_since.checked_add(idle),
            _ => now.checked_add(idle),
        });
        let due = [total, idle].into_iter().flatten().min()?;
        if due > now {
            return Some(Ok(due));
        }
        let is_total = total.is_some_and(|total| total <= now);
        Some(Err(self.too_long(is_total, active)))
    }

    fn too_long(&self, is_total: bool, active: &Active) -> Error {
        let ran = active.lease.worker().current().filter(|current| !Arc::ptr_eq(&current.query, stand_in(self.kind)));
        let running = ran.map_or_else(String::new, |current| {
            let sql: String = current.query.sql().chars().take(200).collect();
            let what = if Arc::ptr_eq(&current.query, &self.at_rest) { "iterating over" } else { "running" };
            format!("; it was {what} \"{sql}\"")
        });
        let limit = if is_total { self.limits.total } else { self.limits.idle };
        let ms = limit.unwrap_or_default().as_millis();
        let (code, message) = match (self.kind, is_total) {
            (SessionKind::Read(_), _) => (
                ErrorCode::ReadLeaseTimeout,
                format!(
                    "the read was ended after maxReadLeaseMs ({ms}), because it keeps the write-ahead log from being reset"
                ),
            ),
            (
                SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Exclusive | SessionKind::Private,
                true,
            ) => (
                ErrorCode::TxTimeout,
                format!("the transaction lasted longer than transactionTimeoutMs ({ms}), and was rolled back"),
            ),
            (
                SessionKind::Transaction(_) | SessionKind::Unchecked(_) | SessionKind::Exclusive | SessionKind::Private,
                false,
            ) => (
                ErrorCode::TxTimeout,
                format!("the transaction was idle for transactionIdleTimeoutMs ({ms}), and was rolled back"),
            ),
        };
        Error::new(code, format!("{message}{running}"))
    }
}
