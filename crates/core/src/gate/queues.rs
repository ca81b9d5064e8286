//! The waiting requests of an [`Admission`](super::admission::Admission), in order of arrival.

use std::collections::VecDeque;

use super::request::{ReadKind, Ticket};

/// What a member of the write queue waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Not known yet: the statement is classified by whoever runs it first. `read` is the read that was queued for it, and
    /// that may have left the queue since.
    Place {
        read: Option<Ticket>,
    },
    Write,
    Exclusive,
}

#[derive(Clone, Debug)]
struct QueuedWrite {
    ticket: Ticket,
    intent: Intent,
}

/// Five first-in first-out queues. Tickets grow with time, so each queue is sorted by ticket.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    nested: VecDeque<Ticket>,
    shorts: VecDeque<Ticket>,
    quicks: VecDeque<Ticket>,
    sessions: VecDeque<Ticket>,
    writes: VecDeque<QueuedWrite>,
    /// How many members of `writes` are places.
    places: usize,
    next_ticket: u64,
}

impl Queues {
    /// Returns the ticket that the next queued request gets: every queued one is smaller.
    pub(super) fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket)
    }

    pub(super) fn push_reader(&mut self, kind: ReadKind) -> Ticket {
        let ticket = self.issue();
        self.readers_mut(kind).push_back(ticket);
        ticket
    }

    pub(super) fn push_write(&mut self, intent: Intent) -> Ticket {
        let ticket = self.issue();
        self.insert_write(ticket, intent);
        ticket
    }

    /// Queues a place and the short read that goes with it. Returns both, in this order.
    pub(super) fn push_place_and_read(&mut self) -> (Ticket, Ticket) {
        let (place, read) = (self.issue(), self.issue());
        self.insert_write(place, Intent::Place { read: Some(read) });
        self.shorts.push_back(read);
        (place, read)
    }

    pub(super) fn first_reader(&self, kind: ReadKind) -> Option<Ticket> {
        self.readers(kind).front().copied()
    }

    pub(super) fn first_write(&self) -> Option<(Ticket, Intent)> {
        self.writes.front().map(|write| (write.ticket, write.intent))
    }

    pub(super) fn is_waiting_short(&self, ticket: Ticket) -> bool {
        self.shorts.binary_search(&ticket).is_ok()
    }

    /// Takes the head of the write queue out. The read that waits for a place goes with it.
    pub(super) fn pop_write(&mut self) {
        let head = self.writes.pop_front().expect("BUG: I4 a write is admitted that is not queued");
        match head.intent {
            Intent::Place { read } => {
                self.forget_place();
                let left = read.is_some_and(|read| self.remove_reader(ReadKind::Short, read));
                assert!(left, "BUG: I4 a place is admitted whose read does not wait");
            }
            Intent::Write | Intent::Exclusive => {}
        }
    }

    /// Puts writes back that were taken out as heads, oldest first.
    pub(super) fn put_back_writes(&mut self, tickets: &[Ticket]) {
        for &ticket in tickets.iter().rev() {
            assert!(self.first_write().is_none_or(|(head, _)| ticket < head), "BUG: I3 a write is put back too late");
            self.writes.push_front(QueuedWrite { ticket, intent: Intent::Write });
        }
    }

    /// Puts reads back that were taken out as the first ones, oldest first. Others may have been taken out after them, and be back.
    pub(super) fn put_back_readers(&mut self, kind: ReadKind, tickets: &[Ticket]) {
        let queue = self.readers_mut(kind);
        for &ticket in tickets {
            let Err(index) = queue.binary_search(&ticket) else {
                panic!("BUG: I4 a read is put back that was not taken out")
            };
            queue.insert(index, ticket);
        }
    }

    /// Turns a place into a waiting write at the same position. Returns false if it is not queued.
    pub(super) fn confirm(&mut self, place: Ticket) -> bool {
        let Ok(index) = self.writes.binary_search_by_key(&place, |write| write.ticket) else { return false };
        let write = &mut self.writes[index];
        match write.intent {
            Intent::Place { read: _ } => write.intent = Intent::Write,
            Intent::Write | Intent::Exclusive => panic!("BUG: I4 only a place can be confirmed, and only once"),
        }
        self.forget_place();
        true
    }

    /// Takes a ticket out, wherever it waits. Returns false if it is not queued.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.remove_write(ticket)
            || [ReadKind::Short, ReadKind::Quick, ReadKind::Session, ReadKind::Nested]
                .into_iter()
                .any(|kind| self.remove_reader(kind, ticket))
    }

    /// Moves every ticket to `tickets`, oldest first.
    pub(super) fn drain_into(&mut self, tickets: &mut Vec<Ticket>) {
        let start = tickets.len();
        tickets.extend(self.nested.drain(..));
        tickets.extend(self.shorts.drain(..));
        tickets.extend(self.quicks.drain(..));
        tickets.extend(self.sessions.drain(..));
        tickets.extend(self.writes.drain(..).map(|write| write.ticket));
        tickets[start..].sort_unstable();
        self.places = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting_readers() + self.writes.len()
    }

    pub(super) fn waiting_readers(&self) -> usize {
        self.nested.len() + self.shorts.len() + self.quicks.len() + self.sessions.len()
    }

    pub(super) fn waiting(&self, kind: ReadKind) -> usize {
        self.readers(kind).len()
    }

    /// Has the quick reads wait as short ones, where they waited.
    pub(super) fn slow_down(&mut self) {
        self.shorts.append(&mut self.quicks);
        self.shorts.make_contiguous().sort();
    }

    pub(super) fn waiting_writers(&self) -> usize {
        self.writes.len().checked_sub(self.places).expect("BUG: I4 more places are counted than are queued")
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    fn insert_write(&mut self, ticket: Ticket, intent: Intent) {
        self.writes.push_back(QueuedWrite { ticket, intent });
        match intent {
            Intent::Place { read: _ } => self.places += 1,
            Intent::Write | Intent::Exclusive => {}
        }
    }

    fn issue(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    fn readers(&self, kind: ReadKind) -> &VecDeque<Ticket> {
        match kind {
            ReadKind::Short => &self.shorts,
            ReadKind::Quick => &self.quicks,
            ReadKind::Session => &self.sessions,
            ReadKind::Nested => &self.nested,
        }
    }

    fn readers_mut(&mut self, kind: ReadKind) -> &mut VecDeque<Ticket> {
        match kind {
            ReadKind::Short => &mut self.shorts,
            ReadKind::Quick => &mut self.quicks,
            ReadKind::Session => &mut self.sessions,
            ReadKind::Nested => &mut self.nested,
        }
    }

    fn remove_reader(&mut self, kind: ReadKind, ticket: Ticket) -> bool {
        let queue = self.readers_mut(kind);
        queue.binary_search(&ticket).ok().and_then(|index| queue.remove(index)).is_some()
    }

    fn remove_write(&mut self, ticket: Ticket) -> bool {
        let Ok(index) = self.writes.binary_search_by_key(&ticket, |write| write.ticket) else { return false };
        let write = self.writes.remove(index).expect("BUG: the index was found in this queue");
        match write.intent {
            Intent::Place { read: _ } => self.forget_place(),
            Intent::Write | Intent::Exclusive => {}
        }
        true
    }

    fn forget_place(&mut self) {
        self.places = self.places.checked_sub(1).expect("BUG: I4 a place is forgotten twice");
    }
}
