//! How a permit passes from one request to the next without a release.

use super::Admission;
use crate::gate::queues::Intent;
use crate::gate::request::{Class, Ticket};
use crate::gate::status::Phase;

impl Admission {
    /// Passes a permit on to the request that its release would admit, if that is of the same class. Returns its ticket; on `None`
    /// nothing happened, and the permit is still out. Whoever it was passed on to ahead of their turns has used it, in either case.
    ///
    /// It differs from [`Admission::on_release`] only in that nobody sees the moment between, in which the permit's connection
    /// would have to be found again.
    ///
    /// # Panics
    /// If no such permit is out.
    pub fn on_pass(&mut self, class: Class) -> Option<Ticket> {
        if self.phase != Phase::Open || class == Class::Exclusive || self.turn_ends_with(class) {
            return None;
        }
        self.permits.give_back(class);
        self.end_ahead(class);
        let next = match class {
            Class::Read(_) => self.next_reader(),
            Class::Write | Class::Exclusive => self.next_writer(),
        };
        let heir = next.filter(|next| next.class == class);
        match heir {
            Some(heir) => self.admit(heir),
            None => self.permits.take(class),
        }
        self.check_invariants();
        heir.map(|heir| heir.ticket)
    }

    /// Passes the write permit on to the write that waits next, too, ahead of its turn. Returns false, and does nothing, if none does, or if
    /// modes alternate: a read may come before that turn.
    ///
    /// # Panics
    /// If no write permit is out.
    pub fn on_pass_ahead(&mut self) -> bool {
        assert!(self.permits.writers == 1, "BUG: I1 a permit is passed on that is not out");
        let is_write = self.queues.first_write().is_some_and(|(_, intent)| intent == Intent::Write);
        let passes = self.phase == Phase::Open && is_write && !self.is_alternating(Class::Write);
        if passes {
            self.queues.pop_write();
            self.ahead += 1;
        }
        self.check_invariants();
        passes
    }

    /// Puts writes back that the permit was passed on to ahead of their turns, the last of them, oldest first: they wait again where they
    /// waited. Those before them have used it. Returns false, and puts nothing back, after close.
    ///
    /// # Panics
    /// If the permit was passed on to fewer, or again since.
    pub fn on_put_back(&mut self, tickets: &[Ticket]) -> bool {
        assert!(tickets.len() <= self.ahead, "BUG: I4 a write is put back that was not ahead of its turn");
        self.ahead = 0;
        if self.phase != Phase::Open {
            return false;
        }
        self.queues.put_back_writes(tickets);
        self.check_invariants();
        true
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

    /// A permit of `class` comes back, or is passed on: whoever was ahead of their turns has used it.
    pub(super) fn end_ahead(&mut self, class: Class) {
        match class {
            Class::Read(_) => {}
            Class::Write | Class::Exclusive => self.ahead = 0,
        }
    }
}
