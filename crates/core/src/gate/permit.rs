//! The right to proceed, and how it goes from one waiter to the next.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::waiters::Waiting;
use super::{Admitted, Class, Gate, ReadKind, Ticket, Told, Waiter};

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
    /// How many it was passed on to ahead of their turns, of which it is not yet told that they have used it or were put back.
    ahead: usize,
}

impl<W: Waiter> Permit<W> {
    pub(super) fn new(gate: Arc<Gate<W>>, class: Class) -> Self {
        Self { gate, class, ahead: 0 }
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

    /// Passes the permit on to the waiter that its release would admit, if that one asked for the same class, or both are for short or quick reads:
    /// the permit is of the waiter's class then. One of a quick read also goes to a quick read that would wait for others, as
    /// [`Admission::on_pass`](super::Admission::on_pass) says. Otherwise the permit comes back.
    ///
    /// Whoever serves one request after another on the same connection saves the way through the queue of that connection.
    ///
    /// # Errors
    /// The permit itself.
    pub fn pass_on(self) -> Result<Passed<W>, Self> {
        self.pass_on_ahead(|_| 1)
    }

    /// Passes the permit on as [`Permit::pass_on`]; but where the next waiter stands for several requests, to as many of them as `limit` says of
    /// it, ahead of the turns of all but the first. One of short or quick reads goes to no more than the share of one reader of those that wait;
    /// one to write goes to one where modes alternate, because a reader may come after each; and any other goes to one.
    ///
    /// Each uses the permit in its turn, with no way to the gate between them. They keep their room in the queue until it is told that they have
    /// used it ([`Permit::used`]), which to pass it on or to release it tells too, or that they have not ([`Permit::put_back`]).
    ///
    /// `limit` is called under the lock, and must do no more than look.
    ///
    /// # Errors
    /// The permit itself.
    pub fn pass_on_ahead(mut self, limit: impl FnOnce(&W) -> usize) -> Result<Passed<W>, Self> {
        let mut state = self.gate.state.lock();
        state.admission.on_used(std::mem::take(&mut self.ahead));
        let Some(Admitted { ticket, class }) = state.admission.on_pass(self.class) else {
            drop(state);
            return Err(self);
        };
        self.class = class;
        let share = match class {
            Class::Read(kind) => 1 + state.admission.share_of_a_reader(kind),
            Class::Write | Class::Exclusive => usize::MAX,
        };
        let waiter = state.waiting.get(ticket).expect("BUG: I4 a request is admitted whose waiter is gone");
        let wanted = if share > 1 { limit(waiter).min(share).min(waiter.requests()) } else { 1 };
        for next in 1..wanted {
            match state.admission.on_pass_ahead(self.class) {
                Some(ahead) => assert!(ahead == ticket.after(next), "BUG: I3 those that wait as one are parted"),
                None => break,
            }
            self.ahead += 1;
        }
        let passed = state.take_passed(ticket, 1 + self.ahead);
        drop(state);
        Ok(passed(self))
    }

    /// Tells that all have used the permit that it was passed on to ahead of their turns.
    pub fn used(&mut self) {
        if self.ahead > 0 {
            self.gate.used(std::mem::take(&mut self.ahead));
        }
    }

    /// Puts the last of those requests back that the permit was passed on to ahead of their turns: they wait again where they waited, and run at once
    /// where they can. `first` is the ticket of the first of them; those before it have used the permit. Returns whether nobody is queued for
    /// longer, as in [`Request::Queued`](super::Request::Queued).
    ///
    /// # Errors
    /// The waiter itself, when the gate was closed meanwhile.
    ///
    /// # Panics
    /// If the permit was not passed on to them ahead of their turns.
    pub fn put_back(&mut self, first: Ticket, waiter: W, queued_at: Instant) -> Result<bool, W> {
        self.were_settled(waiter.requests());
        let used = std::mem::take(&mut self.ahead);
        self.gate.put_back(self.class, used, first, Waiting { waiter, queued_at })
    }

    /// Says that its quick read takes longer than that: [`Gate::slow_down`]. It is of a short read from here on.
    ///
    /// # Panics
    /// If it was not of a quick read.
    pub fn slow_down(&mut self) -> Told<W> {
        self.was_slowed_down();
        self.gate.slow_down()
    }

    /// Tells that somebody else has said of it that its quick read is slow: [`Gate::slow_down`]. It is of a short read from here on.
    ///
    /// # Panics
    /// If it was not of a quick read.
    pub fn was_slowed_down(&mut self) {
        assert!(self.class == Class::Read(ReadKind::Quick), "BUG: I5 a permit is slow that was not of a quick read");
        self.class = Class::Read(ReadKind::Short);
    }

    /// Tells that somebody else has told the gate of so many of those that the permit was passed on to ahead of their turns: [`Gate::used`],
    /// [`Gate::put_back_reads`].
    ///
    /// # Panics
    /// If it was passed on to fewer.
    pub fn were_settled(&mut self, count: usize) {
        self.ahead = self.ahead.checked_sub(count).expect("BUG: I4 more are settled than were ahead of their turns");
    }
}

impl<W: Waiter> Drop for Permit<W> {
    fn drop(&mut self) {
        self.gate.release(self.class, self.ahead);
    }
}

impl<W: Waiter> fmt::Debug for Permit<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("class", &self.class).finish_non_exhaustive()
    }
}
