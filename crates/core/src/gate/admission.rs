//! Who may run, and in which order: a pure state machine.
//!
//! It holds no clock, lock, task or database handle, so that it can be compared with a reference model event by event
//! (`tests/gate_property`) and run under a model checker (`tests/gate_model.rs`). [`Gate`](super::Gate) is its shell.

mod passing;
mod quick;

use self::quick::{QUICKS_OF_A_READER, Reach};
use super::permits::Permits;
use super::queues::{Intent, Queues};
use super::request::{Admitted, Class, Concurrency, Decision, ReadKind, Ticket, UnclassifiedDecision};
use super::status::{AdmissionStatus, Mode, Phase};

/// The reads that run by age, once the nested ones do.
const BY_AGE: [ReadKind; 3] = [ReadKind::Short, ReadKind::Quick, ReadKind::Session];

/// Decides who may run.
///
/// A class is *alternating* if it cannot run beside a read: `Exclusive` always, `Write` under [`Concurrency::Exclusive`].
/// The *head* is the oldest member of the write queue, which holds writes, exclusive requests and places in one order. A
/// reader *has room* if fewer than `max(max_readers, sessions out + 1)` read permits are out: when sessions hold every
/// reader, one overflow reader is left for short and nested reads. Waiting readers are *in turn* if they waited when
/// the last alternating permit came back. The head *holds readers back* if it is a confirmed alternating request and no write
/// permit is out.
///
/// | event | condition | what happens |
/// |---|---|---|
/// | any request | not open | `Closed` |
/// | `Read(Nested)` | no alternating permit out, room | admitted, past every other waiter |
/// | `Read(Short)` | the same, and the head does not hold it back, or a session is out | admitted |
/// | `Read(Quick)` | as `Read(Short)`, and no permit of a quick read is out | admitted |
/// | `Read(Session)` | the same, but whether a session is out or not, and fewer than `max_readers` of them are | admitted |
/// | `Write`, `Exclusive` | write queue empty, no write or exclusive permit out; if alternating, no read permit out either | admitted |
/// | unclassified | `Read(Short)` would be admitted | it is, and a place joins the write queue, as one step |
/// | | else, `Write` would be admitted | it is; there is no place |
/// | | else | a place and its `Read(Short)` join both queues, as one step |
/// | try | a request of the class would be admitted | it is |
/// | | else | nothing: nobody waits |
/// | a request not admitted | fewer than `max_queued` wait | queued under a new ticket |
/// | | else | `Overloaded` |
/// | confirm | place queued | the place becomes a waiting write at its position; admitted if it is the head and may run |
/// | | place gone by close | `Closed` |
/// | release | alternating permit | the readers waiting now are in turn; then *admit* |
/// | | other permit | *admit* |
/// | widen | requests were queued | *admit* |
/// | slow | a permit of a quick read is out | it is one of a short read, and all quick reads that wait are short ones, where they wait; then *admit* |
/// | pass | the release would admit one request, of the same class, or both are short or quick reads, and the class is not `Exclusive` | it has the permit now, which is of its class |
/// | | else | nothing: the permit is still out |
/// | pass ahead | as *pass*, to one of the same class, which is a short or quick read, or a write that is not alternating; and who is next is no place | it has the permit too, which does not come back from the one before: it leaves, and keeps its room in the queue |
/// | | else | nothing |
/// | used | passed ahead | keeps no room any more |
/// | put back | passed ahead, and open | waits again where it waited; then *admit* |
/// | cancel | queued | the ticket leaves; then *admit* |
/// | close | open | every ticket is rejected, oldest first; draining, or closed if no permit is out |
/// | release | draining, last permit | closed |
///
/// *Admit*, while open: first waiting readers, then the head.
/// - Readers run as in their rows above, but those in turn are not held back by the head. Nested ones come first; then short and quick
///   reads and sessions by ticket, where a session that lacks only session room is passed by others, as are quick reads whose reader is at work.
/// - Quick reads run beside others of their kind if more than 1,024 wait for each of those; one that a permit of a quick read is passed on to, if
///   more than 128 do.
/// - The head runs if no write or exclusive permit is out, and, if it is alternating, no read permit is out and no reader in
///   turn waits. A place whose read still waits runs as a `Write`, and its read leaves with it, so that a statement whose class is
///   not known waits for a reader or for the writer, whichever is free first. A place whose read was admitted, or was cancelled,
///   does not run: it holds back the writers behind it, never a reader, until it is confirmed or cancelled.
///
/// So a read waits for at most one write turn, and a writer for the writers before it plus one read phase each.
///
/// Nobody is held back for the sake of a head that waits for something else anyway, because who holds that may be waiting for a read:
/// - While a session is out, the head holds back new sessions but no short reads.
/// - While a write permit is out beside readers, which may be that of a transaction, the head holds back neither.
///
/// When the last of those has come back, readers are held back again. So the head waits for it, and then for one read phase, as before.
#[derive(Clone, Debug)]
pub struct Admission {
    concurrency: Concurrency,
    max_readers: u32,
    max_queued: usize,
    phase: Phase,
    permits: Permits,
    queues: Queues,
    /// Waiting readers with smaller tickets are in turn.
    turn_boundary: Ticket,
    /// For how many quick reads that wait one reader is enough.
    quicks_of_a_reader: usize,
    mode_switches: u64,
    /// How many requests a permit was passed on to ahead of their turns that may be put back: so they keep their room in the queue.
    ahead: usize,
}

