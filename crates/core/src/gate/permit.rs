//! The right to proceed, and how it goes from one waiter to the next.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::waiters::Waiting;
use super::{Class, Gate, Ticket, Waiter};

/// A waiter that got the permit of the one before it.
pub struct Passed<W: Waiter> {
    /// Who has the permit now.
    pub waiter: W,
    /// The permit.
    pub permit: Permit<W>,
    /// The ticket it waited under: that of the first, if it stands for several requests.
    pub ticket: Ticket,
    /// When its wait began.
    pub queued_at: Instant,
    /// Greater than every ticket that was queued before the permit was passed on.
    pub horizon: Ticket,
}

/// The right to proceed. Dropping it is the release, on whichever thread that happens.
#[must_use = "an unused permit is released at once"]
pub struct Permit<W: Waiter> {
    gate: Arc<Gate<W>>,
    class: Class,
}

impl<W: Waiter> Permit<W> {
    pub(super) fn new(gate: Arc<Gate<W>>, class: Class) -> Self {
        Self { gate, class }
    }

    /// Returns the gate that it is of.
    pub(super) fn gate(&self) -> &Arc<Gate<W>> {
        &self.gate
    }

    /// Returns what the permit allows.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Returns whether [`Permit::pass_on`] would find somebody now, for a write permit. A hint: whoever waits may leave.
    #[must_use]
    pub fn has_heir(&self) -> bool {
        match self.class {
            Class::Read(_) | Class::Exclusive => false,
            Class::Write => self.gate.state.lock().admission.has_heir_of_write(),
        }
    }

    /// Passes the permit on to the waiter that its release would admit, if that one asked for the same class. Otherwise the
    /// permit comes back.
    ///
    /// Whoever serves one request after another on the same connection saves the way through the queue of that connection.
    ///
    /// # Errors
    /// The permit itself.
    pub fn pass_on(self) -> Result<Passed<W>, Self> {
        let mut state = self.gate.state.lock();
        let Some(ticket) = state.admission.on_pass(self.class) else {
            drop(state);
            return Err(self);
        };
        let passed = state.take_passed(ticket, 1);
        drop(state);
        Ok(passed(self))
    }

    /// Passes a write permit on as [`Permit::pass_on`]; but where the next waiter stands for several requests, to as many of them as
    /// `limit`, ahead of the turns of all but the first. Where modes alternate it is passed to one: a reader may come after each.
    ///
    /// Each uses the permit in its turn, with no way to the gate between them. Those that do not come to that have to be put back
    /// ([`Permit::put_back`]) before anything else is done with the permit. Until then, or until it is known that all have used it
    /// ([`Permit::used`]), they keep their room in the queue.
    ///
    /// # Errors
    /// The permit itself.
    ///
    /// # Panics
    /// If it is no write permit.
    pub fn pass_on_ahead(self, limit: usize) -> Result<Passed<W>, Self> {
        assert!(self.class == Class::Write, "BUG: I4 a permit is passed on ahead that is none to write");
        let mut state = self.gate.state.lock();
        let Some(ticket) = state.admission.on_pass(self.class) else {
            drop(state);
            return Err(self);
        };
        let wanted = state.waiting.requests(ticket).min(limit);
        let count = 1 + (1..wanted).take_while(|_| state.admission.on_pass_ahead()).count();
        let passed = state.take_passed(ticket, count);
        drop(state);
        Ok(passed(self))
    }

    /// Tells that all have used the permit that it was passed on to ahead of their turns. To pass it on or to release it tells so too.
    pub fn used(&self) {
        self.gate.state.lock().admission.on_put_back(&[]);
    }

    /// Puts the last of those requests back that the permit was passed on to ahead of their turns: they wait again where they waited.
    /// `first` is the ticket of the first of them all, after which `used` have had the permit. Returns whether nobody is queued for
    /// longer, as in [`Request::Queued`](super::Request::Queued).
    ///
    /// # Errors
    /// The waiter itself, when the gate was closed meanwhile.
    ///
    /// # Panics
    /// If the permit was not passed on to them ahead of their turns.
    pub fn put_back(&self, first: Ticket, used: usize, waiter: W, queued_at: Instant) -> Result<bool, W> {
        let begin = first.0 + used as u64;
        let tickets: Vec<_> = (begin..begin + waiter.requests() as u64).map(Ticket).collect();
        let mut state = self.gate.state.lock();
        if !state.admission.on_put_back(&tickets) {
            drop(state);
            return Err(waiter);
        }
        Ok(state.waiting.insert(Ticket(begin), Waiting { waiter, queued_at }))
    }
}

impl<W: Waiter> Drop for Permit<W> {
    fn drop(&mut self) {
        self.gate.release(self.class);
    }
}

impl<W: Waiter> fmt::Debug for Permit<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("class", &self.class).finish_non_exhaustive()
    }
}
