//! One test per rule of the transition table, and one per invariant.

use super::*;

pub(super) const SHORT: Class = Class::Read(ReadKind::Short);
const SESSION: Class = Class::Read(ReadKind::Session);
const NESTED: Class = Class::Read(ReadKind::Nested);

pub(super) fn wal(max_readers: u32) -> Admission {
    Admission::new(Concurrency::Wal, max_readers, 1_000)
}

pub(super) fn exclusive(max_readers: u32) -> Admission {
    Admission::new(Concurrency::Exclusive, max_readers, 1_000)
}

impl Admission {
    pub(super) fn admit_now(&mut self, class: Class) {
        assert_eq!(self.on_request(class), Decision::Admitted, "{class:?} has to run at once");
    }

    pub(super) fn queue(&mut self, class: Class) -> Ticket {
        match self.on_request(class) {
            Decision::Queued(ticket) => ticket,
            other @ (Decision::Admitted | Decision::Overloaded | Decision::Closed) => {
                panic!("{class:?} has to wait, but was {other:?}")
            }
        }
    }

    /// Takes a place whose read runs at once.
    pub(super) fn place(&mut self) -> Ticket {
        match self.on_unclassified() {
            UnclassifiedDecision::Admitted { place } => place,
            other @ (UnclassifiedDecision::AdmittedAsWrite
            | UnclassifiedDecision::Queued { .. }
            | UnclassifiedDecision::Overloaded
            | UnclassifiedDecision::Closed) => panic!("the read has to run at once, but was {other:?}"),
        }
    }

    /// Takes a place whose read has to wait: returns both.
    pub(super) fn place_and_read(&mut self) -> (Ticket, Ticket) {
        match self.on_unclassified() {
            UnclassifiedDecision::Queued { place, read } => (place, read),
            other @ (UnclassifiedDecision::Admitted { .. }
            | UnclassifiedDecision::AdmittedAsWrite
            | UnclassifiedDecision::Overloaded
            | UnclassifiedDecision::Closed) => panic!("the read has to wait, but was {other:?}"),
        }
    }

    pub(super) fn release(&mut self, class: Class) -> Vec<Ticket> {
        self.release_to(class).into_iter().map(|admitted| admitted.ticket).collect()
    }

    /// Releases, and returns what is admitted and as what.
    pub(super) fn release_to(&mut self, class: Class) -> Vec<Admitted> {
        let mut admitted = Vec::new();
        self.on_release(class, &mut admitted);
        admitted
    }

    /// Passes a permit on. Returns the ticket of whoever has it now.
    pub(super) fn pass_to(&mut self, class: Class) -> Option<Ticket> {
        self.on_pass(class).map(|heir| heir.ticket)
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) -> Vec<Ticket> {
        let mut admitted = Vec::new();
        assert!(self.on_cancel(ticket, &mut admitted), "{ticket:?} has to be queued");
        admitted.into_iter().map(|admitted| admitted.ticket).collect()
    }

    fn close(&mut self) -> Vec<Ticket> {
        let mut rejected = Vec::new();
        self.on_close(&mut rejected);
        rejected
    }
}

#[test]
fn i1_a_second_write_waits_for_the_first() {
    for mut gate in [wal(2), exclusive(2)] {
        gate.admit_now(Class::Write);
        let second = gate.queue(Class::Write);
        let third = gate.queue(Class::Write);
        assert_eq!(gate.release(Class::Write), [second]);
        assert_eq!(gate.release(Class::Write), [third]);
    }
}

#[test]
fn i2_an_exclusive_permit_stands_alone() {
    let mut gate = wal(2);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let exclusive = gate.queue(Class::Exclusive);
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.release(Class::Write), [exclusive]);

    let held_back = [gate.queue(SHORT), gate.queue(SESSION), gate.queue(NESTED), gate.queue(Class::Write)];
    assert_eq!(gate.status().mode, Mode::Write);
    assert_eq!(gate.release(Class::Exclusive), [held_back[2], held_back[0], held_back[3]]);
    assert_eq!(gate.release(SHORT), [held_back[1]]);
}

#[test]
fn i2_under_exclusive_concurrency_a_write_stands_alone() {
    let mut gate = exclusive(2);
    gate.admit_now(SHORT);
    let write = gate.queue(Class::Write);
    assert_eq!(gate.release(SHORT), [write]);
    let read = gate.queue(SHORT);
    assert_eq!(gate.release(Class::Write), [read]);
    assert_eq!(gate.status().mode_switches, 1);
}