impl Admission {
    /// Makes an open machine with nothing out and nothing queued.
    ///
    /// `max_readers` limits the read permits (0: reads must not be requested); `max_queued` limits everything that waits.
    #[must_use]
    pub fn new(concurrency: Concurrency, max_readers: u32, max_queued: usize) -> Self {
        Self {
            concurrency,
            max_readers,
            max_queued,
            phase: Phase::Open,
            permits: Permits::default(),
            queues: Queues::default(),
            turn_boundary: Ticket::default(),
            quicks_of_a_reader: QUICKS_OF_A_READER,
            mode_switches: 0,
            ahead: 0,
        }
    }

    /// Admits, queues or refuses a request. Admission at once allocates nothing. Many quick reads may be more than the readers at work with them
    /// are for: [`Admission::on_widen`].
    ///
    /// # Panics
    /// On a read request if `max_readers` is 0.
    pub fn on_request(&mut self, class: Class) -> Decision {
        self.assert_has_readers_for(class);
        if self.phase != Phase::Open {
            return Decision::Closed;
        }
        let decision = if self.may_start(class) {
            self.grant(class);
            Decision::Admitted
        } else if self.has_room_for(1) {
            Decision::Queued(self.enqueue(class))
        } else {
            Decision::Overloaded
        };
        self.check_invariants();
        decision
    }

    /// Admits a request if it can run at once. Returns whether it is; otherwise nothing was changed. Allocates nothing.
    ///
    /// # Panics
    /// On a read request if `max_readers` is 0.
    pub fn on_try(&mut self, class: Class) -> bool {
        self.assert_has_readers_for(class);
        let starts = self.phase == Phase::Open && self.may_start(class);
        if starts {
            self.grant(class);
        }
        self.check_invariants();
        starts
    }

