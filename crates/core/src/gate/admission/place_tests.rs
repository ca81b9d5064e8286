//! Places: statements that are not classified yet.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tests::{SHORT, exclusive, wal};
use super::*;

#[test]
fn a_place_holds_back_the_writers_behind_it_but_no_reader() {
    let mut gate = exclusive(2);
    let place = gate.place();
    let write = gate.queue(Class::Write);
    gate.admit_now(SHORT);
    assert_eq!(gate.release(SHORT), []);
    assert_eq!(gate.release(SHORT), []);
    let status = gate.status();
    assert_eq!((status.places, status.waiting_writers, status.queued), (1, 1, 2));
    assert_eq!(gate.cancel(place), [write]);
}

#[test]
fn a_confirmed_place_runs_before_the_writes_that_came_after_it() {
    let mut gate = wal(2);
    let place = gate.place();
    let write = gate.queue(Class::Write);
    assert_eq!(gate.on_confirm(place), Decision::Admitted);
    assert_eq!((gate.status().places, gate.status().queued), (0, 1));
    assert_eq!(gate.release(Class::Write), [write]);
}

#[test]
fn a_confirmed_place_waits_for_its_own_read_where_modes_alternate() {
    let mut gate = exclusive(2);
    let place = gate.place();
    assert_eq!(gate.on_confirm(place), Decision::Queued(place));
    assert_eq!(gate.status().waiting_writers, 1);
    gate.queue(SHORT);
    assert_eq!(gate.release(SHORT), [place]);
}

#[test]
fn a_confirmed_place_keeps_its_position_behind_earlier_writes() {
    let mut gate = wal(1);
    gate.admit_now(Class::Write);
    let before = gate.queue(Class::Write);
    let place = gate.place();
    assert_eq!(gate.on_confirm(place), Decision::Queued(place));
    assert_eq!(gate.release(Class::Write), [before]);
    assert_eq!(gate.release(Class::Write), [place]);
}

#[test]
#[should_panic(expected = "BUG: I4")]
fn confirming_a_withdrawn_place_is_a_bug() {
    let mut gate = wal(1);
    let place = gate.place();
    gate.cancel(place);
    let _ = gate.on_confirm(place);
}

#[test]
fn confirming_a_place_after_its_statement_ran_as_a_write_is_a_bug() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (place, read) = gate.place_and_read();
    assert_eq!(gate.release(Class::Write), [read]);
    let confirmed = catch_unwind(AssertUnwindSafe(|| gate.on_confirm(place)));
    let message = confirmed.expect_err("it is void").downcast::<&str>().expect("a plain message");
    assert!(message.starts_with("BUG: I4"), "{message}");
}

#[test]
fn withdrawing_a_place_after_its_statement_ran_as_a_write_does_nothing() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (place, read) = gate.place_and_read();
    let write = gate.queue(Class::Write);
    assert_eq!(gate.release(Class::Write), [read]);
    let running = gate.status();
    assert!(!gate.on_cancel(place, &mut Vec::new()));
    assert_eq!(gate.status(), running);
    assert_eq!(gate.release(Class::Write), [write]);
}

#[test]
fn an_unclassified_statement_prefers_a_free_reader_to_the_free_writer() {
    let mut gate = wal(1);
    gate.place();
    assert_eq!((gate.status().active_readers, gate.status().active_writer), (1, false));
}

#[test]
fn an_unclassified_statement_runs_as_a_write_at_once_when_only_the_writer_is_free() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    assert_eq!(gate.on_unclassified(), UnclassifiedDecision::AdmittedAsWrite);
    let status = gate.status();
    assert_eq!((status.active_writer, status.places, status.queued), (true, 0, 0));
}

#[test]
fn i3_an_unclassified_statement_overtakes_no_write_though_the_writer_is_free() {
    let mut gate = wal(1);
    let earlier = gate.place();
    let (_, read) = gate.place_and_read();
    assert_eq!(gate.on_confirm(earlier), Decision::Admitted);
    assert_eq!(gate.release_to(Class::Write), [Admitted { ticket: read, class: Class::Write }]);
}

#[test]
fn a_place_at_the_head_runs_as_a_write_when_the_writer_is_free_before_a_reader() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (_, read) = gate.place_and_read();
    assert_eq!(gate.release_to(Class::Write), [Admitted { ticket: read, class: Class::Write }]);
    let status = gate.status();
    assert_eq!((status.places, status.waiting_readers, status.queued), (0, 0, 0), "its read left with it");
    assert_eq!(gate.release(SHORT), []);
}