#[test]
fn i3_writers_are_first_in_first_out_whatever_their_class() {
    let mut gate = wal(2);
    gate.admit_now(Class::Write);
    let order = [gate.queue(Class::Write), gate.queue(Class::Exclusive), gate.queue(Class::Write)];
    assert_eq!(gate.release(Class::Write), [order[0]]);
    assert_eq!(gate.release(Class::Write), [order[1]]);
    assert_eq!(gate.release(Class::Exclusive), [order[2]]);
}

#[test]
fn i3_readers_are_first_in_first_out_whatever_their_kind() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    let order = [gate.queue(SHORT), gate.queue(SESSION), gate.queue(SHORT)];
    assert_eq!(gate.release(SHORT), [order[0]]);
    // The session leaves its overflow reader to the short read behind it.
    assert_eq!(gate.release(SHORT), [order[1], order[2]]);
}

#[test]
fn i4_a_cancelled_request_leaves_no_trace() {
    let mut gate = exclusive(1);
    gate.admit_now(SHORT);
    let before = gate.status();
    for class in [Class::Write, Class::Exclusive, SHORT, SESSION, NESTED] {
        let ticket = gate.queue(class);
        assert_ne!(gate.status(), before);
        assert_eq!(gate.cancel(ticket), []);
        assert_eq!(gate.status(), before, "after a cancelled {class:?}");
    }
    let (place, read) = gate.place_and_read();
    assert_eq!(gate.cancel(place), []);
    assert_eq!(gate.cancel(read), []);
    assert_eq!(gate.status(), before);
}

#[test]
#[should_panic(expected = "BUG: I5")]
fn i5_releasing_a_permit_twice_is_a_bug() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.release(SHORT);
    gate.release(SHORT);
}

#[test]
fn i5_every_release_gives_back_exactly_one_permit() {
    let mut gate = wal(3);
    let classes = [SHORT, SESSION, NESTED, Class::Write];
    for class in classes {
        gate.admit_now(class);
    }
    let mut readers = 3;
    for class in classes {
        let before = gate.status();
        gate.release(class);
        readers -= u32::from(class != Class::Write);
        assert_eq!(gate.status().active_readers, readers);
        assert_eq!(gate.status().active_sessions, before.active_sessions - u32::from(class == SESSION));
        assert_eq!(gate.status().active_writer, class != Class::Write);
    }
}

#[test]
fn i8_nothing_is_admitted_after_close_and_everything_queued_is_rejected_in_order() {
    let mut gate = exclusive(1);
    gate.admit_now(SHORT);
    let (place, read) = gate.place_and_read();
    let order = [place, read, gate.queue(Class::Write), gate.queue(NESTED), gate.queue(SESSION), gate.queue(SHORT)];
    assert_eq!(gate.close(), order);
    assert_eq!(gate.status().phase, Phase::Draining);

    for class in [SHORT, SESSION, NESTED, Class::Write, Class::Exclusive] {
        assert_eq!(gate.on_request(class), Decision::Closed);
    }
    assert_eq!(gate.on_unclassified(), UnclassifiedDecision::Closed);
    assert_eq!(gate.on_confirm(place), Decision::Closed);
    assert!(!gate.on_cancel(read, &mut Vec::new()));
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.status().phase, Phase::Closed);
    assert_eq!(gate.on_request(SHORT), Decision::Closed);
}

#[test]
fn closing_with_every_permit_back_needs_no_draining() {
    let mut gate = wal(1);
    assert_eq!(gate.close(), []);
    assert_eq!(gate.phase(), Phase::Closed);
    assert_eq!(gate.close(), []);
}

#[test]
fn draining_ends_with_the_last_permit_of_any_class() {
    let mut gate = wal(2);
    for class in [SHORT, SESSION, Class::Write] {
        gate.admit_now(class);
    }
    gate.close();
    for class in [SHORT, Class::Write] {
        gate.release(class);
        assert_eq!(gate.phase(), Phase::Draining);
    }
    gate.release(SESSION);
    assert_eq!(gate.phase(), Phase::Closed);
}

#[test]
fn with_wal_reads_and_a_write_run_side_by_side() {
    let mut gate = wal(2);
    gate.admit_now(Class::Write);
    gate.admit_now(SHORT);
    gate.admit_now(SESSION);
    let status = gate.status();
    assert_eq!((status.mode, status.active_writer, status.active_readers), (Mode::Read, true, 2));
    assert_eq!(status.mode_switches, 0);
}

#[test]
fn with_wal_a_waiting_write_holds_back_no_reader() {
    let mut gate = wal(2);
    gate.admit_now(Class::Write);
    gate.queue(Class::Write);
    gate.queue(Class::Exclusive);
    gate.admit_now(SHORT);
}