    /// Takes a place in the write queue and requests a short read, as one step, for a statement that is not yet classified.
    ///
    /// The place keeps the statement's position among the writes until it is confirmed ([`Admission::on_confirm`]) or
    /// withdrawn ([`Admission::on_cancel`]), or until the statement is admitted as a write because no reader was free.
    ///
    /// # Panics
    /// If `max_readers` is 0.
    pub fn on_unclassified(&mut self) -> UnclassifiedDecision {
        let read = Class::Read(ReadKind::Short);
        self.assert_has_readers_for(read);
        if self.phase != Phase::Open {
            return UnclassifiedDecision::Closed;
        }
        let starts = self.may_start(read);
        let decision = if starts && self.has_room_for(1) {
            self.grant(read);
            UnclassifiedDecision::Admitted { place: self.queues.push_write(Intent::Place { read: None }) }
        } else if !starts && self.may_start(Class::Write) {
            self.grant(Class::Write);
            UnclassifiedDecision::AdmittedAsWrite
        } else if !starts && self.has_room_for(2) {
            let (place, read) = self.queues.push_place_and_read();
            UnclassifiedDecision::Queued { place, read }
        } else {
            UnclassifiedDecision::Overloaded
        };
        self.check_invariants();
        decision
    }

    /// Turns a place into a write that waits at the same position, and admits it if it may run.
    ///
    /// Never [`Decision::Overloaded`]: the place counted already. Nobody else can become admissible by it.
    ///
    /// # Panics
    /// If the machine is open and `place` is not a queued place.
    pub fn on_confirm(&mut self, place: Ticket) -> Decision {
        if self.phase != Phase::Open {
            return Decision::Closed;
        }
        assert!(self.queues.confirm(place), "BUG: I4 a place is confirmed that is not queued");
        let decision = match self.admit_head() {
            Some(admitted) => {
                assert!(admitted.ticket == place, "BUG: I3 a place that was confirmed let another writer run");
                Decision::Admitted
            }
            None => Decision::Queued(place),
        };
        self.check_invariants();
        decision
    }

    /// Takes a permit back, and appends to `admitted` the requests that run now, in order.
    ///
    /// # Panics
    /// If no such permit is out.
    pub fn on_release(&mut self, class: Class, admitted: &mut Vec<Admitted>) {
        self.permits.give_back(class);
        if self.is_alternating(class) {
            self.turn_boundary = self.queues.next_ticket();
        }
        match self.phase {
            Phase::Open => self.admit_waiting(admitted),
            Phase::Draining if self.permits.total() == 0 => self.phase = Phase::Closed,
            Phase::Draining | Phase::Closed => {}
        }
        self.check_invariants();
    }

    /// Takes a ticket out of the queue, and appends to `admitted` the requests that run now, in order.
    ///
    /// Returns false, and does nothing, if the ticket is not queued: it was admitted, cancelled or rejected before.
    pub fn on_cancel(&mut self, ticket: Ticket, admitted: &mut Vec<Admitted>) -> bool {
        let queued_before = self.queues.len();
        if !self.queues.remove(ticket) {
            return false;
        }
        debug_assert_eq!(self.queues.len() + 1, queued_before, "BUG: I4 a cancelled request left a trace in the queue");
        self.admit_waiting(admitted);
        self.check_invariants();
        true
    }

    /// Ends admission, and appends every queued ticket, places too, to `rejected`, oldest first. Does nothing a second time.
    pub fn on_close(&mut self, rejected: &mut Vec<Ticket>) {
        if self.phase != Phase::Open {
            return;
        }
        self.queues.drain_into(rejected);
        self.phase = if self.permits.total() == 0 { Phase::Closed } else { Phase::Draining };
        self.check_invariants();
    }

    /// Changes the concurrency, when the journal mode changed.
    ///
    /// # Panics
    /// If no exclusive permit is out: reads and writes that run already rely on the old one.
    pub fn set_concurrency(&mut self, concurrency: Concurrency) {
        assert!(self.permits.exclusives == 1, "BUG: I2 the concurrency changes only under an exclusive permit");
        self.concurrency = concurrency;
        self.check_invariants();
    }

    /// Returns the ticket that the next queued request gets: whatever was queued before this moment has a smaller one.
    #[must_use]
    pub fn horizon(&self) -> Ticket {
        self.queues.next_ticket()
    }

