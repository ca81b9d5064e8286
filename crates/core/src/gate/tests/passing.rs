//! Permits that go from one waiter to the next.

use super::together::{admissions, several};
use super::*;

#[test]
fn a_write_permit_is_passed_on_to_the_waiter_of_a_place() {
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let (_read, write) = (stage.take(SHORT), stage.take(Class::Write));
    queued(stage.unclassified(1));
    stage.queue(Class::Write, 2);
    let Passed { waiter, permit, .. } = write.pass_on().expect("the head asked for this class");
    assert_eq!((waiter.name, permit.class()), (1, Class::Write));
    drop(waiter);
    assert_eq!(stage.events.try_iter().count(), 0, "its place is void");
    drop(permit);
    assert_eq!(stage.next_admitted().0, 2);
}

/// What became of requests 1 to 5, made as one, and then 6, when the first `limit` of them were passed the permit and `used` of these used it.
struct Ahead {
    stage: Stage,
    permit: Permit<Probe>,
    first: Ticket,
    queued_at: Instant,
    /// The one that stands for those that have not used it.
    left: Probe,
}

impl Ahead {
    fn new(concurrency: Concurrency, max_queued: usize, limit: usize, used: usize) -> Self {
        let stage = Stage::new(concurrency, 1, max_queued);
        let permit = stage.take(Class::Write);
        let all = stage.gate.request_all(Class::Write, [several(&stage, 1, 5)], stage.now);
        assert!(all.unqueued.is_empty() && all.first);
        stage.queue(Class::Write, 6);
        let Ok(Passed { mut waiter, permit, ticket, queued_at, .. }) = permit.pass_on_ahead(|_| limit) else {
            panic!("they asked for this class")
        };
        let used = waiter.take_first(used).expect("one is left at least");
        assert_eq!(used.name, 1);
        Self { stage, permit, first: ticket, queued_at, left: waiter }
    }

    fn queued(&self) -> usize {
        self.stage.gate.status().queued
    }
}

#[test]
fn a_write_permit_goes_to_several_ahead_of_their_turns_and_who_has_not_used_it_waits_again_where_it_waited() {
    let ahead = Ahead::new(Concurrency::Wal, 10, 3, 1);
    assert_eq!((ahead.left.name, ahead.left.requests(), ahead.queued()), (2, 2, 3));
    let later = ahead.stage.queue(Class::Write, 7);
    let Ahead { stage, mut permit, first, queued_at, left } = ahead;
    assert!(matches!(permit.put_back(first.after(1), left, queued_at), Ok(true)), "nobody is queued for longer");
    assert_eq!(stage.gate.status().waiting_writers, 6);
    assert!(stage.gate.cancel(later).is_some());
    assert_eq!(admissions(&stage, vec![permit]), [2, 3, 4, 5, 6]);
}

#[test]
fn those_ahead_of_their_turns_keep_their_room_in_the_queue() {
    let Ahead { stage, mut permit, first, queued_at, left } = Ahead::new(Concurrency::Wal, 6, 3, 1);
    let overloaded =
        |name| matches!(stage.request(Class::Write, name, Manner::Keeps), Request::Rejected(_, Rejection::Overloaded));
    assert!(!overloaded(7), "the first has left for good");
    assert!(overloaded(8));
    assert!(permit.put_back(first.after(1), left, queued_at).is_ok());
    assert_eq!(stage.gate.status().queued, 6);
    let Ok(mut passed) = permit.pass_on_ahead(|_| 2) else { panic!("they asked for this class") };
    assert!(!overloaded(9) && overloaded(10), "the next is passed to one for good and to one ahead of its turn");
    passed.permit.used();
    assert!(!overloaded(10) && overloaded(11));
    assert_eq!(admissions(&stage, vec![passed.permit]), [4, 5, 6, 7, 9, 10]);
}

#[test]
fn those_who_have_used_the_permit_keep_no_room_when_others_are_put_back() {
    let Ahead { stage, mut permit, first, queued_at, left } = Ahead::new(Concurrency::Wal, 6, 4, 2);
    assert!(permit.put_back(first.after(2), left, queued_at).is_ok());
    assert_eq!(stage.gate.status().queued, 4);
    stage.queue(Class::Write, 7);
    stage.queue(Class::Write, 8);
    assert_eq!(admissions(&stage, vec![permit]), [3, 4, 5, 6, 7, 8]);
}

#[test]
fn those_who_have_used_the_permit_keep_no_room_whoever_tells() {
    for by_another in [false, true] {
        let Ahead { stage, mut permit, .. } = Ahead::new(Concurrency::Wal, 6, 4, 3);
        stage.queue(Class::Write, 7);
        let is_full = || matches!(stage.request(SHORT, 9, Manner::Keeps), Request::Rejected(_, Rejection::Overloaded));
        let _reader = stage.take(SHORT);
        assert!(is_full());
        if by_another {
            stage.gate.used(3);
            permit.were_settled(3);
        } else {
            permit.used();
        }
        assert!(!is_full());
    }
}

#[test]
fn where_modes_alternate_nobody_is_passed_a_permit_ahead_of_its_turn() {
    let stage = Stage::new(Concurrency::Exclusive, 1, 10);
    let permit = stage.take(Class::Write);
    let _ = stage.gate.request_all(Class::Write, [several(&stage, 1, 3)], stage.now);
    let Ok(passed) = permit.pass_on_ahead(|_| 3) else { panic!("they asked for this class") };
    assert_eq!((passed.waiter.requests(), stage.gate.status().queued), (1, 2));
    stage.queue(SHORT, 4);
    assert_eq!(admissions(&stage, vec![passed.permit]), [4, 2, 3]);
}