#[test]
fn a_waiting_exclusive_at_the_head_holds_back_later_readers() {
    let mut gate = wal(2);
    gate.admit_now(SHORT);
    let exclusive = gate.queue(Class::Exclusive);
    let readers = [gate.queue(SHORT), gate.queue(SESSION)];
    assert_eq!(gate.release(SHORT), [exclusive]);
    assert_eq!(gate.release(Class::Exclusive), readers);
}

#[test]
fn cancelled_waiting_writer_wakes_the_readers_it_held_back() {
    let mut gate = exclusive(2);
    gate.admit_now(SHORT);
    let write = gate.queue(Class::Write);
    let read = gate.queue(SHORT);
    assert_eq!(gate.cancel(write), [read]);
    assert!(!gate.on_cancel(write, &mut Vec::new()), "it is cancelled already");
}

#[test]
fn readers_that_waited_when_a_write_turn_ends_go_before_the_next_writer() {
    let mut gate = exclusive(2);
    gate.admit_now(Class::Write);
    let reads = [gate.queue(SHORT), gate.queue(SHORT), gate.queue(SHORT)];
    let write = gate.queue(Class::Write);
    assert_eq!(gate.release(Class::Write), reads[..2]);
    let later = gate.queue(SHORT);
    assert_eq!(gate.release(SHORT), [reads[2]], "it is in turn, though the writer came before its reader was free");
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.release(SHORT), [write], "a read that came after the turn ended waits");
    assert_eq!(gate.release(Class::Write), [later]);
}

/// Arrivals against the reader: at every moment at least one write waits, and a new one arrives at each release.
#[test]
fn a_read_waits_for_at_most_one_write_turn() {
    for writes_before in 0..8 {
        let mut gate = exclusive(1);
        gate.admit_now(SHORT);
        for _ in 0..=writes_before {
            gate.queue(Class::Write);
        }
        let read = gate.queue(SHORT);

        let first_turn = gate.release(SHORT);
        assert_eq!(first_turn.len(), 1, "the head runs when the read before it ends");
        gate.queue(Class::Write);
        assert_eq!(gate.release(Class::Write), [read], "after one turn, {writes_before} writes before it or not");
    }
}

/// Arrivals against the writer: whenever a read is released, two new ones arrive.
#[test]
fn a_write_waits_for_the_writers_before_it_plus_one_read_phase_each() {
    let mut gate = exclusive(2);
    gate.admit_now(Class::Write);
    let writes: Vec<_> = (0..6).map(|_| gate.queue(Class::Write)).collect();
    gate.queue(SHORT);
    for write in writes {
        let mut phase = gate.status().waiting_readers;
        let mut admitted = gate.release(Class::Write);
        while admitted != [write] {
            phase =
                phase.checked_sub(admitted.len()).expect("the phase is made of the readers that waited as it began");
            gate.queue(SHORT);
            gate.queue(SHORT);
            admitted = gate.release(SHORT);
        }
        assert_eq!(phase, 0, "every one of them ran before the writer");
    }
}

#[test]
fn sessions_leave_an_overflow_reader_to_short_reads() {
    let mut gate = wal(2);
    gate.admit_now(SESSION);
    gate.admit_now(SESSION);
    gate.admit_now(SHORT);
    let short = gate.queue(SHORT);
    assert_eq!(gate.status().active_readers, 3);
    assert_eq!(gate.release(SHORT), [short]);
}

#[test]
fn a_session_waiting_for_session_room_is_passed_by_short_reads() {
    let mut gate = wal(1);
    gate.admit_now(SESSION);
    let session = gate.queue(SESSION);
    gate.admit_now(SHORT);
    let short = gate.queue(SHORT);
    assert_eq!(gate.release(SHORT), [short]);
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.release(SESSION), [session]);
}

#[test]
fn the_overflow_reader_is_given_up_before_a_session_follows() {
    let mut gate = wal(2);
    for class in [SESSION, SESSION, SHORT] {
        gate.admit_now(class);
    }
    let session = gate.queue(SESSION);
    let short = gate.queue(SHORT);
    assert_eq!(gate.release(SESSION), [], "two readers are held, two there are");
    // The session, then the short read on the overflow reader it leaves behind.
    assert_eq!(gate.release(SHORT), [session, short]);
}

#[test]
fn a_nested_read_passes_waiting_writers() {
    let mut gate = exclusive(2);
    gate.admit_now(SHORT);
    gate.queue(Class::Write);
    let later = gate.queue(SHORT);
    gate.admit_now(NESTED);
    assert_eq!(gate.release(NESTED), [], "{later:?} stays behind the writer");
}