    /// Returns the phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns every number at once, derived from the permits and queues.
    #[must_use]
    pub fn status(&self) -> AdmissionStatus {
        AdmissionStatus {
            phase: self.phase,
            mode: if self.is_alternating_out() { Mode::Write } else { Mode::Read },
            concurrency: self.concurrency,
            active_readers: self.permits.readers,
            active_sessions: self.permits.sessions,
            active_writer: self.permits.writers > 0,
            active_exclusive: self.permits.exclusives > 0,
            waiting_readers: self.queues.waiting_readers(),
            waiting_writers: self.queues.waiting_writers(),
            places: self.queues.places(),
            queued: self.queues.len(),
            mode_switches: self.mode_switches,
        }
    }

    fn is_alternating(&self, class: Class) -> bool {
        match class {
            Class::Read(_) => false,
            Class::Write => self.concurrency == Concurrency::Exclusive,
            Class::Exclusive => true,
        }
    }

    fn is_alternating_out(&self) -> bool {
        self.permits.exclusives > 0 || (self.permits.writers > 0 && self.is_alternating(Class::Write))
    }

    fn is_in_turn(&self, ticket: Ticket) -> bool {
        ticket < self.turn_boundary
    }

    /// Says whether the head makes readers that are not in turn wait.
    fn head_holds_readers_back(&self) -> bool {
        let alternates = self.queues.first_write().is_some_and(|(_, intent)| match intent {
            Intent::Place { read: _ } => false,
            Intent::Write => self.is_alternating(Class::Write),
            Intent::Exclusive => self.is_alternating(Class::Exclusive),
        });
        alternates && self.permits.writers == 0
    }

    fn has_reader_room(&self) -> bool {
        // With `sessions + 1`, a short read has a reader even when sessions hold all of them: the overflow reader. A session that
        // passes its own limit below never uses it, because `sessions + 1` is at most `max_readers` then.
        self.permits.readers < self.max_readers.max(self.permits.sessions + 1)
    }

    /// Says whether so many more requests may wait.
    pub(super) fn has_room_for(&self, requests: usize) -> bool {
        self.queues.len() + self.ahead + requests <= self.max_queued
    }

    fn may_read(&self, kind: ReadKind, in_turn: bool, reach: Reach) -> bool {
        if self.is_alternating_out() || !self.has_reader_room() {
            return false;
        }
        let is_held_back = || !in_turn && self.permits.sessions == 0 && self.head_holds_readers_back();
        match kind {
            ReadKind::Nested => true,
            ReadKind::Short => !is_held_back(),
            ReadKind::Quick => self.may_read_quickly(reach) && !is_held_back(),
            ReadKind::Session => {
                self.permits.sessions < self.max_readers && (in_turn || !self.head_holds_readers_back())
            }
        }
    }

    /// Says whether `class` may run, if nobody is before it in the write queue.
    fn may_write(&self, class: Class) -> bool {
        let readers_done = || self.permits.readers == 0 && !self.reader_in_turn_waits();
        self.permits.writing() == 0 && (!self.is_alternating(class) || readers_done())
    }

    fn reader_in_turn_waits(&self) -> bool {
        BY_AGE.into_iter().any(|kind| self.queues.first_reader(kind).is_some_and(|ticket| self.is_in_turn(ticket)))
    }

    /// Says whether a new request may run without waiting. It overtakes nobody: whoever waits cannot run (I3).
    fn may_start(&self, class: Class) -> bool {
        match class {
            Class::Read(kind) => self.may_read(kind, false, Reach::Narrow),
            Class::Write | Class::Exclusive => self.queues.first_write().is_none() && self.may_write(class),
        }
    }

    fn enqueue(&mut self, class: Class) -> Ticket {
        match class {
            Class::Read(kind) => self.queues.push_reader(kind),
            Class::Write => self.queues.push_write(Intent::Write),
            Class::Exclusive => self.queues.push_write(Intent::Exclusive),
        }
    }

