//! The waiters of queued requests.

use std::collections::VecDeque;
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

/// By ticket, which is also by age. Waiters come at the back and leave near the front, and stay where they are meanwhile: they are large.
pub(super) struct Waiters<W> {
    /// Sorted by ticket.
    places: VecDeque<(Ticket, usize)>,
    kept: Slab<Waiting<W>>,
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self { places: VecDeque::new(), kept: Slab::new() }
    }
}

impl<W> Waiters<W> {
    /// Keeps a waiter. Returns whether it is the oldest.
    pub(super) fn insert(&mut self, ticket: Ticket, waiting: Waiting<W>) -> bool {
        let place = (ticket, self.kept.insert(waiting));
        if self.places.back().is_none_or(|(last, _)| *last < ticket) {
            self.places.push_back(place);
        } else {
            // What was classified first has a ticket from before that.
            let at = self.places.partition_point(|(known, _)| *known < ticket);
            self.places.insert(at, place);
        }
        self.places.front().is_some_and(|(first, _)| *first == ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting<W>> {
        let place = match self.places.front() {
            Some((first, _)) if *first == ticket => self.places.pop_front(),
            Some(_) | None => {
                let at = self.places.binary_search_by_key(&ticket, |(known, _)| *known).ok()?;
                self.places.remove(at)
            }
        };
        let (_, place) = place?;
        let waiting = self.kept.remove(place);
        if self.kept.is_empty() && self.kept.capacity() > KEPT_FREE {
            (self.kept, self.places) = (Slab::new(), VecDeque::new());
        }
        Some(waiting)
    }

    pub(super) fn oldest(&self) -> Option<(Ticket, Instant)> {
        let (ticket, place) = self.places.front()?;
        Some((*ticket, self.kept[*place].queued_at))
    }
}