#[test]
fn a_place_runs_as_a_read_when_a_reader_is_free_before_the_writer() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (place, read) = gate.place_and_read();
    let write = gate.queue(Class::Write);
    assert_eq!(gate.release_to(SHORT), [Admitted { ticket: read, class: SHORT }]);
    assert_eq!(gate.release(Class::Write), [], "{write:?} waits until the statement is classified");
    assert_eq!(gate.on_confirm(place), Decision::Admitted);
}

#[test]
fn i3_writes_and_places_run_in_order_while_every_reader_is_busy() {
    let mut gate = wal(2);
    gate.admit_now(SHORT);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let reads = [gate.queue(SHORT), gate.queue(SHORT)];
    let order = [
        gate.place_and_read().1,
        gate.queue(Class::Write),
        gate.place_and_read().1,
        gate.place_and_read().1,
        gate.queue(Class::Write),
    ];
    for next in order {
        assert_eq!(gate.release(Class::Write), [next]);
    }
    assert_eq!(gate.release(SHORT), [reads[0]]);
    assert_eq!(gate.release(SHORT), [reads[1]]);
}

#[test]
fn i3_a_place_that_is_not_the_head_waits_for_the_writes_before_it() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    let exclusive = gate.queue(Class::Exclusive);
    let (place, read) = gate.place_and_read();
    assert_eq!(gate.release(SHORT), [exclusive]);
    assert_eq!(
        gate.release_to(Class::Exclusive),
        [Admitted { ticket: read, class: SHORT }],
        "a reader is free by then"
    );
    assert_eq!(gate.on_confirm(place), Decision::Admitted);
}

#[test]
fn a_place_whose_read_was_cancelled_holds_its_position_until_it_is_withdrawn() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (place, read) = gate.place_and_read();
    let write = gate.queue(Class::Write);
    assert_eq!(gate.cancel(read), []);
    assert_eq!(gate.release(Class::Write), []);
    assert_eq!(gate.cancel(place), [write]);
}

#[test]
fn a_read_whose_place_was_withdrawn_is_a_read_like_any_other() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (place, read) = gate.place_and_read();
    assert_eq!(gate.cancel(place), []);
    assert_eq!(gate.release(Class::Write), []);
    assert_eq!(gate.release_to(SHORT), [Admitted { ticket: read, class: SHORT }]);
}

#[test]
fn withdrawing_a_place_lets_the_one_behind_it_run_as_a_write() {
    let mut gate = wal(1);
    let first = gate.place();
    let (_, read) = gate.place_and_read();
    assert_eq!(gate.cancel(first), [read]);
    assert!(gate.status().active_writer);
}

#[test]
fn a_write_permit_is_passed_on_to_a_place_at_the_head() {
    let mut gate = wal(1);
    gate.admit_now(SHORT);
    gate.admit_now(Class::Write);
    let (_, read) = gate.place_and_read();
    assert_eq!(gate.pass_to(Class::Write), Some(read));
    let status = gate.status();
    assert_eq!((status.active_writer, status.places, status.queued), (true, 0, 0));
    assert_eq!(gate.pass_to(Class::Write), None);
}

#[test]
fn a_write_permit_is_not_passed_on_to_a_place_that_is_being_classified() {
    let mut gate = wal(1);
    gate.admit_now(Class::Write);
    let place = gate.place();
    assert_eq!(gate.pass_to(Class::Write), None);
    assert_eq!(gate.on_confirm(place), Decision::Queued(place));
    assert_eq!(gate.pass_to(Class::Write), Some(place));
}

#[test]
fn where_modes_alternate_an_unclassified_statement_waits_for_a_reader() {
    let mut gate = exclusive(1);
    gate.admit_now(SHORT);
    let (place, read) = gate.place_and_read();
    assert_eq!(gate.release_to(SHORT), [Admitted { ticket: read, class: SHORT }]);
    assert_eq!(gate.on_confirm(place), Decision::Queued(place));
    assert_eq!(gate.release(SHORT), [place]);
    let (_, read) = gate.place_and_read();
    assert_eq!(gate.release_to(Class::Write), [Admitted { ticket: read, class: SHORT }]);
}