    fn next_reader(&self, reach: Reach) -> Option<Admitted> {
        let runnable = |kind| {
            let ticket = self.queues.first_reader(kind)?;
            self.may_read(kind, self.is_in_turn(ticket), reach).then_some(Admitted { ticket, class: Class::Read(kind) })
        };
        let by_age = || BY_AGE.into_iter().filter_map(runnable).min_by_key(|reader| reader.ticket);
        runnable(ReadKind::Nested).or_else(by_age)
    }

    fn next_writer(&self) -> Option<Admitted> {
        let (ticket, intent) = self.queues.first_write()?;
        let head = match intent {
            Intent::Place { read } => {
                let waiting = read.filter(|read| self.queues.is_waiting_short(*read))?;
                Admitted { ticket: waiting, class: Class::Write }
            }
            Intent::Write => Admitted { ticket, class: Class::Write },
            Intent::Exclusive => Admitted { ticket, class: Class::Exclusive },
        };
        self.may_write(head.class).then_some(head)
    }

    fn admit_waiting(&mut self, admitted: &mut Vec<Admitted>) {
        while let Some(reader) = self.next_reader(Reach::Wide) {
            self.admit(reader);
            admitted.push(reader);
        }
        // Once is enough: after it a write permit is out, and no reader waited for this head.
        admitted.extend(self.admit_head());
    }

    fn admit_head(&mut self) -> Option<Admitted> {
        let head = self.next_writer()?;
        self.admit(head);
        Some(head)
    }

    fn admit(&mut self, next: Admitted) {
        match next.class {
            Class::Read(_) => {
                assert!(self.queues.remove(next.ticket), "BUG: I4 a reader is admitted that is not queued");
            }
            Class::Write | Class::Exclusive => self.queues.pop_write(),
        }
        self.grant(next.class);
    }

    fn grant(&mut self, class: Class) {
        assert!(self.phase == Phase::Open, "BUG: I8 a request is admitted after close");
        self.permits.take(class);
        if self.is_alternating(class) {
            self.mode_switches += 1;
        }
    }

    fn assert_has_readers_for(&self, class: Class) {
        match class {
            Class::Read(_) => assert!(self.max_readers > 0, "BUG: a read is requested where there are no readers"),
            Class::Write | Class::Exclusive => {}
        }
    }

    /// Checks what must hold after every event, in constant time, in builds with debug assertions.
    fn check_invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let Permits { readers, sessions, quicks, writers, exclusives } = self.permits;
        assert!(writers + exclusives <= 1, "BUG: I1 two write permits exist");
        assert!(
            !self.is_alternating_out() || self.permits.total() == 1,
            "BUG: I2 a permit exists beside an exclusive one"
        );
        if self.phase == Phase::Open {
            assert!(self.next_reader(Reach::Narrow).is_none(), "BUG: I3 a reader waits that may run");
            assert!(self.next_writer().is_none(), "BUG: I3 a writer waits that may run");
        }
        assert!(readers <= self.max_readers.max(sessions + 1), "BUG: I3 more readers run than there is room for");
        assert!(self.queues.len() + self.ahead <= self.max_queued, "BUG: I4 more requests are queued than may be");
        assert!(sessions + quicks <= readers, "BUG: I5 a permit of some reads is not counted as a read permit");
        match self.phase {
            Phase::Open => {}
            Phase::Draining => assert!(self.permits.total() > 0, "BUG: I8 drained, but not closed"),
            Phase::Closed => assert!(self.permits.total() == 0, "BUG: I8 closed with a permit out"),
        }
        assert!(self.phase == Phase::Open || self.queues.len() == 0, "BUG: I8 a request is queued after close");
    }
}

#[cfg(test)]
mod pass_tests;
#[cfg(test)]
mod place_tests;
#[cfg(test)]
mod quick_tests;
#[cfg(test)]
mod tests;
