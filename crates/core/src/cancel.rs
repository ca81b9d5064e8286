//! Stopping one call and no other: <https://sqlite.org/c3ref/interrupt.html>.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use crate::error::{Error, ErrorCode};
use crate::gate::Ticket;
use crate::manager::Shared;
use crate::session::Private;
use crate::worker::Worker;

/// Why a call is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Its caller gave it up.
    Aborted,
    /// It took longer than its caller allows.
    TimedOut,
    /// Its handle was closed.
    Closed,
}

impl CancelReason {
    /// Returns the error of a call that was stopped for this reason.
    #[must_use]
    pub fn to_error(self) -> Error {
        match self {
            Self::Aborted => Error::new(ErrorCode::Aborted, "the call was aborted"),
            Self::TimedOut => Error::new(ErrorCode::Timeout, "the call took longer than its timeoutMs"),
            Self::Closed => Error::new(ErrorCode::Closed, "the handle has been closed"),
        }
    }
}

/// The means to stop one call: wherever it is on its way, and only once.
///
/// While it is queued it leaves the queue without a trace. While it runs it is interrupted, under a lock that its worker takes
/// before it goes on to anything else: so no other call is hit. A call that has run to its end, but is not answered yet, is
/// answered as if nothing had happened.
#[derive(Debug, Default)]
pub struct Cancel {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reason: Option<CancelReason>,
    at: Whereabouts,
}

/// Where a call is on its way.
#[derive(Debug, Default)]
enum Whereabouts {
    /// Between two of the others: whoever has it looks before going on.
    #[default]
    OnItsWay,
    /// At the gate.
    Queued(Arc<Shared>, Ticket),
    /// On a private handle, behind a call that may begin or end its transaction.
    Held(Weak<Private>),
    /// In the queue of the worker that its session has leased.
    Sent(Arc<Worker>),
    /// On a connection.
    Running(Arc<Worker>),
    /// On a connection, and what it writes is part of a transaction: to stop it undoes all of that.
    Writing(Arc<Worker>),
    /// It has run: too late.
    Done,
}

impl Cancel {
    /// Makes the means to stop one call, which is given along with it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Stops the call, if it has not run to its end. Does nothing a second time.
    pub fn cancel(self: &Arc<Self>, reason: CancelReason) {
        self.stop(self.state.lock(), reason);
    }

    /// Stops the call as [`Cancel::cancel`] does, unless that would undo what others have written: nobody wants its rows any more.
    pub(crate) fn give_up(self: &Arc<Self>) {
        let state = self.state.lock();
        if !matches!(state.at, Whereabouts::Writing(_)) {
            self.stop(state, CancelReason::Aborted);
        }
    }

    fn stop(self: &Arc<Self>, mut state: MutexGuard<'_, State>, reason: CancelReason) {
        if state.reason.is_some() {
            return;
        }
        state.reason = Some(reason);
        match &state.at {
            Whereabouts::OnItsWay | Whereabouts::Done => {}
            // The lock is held on purpose: the worker cannot leave the job while it is being interrupted.
            Whereabouts::Running(worker) | Whereabouts::Writing(worker) => worker.interrupt(),
            Whereabouts::Queued(shared, ticket) => {
                let (shared, ticket) = (Arc::clone(shared), *ticket);
                drop(state);
                shared.withdraw(ticket, reason.to_error());
            }
            Whereabouts::Held(private) => {
                let private = private.upgrade();
                drop(state);
                if let Some(private) = private {
                    private.withdraw(self, &reason.to_error());
                }
            }
            Whereabouts::Sent(worker) => {
                let worker = Arc::clone(worker);
                drop(state);
                worker.withdraw(self, &reason.to_error());
            }
        }
    }

    /// Notes that the call waits at the gate. Returns why it must not, if it was stopped meanwhile.
    pub(crate) fn queued(&self, shared: &Arc<Shared>, ticket: Ticket) -> Result<(), CancelReason> {
        let mut state = self.live()?;
        // Whoever was admitted already is on a worker, and there it stays.
        if matches!(state.at, Whereabouts::OnItsWay) {
            state.at = Whereabouts::Queued(Arc::clone(shared), ticket);
        }
        Ok(())
    }

    /// Notes that the call waits behind another one of its private handle. Returns why it must not, if it was stopped meanwhile.
    pub(crate) fn held(&self, private: &Arc<Private>) -> Result<(), CancelReason> {
        self.live()?.at = Whereabouts::Held(Arc::downgrade(private));
        Ok(())
    }

    /// Notes that the call is about to be sent to the worker of its session.
    pub(crate) fn sent(&self, worker: &Arc<Worker>) -> Result<(), CancelReason> {
        self.live()?.at = Whereabouts::Sent(Arc::clone(worker));
        Ok(())
    }

    /// Notes that a worker runs the call, until [`Cancel::ran`] or [`Cancel::paused`].
    pub(crate) fn running(&self, worker: &Arc<Worker>) -> Result<(), CancelReason> {
        self.live()?.at = Whereabouts::Running(Arc::clone(worker));
        Ok(())
    }

    /// Notes that the call, which a worker runs, is about to write within a transaction.
    pub(crate) fn writing(&self, worker: &Arc<Worker>) -> Result<(), CancelReason> {
        self.live()?.at = Whereabouts::Writing(Arc::clone(worker));
        Ok(())
    }

    /// Notes that the call has run to its end, and cannot be stopped any more. Returns whether it was interrupted before.
    pub(crate) fn ran(&self) -> Option<CancelReason> {
        let mut state = self.state.lock();
        state.at = Whereabouts::Done;
        state.reason
    }

    /// Notes that the call is on its way again: it was run, and what it did is undone; or it has waited, and goes on.
    pub(crate) fn paused(&self) {
        self.state.lock().at = Whereabouts::OnItsWay;
    }

    fn live(&self) -> Result<MutexGuard<'_, State>, CancelReason> {
        let state = self.state.lock();
        match state.reason {
            Some(reason) => Err(reason),
            None => Ok(state),
        }
    }
}
