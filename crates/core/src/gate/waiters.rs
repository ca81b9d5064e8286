//! The waiters of queued requests.

use std::collections::VecDeque;
use std::time::Instant;

use slab::Slab;

use super::Waiter;
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
    /// That of its first request, if it stands for several: theirs follow one another.
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

impl<W: Waiter> Waiters<W> {
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
        self.remove_first(ticket, 1)
    }

    /// The waiter whose first ticket this is.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&W> {
        let key = self.find(ticket).and_then(|index| self.entries[index].key)?;
        Some(&self.kept[key].waiter)
    }

    /// Takes so many requests off the waiter whose first ticket this is, which leaves with the last of them.
    pub(super) fn remove_first(&mut self, ticket: Ticket, count: usize) -> Option<Waiting<W>> {
        let index = self.find(ticket)?;
        let entry = &mut self.entries[index];
        let kept = &mut self.kept[entry.key?];
        if let Some(waiter) = kept.waiter.take_first(count) {
            entry.ticket = ticket.after(count);
            return Some(Waiting { waiter, queued_at: kept.queued_at });
        }
        let waiting = self.kept.remove(entry.key.take()?);
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
        if self.entries.front()?.ticket == ticket {
            return Some(0);
        }
        self.entries.binary_search_by_key(&ticket, |entry| entry.ticket).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Permit, Rejection};
    use super::*;

    /// Requests, by what they would be called.
    #[derive(Debug, PartialEq)]
    struct Names(Vec<u64>);

    impl Waiter for Names {
        fn admitted(self, permit: Permit<Self>) -> Option<Permit<Self>> {
            Some(permit)
        }

        fn rejected(self, _reason: Rejection) {}

        fn requests(&self) -> usize {
            self.0.len()
        }

        fn take_first(&mut self, count: usize) -> Option<Self> {
            (count < self.0.len()).then(|| Self(self.0.drain(..count).collect()))
        }
    }

    fn insert(waiters: &mut Waiters<Names>, ticket: u64, queued_at: Instant) -> bool {
        waiters.insert(Ticket(ticket), Waiting { waiter: Names(vec![ticket]), queued_at })
    }

    fn remove(waiters: &mut Waiters<Names>, ticket: u64) -> Option<u64> {
        let Names(names) = waiters.remove(Ticket(ticket))?.waiter;
        assert_eq!(names.len(), 1);
        Some(names[0])
    }

    #[test]
    fn those_that_one_waiter_stands_for_leave_one_by_one_or_several_at_a_time() {
        let (mut waiters, now) = (Waiters::default(), Instant::now());
        insert(&mut waiters, 1, now);
        waiters.insert(Ticket(4), Waiting { waiter: Names((4..=9).collect()), queued_at: now });
        assert!(!insert(&mut waiters, 12, now));
        assert_eq!(remove(&mut waiters, 5), None, "it is not the first of them");
        assert_eq!(remove(&mut waiters, 4), Some(4));
        assert_eq!(remove(&mut waiters, 4), None, "it has left");
        assert_eq!(waiters.get(Ticket(5)).map(Waiter::requests), Some(5));
        let several = waiters.remove_first(Ticket(5), 3).map(|waiting| waiting.waiter);
        assert_eq!(several, Some(Names(vec![5, 6, 7])));
        assert_eq!(remove(&mut waiters, 1), Some(1));
        assert_eq!(waiters.oldest(), Some((Ticket(8), now)));
        assert!(
            waiters.insert(Ticket(6), Waiting { waiter: Names(vec![6, 7]), queued_at: now }),
            "it waits for longer"
        );
        let left: Vec<_> = [6, 7, 8, 9, 12].into_iter().map(|ticket| remove(&mut waiters, ticket)).collect();
        assert_eq!(left, [6, 7, 8, 9, 12].map(Some));
        assert_eq!(waiters.get(Ticket(9)), None);
        assert_eq!(waiters.oldest(), None);
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
