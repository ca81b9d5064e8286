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

/// How many entries of waiters that have left stay at least.
const LEFT: usize = 64;

/// Where the waiter with a ticket is kept, until it has left.
struct Entry {
    ticket: Ticket,
    key: Option<usize>,
}

/// By ticket, which is also by age. Most join at the end and leave at the front. The waiters stay where they are: they are large.
pub(super) struct Waiters<W> {
    /// The first is that of a waiter that is there; of the others at most as many and [`LEFT`] more are not.
    entries: VecDeque<Entry>,
    kept: Slab<Waiting<W>>,
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), kept: Slab::new() }
    }
}

impl<W> Waiters<W> {
    /// Keeps a waiter. Returns whether it is the oldest.
    pub(super) fn insert(&mut self, ticket: Ticket, waiting: Waiting<W>) -> bool {
        let entry = Entry { ticket, key: Some(self.kept.insert(waiting)) };
        if self.entries.back().is_none_or(|last| last.ticket < ticket) {
            self.entries.push_back(entry);
        } else {
            // A statement that took its place long ago.
            let index = self.entries.partition_point(|before| before.ticket < ticket);
            self.entries.insert(index, entry);
        }
        self.entries.front().is_some_and(|first| first.ticket == ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting<W>> {
        let first = self.entries.front()?.ticket;
        let index = if first == ticket { 0 } else { self.find(ticket)? };
        let waiting = self.kept.remove(self.entries[index].key.take()?);
        while self.entries.front().is_some_and(|first| first.key.is_none()) {
            self.entries.pop_front();
        }
        // Somebody may wait at the front for long, while others come and go behind.
        if self.entries.len() > 2 * self.kept.len() + LEFT {
            self.entries.retain(|entry| entry.key.is_some());
        }
        if self.kept.is_empty() && self.kept.capacity().max(self.entries.capacity()) > KEPT_FREE {
            *self = Self::default();
        }
        Some(waiting)
    }

    pub(super) fn oldest(&self) -> Option<(Ticket, Instant)> {
        let Entry { ticket, key } = self.entries.front()?;
        let key = key.expect("BUG: I4 the first entry is that of a waiter that has left");
        Some((*ticket, self.kept[key].queued_at))
    }

    fn find(&self, ticket: Ticket) -> Option<usize> {
        self.entries.binary_search_by_key(&ticket, |entry| entry.ticket).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(waiters: &mut Waiters<u64>, ticket: u64, queued_at: Instant) -> bool {
        waiters.insert(Ticket(ticket), Waiting { waiter: ticket, queued_at })
    }

    fn remove(waiters: &mut Waiters<u64>, ticket: u64) -> Option<u64> {
        waiters.remove(Ticket(ticket)).map(|waiting| waiting.waiter)
    }

    #[test]
    fn waiters_leave_from_anywhere_and_the_oldest_is_known() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        assert!(insert(&mut waiters, 3, now), "it is alone");
        assert!(!insert(&mut waiters, 5, now));
        assert!(!insert(&mut waiters, 9, now));
        assert!(insert(&mut waiters, 1, now), "its place is older");
        assert!(!insert(&mut waiters, 4, now));
        assert_eq!(remove(&mut waiters, 5), Some(5));
        assert_eq!(remove(&mut waiters, 5), None, "it has left");
        assert!(!insert(&mut waiters, 6, now));
        assert_eq!(remove(&mut waiters, 3), Some(3));
        assert_eq!(remove(&mut waiters, 2), None, "nobody had that ticket");
        let mut left = Vec::new();
        while let Some((ticket, _)) = waiters.oldest() {
            left.extend(remove(&mut waiters, ticket.0));
        }
        assert_eq!(left, [1, 4, 6, 9]);
        assert_eq!(remove(&mut waiters, 9), None);
    }

    #[test]
    fn those_who_come_and_go_behind_one_that_waits_leave_nothing() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        insert(&mut waiters, 0, now);
        for ticket in 1..100_000 {
            insert(&mut waiters, ticket, now);
            assert_eq!(remove(&mut waiters, ticket), Some(ticket));
        }
        assert!(waiters.entries.capacity() < 4 * LEFT, "{}", waiters.entries.capacity());
        assert_eq!(waiters.oldest(), Some((Ticket(0), now)));
    }

    #[test]
    fn memory_of_many_waiters_is_given_back() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        let many = 2 * KEPT_FREE as u64;
        for ticket in 0..many {
            insert(&mut waiters, ticket, now);
        }
        for ticket in (0..many).rev() {
            assert_eq!(remove(&mut waiters, ticket), Some(ticket));
        }
        assert!(waiters.kept.capacity() <= KEPT_FREE && waiters.entries.capacity() <= KEPT_FREE);
    }
}