#[test]
fn d04_while_a_session_is_out_a_waiting_writer_holds_back_sessions_and_no_short_read() {
    for (mut gate, class) in
        [(exclusive(2), Class::Write), (exclusive(2), Class::Exclusive), (wal(2), Class::Exclusive)]
    {
        gate.admit_now(SESSION);
        let head = gate.queue(class);
        let session = gate.queue(SESSION);
        gate.admit_now(SHORT);
        assert_eq!(gate.release(SHORT), []);
        gate.admit_now(SHORT);
        assert_eq!(gate.release(SESSION), []);
        let later = gate.queue(SHORT);
        assert_eq!(
            gate.release(SHORT),
            [head],
            "the last session is back: the head runs before {session:?} and {later:?}"
        );
        assert_eq!(gate.release(class), [session, later]);
    }
}

#[test]
fn d04_while_a_write_is_out_beside_readers_a_waiting_exclusive_holds_back_nobody() {
    let mut gate = wal(3);
    gate.admit_now(Class::Write);
    let exclusive = gate.queue(Class::Exclusive);
    gate.admit_now(SHORT);
    gate.admit_now(SESSION);
    assert_eq!(gate.release(Class::Write), []);
    let later = gate.queue(SESSION);
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.release(SESSION), [exclusive], "the write is back: the head runs before {later:?}");
    assert_eq!(gate.release(Class::Exclusive), [later]);
}

#[test]
fn a_nested_read_without_room_waits_before_every_other_read() {
    let mut gate = exclusive(1);
    gate.admit_now(SESSION);
    gate.admit_now(SHORT);
    let short = gate.queue(SHORT);
    let write = gate.queue(Class::Write);
    let nested = [gate.queue(NESTED), gate.queue(NESTED)];
    assert_eq!(gate.release(SHORT), [nested[0]]);
    assert_eq!(gate.release(NESTED), [nested[1]]);
    assert_eq!(gate.release(NESTED), [short]);
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.release(SESSION), [write]);
}

#[test]
fn the_queue_has_a_limit_that_counts_reads_writes_and_places() {
    let mut gate = Admission::new(Concurrency::Exclusive, 1, 3);
    gate.admit_now(SHORT);
    gate.queue(Class::Write);
    gate.place_and_read();
    let full = gate.status();
    for class in [SHORT, SESSION, NESTED, Class::Write, Class::Exclusive] {
        assert_eq!(gate.on_request(class), Decision::Overloaded);
    }
    assert_eq!(gate.on_unclassified(), UnclassifiedDecision::Overloaded);
    assert_eq!(gate.status(), full);
}

#[test]
fn an_unclassified_statement_needs_room_for_all_of_it_that_waits() {
    let mut gate = Admission::new(Concurrency::Wal, 1, 1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    assert_eq!(gate.on_unclassified(), UnclassifiedDecision::Overloaded);
    assert_eq!(gate.status().queued, 0);
    gate.release(SHORT);
    gate.place();
}

#[test]
fn a_request_that_can_run_at_once_is_never_overloaded() {
    let mut gate = Admission::new(Concurrency::Wal, 1, 0);
    gate.admit_now(Class::Write);
    assert_eq!(gate.on_request(Class::Write), Decision::Overloaded);
    gate.admit_now(SESSION);
    gate.admit_now(NESTED);
    gate.release(Class::Write);
    assert_eq!(gate.on_unclassified(), UnclassifiedDecision::AdmittedAsWrite);
}

#[test]
fn the_concurrency_changes_for_those_who_wait() {
    let mut gate = wal(1);
    gate.admit_now(Class::Exclusive);
    let read = gate.queue(SHORT);
    let write = gate.queue(Class::Write);
    gate.set_concurrency(Concurrency::Exclusive);
    assert_eq!(gate.release(Class::Exclusive), [read]);
    assert_eq!(gate.release(SHORT), [write]);
    assert_eq!(gate.status().mode, Mode::Write);
}

#[test]
#[should_panic(expected = "BUG: I2")]
fn changing_the_concurrency_beside_running_permits_is_a_bug() {
    let mut gate = wal(1);
    gate.admit_now(Class::Write);
    gate.set_concurrency(Concurrency::Exclusive);
}

#[test]
#[should_panic(expected = "BUG: a read is requested")]
fn a_read_request_without_readers_is_a_bug() {
    let _ = wal(0).on_request(SHORT);
}

#[test]
fn writes_need_no_readers() {
    let mut gate = wal(0);
    gate.admit_now(Class::Write);
    let exclusive = gate.queue(Class::Exclusive);
    assert_eq!(gate.release(Class::Write), [exclusive]);
}
