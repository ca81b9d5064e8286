//! The waiters of queued requests.

use std::collections::BTreeMap;
use std::time::Instant;

use slab::Slab;

use super::request::Ticket;

/// For how many waiters memory is kept when nobody waits.
const KEPT_FREE: usize = 4_096;

/// A waiter, and since when it has been queued.
pub(super) struct Waiting<W> {
    pub(super) waiter: W,
    pub(super) queued_at: Instant,
}

/// By ticket, which is also by age. The waiters stay where they are: a tree would move them about, and they are large.
pub(super) struct Waiters<W> {
    places: BTreeMap<Ticket, usize>,
    kept: Slab<Waiting<W>>,
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), kept: Slab::new() }
    }
}

impl<W> Waiters<W> {
    /// Keeps a waiter. Returns whether it is the oldest.
    pub(super) fn insert(&mut self, ticket: Ticket, waiting: Waiting<W>) -> bool {
        let place = self.kept.insert(waiting);
        self.places.insert(ticket, place);
        self.places.first_key_value().is_some_and(|(first, _)| *first == ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting<W>> {
        let waiting = self.kept.remove(self.places.remove(&ticket)?);
        if self.kept.is_empty() && self.kept.capacity() > KEPT_FREE {
            self.kept = Slab::new();
        }
        Some(waiting)
    }

    pub(super) fn oldest(&self) -> Option<(Ticket, Instant)> {
        let (ticket, place) = self.places.first_key_value()?;
        Some((*ticket, self.kept[*place].queued_at))
    }
}
