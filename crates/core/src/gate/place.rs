//! A position among the writes for a statement that is still being classified.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::{Gate, Rejection, Request, Ticket, Waiter};

/// A position among the writes. It holds back later writes, never a read, and counts as queued, not as a waiting writer.
///
/// Dropping it withdraws it: the statement was a read, or nobody wants it any more. Once the statement was admitted as a write,
/// the place is void, and its drop does nothing.
pub struct Place<W: Waiter> {
    gate: Arc<Gate<W>>,
    /// Taken by [`Place::confirm`], after which there is nothing to withdraw.
    standing: Option<Arc<OnceLock<Standing>>>,
}

/// What became of the request for a place. Set once: by the gate, or by the drop of the place if that is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Queued {
        ticket: Ticket,
        queued_at: Instant,
    },
    Refused(Rejection),
    /// The statement was admitted as a write at once. One that was queued before keeps its ticket, which names nothing then.
    Void,
    Dropped,
}

impl<W: Waiter> Place<W> {
    /// Makes a place that stands nowhere yet, so that it can be put into a waiter before the gate is locked.
    pub(super) fn new(gate: &Arc<Gate<W>>) -> (Self, Arc<OnceLock<Standing>>) {
        let standing = Arc::new(OnceLock::new());
        (Self { gate: Arc::clone(gate), standing: Some(Arc::clone(&standing)) }, standing)
    }

    /// Turns the place into a write request that waits, or runs, at its position.
    ///
    /// Never overloaded if the place was queued; rejected as closed if the gate closed since.
    ///
    /// # Panics
    /// If the request for the place has not been answered yet, or was admitted as a write.
    pub fn confirm(mut self, waiter: W) -> Request<W> {
        let standing = self.standing.take().expect("BUG: a place is confirmed once, because that consumes it");
        match standing.get() {
            Some(Standing::Queued { ticket, queued_at }) => self.gate.confirm(*ticket, waiter, *queued_at),
            Some(Standing::Refused(rejection)) => Request::Rejected(waiter, *rejection),
            Some(Standing::Void) => panic!("BUG: I4 a place is confirmed whose statement was admitted as a write"),
            Some(Standing::Dropped) | None => panic!("BUG: a place is confirmed before it is taken"),
        }
    }
}

impl<W: Waiter> Drop for Place<W> {
    fn drop(&mut self) {
        let Some(standing) = self.standing.take() else { return };
        // If this is first, the gate sees it when it takes the place, and takes it back.
        if standing.set(Standing::Dropped).is_ok() {
            return;
        }
        match standing.get() {
            Some(Standing::Queued { ticket, .. }) => self.gate.cancel_place(*ticket),
            Some(Standing::Refused(_) | Standing::Void | Standing::Dropped) | None => {}
        }
    }
}

impl<W: Waiter> fmt::Debug for Place<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = self.standing.as_ref().and_then(|standing| standing.get());
        f.debug_struct("Place").field("standing", &standing).finish_non_exhaustive()
    }
}