#[test]
fn those_that_are_put_back_after_close_come_back() {
    let Ahead { stage, mut permit, first, queued_at, left } = Ahead::new(Concurrency::Wal, 10, 5, 2);
    stage.gate.close();
    assert_eq!(stage.rejections(), [(6, Rejection::Closed)]);
    let Err(left) = permit.put_back(first.after(2), left, queued_at) else { panic!("nobody waits after close") };
    assert_eq!((left.name, left.requests()), (3, 3));
    drop(permit);
    stage.assert_idle();
    assert_eq!(stage.gate.status().phase, Phase::Closed);
}

#[test]
#[should_panic(expected = "BUG: I4")]
fn putting_back_what_was_not_ahead_of_its_turn_is_a_bug() {
    let Ahead { stage, mut permit, first, queued_at, left: _ } = Ahead::new(Concurrency::Wal, 10, 2, 1);
    drop(permit.put_back(first.after(1), several(&stage, 2, 2), queued_at));
}

#[test]
fn a_read_permit_goes_to_the_share_of_one_reader_of_those_that_wait() {
    for (readers, limit, expected) in [(1, 3, 3), (1, 9, 6), (2, 9, 3), (2, 2, 2), (3, 9, 2), (9, 9, 1)] {
        let stage = Stage::new(Concurrency::Wal, readers, 100);
        let mut permits: Vec<_> = (0..readers).map(|_| stage.take(SHORT)).collect();
        let _ = stage.gate.request_all(SHORT, [several(&stage, 1, 6)], stage.now);
        let permit = permits.remove(0);
        let Ok(passed) = permit.pass_on_ahead(|_| limit) else { panic!("they asked for this class") };
        assert_eq!((passed.waiter.requests(), stage.gate.status().queued), (expected, 6 - expected), "{readers}");
        permits.push(passed.permit);
        assert_eq!(admissions(&stage, permits).len(), 6 - expected);
    }
}

#[test]
fn a_permit_of_a_session_goes_to_one() {
    let session = Class::Read(ReadKind::Session);
    let stage = Stage::new(Concurrency::Wal, 1, 10);
    let permit = stage.take(session);
    let _ = stage.gate.request_all(session, [several(&stage, 1, 3)], stage.now);
    let Ok(passed) = permit.pass_on_ahead(|_| 3) else { panic!("they asked for this class") };
    assert_eq!((passed.waiter.requests(), stage.gate.status().queued), (1, 2));
    assert_eq!(admissions(&stage, vec![passed.permit]), [2, 3]);
}

#[test]
fn reads_that_are_put_back_run_at_once_where_a_reader_is_free_and_else_where_they_waited() {
    for by_another in [false, true] {
        let stage = Stage::new(Concurrency::Wal, 2, 6);
        let (permit, other) = (stage.take(SHORT), stage.take(SHORT));
        let _ = stage.gate.request_all(SHORT, [several(&stage, 1, 6)], stage.now);
        let Ok(Passed { mut waiter, mut permit, ticket, queued_at, .. }) = permit.pass_on_ahead(|_| 9) else {
            panic!("they asked for this class")
        };
        drop(waiter.take_first(1));
        drop(other);
        let (four, other) = stage.next_admitted();
        assert_eq!((four, stage.gate.status().queued), (4, 2));
        stage.queue(SHORT, 7);
        stage.queue(SHORT, 8);
        let is_full = || matches!(stage.request(SHORT, 9, Manner::Keeps), Request::Rejected(_, Rejection::Overloaded));
        assert!(is_full(), "two that are ahead of their turns keep their room");
        let first = ticket.after(1);
        if by_another {
            assert!(matches!(stage.gate.put_back_reads(ReadKind::Short, first, waiter, queued_at), Ok(true)));
            permit.were_settled(2);
        } else {
            assert!(matches!(permit.put_back(first, waiter, queued_at), Ok(true)));
        }
        assert_eq!(stage.gate.status().queued, 6, "no reader is free");
        drop(other);
        let (two, other) = stage.next_admitted();
        assert_eq!(two, 2);
        assert_eq!(admissions(&stage, vec![permit, other]), [3, 5, 6, 7, 8]);

        let (permit, other) = (stage.take(SHORT), stage.take(SHORT));
        let _ = stage.gate.request_all(SHORT, [several(&stage, 1, 4)], stage.now);
        let Ok(Passed { mut waiter, mut permit, ticket, queued_at, .. }) = permit.pass_on_ahead(|_| 2) else {
            panic!("they asked for this class")
        };
        drop(waiter.take_first(1));
        drop(other);
        assert_eq!(stage.next_admitted().0, 3);
        assert_eq!(stage.next_admitted().0, 4);
        if by_another {
            assert!(stage.gate.put_back_reads(ReadKind::Short, ticket.after(1), waiter, queued_at).is_ok());
            permit.were_settled(1);
        } else {
            assert!(permit.put_back(ticket.after(1), waiter, queued_at).is_ok());
        }
        let (name, other) = stage.next_admitted();
        assert_eq!(name, 2, "it runs at once");
        drop(other);
        drop(permit);
        stage.assert_idle();
    }
}
