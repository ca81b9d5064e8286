//! How a permit passes from one request to the next without a release.

use super::{Admission, Reach};
use crate::gate::queues::Intent;
use crate::gate::request::{Admitted, Class, ReadKind, Ticket};
use crate::gate::status::Phase;

impl Admission {
    /// Passes a permit on to the request that its release would admit, if that is of the same class, or both are short or quick reads; a permit of
    /// a quick read also to a quick read that would wait for others, as long as its reader need not rest yet. Returns the request: the permit is of
    /// its class from here on. On `None` nothing happened, and the permit is still out.
    ///
    /// Otherwise it differs from [`Admission::on_release`] only in that nobody sees the moment between, in which the permit's connection
    /// would have to be found again.
    ///
    /// # Panics
    /// If no such permit is out.
    pub fn on_pass(&mut self, class: Class) -> Option<Admitted> {
        self.pass(class, |next| next == class || (is_single_read(class) && is_single_read(next)))
    }

    fn pass(&mut self, class: Class, to: impl Fn(Class) -> bool) -> Option<Admitted> {
        if self.phase != Phase::Open || class == Class::Exclusive || self.turn_ends_with(class) {
            return None;
        }
        self.permits.give_back(class);
        let next = match class {
            Class::Read(ReadKind::Quick) => self.next_reader(Reach::Staying),
            Class::Read(_) => self.next_reader(Reach::Wide),
            Class::Write | Class::Exclusive => self.next_writer(),
        };
        let heir = next.filter(|next| to(next.class));
        match heir {
            Some(heir) => self.admit(heir),
            None => self.permits.take(class),
        }
        self.check_invariants();
        heir
    }

    /// Passes a permit on to the request that waits next, too, ahead of its turn, as if the one before had used it already. Returns its ticket.
    /// Only a permit of a short or quick read, or one to write that does not alternate with reads, of which one may come before that turn; and to
    /// no statement that may be a read or a write.
    ///
    /// It keeps its room in the queue until [`Admission::on_used`] or [`Admission::on_put_back`].
    ///
    /// # Panics
    /// If no such permit is out.
    pub fn on_pass_ahead(&mut self, class: Class) -> Option<Ticket> {
        let goes_ahead = match class {
            Class::Read(_) => is_single_read(class),
            Class::Write => !self.is_alternating(class) && !self.head_is_place(),
            Class::Exclusive => false,
        };
        let Admitted { ticket, class: _ } = goes_ahead.then(|| self.pass(class, |next| next == class)).flatten()?;
        self.ahead += 1;
        self.check_invariants();
        Some(ticket)
    }

    /// So many of those that a permit was passed on to ahead of their turns have used it: they keep no room any more.
    ///
    /// # Panics
    /// If there are no more so many of them.
    pub fn on_used(&mut self, count: usize) {
        self.ahead = self.ahead.checked_sub(count).expect("BUG: I4 a permit was used that was not passed on ahead");
    }

    /// Puts requests of `class` back that a permit was passed on to ahead of their turns, oldest first: they wait again where they waited. Appends
    /// to `admitted` the requests that run now, in order. Returns false, and puts nothing back, after close; they keep no room in either case.
    ///
    /// # Panics
    /// If the permit was passed on to fewer, or they are of a class that is never passed on ahead.
    pub fn on_put_back(&mut self, class: Class, tickets: &[Ticket], admitted: &mut Vec<Admitted>) -> bool {
        self.on_used(tickets.len());
        if self.phase != Phase::Open {
            return false;
        }
        match class {
            Class::Read(kind) => self.queues.put_back_readers(kind, tickets),
            Class::Write | Class::Exclusive => self.queues.put_back_writes(tickets),
        }
        self.admit_waiting(admitted);
        self.check_invariants();
        true
    }

    /// For how many reads of a kind that wait a reader may take a permit of that kind ahead of their turns: a fair share is left to others.
    #[must_use]
    pub fn share_of_a_reader(&self, kind: ReadKind) -> usize {
        let readers = if kind == ReadKind::Quick { self.permits.quicks } else { self.max_readers };
        self.queues.waiting(kind) / readers.max(1) as usize
    }

    /// Returns whether [`Admission::on_pass`] of a write permit would find a request.
    #[must_use]
    pub fn has_heir_of_write(&self) -> bool {
        if self.phase != Phase::Open || self.turn_ends_with(Class::Write) {
            return false;
        }
        self.queues.first_write().is_some_and(|(_, intent)| match intent {
            Intent::Place { read } => read.is_some_and(|read| self.queues.is_waiting_short(read)),
            Intent::Write => true,
            Intent::Exclusive => false,
        })
    }

    /// Says whether readers run when a permit of `class` comes back, because it is alternating and they wait.
    fn turn_ends_with(&self, class: Class) -> bool {
        self.is_alternating(class) && self.queues.waiting_readers() > 0
    }

    fn head_is_place(&self) -> bool {
        self.queues.first_write().is_some_and(|(_, intent)| matches!(intent, Intent::Place { read: _ }))
    }
}

/// Whether it is of one statement, which a reader may run after any other of those.
fn is_single_read(class: Class) -> bool {
    matches!(class, Class::Read(ReadKind::Short | ReadKind::Quick))
}
